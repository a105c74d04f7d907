from pystack._fast cimport newreno
from pystack._fast.tcb cimport Stack, Tcb

cdef int APP_LIMITED, BETA, IN_SLOW_START, LOSS_SEEN, SAMPLES, TIMED_OUT
cdef long long MS

cpdef long long cube_root(long long x) noexcept
cpdef long long plateau_in(long long w_max, int mss) noexcept
cpdef long long window_at(long long usecs, long long k, long long w_max, long long mss) noexcept
cpdef long long reno_at(long long usecs, long long rtt, long long w_max, long long mss) noexcept
cpdef void record_round_trip(Tcb t) noexcept
cpdef void on_ack(Stack s, Tcb t, int acked) noexcept
cpdef unsigned int after_loss(Stack s, Tcb t) noexcept
cpdef unsigned int after_timeout(Tcb t) noexcept
cpdef void undo_timeout(Tcb t) noexcept
cpdef unsigned int recovered(Tcb t) noexcept
cpdef void after_idle(Stack s, Tcb t) noexcept
