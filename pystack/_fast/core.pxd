from pystack._fast.files cimport Descriptors
from pystack._fast.internet cimport Internet
from pystack._fast.landing cimport Landing
from pystack._fast.packet cimport Packet
from pystack._fast.tcb cimport Tcb
from pystack._fast.tcp_close cimport expire_timewait
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_text cimport give_up_islands
from pystack._fast.tcp_timers cimport fire

cdef int TF_DELACK, TIMER_CONNTRACK, TIMER_FLOW, TIMER_IPFW
cdef int TIMER_FRAG, TIMER_SYNCACHE, TIMER_TCB, TIMER_TIMEWAIT
cdef long long NEVER


cdef class Core

cdef class Driver:
    cpdef int before(self, Core core) except -1
    cpdef int after(self, Core core) except -1
    cpdef int step(self, long long deadline) except -1


cdef class Core(Internet):
    cdef Landing land
    cdef public long long scheduled
    cdef public int number
    cdef public bint listed
    cdef public Driver driver
    cdef public list sleepers
    cdef public int n_sleepers, asleep
    cdef public bint dispatching, halted
    cdef public long long ahead, halted_at
    cdef public list ring
    cdef public int ring_room
    cpdef int ingress(self, Packet p, long long now) except -1
    cpdef int make_room(self) except -1
    cpdef int ingress_landed(self, int iface, int skip, int n, int gso_size, bint csum_ok, long long now) except -1
    cpdef int tick(self, long long now) except -1
    cpdef long long next_deadline(self) noexcept
    cpdef Packet egress(self, long long now)
    cpdef int dispatch(self) except -1
    cpdef int fall_asleep(self, object row, int n) except -1
    cpdef int make_ready(self, object row) except -1
    cdef int wake_one(self) except -1
    cdef int call_handlers(self) except -1
    cpdef int settle(self, long long now) except -1
    cdef int reclaim(self) except -1
    cdef int flush_pending(self) except -1
