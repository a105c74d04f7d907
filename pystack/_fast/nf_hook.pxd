from pystack._fast.conntrack cimport Conntrack
from pystack._fast.packet cimport Packet
from pystack._fast.rng cimport Rng


cdef class NatRange:
    cdef public unsigned int low, high
    cdef public int port_low, port_high, port_base
    cdef public bint random, random_fully, persistent, netmap


cdef class Hooks:
    cdef public bint defrag
    cpdef int prerouting(self, Packet p) except -1
    cpdef int local_in(self, Packet p) except -1
    cpdef int forwarding(self, Packet p) except -1
    cpdef int local_out(self, Packet p) except -1
    cpdef int postrouting(self, Packet p) except -1
    cpdef int forget(self, Packet p) except -1
    cpdef int tick(self) except -1
    cpdef int flow_due(self, int row) except -1


cdef class HookState:
    cdef public int hook
    cdef public long long now
    cdef public Conntrack conntrack
    cdef public Rng rng
    cdef public bint hot_drop
    cdef public object decided
    cdef public int log_flags
    cpdef int address_type(self, unsigned int addr, int iface) except -1
    cpdef str iface_name(self, int number)
    cpdef unsigned int iface_addr(self, int number) except? 0
    cpdef int reject(self, Packet p, int kind) except -1
    cpdef int log(self, Packet p, object prefix, int level) except -1
    cpdef int set_nat(self, Packet p, NatRange wanted, bint source) except -1
    cpdef int masquerade(self, Packet p, NatRange wanted) except -1
    cpdef int clamp_mss(self, Packet p) except -1
