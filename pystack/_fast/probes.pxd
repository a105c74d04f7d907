from pystack._fast cimport rtt
from pystack._fast.persist cimport set_persist
from pystack._fast.seq cimport dist, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport drop, out_of_resources
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_reply cimport send_ack_only

cdef int CLOSE_WAIT, CLOSING, ESTABLISHED, ETIMEDOUT, FIN_WAIT_2, FW2_KEEPALIVE, PERSIST_LINUX
cdef int SO_KEEPALIVE, SS_NOFDREF, SS_ORPHAN, TF_FORCE, TOTAL_BACKOFF
cdef long long MS

cpdef int probe_window(Stack s, Tcb t) except -1
cdef bint hopeless_linux(Stack s, Tcb t) noexcept
cpdef bint too_many(Stack s, Tcb t, bint reset) except -1
cdef bint orphan_unheard(Stack s, Tcb t) noexcept
cdef bint hopeless_bsd(Stack s, Tcb t) noexcept
cpdef int keep_alive(Stack s, Tcb t) except -1
cdef int keep_alive_linux(Stack s, Tcb t) except -1
