from pystack._fast cimport ecn
from pystack._fast.bursts cimport current_mss
from pystack._fast.packet cimport Packet
from pystack._fast.reports cimport departed
from pystack._fast.seq cimport add, after, dist
from pystack._fast.source_routes cimport lay
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_build cimport blank, fill_sack, fill_syn_options, our_mss, stamp, transmit
from pystack._fast.tcp_sent cimport sent
from pystack._fast.tcp_window cimport offered, receive_window, syn_window, window_field
from pystack._fast.tcp_wire cimport option_length

cdef int ACK, CWR, ECE, ESTABLISHED, FIN, PSH, PUSH_LINUX, RECOVERY_LINUX, RST
cdef int SIMULTANEOUS_BSD_14, SYN, URG, WINDOW_LINUX
cdef int SO_ROUTED, FO_QUEUED, TF_ECN, TF_ECN_SND_CWR, TF_ECN_SND_ECE, TF_FORCE
cdef int TF_RCVD_TS, TF_RXWIN0SENT, TF_SACK_PERMIT
cdef long long NEVER

cpdef int emit(
    Stack s, Tcb t, unsigned int at, int off, int length, int flags, bint rexmit,
) except -1
cdef int fit(Stack s, Tcb t, Packet p, int length, int room, bint rexmit) noexcept
cdef int add_options(Stack s, Tcb t, Packet p, bint synchronized) except -1
cdef bint add_text(Stack s, Tcb t, Packet p, int off, int length, bint rexmit) except -1
cdef int push_linux(Stack s, Tcb t, Packet p, bint rexmit) except -1
cdef void mark_ecn(Stack s, Tcb t, Packet p, bint rexmit) noexcept
cdef void offer_window(Stack s, Tcb t, Packet p, int win) noexcept
cdef int offer_first_window(Stack s, Tcb t, Packet p) except -1
cdef void point_at_urgent(Stack s, Tcb t, Packet p) noexcept
