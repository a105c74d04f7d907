from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add
from pystack._fast.source_routes cimport forget, lay, learn
from pystack._fast.space cimport recv_space
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_delack cimport ack_sent
from pystack._fast.tcp_build cimport blank, fill_sack, stamp, transmit
from pystack._fast.tcp_window cimport offered, receive_window, window_field

cdef int ACK, CHALLENGE_HOST, FIN, RST, SO_ROUTED, SOURCE_ROUTES_LINUX, SYN, TF_RCVD_TS, TF_SACK_PERMIT
cdef int WINDOW_BSD_14, WINDOW_LINUX

cpdef int respond(
    Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport, unsigned int seq,
    unsigned int ack, int flags, int win, int ttl, int tos,
) except -1
cpdef int reset_for(Stack s, Packet p) except -1
cpdef Packet unsent_reset(Stack s, Packet p)
cdef long long NO_CHALLENGE_LIMIT

cpdef int reset_of(Stack s, Tcb t, Packet p) except -1
cpdef Packet bare(Stack s, Tcb t, unsigned int at, int flags, int win)
cpdef int bare_room(Stack s, Tcb t) noexcept
cpdef int send_reset_of(Stack s, Tcb t, unsigned int at) except -1
cpdef int send_ack_only(Stack s, Tcb t, unsigned int at) except -1
cpdef int challenge(Stack s, Tcb t) except -1
cdef int suppressed(Stack s) except -1
cpdef int answer_invalid(Stack s, Tcb t, Packet p, bint stale) except -1
cpdef int timewait_ack(Stack s, int row) except -1
