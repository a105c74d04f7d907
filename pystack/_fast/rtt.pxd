from pystack._fast.seq cimport after
from pystack._fast.tcb cimport Stack, Tcb

cdef int RTO_LINUX

cpdef void sample(Stack s, Tcb t, long long rtt) noexcept
cpdef void smooth(Tcb t, long long rtt) noexcept
cdef long long floored(Tcb t) noexcept
cpdef long long rto(Stack s, Tcb t) noexcept
cpdef long long backoff(Stack s, Tcb t, int shift) noexcept
cpdef long long probe_wait(Stack s, Tcb t, int shift) noexcept
