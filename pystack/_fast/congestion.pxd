from pystack._fast cimport cubic, newreno
from pystack._fast.tcb cimport Stack, Tcb

cdef int CC_CUBIC

cdef void on_ack(Stack s, Tcb t, int acked) noexcept
cdef unsigned int after_loss(Stack s, Tcb t, unsigned int flight) noexcept
cdef unsigned int initial_window(Stack s, Tcb t) noexcept
cdef unsigned int restart_window(Stack s, Tcb t) noexcept
