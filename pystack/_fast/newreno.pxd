from pystack._fast.seq cimport dist
from pystack._fast.tcb cimport Stack, Tcb

cpdef unsigned int slow_start(Stack s, Tcb t, int acked) noexcept
cpdef bint may_grow(Stack s, Tcb t) noexcept
cpdef void on_ack(Stack s, Tcb t, int acked) noexcept
cpdef unsigned int after_loss(Tcb t) noexcept
cpdef unsigned int after_timeout(Tcb t) noexcept
