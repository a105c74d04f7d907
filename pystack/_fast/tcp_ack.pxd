from pystack._fast cimport congestion, rtt
from pystack._fast.mtu_probe cimport arrived
from pystack._fast.packet cimport Packet
from pystack._fast.fast_recovery cimport advancing_ack, duplicate_ack, note_sack
from pystack._fast.recovery cimport segments_acked
from pystack._fast.reports cimport acknowledged
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, dist, sub
from pystack._fast.space cimport writable
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport fin_acknowledged, close, enter_timewait
from pystack._fast.tcp_handshake cimport established, set_mss
from pystack._fast.host_memory cimport learn_linux, round_trip_bsd
from pystack._fast.tcp_mem cimport account, memory_of_socket
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_sent cimport note_limits
from pystack._fast.tcp_window cimport memory_of

cdef int A_DATA, A_ECE, A_WINDOW, CLOSING, ECE, EV_WRITE, FIN, FIN_WAIT_1, FO_QUEUED, LAST_ACK
cdef int RECOVERY_LINUX, SOCKBUF_LINUX, SS_CANTSENDMORE, SS_NOFDREF, SS_WRITE_BLOCKED, SYN_RECEIVED, TF_ACKNOW, TF_ECN
cdef int TF_ECN_SND_CWR, WAIT_RTO
cdef int TF_FASTRECOVERY, TF_CONGRECOVERY, TF_PASSIVE, TF_RCVD_TS, TF_SACK_PERMIT, TF_SENTFIN
cdef int TF_WAS_CONG, TF_WAS_FAST
cdef int NAGLE_LINUX, PERSIST_LINUX
cdef int ACK, ESTABLISHED, OOB_EXPECTED, PSH, TF_RXWIN0SENT
cdef long long MS, NEVER, PAGE

cpdef int acknowledge(Stack s, Tcb t, Packet p) except -1
cpdef int acknowledge_segments(Stack s, Tcb t, Packet p) except -1
cpdef int tell(Stack s, Tcb t, int data, bint fin_acked, bint more) except -1
cpdef int ecn_congestion(Stack s, Tcb t, unsigned int ack) except -1
cpdef bint needless(Stack s, Tcb t, Packet p) noexcept
cpdef void undo_timeout(Stack s, Tcb t) noexcept
cpdef int new_ack(Stack s, Tcb t, Packet p) except -1
cdef int drop_acknowledged(Tcb t, unsigned int ack) except -1
cdef bint expected(Stack s, Tcb t, Packet p, unsigned int win) noexcept
cdef bint window_admits(Stack s, Tcb t) noexcept
