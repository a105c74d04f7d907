from pystack._fast.tcb cimport Stack, Tcb

cdef int RTO_LINUX

cdef void sample(Stack s, Tcb t, long long rtt) noexcept
cdef long long rto(Stack s, Tcb t) noexcept
cdef long long backoff(Stack s, Tcb t, int shift) noexcept
