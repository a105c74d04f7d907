from pystack._fast cimport newreno
from pystack._fast.tcb cimport Stack, Tcb

cdef long long CUBE_TO_MS

cpdef void on_ack(Stack s, Tcb t, int acked) noexcept
cpdef unsigned int after_loss(Stack s, Tcb t, unsigned int flight) noexcept
cpdef long long cube_root(long long x) noexcept
cpdef long long window_at(long long ms, long long k, long long w_max, long long mss) noexcept
cpdef void begin_epoch(Stack s, Tcb t) noexcept
