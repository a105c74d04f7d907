from pystack._fast cimport congestion, dupacks, frto, prr, rack, undo
from pystack._fast.bursts cimport current_mss
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.recovery cimport enter, push, send_again, send_lost
from pystack._fast.seq cimport add, after_eq, before_eq, dist
from pystack._fast.tcb cimport Stack, Tcb

cdef int FIN_WAIT_1, TF_SENTFIN
cdef int CA_DISORDER, CA_LOSS, CA_RECOVERY, SEG_SACKED, TF_ECN, TF_ECN_SND_CWR
cdef int TF_SACK_PERMIT, WAIT_RTO

cpdef void enter_loss(Stack s, Tcb t, Flight f) noexcept
cpdef int reordering_over(Stack s, Tcb t, Flight f) except -1
cpdef int send_probe(Stack s, Tcb t, Flight f) except -1
