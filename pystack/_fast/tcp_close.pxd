from pystack._fast cimport accept_filter
from pystack._fast.host_memory cimport learn_bsd, learn_linux
from pystack._fast.reports cimport abandoned
from pystack._fast.seq cimport add, after
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_mem cimport sent_memory
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_reply cimport bare_room, respond, send_reset_of
from pystack._fast.tcp_window cimport accepted_window

cdef int ACCEPTANCE_LINUX, CLOSE_UNREAD_RST, CLOSE_WAIT, CLOSING, ECONNABORTED, ESTABLISHED, ETIMEDOUT
cdef int EV_CONNECT, EV_ERROR, EV_HANGUP, EV_READ, EV_WRITE, FIN_WAIT_1, FIN_WAIT_2
cdef int FW2_ORPHAN, FW2_RECEIVE_SHUT, LAST_ACK, LISTEN, SS_CANTRCVMORE, SS_CANTSENDMORE
cdef int SS_CONNECTED, SS_CONNECTING, SS_DEAD, SS_DISCONNECTED, SS_FILTERED, SS_INQUEUE, SS_NOFDREF, SYN_RECEIVED
cdef int SYN_SENT, TF_RCVD_TS, TIMEWAIT_BSD_14, TIMEWAIT_LINUX, TIME_WAIT
cdef int FW2_ANY, FW2_KEEPALIVE, FW2_NONE, MIN_SNDBUF, ORPHANS, TCP_MEMORY, RST, TIME_WAIT_OVERFLOW
cdef int FO_QUEUED, SO_REUSEADDR, SS_ORPHAN, SS_PORT_CHOSEN, TWO_CHOSEN, TWO_REUSE
cdef long long MS, NEVER, SECOND, SHORT_WAIT

cpdef int drop(Stack s, Tcb t, int err, bint reset) except -1
cpdef int close(Stack s, Tcb t) except -1
cpdef int send_reset(Stack s, Tcb t) except -1
cpdef int user_closed(Stack s, Tcb t) except -1
cpdef long long fin_time(Stack s, Tcb t) noexcept
cpdef int arm_finwait2(Stack s, Tcb t, bint more) except -1
cpdef int fin_acknowledged(Stack s, Tcb t, bint more) except -1
cpdef int become_row(Stack s, Tcb t, int state, long long wait) except -1
cpdef bint out_of_resources(Stack s, Tcb t, int shift, bint reset) except -1
cpdef int enter_timewait(Stack s, Tcb t) except -1
cpdef int disconnected(Stack s, Tcb t) except -1
cpdef int remove_timewait(Stack s, int row) except -1
cpdef int arm_timewait(Stack s) except -1
cpdef int expire_timewait(Stack s) except -1
cpdef int abort_queue(Stack s, Tcb t) except -1
cpdef int application_close(Stack s, Tcb t) except -1
cpdef int application_shutdown_send(Stack s, Tcb t) except -1
cpdef int leave_queue(Tcb t) except -1
