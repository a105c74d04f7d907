from pystack._fast cimport prr
from pystack._fast.flight cimport Flight
from pystack._fast.seq cimport before, dist
from pystack._fast.tcb cimport Stack, Tcb

cdef int CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY, RACK_PERSIST, SEG_EVER
cdef int TF_ECN_SND_CWR, TF_FASTRECOVERY, TF_RTO_RECOVERY, TF_SACK_PERMIT

cpdef void set_ca_state(Tcb t, Flight f, int state) noexcept
cpdef bint any_retransmitted(Stack s, Flight f) noexcept
cpdef void keep_open(Stack s, Tcb t, Flight f) noexcept
cpdef void start(Tcb t, Flight f) noexcept
cpdef bint delayed(Stack s, Tcb t, Flight f) noexcept
cpdef bint possible(Stack s, Tcb t, Flight f) noexcept
cpdef void reduction(Stack s, Tcb t, Flight f, bint unmark) noexcept
cpdef bint keeps_state(Stack s, Tcb t, Flight f) noexcept
cpdef bint after_recovery(Stack s, Tcb t, Flight f) noexcept
cpdef bint by_dsack(Stack s, Tcb t, Flight f) noexcept
cpdef bint partial(Stack s, Tcb t, Flight f, unsigned int prior_una) noexcept
cpdef bint after_loss(Stack s, Tcb t, Flight f, bint spurious) noexcept
cpdef bint note_reordering(Stack s, Tcb t, Flight f, unsigned int low) noexcept
