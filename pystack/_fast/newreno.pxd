from pystack._fast.seq cimport dist
from pystack._fast.tcb cimport Stack, Tcb

cpdef unsigned int slow_start(Stack s, Tcb t, int acked) noexcept
cpdef bint may_grow(Stack s, Tcb t) noexcept
cpdef void on_ack(Stack s, Tcb t, int acked) noexcept
cdef unsigned int reduced(Tcb t, long long percent) noexcept
cpdef unsigned int after_loss(Stack s, Tcb t) noexcept
cpdef unsigned int after_mark(Stack s, Tcb t) noexcept
cpdef unsigned int lost_too(Stack s, Tcb t) noexcept
cpdef unsigned int after_timeout(Tcb t) noexcept
