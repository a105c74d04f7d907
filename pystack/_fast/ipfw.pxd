from pystack._fast.internet cimport Internet
from pystack._fast.ipfw_ground cimport Ground
from pystack._fast.ipfw_match cimport Rules
from pystack._fast.ipfw_nat cimport Nats
from pystack._fast.ipfw_pipe cimport Dummynet, Line
from pystack._fast.nf_hook cimport Hooks
from pystack._fast.nf_target cimport TcpMss, put_tos
from pystack._fast.packet cimport Packet
from pystack._fast.routes cimport Interface
from pystack._fast.seq cimport add
from pystack._fast.tcp_build cimport blank
from pystack._fast.tcp_wire cimport build

cdef int ACK, ICMP_UNREACH, IPFW_12, PROTO_ICMP, PROTO_TCP, PROTO_UDP, RST, SYN, TIMER_IPFW
cdef unsigned int O_QUEUE, O_SETDSCP, V_DUMMYNET
cdef int REJECT_RST, V_NAT, V_PASS, V_REASS, NF_ACCEPT, NF_DROP, NF_FULL, NF_STOLEN, FIREWALL, LOOPBACK, _LOW_DELAY
cdef unsigned int _SKIP
cdef long long _SECOND


cdef class MachineGround(Ground):
    cdef readonly Internet net
    cdef TcpMss clamp
    cdef int _send(
        self, unsigned int src, int sport, unsigned int dst, int dport, unsigned int seq, unsigned int ack, int flags,
    ) except -1


cdef class Ipfw(Hooks):
    cdef readonly Internet net
    cdef readonly Rules rules
    cdef int timer
    cdef bint ticking
    cdef readonly Nats nats
    cdef readonly Dummynet dummynet
    cdef int _pass(self, Packet p, int iface_in, int iface_out) except -1
    cpdef int walk(self, Packet p, int iface_in, int iface_out, int position) except -1
    cdef int _go_on(self, Packet p) except -1
    cdef int _behind(self, Packet p) except -1
    cdef int _send_to(self, Packet p, bint out) except -1
    cdef int _peek(self, Packet p) except -1
    cpdef int start(self) except -1
