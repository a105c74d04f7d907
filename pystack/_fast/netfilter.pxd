from pystack._fast.conntrack cimport Conntrack
from pystack._fast.internet cimport Internet
from pystack._fast.nat cimport Nat
from pystack._fast.nf_hook cimport HookState, Hooks, NatRange
from pystack._fast.nf_rules cimport Rule
from pystack._fast.packet cimport Packet
from pystack._fast.routes cimport Interface
from pystack._fast.tcp_build cimport transmit
from pystack._fast.tcp_reply cimport unsent_reset

cdef int CT_DROP, CTS_NEW, CTS_RELATED, H_STATUS, IPS_CONFIRMED, IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE
cdef int FORWARD, LOCAL_IN, LOCAL_OUT, NF_ACCEPT, NF_DROP, POSTROUTING, PREROUTING, TABLE_FULL
cdef int NAT_PORTS_RANGE, ICMP_UNREACH, PROTO_ICMP, PROTO_TCP, RST
cdef int ADDR_BROADCAST, ADDR_LOCAL, ADDR_MULTICAST, ADDR_UNICAST, ADDR_UNREACHABLE, ADDR_UNSPEC


cdef class MachineState(HookState):
    cdef Internet net
    cdef Netfilter netfilter
    cdef public object logger, speaker


cdef class Netfilter(Hooks):
    cdef Internet net
    cdef readonly MachineState state
    cdef readonly Conntrack conntrack
    cdef readonly Nat nat_engine
    cdef public object raw, mangle, nat, filter
    cdef readonly bint tracks
    cdef public bint translates
    cdef int timer
    cdef int _table(self, object table, int hook, Packet p) except -1
    cdef int _filter(self, int hook, Packet p) except -1
    cdef int _track(self, Packet p) except -1
    cdef int _translate(self, int hook, Packet p, bint source) except -1
