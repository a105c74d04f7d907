from pystack._fast.nf_hook cimport HookState
from pystack._fast.packet cimport Packet

cdef int CTS_INVALID, CTS_UNTRACKED, H_STATUS, IPS_DST_NAT, IPS_SRC_NAT, PROTO_ICMP, PROTO_TCP, PROTO_UDP, W_MARK
cdef int PROTO_UDPLITE, _DCCP, _SCTP
cdef int STATE_SNAT, STATE_DNAT, PORT_SOURCE, PORT_DESTINATION, TTL_EQ, TTL_NE, TTL_LT
cdef long long HZ

cpdef bint has_ports(Packet p) noexcept


cdef class Match:
    cdef public Match next
    cpdef bint test(self, Packet p, HookState state) except -1


cdef class PortRange(Match):
    cdef public int proto, sport_low, sport_high, dport_low, dport_high
    cdef public bint sport_not, dport_not, native
    cpdef bint ports_fit(self, Packet p) noexcept


cdef class TcpMatch(PortRange):
    cdef public int mask, flags, option
    cdef public bint flags_not, option_not
    cpdef bint has_option(self, Packet p) noexcept


cdef class IcmpMatch(Match):
    cdef public int kind, low, high
    cdef public bint inverted


cdef class Multiport(Match):
    cdef public int which, count
    cdef public unsigned short[::1] ports
    cdef public bint inverted
    cpdef bint listed(self, int port) noexcept


cdef class StateMatch(Match):
    cdef public int states
    cdef public bint inverted
    cpdef bint state_fits(self, Packet p, HookState state) noexcept


cdef class ConntrackMatch(StateMatch):
    cdef public int proto, direction, status, asked, inverse
    cdef public long long left_low, left_high
    cdef public bint proto_not, status_not, left_not
    cdef public unsigned int[::1] values
    cdef public unsigned short[::1] ports
    cpdef bint keys_fit(self, int row, HookState state) noexcept


cdef class MarkMatch(Match):
    cdef public unsigned int mark, mask
    cdef public bint inverted, of_flow


cdef class AddressType(Match):
    cdef public int src, dst
    cdef public bint src_not, dst_not, limit_in, limit_out


cdef class AddressRange(Match):
    cdef public unsigned int src_low, src_high, dst_low, dst_high
    cdef public bint by_src, by_dst, src_not, dst_not


cdef class Length(Match):
    cdef public int low, high
    cdef public bint inverted


cdef class Ttl(Match):
    cdef public int how, value


cdef class Tos(Match):
    cdef public int value, mask
    cdef public bint inverted
