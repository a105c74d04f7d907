from pystack._fast cimport cubic, newreno
from pystack._fast.tcb cimport Stack, Tcb

cdef int CC_CUBIC

cpdef void on_ack(Stack s, Tcb t, int acked) noexcept
cpdef unsigned int after_loss(Stack s, Tcb t, unsigned int flight) noexcept
cpdef unsigned int initial_window(Stack s, Tcb t) noexcept
cpdef unsigned int restart_window(Stack s, Tcb t) noexcept
