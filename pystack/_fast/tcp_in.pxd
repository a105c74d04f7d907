from pystack._fast cimport congestion, ecn
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before, dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_ack cimport acknowledge, ecn_congestion
from pystack._fast.tcp_check cimport acceptable, cut_linux, trim_right
from pystack._fast.tcp_close cimport arm_timewait, drop, remove_timewait
from pystack._fast.tcp_halfopen cimport listen_segment
from pystack._fast.tcp_handshake cimport begin_transfer, join_queue, set_mss
from pystack._fast.tcp_listen cimport Listener
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_reply cimport reset_for, timewait_ack
from pystack._fast.tcp_synsent cimport syn_sent_input
from pystack._fast.tcp_text cimport text
from pystack._fast.tcp_window cimport settle_buffers

cdef int BANDLIM_RST_CLOSED
cdef int ACCEPTANCE_LINUX, ACK, CLOSING, CWR, FIN, FIN_WAIT_1, FIN_WAIT_2
cdef int LAST_ACK, RST, SS_NOFDREF, SYN, SYN_SENT
cdef int TCP_BLACKHOLE
cdef int SS_CONNECTED, TF_DELACK
cdef int TCP_MIN_TTL, TCP_NO_PORT, TCP_NO_TIMESTAMP, TCP_SIGNATURE, TCP_SYNFIN, TCP_TIME_WAIT
cdef int TF_ACKNOW, TF_DSACK, TF_ECN
cdef int TF_ECN_SND_ECE, TF_FASTRECOVERY, TIMEWAIT_LINUX, WINDOW_LINUX
cdef int TCP_AFTER_CLOSE, TCP_OLD, TCP_WINDOW, TIME_WAIT
cdef long long NEVER, PAWS_IDLE, PAWS_MSL

cpdef int tcp_input(Stack s, Listener listeners, Packet p) except -1
cpdef int closed_input(Stack s, Packet p) except -1
cpdef int listen_input(Stack s, Listener listeners, Tcb t, Packet p) except -1
cdef int fast_input(Stack s, Listener listeners, Tcb t, Packet p) except -1
cpdef int timewait_input(Stack s, Listener listeners, int row, Packet p) except -1
cpdef int timewait_linux(Stack s, Listener listeners, int row, Packet p) except -1
cdef int answer_row(Stack s, int row, Packet p) except -1
cdef int finwait2_row(Stack s, int row, Packet p, bint stale) except -1
cpdef int tcp_input_again(Stack s, Listener listeners, Packet p) except -1
cpdef int segment_arrives(Stack s, Tcb t, Packet p) except -1
cdef int listener_for(Stack s, Packet p) except -1
cdef int to_listener(Stack s, Listener listeners, int row, Packet p) except -1
cdef bint synfin(Stack s, Packet p) noexcept
cdef bint signed(Stack s, Packet p) noexcept
cdef int unexpected(Stack s) noexcept
cdef int too_far(Stack s) noexcept
