from pystack._fast cimport congestion, rtt
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.packet cimport Packet
from pystack._fast.recovery cimport segments_acked
from pystack._fast.scoreboard cimport Scoreboard
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, dist, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport arm_finwait2, close, enter_timewait
from pystack._fast.tcp_handshake cimport established, set_mss
from pystack._fast.tcp_out cimport note_limits, tcp_output

cdef int TF_ACKNOW
cdef int A_DATA, A_ECE, A_WINDOW, ECE, RECOVERY_LINUX, WAIT_RTO
cdef int FO_QUEUED
cdef int CLOSING, EV_WRITE, FIN, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, SS_CANTSENDMORE, SS_NOFDREF
cdef int SS_WRITE_BLOCKED, SYN_RECEIVED, TF_ECN, TF_ECN_SND_CWR
cdef int TF_FASTRECOVERY, TF_PASSIVE, TF_RCVD_TS, TF_RTO_RECOVERY, TF_SACK_PERMIT, TF_SENTFIN
cdef int NAGLE_LINUX, PERSIST_LINUX
cdef long long MS, NEVER

cpdef int acknowledge(Stack s, Tcb t, Packet p) except -1
cpdef int acknowledge_segments(Stack s, Tcb t, Packet p) except -1
cpdef int tell(Stack s, Tcb t, int data, bint fin_acked) except -1
cpdef bint note_sack(Stack s, Tcb t, Packet p) except -1
cpdef int duplicate_ack(Stack s, Tcb t, Packet p, bint sack_news) except -1
cpdef int enter_recovery(Stack s, Tcb t) except -1
cpdef int ecn_congestion(Stack s, Tcb t) except -1
cpdef int recovery_ack(Stack s, Tcb t, int acked) except -1
cpdef unsigned int minimum_u(unsigned int a, unsigned int b) noexcept
cpdef int new_ack(Stack s, Tcb t, Packet p) except -1
cdef bint window_admits(Stack s, Tcb t) noexcept
