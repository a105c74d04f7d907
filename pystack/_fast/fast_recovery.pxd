from pystack._fast cimport congestion, prr
from pystack._fast.packet cimport Packet
from pystack._fast.scoreboard cimport Scoreboard
from pystack._fast.seq cimport after, after_eq, before, before_eq, dist, maximum, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_out cimport tcp_output

cdef int FIN, SACK_NOTHING, SACK_CHANGE, SACK_NEW_LOSS, TF_ACKNOW, TF_CONGRECOVERY, TF_ECN
cdef int TF_ECN_SND_CWR, TF_FASTRECOVERY, TF_SACK_PERMIT, TF_SENTFIN
cdef long long NEVER

cpdef Scoreboard board_of(Stack s, Tcb t)
cpdef bint sack_recovery(Tcb t, Packet p) noexcept
cpdef int note_sack(Stack s, Tcb t, Packet p) except -1
cpdef void lost_again(Stack s, Tcb t) noexcept
cpdef void congestion_signal(Stack s, Tcb t) noexcept
cpdef bint duplicate_ack(Stack s, Tcb t, Packet p, int news) except -1
cpdef int limited_transmit(Stack s, Tcb t) except -1
cpdef bint enter_recovery(Stack s, Tcb t, Packet p, bint sack) except -1
cpdef int advancing_ack(Stack s, Tcb t, Packet p, int news) except -1
cpdef void post_recovery(Stack s, Tcb t, Packet p) noexcept
cpdef int partial_ack(Stack s, Tcb t, Packet p) except -1
cpdef int sack_partial_ack(Stack s, Tcb t, Packet p) except -1
cpdef unsigned int minimum_u(unsigned int a, unsigned int b) noexcept
