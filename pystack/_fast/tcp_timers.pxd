from pystack._fast cimport congestion, rtt
from pystack._fast.flight cimport Flight
from pystack._fast.loss_timers cimport enter_loss, reordering_over, send_probe
from pystack._fast.recovery cimport send_again
from pystack._fast.seq cimport dist, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport become_row, close, drop, fin_time, out_of_resources
from pystack._fast.tcp_delack cimport ack_due
from pystack._fast.tcp_handshake cimport set_mss
from pystack._fast.persist cimport set_persist
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_reply cimport send_ack_only
from pystack._fast.tfo cimport FastOpen

cdef int FO_ASK, SYN_GIVE_UP_MODEL, TF_NO_SACK, TF_NO_SCALE, TF_NO_TS
cdef int CLOSING, ESTABLISHED, ETIMEDOUT, FIN_WAIT_2, FW2_ORPHAN, RTO_LINUX, SO_KEEPALIVE
cdef int FW2_END_RST, FW2_KEEPALIVE, FW2_RECEIVE_SHUT, SS_NOFDREF, SS_ORPHAN, SYN_RECEIVED, SYN_SENT, PERSIST_BSD
cdef int PERSIST_LINUX, TF_ACKNOW, TF_ECN
cdef int TF_ECN_SND_CWR, TF_FASTRECOVERY, TF_FORCE, TF_CONGRECOVERY, TF_WAS_CONG, TF_WAS_FAST, WAIT_REO, WAIT_TLP
cdef long long MS, NEVER

cpdef int fire(Stack s, Tcb t) except -1
cpdef bint out_of_patience(Stack s, Tcb t, Flight f) noexcept
cpdef int segment_timer(Stack s, Tcb t, Flight f) except -1
cpdef int retransmit(Stack s, Tcb t) except -1
cpdef int probe_window(Stack s, Tcb t) except -1
cpdef int keep_alive(Stack s, Tcb t) except -1
cpdef int wait_over(Stack s, Tcb t) except -1
cpdef bint given_up(Stack s, Tcb t) noexcept
cdef bint too_many(Stack s, Tcb t, bint reset) except -1
cdef bint orphan_unheard(Stack s, Tcb t) noexcept
cdef long long doublings(Stack s, int tries) noexcept
cdef int syn_again(Stack s, Tcb t) except -1
