from pystack._fast cimport congestion, dupacks, frto, mtu_probe, prr, rack, rtt, undo
from pystack._fast.bursts cimport current_mss
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.packet cimport Packet
from pystack._fast.reports cimport joined
from pystack._fast.sackseen cimport SackBlocks
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_emit cimport emit
from pystack._fast.tcp_out cimport tcp_output

cdef int TF_MORETOCOME, TF_NOPUSH
cdef int A_ACKED, A_ADVANCED, A_DATA, A_DSACK, A_DSACK_TLP, A_ECE, A_LOST_RETRANS, A_MAYBE_DELAYED
cdef int A_ORIGINAL, A_RENEGING, A_RETRANS_ACKED, A_SACKED, A_SET_TIMER, A_WINDOW
cdef int ACK, CA_CWR, CA_DISORDER, CA_LOSS, CA_OPEN, CA_RECOVERY, FIN, GSO_MAX, PSH
cdef int SEG_LOST, SEG_RETRANS, SEG_SACKED, SEND_LOST, SEND_NEW, SEND_NOTHING
cdef int TF_ECN, TF_ECN_SND_CWR, TF_NODELAY, TF_RCVD_TS, TF_SACK_PERMIT, TF_SENTFIN
cdef int WAIT_REO, WAIT_RTO
cdef long long MS

cdef int fin_of(Tcb t, unsigned int end) noexcept
cpdef int send_again(
    Stack s, Tcb t, Flight f, int row, unsigned int start, int segments, bint probe,
) except -2
cpdef int send_lost(Stack s, Tcb t, Flight f) except -1
cpdef int tag_blocks(Stack s, Tcb t, Flight f, Packet p, unsigned int prior_una) except -1
cpdef void duplicate_reported(Stack s, Tcb t, Flight f, unsigned int left, unsigned int right) noexcept
cpdef bint sample(Stack s, Tcb t, Flight f, Packet p) noexcept
cpdef void clean(Stack s, Tcb t, Flight f, Packet p, unsigned int prior_una, unsigned int prior_fack) noexcept
cpdef int identify(Stack s, Tcb t, Flight f) except -1
cpdef void enter(Stack s, Tcb t, Flight f) noexcept
cpdef int alert(Stack s, Tcb t, Flight f, unsigned int prior_una, int dups) except -1
cpdef int segments_acked(Stack s, Tcb t, Packet p, unsigned int prior_una, bint old) except -1
cpdef void try_to_open(Stack s, Tcb t, Flight f) noexcept
cpdef int send(Stack s, Tcb t, Flight f, int answer) except -1
cpdef int push(Stack s, Tcb t) except -1
cpdef long long elapsed(Stack s, long long at) noexcept
