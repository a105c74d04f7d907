from pystack._fast.seq cimport add, after
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_reply cimport send_reset_of

cdef int ACCEPTANCE_LINUX, CLOSE_UNREAD_RST, CLOSE_WAIT, CLOSING, ECONNABORTED, ECONNRESET, ESTABLISHED, ETIMEDOUT
cdef int EV_CONNECT, EV_ERROR, EV_HANGUP, EV_READ, EV_WRITE, FIN_WAIT_1, FIN_WAIT_2, FW2_NONE
cdef int FW2_ORPHAN, FW2_RECEIVE_SHUT, LAST_ACK, LISTEN, SS_CANTRCVMORE, SS_CANTSENDMORE
cdef int SS_CONNECTED, SS_CONNECTING, SS_DEAD, SS_DISCONNECTED, SS_INQUEUE, SS_NOFDREF, SYN_RECEIVED
cdef int SYN_SENT, TF_RCVD_TS, TIMEWAIT_LINUX, TIME_WAIT
cdef int FO_QUEUED
cdef long long NEVER, SECOND

cpdef int drop(Stack s, Tcb t, int err, bint reset) except -1
cpdef int close(Stack s, Tcb t) except -1
cpdef int send_reset(Stack s, Tcb t) except -1
cpdef int user_closed(Stack s, Tcb t) except -1
cpdef int arm_finwait2(Stack s, Tcb t) except -1
cpdef int enter_timewait(Stack s, Tcb t) except -1
cpdef int disconnected(Stack s, Tcb t) except -1
cpdef int remove_timewait(Stack s, int row) except -1
cpdef int arm_timewait(Stack s) except -1
cpdef int expire_timewait(Stack s) except -1
cpdef int abort_queue(Stack s, Tcb t) except -1
cpdef int application_close(Stack s, Tcb t) except -1
cpdef int application_shutdown_send(Stack s, Tcb t) except -1
cpdef int leave_queue(Tcb t) except -1
