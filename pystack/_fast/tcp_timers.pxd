from pystack._fast cimport congestion, rtt
from pystack._fast.blackhole cimport try_smaller_bsd, try_smaller_linux
from pystack._fast.flight cimport Flight
from pystack._fast.loss_timers cimport enter_loss, reordering_over, send_probe
from pystack._fast.probes cimport keep_alive, probe_window, too_many
from pystack._fast.recovery cimport send_again
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport become_row, close, drop, fin_time
from pystack._fast.tcp_delack cimport ack_due
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tfo cimport FastOpen

cdef int CA_DISORDER, CA_LOSS, CA_RECOVERY, TF_SACK_PERMIT
cdef int FO_ASK, SO_THIN, SYN_GIVE_UP_MODEL, TF_NO_SACK, TF_NO_SCALE, TF_NO_TS
cdef int ESTABLISHED, ETIMEDOUT, FIN_WAIT_2, FW2_ORPHAN, RTO_LINUX
cdef int FW2_END_RST, FW2_RECEIVE_SHUT, SS_NOFDREF, SS_ORPHAN, SYN_RECEIVED, SYN_SENT
cdef int TF_ACKNOW, TF_ECN
cdef int TF_ECN_SND_CWR, TF_FASTRECOVERY, TF_CONGRECOVERY, TF_WAS_CONG, TF_WAS_FAST, WAIT_REO, WAIT_TLP
cdef long long MS, NEVER

cpdef int fire(Stack s, Tcb t) except -1
cpdef bint out_of_patience(Stack s, Tcb t, Flight f) noexcept
cdef bint as_long_as(Stack s, Tcb t, Flight f, long long limit) noexcept
cpdef int segment_timer(Stack s, Tcb t, Flight f) except -1
cpdef int retransmit(Stack s, Tcb t) except -1
cpdef int wait_over(Stack s, Tcb t) except -1
cpdef bint given_up(Stack s, Tcb t) noexcept
cdef void count_timeout(Stack s, Tcb t, bint first) noexcept
cdef long long doublings(Stack s, int tries) noexcept
cdef int syn_again(Stack s, Tcb t) except -1
