from pystack._fast.mbuf cimport Pool
from pystack._fast.packet cimport Packet
from pystack._fast.wirebytes cimport be16, be32, csum_add, csum_fold, put16, put32

cdef int _ICMP
cdef int _TCP
cdef int _UDP_TRUNCATED
cdef int _UDP_LENGTH
cdef int _UDP_CHECKSUM
cdef int _ICMP_TRUNCATED
cdef int _ICMP_CHECKSUM
cdef int _ICMP_TYPE
cdef int _ICMP_QUOTE
cdef unsigned char[::1] _scratch

cpdef int parse_udp(Packet p, const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n) noexcept
cpdef int parse_lite(Packet p, const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n) noexcept
cpdef int parse_icmp(Packet p, const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n) noexcept
cpdef void build_udp(Packet p) noexcept
cpdef void build_icmp(Packet p) noexcept
cpdef bint is_error(int icmp_type) noexcept
cpdef bint may_answer(Packet bad) noexcept
cpdef bint build_error(
    Packet bad, Packet out, Pool pool, int icmp_type, int icmp_code, unsigned int rest, int quote_len
) noexcept


cdef class Quote:
    cdef public int q_proto
    cdef public unsigned int q_src
    cdef public unsigned int q_dst
    cdef public int q_sport
    cdef public int q_dport
    cdef public unsigned int q_seq
    cdef public int q_ping
    cdef public int q_ip_id
    cdef public int q_total
    cdef public int q_mtu
    cdef public int q_have
    cdef unsigned char[::1] _octets

    cpdef int parse(self, Packet p) noexcept
    cpdef int parse_some(self, Packet p) noexcept

cpdef int parse_quote(Packet p, Quote q) noexcept
