from pystack._fast.packet cimport Packet
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_wire cimport build

cdef int COOKIE_ROOM, FO_ASK, FO_EXP, OPTIONS_LINUX, PROTO_TCP, SACK_REPORT_BSD, SYN_RECEIVED, SYN_SENT
cdef int SO_NO_TCP_OPTIONS
cdef int TF_DSACK, TF_NO_SACK, TF_NO_SCALE, TF_NO_TS, TF_RCVD_SCALE, TF_RCVD_TS, TF_SACK_PERMIT

cpdef Packet blank(
    Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport, int ttl, int tos,
)
cpdef int transmit(Stack s, Packet p) except -1
cpdef void stamp(Stack s, Packet p, unsigned int offset, unsigned int echo) noexcept
cpdef int our_mss(Stack s, unsigned int faddr, int user_mss) except -1
cpdef int fill_syn_options(Stack s, Tcb t, Packet p) except -1
cpdef int fill_sack(Stack s, Tcb t, Packet p) except -1
