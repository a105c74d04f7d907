from pystack._fast.mbuf cimport Pool
from pystack._fast.mbuf_octets cimport copy_octets
from pystack._fast.packet cimport Packet, PacketQueue
from pystack._fast.seq cimport add as seq_add
from pystack._fast.tcp_wire cimport parse as parse_tcp
from pystack._fast.udp_icmp cimport parse_icmp, parse_lite, parse_udp
from pystack._fast.wirebytes cimport be16, be32, csum_add16, csum_fold, csum_octets, put16, put32

cdef int _TCP
cdef int _UDP
cdef int _ICMP
cdef int _AH, _UDPLITE
cdef int _FIN_PSH
cdef int _CWR
cdef int _TRUNCATED
cdef int _VERSION
cdef int _HEADER_LENGTH
cdef int _TOTAL_LENGTH
cdef int _CHECKSUM
cdef int _SOURCE_INVALID
cdef int _OPTION
cdef int _TTL
cdef int _FRAG_BAD
cdef int _MBUF
cdef int _TCP_TRUNCATED, _TCP_CHECKSUM
cdef int _UDP_TRUNCATED, _UDP_CHECKSUM, _ICMP_TRUNCATED, _ICMP_CHECKSUM

cpdef int parse_ip(Packet p, const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n) noexcept
cpdef int parse_l4(Packet p, const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n) noexcept
cpdef int parse(Packet p, const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n) noexcept
cpdef int parse_landed(Packet p, Pool pool, int m, int skip, int n) noexcept
cpdef int parse_faulty(Packet p, Pool pool, int m, int skip, int n, int reason) noexcept
cpdef bint is_checksum_fault(int reason) noexcept
cpdef bint is_l4_fault(int reason) noexcept
cpdef void build(Packet p) noexcept
cpdef void sum_header(Packet p) noexcept
cpdef int forward(Packet p) noexcept
cpdef void finish(Packet p) noexcept
cpdef unsigned int pseudo(Packet p) noexcept
cpdef int split_count(Packet p) noexcept
cpdef bint split(Packet p, int index, Packet out) noexcept
cpdef int fragment(Packet p, int mtu, PacketQueue free, PacketQueue to)
