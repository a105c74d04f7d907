from pystack._fast cimport congestion, rtt
from pystack._fast.seq cimport after, before, dist, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport close, drop
from pystack._fast.tcp_in cimport set_mss
from pystack._fast.tcp_out cimport send_ack_only, set_persist, tcp_output

cdef int CLOSING, ESTABLISHED, FIN_WAIT_2, SYN_RECEIVED, SYN_SENT
cdef int FW2_ORPHAN, RTO_LINUX, WINDOW_LINUX
cdef int SS_NOFDREF, SO_KEEPALIVE
cdef int TF_ACKNOW, TF_DELACK, TF_ECN_SND_CWR, TF_FASTRECOVERY, TF_FORCE, TF_RTO_RECOVERY
cdef int TF_ECN
cdef int ETIMEDOUT
cdef long long MS, NEVER

cpdef int fire(Stack s, Tcb t) except -1
cpdef int retransmit(Stack s, Tcb t) except -1
cpdef int probe_window(Stack s, Tcb t) except -1
cpdef int keep_alive(Stack s, Tcb t) except -1
cpdef int wait_over(Stack s, Tcb t) except -1
cpdef bint given_up(Stack s, Tcb t) noexcept
