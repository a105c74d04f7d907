from pystack._fast.ipfw_links cimport Links
from pystack._fast.nat cimport set_address, set_ping, set_port
from pystack._fast.packet cimport Packet
from pystack._fast.routes cimport Interface
from pystack._fast.udp_icmp cimport Quote

cdef int ICMP_ECHO, ICMP_ECHO_REPLY, ICMP_PARAM_PROBLEM, ICMP_SOURCE_QUENCH, ICMP_TIME_EXCEEDED, ICMP_UNREACH
cdef int PROTO_ICMP, PROTO_TCP, PROTO_UDP, DRAWN, LINK_FRAGMENT, NO_PORT, _STAMP, _STAMP_REPLY
cdef int M_DENY_IN, M_SAME_PORTS, M_UNREG_ONLY, M_RESET, M_PROXY_ONLY, M_REVERSE, M_SKIP_GLOBAL, M_UNREG_CGN
cdef int DONE, IGNORED, UNRESOLVED


cdef class NatInstance:
    cdef readonly int number, mode
    cdef readonly Interface iface
    cdef readonly unsigned int address
    cdef readonly Links links
    cdef Quote quote
    cpdef int begin(self, long long now) except -1
    cpdef int incoming(self, Packet p) except -1
    cpdef int outgoing(self, Packet p, bint create) except -1
    cdef int _in(self, Packet p) except -1
    cdef int _ports_in(self, Packet p) except -1
    cdef int _icmp_in(self, Packet p) except -1
    cdef int _error(self, Packet p, bint out) except -1
    cdef int _bare_in(self, Packet p) except -1
    cdef int _out(self, Packet p, bint create) except -1
    cdef bint _is_private(self, unsigned int address) except? True
    cdef int _ports_out(self, Packet p, bint create) except -1
    cdef int _icmp_out(self, Packet p, bint create) except -1
    cdef int _bare_out(self, Packet p, bint create) except -1
    cdef int _quote(self, Packet p, bint source, unsigned int address, int port) except -1


cdef class Nats:
    cdef readonly dict by_number
    cdef readonly unsigned int any_is
    cpdef bint translate(self, Packet p, unsigned int number, bint out, long long now) except? True
    cdef int _any_instance(self, Packet p, long long now) except -1


cpdef int translate(Packet p, bint source, unsigned int address, int port) except -1
cdef int _translate_first(Packet p, bint source, unsigned int address, int port) except -1
cpdef int put_text(Packet p, bytearray octets) except -1
