from pystack._fast cimport congestion
from pystack._fast.flight cimport Flight
from pystack._fast.scoreboard cimport Scoreboard
from pystack._fast.seq cimport dist
from pystack._fast.tcb cimport Stack, Tcb

cdef int CA_CWR, CA_RECOVERY, INFINITE, TF_ECN, TF_ECN_SND_CWR, TF_FASTRECOVERY

cpdef int window_of(Tcb t) noexcept
cpdef void set_window(Tcb t, int segments) noexcept
cpdef bint reducing(Flight f) noexcept
cpdef unsigned int current_ssthresh(Tcb t, Flight f) noexcept
cpdef void begin(Stack s, Tcb t, Flight f) noexcept
cpdef void reduce(Stack s, Tcb t, Flight f, int delivered, int lost, bint advanced) noexcept
cpdef void end(Stack s, Tcb t, Flight f) noexcept
cpdef void enter_cwr(Stack s, Tcb t, Flight f) noexcept
cpdef int octets_out(Stack s, Tcb t, unsigned int una, unsigned int acked) noexcept
cpdef void reduce_octets(Stack s, Tcb t, unsigned int acked, bint sack, bint new_loss) noexcept
