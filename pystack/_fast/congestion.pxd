from pystack._fast cimport cubic, cubic_count, newreno
from pystack._fast.flight cimport Flight
from pystack._fast.seq cimport after_eq
from pystack._fast.tcb cimport Stack, Tcb

cdef int A_ACKED, A_SACKED, CA_OPEN, CC_CUBIC, RECOVERY_LINUX

cpdef void on_ack(Stack s, Tcb t, int acked) noexcept
cpdef unsigned int after_loss(Stack s, Tcb t) noexcept
cpdef unsigned int after_mark(Stack s, Tcb t) noexcept
cpdef unsigned int lost_too(Stack s, Tcb t) noexcept
cpdef unsigned int after_timeout(Tcb t) noexcept
cpdef void undo_timeout(Tcb t) noexcept
cpdef unsigned int recovered(Tcb t, int pipe) noexcept
cpdef unsigned int initial_window(Stack s, Tcb t) noexcept
cdef unsigned int initial_segments(Stack s, Tcb t) noexcept
cdef unsigned int largest_initial(Stack s, unsigned int mss) noexcept
cpdef unsigned int restart_window(Stack s, Tcb t) noexcept
cpdef bint may_raise(Stack s, Flight f, int found) noexcept
cpdef void on_segments(Stack s, Tcb t, Flight f, int delivered) noexcept
cpdef void on_timeout(Stack s, Tcb t) noexcept
cpdef void on_round_trip(Stack s, Tcb t, Flight f, long long rtt) noexcept
cpdef void after_sending(Stack s, Tcb t, Flight f, bint limited) noexcept
cpdef void restart(Stack s, Tcb t, Flight f, long long idle) noexcept
cpdef bint in_use(Tcb t, Flight f) noexcept
cpdef void raise_threshold(Tcb t) noexcept
