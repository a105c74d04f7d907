from pystack._fast cimport ip4, source_routes, udp_icmp
from pystack._fast.frag cimport Reassembler
from pystack._fast.icmp_limit cimport IcmpLimit
from pystack._fast.ip4 cimport is_checksum_fault, is_l4_fault
from pystack._fast.ip_output cimport IpOutput
from pystack._fast.packet cimport Packet
from pystack._fast.reports cimport refused
from pystack._fast.routes cimport Interface
from pystack._fast.seq cimport after, before
from pystack._fast.tcb cimport Tcb
from pystack._fast.tcp_close cimport drop
from pystack._fast.tcp_icmp cimport error_of, told_of, too_big
from pystack._fast.tcp_halfopen cimport fast_established
from pystack._fast.tcp_in cimport tcp_input
from pystack._fast.tcp_listen cimport Listener
from pystack._fast.tfo cimport FastOpen
from pystack._fast.udp cimport DatagramSocket
from pystack._fast.udp_icmp cimport Quote

cdef int ENOPROTOOPT, FO_QUEUED, SO_PMTU_OFF, ICMP_ERRORS_LINUX, ICMP_PARAM_PROBLEM, ICMP_REDIRECT
cdef int ICMP_UNREACH_FILTER_PROHIB, ICMP_UNREACH_HOST, SYN_RECEIVED
cdef int ECONNREFUSED, EHOSTUNREACH, ESTABLISHED, EV_ERROR, EV_READ
cdef int FRAG_HELD, FRAG_TIMEOUT, ICMP_ECHO, ICMP_ECHO_REPLY, ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED
cdef int ICMP_TYPE, ICMP_UNREACH, ICMP_UNREACH_NEEDFRAG, ICMP_UNREACH_NET, ICMP_UNREACH_PORT
cdef int ICMP_UNREACH_PROTOCOL, IP_DESTINATION_INVALID, IP_NEED_FRAGMENT, IP_NOT_OURS, IP_NO_ROUTE
cdef int IP_PROTOCOL, IP_TTL, MBUF, PROTO_ICMP, PROTO_TCP, PROTO_UDP, SYN_SENT, TCP_BROADCAST, TCP_PORT_ZERO
cdef int TCP_CHECKSUM, TCP_OFFSET, TCP_TRUNCATED
cdef int UDP_BUFFER, UDP_NO_PORT
cdef int BAD_ADDRESS, GO_ON, ICMP_UNREACH_SRCFAIL, IP_SOURCE_ROUTE, ONE_STOP, REFUSE, ROUTE_STRICT
cdef int ACCEPTANCE_LINUX, INTERNETWORK_CONTROL
cdef int BANDLIM_ECHO, BANDLIM_UNREACH, CTS_RELATED, ICMP_LIMIT, FIREWALL, NF_ACCEPT, NF_STOLEN


cdef class Internet(IpOutput):
    cdef public Reassembler frags
    cdef public Listener listeners
    cdef public dict udp
    cdef public dict echo
    cdef public IcmpLimit icmp_limit
    cdef Quote quote
    cdef int frag_timer
    cpdef int ip_input(self, Packet p) except -1
    cdef bint passes_on(self, int reason) except -1
    cdef int count_bad(self, int reason) except -1
    cdef bint may_go_on(self, Packet p, int verdict) except -1
    cpdef int came_in(self, Packet p) except -1
    cpdef bint reassembled(self, Packet p) except -1
    cpdef int local_input(self, Packet p) except -1
    cdef int count_in(self, Packet p) noexcept
    cdef int redirect(self, Packet p, int route, Interface iface) except -1
    cpdef int forward(self, Packet p, unsigned int towards) except -1
    cdef int icmp_error(self, Packet p, int kind, int code, unsigned int rest) except -1
    cdef int icmp_input(self, Packet p) except -1
    cdef int icmp_quote(self, Packet p) except -1
    cdef int half_open_unreachable(self, int row, Packet p) except -1
    cdef int tcp_unreachable(self, Tcb t, Packet p) except -1
    cdef int tcp_too_big(self, Tcb t) except -1
    cdef DatagramSocket datagram_socket(self, unsigned int addr, int port, Packet p)
    cdef int udp_input(self, Packet p) except -1
    cdef int queue_datagram(self, DatagramSocket d, Packet p) except -1
    cdef int drain_loop(self) except -1
    cdef bint by_source_route(self, Packet p) except -1
    cpdef int own_payload(self, Packet p) noexcept

cdef int bsd_error(int kind, int code) except -1
