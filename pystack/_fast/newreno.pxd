from pystack._fast.tcb cimport Stack, Tcb

cdef int TF_RTO_RECOVERY

cpdef void on_ack(Stack s, Tcb t, int acked) noexcept
cpdef unsigned int after_loss(Stack s, Tcb t, unsigned int flight) noexcept
