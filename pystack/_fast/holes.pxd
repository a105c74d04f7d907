from pystack._fast.draft cimport Draft
from pystack._fast.seq cimport add, after, after_eq, before, dist, maximum
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_emit cimport emit
from pystack._fast.tcp_window cimport minimum_i

cdef int FIN, TF_SACK_PERMIT, TF_SENTFIN

cpdef bint find_hole(Tcb t, Draft d) noexcept
cdef bint choose_hole(Tcb t) noexcept
cpdef int send_hole(Stack s, Tcb t, Draft d) except -1
cpdef void skip_sacked(Tcb t) noexcept
