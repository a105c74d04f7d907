from pystack._fast.conntrack cimport Conntrack
from pystack._fast.hashing cimport jenkins_hash32, swab32
from pystack._fast.nf_hook cimport NatRange
from pystack._fast.packet cimport Packet
from pystack._fast.rng cimport Rng
from pystack._fast.seq cimport after
from pystack._fast.wirebytes cimport be16, put16, put32

cdef int CTS_RELATED, H_STATUS, IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_FIXED_TIMEOUT, IPS_SRC_NAT, IPS_SRC_NAT_DONE
cdef int O_STATE, PROTO_GRE, PROTO_ICMP, PROTO_TCP, PROTO_UDP, TCPCT_TIME_WAIT, W_END, NF_ACCEPT
cdef int _UDPLITE, _NAT_DONE, ICMP_REDIRECT, NF_DROP
cdef unsigned int _ATTEMPTS, _FEWEST, _HARDER
cpdef unsigned int pool_address(unsigned int src, unsigned int initval, unsigned int low, unsigned int high) noexcept
cdef void _patch(Packet p, int at, unsigned int old, unsigned int new) noexcept
cpdef void set_address(Packet p, bint source, unsigned int address) noexcept
cpdef void set_port(Packet p, bint source, int port) noexcept
cpdef void set_ping(Packet p, int identifier) noexcept


cdef class Nat:
    cdef Conntrack ct
    cdef Rng rng
    cdef public bint old
    cdef unsigned int rover
    cdef unsigned long long addrs, ports
    cpdef int setup(self, int row, NatRange wanted, bint source, Packet p) except -1
    cpdef int bind_nothing(self, int row, bint source, Packet p) except -1
    cdef NatRange _mapped(self, NatRange wanted, bint source)
    cdef unsigned int _address(self, bint source) noexcept
    cdef void _set_address(self, bint source, unsigned long long address) noexcept
    cdef int _port(self, bint source) noexcept
    cdef void _set_port(self, bint source, unsigned long long port) noexcept
    cdef bint _in_range(self, NatRange wanted, bint source) noexcept
    cdef bint _port_in_range(self, NatRange wanted, bint source) noexcept
    cdef int _choose(self, int row, NatRange wanted, bint source, Packet p) except -1
    cdef bint _as_before(self, int row, NatRange wanted) except -1
    cdef bint _taken(self, int row) except -1
    cdef bint _taken_for_good(self, int row, Packet p, unsigned int left) except -1
    cdef int _search(self, int row, NatRange wanted, bint source, Packet p) except -1
    cdef int _search_old(self, int row, NatRange wanted, bint at, unsigned int low, unsigned int size) except -1
    cpdef int translate(self, Packet p, bint source) except -1
    cdef int _translate_quote(self, Packet p, bint source, bint mapped) except -1
