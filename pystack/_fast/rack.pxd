from pystack._fast cimport prr, undo
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.seq cimport after, before
from pystack._fast.tcb cimport Stack, Tcb

cdef int A_ADVANCED, A_DATA, A_ACKED, A_DSACK_TLP, A_SACKED, A_WINDOW, CA_CWR, CA_OPEN, CA_RECOVERY
cdef int RACK_NO_DUPTHRESH, RACK_PERSIST, RACK_STATIC, SEG_ASIDE, SEG_EVER, SEG_LOST, SEG_RETRANS, SEG_SACKED
cdef int TF_SACK_PERMIT, WAIT_REO, WAIT_RTO, WAIT_TLP
cdef long long LEAST, NEVER, US

cpdef long long reordering_window(Stack s, Tcb t, Flight f) noexcept
cpdef long long detect(Stack s, Tcb t, Flight f) noexcept
cpdef bint mark(Stack s, Tcb t, Flight f) noexcept
cpdef void adapt(Stack s, Flight f, int prior_delivered) noexcept
cpdef long long rto_left(Stack s, Tcb t, Flight f) noexcept
cpdef void rearm(Stack s, Tcb t, Flight f) noexcept
cpdef bint schedule_probe(Stack s, Tcb t, Flight f, bint advancing) noexcept
cpdef void set_timer(Stack s, Tcb t, Flight f) noexcept
cpdef void probe_acked(Stack s, Tcb t, Flight f, unsigned int ack, int found) noexcept
