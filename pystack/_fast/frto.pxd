from pystack._fast cimport dupacks, undo
from pystack._fast.flight cimport Flight
from pystack._fast.seq cimport add, after, after_eq, dist
from pystack._fast.tcb cimport Stack, Tcb

cdef int A_ADVANCED, A_ORIGINAL, A_SACKED, CA_RECOVERY, SEND_LOST, SEND_NEW, SEND_NOTHING
cdef int TF_SACK_PERMIT

cpdef bint allowed(Stack s, Flight f) noexcept
cpdef int in_loss(Stack s, Tcb t, Flight f, int found, int dups) except -1
