from pystack._fast cimport congestion, prr, rack, rtt
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before, before_eq, dist, maximum
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_delack cimport ack_sent
from pystack._fast.tcp_window cimport (
    grow_send_buffer, minimum_i, offered, receive_window, syn_window, window_field, worth_an_update,
)
from pystack._fast.tcp_wire cimport build, option_length

cdef int COOKIE_ROOM, FO_ASK, FO_DATA, FO_EXP, FO_QUEUED, FO_WAIT
cdef int ACK, CLOSED, CLOSING, CWR, ECE, ESTABLISHED, FIN, FIN_WAIT_1, LAST_ACK, LISTEN, GSO_MAX
cdef int OPTIONS_LINUX, PROTO_TCP, PSH, RST, SYN, SYN_RECEIVED, SYN_SENT, TF_ACKNOW, TF_CORK_FLUSH
cdef int NAGLE_LINUX, PERSIST_BSD, PERSIST_LINUX, PUSH_LINUX, SACK_REPORT_BSD, TF_RCV_AUTO_OFF
cdef int TF_DSACK, TF_ECN, TF_ECN_SND_CWR, TF_ECN_SND_ECE, TF_FASTRECOVERY, TF_FORCE
cdef int TF_LASTIDLE, TF_MORETOCOME, TF_NODELAY, TF_NOPUSH, TF_NO_ECN, TF_NO_SACK, TF_NO_SCALE
cdef int TF_NO_TS, TF_RCVD_SCALE, TF_RCVD_TS, TF_RXWIN0SENT, TF_SACK_PERMIT, TF_SENTFIN
cdef int RECOVERY_LINUX, TF_SND_AUTO_OFF, URG, WAIT_TLP, WINDOW_LINUX
cdef int LIMIT_BUFFER, LIMIT_PEER, LIMIT_SELF, SS_WRITE_BLOCKED
cdef long long MS, NEVER

cpdef int tcp_output(Stack s, Tcb t) except -1
cpdef int send_one(Stack s, Tcb t, bint idle) except -2
cpdef Packet blank(
    Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport, int ttl, int tos,
)
cpdef void stamp(Stack s, Packet p, unsigned int offset, unsigned int echo) noexcept
cpdef int transmit(Stack s, Packet p) except -1
cpdef int emit(
    Stack s, Tcb t, unsigned int at, int off, int length, int flags, bint rexmit,
) except -1
cpdef int choose_hole(Stack s, Tcb t) noexcept
cpdef void set_persist(Stack s, Tcb t) noexcept
cpdef int fill_syn_options(Stack s, Tcb t, Packet p) except -1
cpdef int fill_sack(Stack s, Tcb t, Packet p) except -1
cpdef int our_mss(Stack s, unsigned int faddr, int user_mss) except -1
cpdef int flags_of(Tcb t) noexcept
cpdef bint worth_sending(
    Stack s, Tcb t, bint idle, int flags, int off, int length, int cc, int mss,
) noexcept
cdef bint short_waits(Tcb t) noexcept
cpdef bint short_goes(Tcb t, int flags, int off, int length, int cc) noexcept
cpdef int current_mss(Stack s, Tcb t) noexcept
cdef int burst(Stack s, Tcb t, int mss) noexcept
cdef int one_burst(Stack s, Tcb t, int off, int room, int mss) except -1
cpdef void count_sent(Stack s, Tcb t, int flags, int length, bint rexmit) noexcept
cpdef void note_sent(Stack s, Tcb t, unsigned int at, int length, int flags) noexcept
cpdef Flight first_flight(Stack s, Tcb t)
cpdef int note_segment(
    Stack s, Tcb t, unsigned int at, int length, int flags, bint rexmit,
) except -1
cpdef void sent_segments(Stack s, Tcb t, Flight f, int n, bint unsent) noexcept
cpdef int room(Tcb t, Flight f) noexcept
cpdef void note_limits(Stack s, Tcb t) noexcept
