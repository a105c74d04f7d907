from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before, before_eq, between, dist, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport close, drop
from pystack._fast.tcp_delack cimport quick_mode
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_reply cimport answer_invalid, challenge, reset_for, reset_of
from pystack._fast.tcp_text cimport note_duplicate
from pystack._fast.tcp_window cimport accepted_window

cdef int BANDLIM_RST_OPEN, DATA_AFTER_CLOSE
cdef int ACCEPTANCE_LINUX, ACK, CLOSE_WAIT, CLOSING, ECONNREFUSED, ECONNRESET, EPIPE, ESTABLISHED, FIN
cdef int FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, PSH, QUICK, RST, SS_CANTRCVMORE, SS_INQUEUE, SS_NOFDREF, SYN
cdef int SYN_RECEIVED, TCP_AFTER_CLOSE, TCP_BAD_ACK, TCP_BAD_RST, TCP_BAD_SYN, TCP_NO_ACK
cdef int TCP_NO_TIMESTAMP, TCP_PAWS, TCP_WINDOW, TF_ACKNOW, TF_PASSIVE, TF_RCVD_TS
cdef int LISTEN, SACK_REPORT_BSD, TF_DSACK, TF_SACK_PERMIT, URG
cdef long long HELD, SECOND, MS, PAWS_IDLE

cpdef int acceptable(Stack s, Tcb t, Packet p) except -1
cpdef bint stale(Stack s, Tcb t, Packet p) except -1
cpdef int answer_now(Stack s, Tcb t) except -1
cpdef int reset_by_peer(Stack s, Tcb t) except -1
cpdef int check_bsd(Stack s, Tcb t, Packet p) except -1
cdef int BEFORE_5961
cdef unsigned int oldest_ack(Tcb t) noexcept
cpdef int reset_bsd(Stack s, Tcb t, Packet p) except -1
cpdef int syn_bsd(Stack s, Tcb t, Packet p) except -1
cpdef int trim_left(Stack s, Tcb t, Packet p) except -1
cpdef int cut_front(Stack s, Tcb t, Packet p, int old) except -1
cpdef int data_for_nobody(Stack s, Tcb t, Packet p, bint error) except -1
cpdef int trim_right(Stack s, Tcb t, Packet p) except -1
cpdef int check_linux(Stack s, Tcb t, Packet p) except -1
cpdef bint beyond_linux(Tcb t, Packet p, unsigned int end, long long win) except -1
cpdef bint late_ack(Stack s, Tcb t, Packet p) except -1
cpdef bint before_fin(Tcb t, Packet p) except -1
cpdef bint at_right_edge(Tcb t, unsigned int at) except -1
cpdef int ack_linux(Stack s, Tcb t, Packet p) except -1
cpdef int remember_linux(Stack s, Tcb t, Packet p) except -1
cpdef int cut_linux(Stack s, Tcb t, Packet p) except -1
