from pystack._fast.hashing cimport sip2
from pystack._fast.ipfw_codel cimport Codel, Flow, FlowSet
from pystack._fast.packet cimport Packet, PacketQueue

cdef int PROTO_TCP, PROTO_UDP, FIFO, FQ_CODEL, RR, QUANTUM, _NEW, _OLD


cdef class Scheduler:
    cdef readonly PacketQueue lost
    cpdef int put(self, Flow flow, Packet p, long long now) except -1
    cpdef Packet take(self, long long now)


cdef class Fifo(Scheduler):
    cdef object turn


cdef class InTurn(Scheduler):
    cdef object turn


cdef class ByWeight(Scheduler):
    cdef long long order, weights
    cdef object virtual
    cdef list ready, early
    cdef int _compete(self, Flow flow) except -1
    cdef Flow _first(self)


cdef class FlowList:
    cdef Flow first, last
    cdef int push(self, Flow flow) except -1
    cdef int shift(self) except -1


cdef class FairQueues:
    cdef public Codel codel
    cdef public int quantum, limit, flows


cdef class FairCodel(Scheduler):
    cdef readonly FairQueues told
    cdef unsigned long long seed
    cdef readonly Flow all
    cdef readonly dict flows
    cdef FlowList new, old
    cpdef Flow flow_of(self, Packet p)
    cdef Flow _fattest(self)


cpdef unsigned int bucket(Packet p, unsigned long long seed, unsigned int n) noexcept
cpdef Scheduler scheduler(int kind, FairQueues told, unsigned long long seed)
