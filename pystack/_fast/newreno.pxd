from pystack._fast.tcb cimport Stack, Tcb

cdef int TF_RTO_RECOVERY

cdef void on_ack(Stack s, Tcb t, int acked) noexcept
cdef unsigned int after_loss(Stack s, Tcb t, unsigned int flight) noexcept
