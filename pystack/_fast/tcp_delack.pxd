from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_window cimport (
    measure_echo, measure_round_trip, measure_segments, open_window, usable_window,
)

cdef int _QUICK, ACK_PUSHED, ACK_SCHEDULED, DELACK_LINUX, PSH, TF_ACKNOW, TF_DELACK, TF_NOMEM
cdef int TF_ECN, TF_ECN_SND_ECE
cdef int TF_RCVD_TS, TF_RXWIN0SENT, TF_SACK_PERMIT
cdef long long MS, NEVER

cpdef void delay_bsd(Stack s, Tcb t, int length) noexcept
cpdef void more_quick(Tcb t, int most) noexcept
cpdef void quick_mode(Stack s, Tcb t, int most) noexcept
cpdef void see_mark(Stack s, Tcb t, int tos) noexcept
cpdef void converse(Stack s, Tcb t) noexcept
cpdef void measure(Stack s, Tcb t, Packet p, int length) noexcept
cpdef void data_came(Stack s, Tcb t, Packet p, int length, int memory) noexcept
cpdef void answer_data(Stack s, Tcb t) noexcept
cdef void delay_ack(Stack s, Tcb t) noexcept
cdef long long longest_delay(Stack s, Tcb t) noexcept
cpdef bint ack_due(Stack s, Tcb t) noexcept
cpdef void ack_sent(Stack s, Tcb t, int length) noexcept
