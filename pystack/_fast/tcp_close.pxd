from pystack._fast.seq cimport add, after
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_out cimport respond, tcp_output

cdef int ACK, RST, CLOSE_WAIT, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, LISTEN
cdef int SYN_RECEIVED, SYN_SENT, TIME_WAIT
cdef int EV_ERROR, EV_HANGUP, EV_READ, EV_WRITE, EV_CONNECT
cdef int CLOSE_UNREAD_RST, FW2_NONE, FW2_ORPHAN, FW2_RECEIVE_SHUT, TIMEWAIT_LINUX
cdef int SS_CANTRCVMORE, SS_CANTSENDMORE, SS_CONNECTED, SS_CONNECTING, SS_DEAD, SS_DISCONNECTED
cdef int SS_INQUEUE, SS_NOFDREF
cdef int TF_RCVD_TS
cdef int ECONNABORTED, ECONNRESET, ETIMEDOUT
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
cpdef int application_close(Stack s, Tcb t) except -1
cpdef int application_shutdown_send(Stack s, Tcb t) except -1
cpdef int leave_queue(Tcb t) except -1
