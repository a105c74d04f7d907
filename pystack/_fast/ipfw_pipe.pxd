from pystack._fast.internet cimport Internet
from pystack._fast.ip4 cimport split, split_count
from pystack._fast.ipfw_codel cimport Codel, Flow, FlowSet
from pystack._fast.ipfw_sched cimport FairCodel, FairQueues, Scheduler, scheduler
from pystack._fast.packet cimport Packet
from pystack._fast.transit cimport Transit

cdef int FIFO, FQ_CODEL, WF2Q, LINK_LOSS, LINK_QUEUE, MBUF, FLOWS_MAX, TIMER_FLOW
cdef unsigned int _PLR
cdef long long _BIT_NS, _NEVER, _SECOND


cdef class Pipe:
    cdef readonly int number
    cdef public long long rate, delay, burst
    cdef public tuple mask, queue_mask
    cdef readonly FlowSet own
    cdef public int kind, queue_buckets
    cdef public FairQueues fair
    cdef readonly dict lines, queue_lines


cdef class Line:
    cdef readonly Pipe pipe
    cdef readonly int kind, timer
    cdef readonly int owner
    cdef readonly dict flows
    cdef readonly bint occupied
    cdef Packet sending
    cdef long long until, clock, part, last_due
    cdef readonly Transit way
    cdef readonly Scheduler sched
    cpdef dict queues(self)
    cpdef int begin(self, long long now, bint fast) except -1
    cdef int _next(self, long long now, bint fast) except -1
    cdef int _sent(self, Packet p, long long now) except -1
    cpdef int run(self, long long now) except -1
    cpdef long long deadline(self) noexcept
    cpdef Packet pop(self, long long now)


cdef class Dummynet:
    cdef readonly Internet net
    cdef readonly dict pipes, sets, by_owner
    cdef int owners
    cdef public bint io_fast, expire
    cdef public long long slot_limit, byte_limit, hash_size
    cdef readonly Codel codel
    cdef readonly FairQueues fair
    cdef readonly long long taken, fast, dropped
    cpdef bint take(self, Packet p, unsigned int number, bint queue) except -1
    cdef bint _into(self, Pipe pipe, FlowSet flowset, Packet p, bint queue) except -1
    cdef Line _line(self, Pipe pipe, bint queue, Packet p)
    cdef int _forget_idle(self, dict lines) except -1
    cdef Flow _flow(self, Line line, FlowSet flowset, Packet p)
    cdef bint _offer(self, Line line, Flow flow, Packet p) except -1
    cdef int _bury(self, Line line) except -1
    cdef int _arm(self, Line line) except -1
    cpdef Line due(self, int owner)
    cpdef int settled(self, Line line) except -1

cpdef tuple masked(Packet p, tuple mask)
