from pystack._fast cimport congestion, rtt
from pystack._fast.packet cimport Packet
from pystack._fast.recvq cimport Reassembly
from pystack._fast.scoreboard cimport Scoreboard
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, between, dist, maximum, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport (
    arm_finwait2, arm_timewait, close, disconnected, drop, enter_timewait, leave_queue, remove_timewait,
)
from pystack._fast.tcp_listen cimport Listener
from pystack._fast.tcp_out cimport receive_window, reset_for, respond, send_ack_only, syn_window
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_wire cimport build

cdef unsigned long long _U32
cdef int ACK, CWR, ECE, FIN, RST, SYN, URG, PSH
cdef int CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, SYN_RECEIVED, SYN_SENT
cdef int TIME_WAIT
cdef int EV_ACCEPT, EV_CONNECT, EV_READ, EV_WRITE, EV_ERROR
cdef int DELACK_LINUX, TIMEWAIT_LINUX
cdef int SS_CANTRCVMORE, SS_CANTSENDMORE, SS_CONNECTED, SS_CONNECTING, SS_INQUEUE, SS_NOFDREF
cdef int SS_WRITE_BLOCKED
cdef int SO_KEEPALIVE
cdef int TF_ACKNOW, TF_DELACK, TF_DSACK, TF_ECN, TF_ECN_SND_CWR, TF_ECN_SND_ECE, TF_FASTRECOVERY
cdef int TF_FIN_PENDING
cdef int TF_NO_SACK, TF_NO_SCALE, TF_NO_TS, TF_PASSIVE, TF_RCVD_SCALE, TF_RCVD_TS, TF_RCV_AUTO_OFF
cdef int TF_RTO_RECOVERY
cdef int TF_RXWIN0SENT, TF_SACK_PERMIT, TF_SENTFIN
cdef int TCP_NO_PORT, TCP_BLACKHOLE, TCP_WINDOW, TCP_OLD, TCP_PAWS, TCP_NO_TIMESTAMP, TCP_BAD_ACK
cdef int TCP_BAD_RST, TCP_BAD_SYN
cdef int TCP_NO_ACK, TCP_AFTER_CLOSE, TCP_TIME_WAIT, TCP_REASSEMBLY, TCP_LISTEN_STATE, TCP_SYNFIN
cdef int TCP_FROM_SELF, MBUF
cdef int ECONNREFUSED, ECONNRESET
cdef long long NEVER, MS, SECOND, PAWS_IDLE

cpdef int tcp_input(Stack s, Listener listeners, Packet p) except -1
cpdef int segment_arrives(Stack s, Tcb t, Packet p) except -1
cpdef int closed_input(Stack s, Packet p) except -1
cpdef int listen_input(Stack s, Listener listeners, Tcb t, Packet p) except -1
cpdef int timewait_input(Stack s, Listener listeners, int row, Packet p) except -1
cpdef int syn_sent_input(Stack s, Tcb t, Packet p) except -1
cpdef int reset_input(Stack s, Tcb t, Packet p) except -1
cpdef int challenge(Stack s, Tcb t) except -1
cpdef int trim(Stack s, Tcb t, Packet p) except -1
cpdef int acknowledge(Stack s, Tcb t, Packet p) except -1
cpdef int duplicate_ack(Stack s, Tcb t, Packet p, bint sack_news) except -1
cpdef int new_ack(Stack s, Tcb t, Packet p) except -1
cpdef int recovery_ack(Stack s, Tcb t, int acked) except -1
cpdef int enter_recovery(Stack s, Tcb t) except -1
cpdef bint note_sack(Stack s, Tcb t, Packet p) except -1
cpdef int text(Stack s, Tcb t, Packet p) except -1
cpdef int deliver(Stack s, Tcb t, int m, int length) except -1
cpdef int owe_ack(Stack s, Tcb t, int length) except -1
cpdef int got_fin(Stack s, Tcb t) except -1
cpdef int take_payload(Stack s, Packet p) noexcept
cpdef int peer_options(Stack s, Tcb t, Packet p) except -1
cpdef int set_mss(Stack s, Tcb t) except -1
cpdef int established(Stack s, Tcb t) except -1
cpdef int ecn_congestion(Stack s, Tcb t) except -1
cpdef void grow_receive_buffer(Stack s, Tcb t, int length) noexcept
cpdef bint note_dsack(Tcb t, unsigned int left, unsigned int right) noexcept
cpdef int timewait_ack(Stack s, int row) except -1
cpdef unsigned int minimum_u(unsigned int a, unsigned int b) noexcept
