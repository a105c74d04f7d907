from pystack._fast.config cimport Config
from pystack._fast.ipfw_ground cimport Ground
from pystack._fast.ipfw_table cimport Table
from pystack._fast.packet cimport Packet
from pystack._fast.rng cimport Rng

cdef int PROTO_ICMP, PROTO_TCP, PROTO_UDP, RST, SYN
cdef unsigned int O_ANTISPOOF, O_DSCP, O_ESTAB, O_FIB, O_FRAG, O_ICMPTYPE, O_IN, O_IP4, O_IP_DST, O_IP_DST_LOOKUP
cdef unsigned int O_IP_DST_MASK, O_IP_DST_ME, O_IP_DST_SET, O_IP_DSTPORT, O_IP_SRC, O_IP_SRC_LOOKUP, O_IP_SRC_MASK
cdef unsigned int O_IP_SRC_ME, O_IP_SRC_SET, O_IP_SRCPORT, O_IPID, O_IPLEN, O_IPOPT, O_IPPRECEDENCE, O_IPTOS
cdef unsigned int O_IPTTL, O_IPVER, O_NOP, O_PROB, O_PROTO, O_RECV, O_TAGGED, O_TCPACK, O_TCPDATALEN, O_TCPFLAGS
cdef unsigned int O_TCPMSS, O_TCPOPTS, O_TCPSEQ, O_TCPWIN, O_VERREVPATH, O_VERSRCREACH, O_VIA, O_XMIT, TABLEARG
cdef unsigned int TABLEARG_OLD, _OPENING, _PROB_MASK
cdef unsigned char[::1] _IPOPTS, _TCPOPTS


cdef class Patterns:
    cdef readonly Config cfg
    cdef readonly Ground ground
    cdef Rng rng
    cdef public dict tables
    cdef public unsigned int tablearg_is
    cdef unsigned int[::1] code
    cdef unsigned char[::1] iface_known
    cdef readonly list patterns
    cdef bint out
    cdef int iface_in, iface_out, at
    cdef unsigned int tablearg

    cdef unsigned int _argument(self, unsigned int arg) noexcept
    cdef bint _fits(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _address(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _lookup(self, Packet p, unsigned int address, unsigned int head) except -1
    cdef bint _in_ranges(self, unsigned int head, unsigned int value) except -1
    cdef bint _via(self, int iface, unsigned int head) except -1
    cdef bint _tcp(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _header(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _tagged(self, Packet p, unsigned int head) except -1


cdef bint _flags_fit(unsigned int wanted, unsigned int bits) noexcept
cdef unsigned int _tcp_options(Packet p) noexcept
cdef int _ip_options(Packet p) noexcept
