from pystack._fast cimport congestion, rtt
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, between, dist, maximum, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_ack cimport acknowledge, ecn_congestion
from pystack._fast.tcp_close cimport arm_timewait, close, drop, remove_timewait
from pystack._fast.tcp_handshake cimport established, peer_options, set_mss
from pystack._fast.tcp_listen cimport Listener
from pystack._fast.tcp_out cimport receive_window, syn_window, tcp_output
from pystack._fast.tcp_reply cimport answer_invalid, challenge, reset_for, respond, send_ack_only, timewait_ack
from pystack._fast.tcp_text cimport note_dsack, text

cdef int ACK, CLOSE_WAIT, CLOSING, CWR, ECE, ECONNREFUSED, ECONNRESET, ESTABLISHED, FIN, FIN_WAIT_1
cdef int LAST_ACK, PSH, RST, SS_CANTSENDMORE, SS_INQUEUE, SS_NOFDREF, SYN, SYN_RECEIVED, SYN_SENT
cdef int TCP_AFTER_CLOSE, TCP_BAD_ACK, TCP_BAD_RST, TCP_BAD_SYN, TCP_BLACKHOLE, TCP_FROM_SELF
cdef int TCP_LISTEN_STATE, TCP_NO_ACK, TCP_NO_PORT, TCP_NO_TIMESTAMP, TCP_OLD, TCP_PAWS, TCP_SYNFIN
cdef int TCP_TIME_WAIT, TCP_WINDOW, TF_ACKNOW, TF_DSACK, TF_ECN, TF_ECN_SND_ECE, TF_FASTRECOVERY
cdef int TF_RCVD_TS, TF_SACK_PERMIT, TIMEWAIT_LINUX, URG
cdef int FIN_WAIT_2, SHUT_RD_LINUX, SS_CANTRCVMORE
cdef long long MS, NEVER, PAWS_IDLE, SECOND

cpdef int tcp_input(Stack s, Listener listeners, Packet p) except -1
cpdef int closed_input(Stack s, Packet p) except -1
cpdef int listen_input(Stack s, Listener listeners, Tcb t, Packet p) except -1
cpdef int timewait_input(Stack s, Listener listeners, int row, Packet p) except -1
cpdef int syn_sent_input(Stack s, Tcb t, Packet p) except -1
cpdef int reset_input(Stack s, Tcb t, Packet p) except -1
cpdef int segment_arrives(Stack s, Tcb t, Packet p) except -1
cpdef int trim(Stack s, Tcb t, Packet p) except -1
