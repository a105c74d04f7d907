from pystack._fast.hashing cimport sip2
from pystack._fast.tcb cimport Stack, Tcb

cdef int CONNECT_PORT_LINUX, CONNECT_PORT_UNUSED, IN_USE, LISTEN, SO_PORT_HIGH, SO_PORT_LOW
cdef int SO_REUSEADDR, SO_REUSEPORT, TIME_WAIT
cdef long long SECOND

cpdef tuple port_range(Stack s, int options)
cpdef int choose_port(Stack s, Tcb t, unsigned int laddr, unsigned int faddr, int fport) except -1
cpdef bint tuple_free(
    Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport, bint chosen,
) except -1
cdef bint hurried(Stack s) noexcept
cdef bint usable(Stack s, unsigned int laddr, int port, unsigned int faddr, int fport) except -1
cdef bint bindable(Stack s, Tcb t, unsigned int laddr, int port, bint relaxed) except -1
cdef bint good(Stack s, Tcb t, unsigned int laddr, int port, unsigned int faddr, int fport) except -1
cdef int bsd_port(
    Stack s, Tcb t, unsigned int laddr, unsigned int faddr, int fport, int first, int last, int options,
) except -1
cdef int upward(
    Stack s, Tcb t, unsigned int laddr, unsigned int faddr, int fport, int port, int last,
) except -1
cdef int downward(
    Stack s, Tcb t, unsigned int laddr, unsigned int faddr, int fport, int port, int last,
) except -1
cdef int linux_connect_port(
    Stack s, unsigned int laddr, unsigned int faddr, int fport, int first, int last,
) except -1
cdef int linux_bind_port(Stack s, Tcb t, unsigned int laddr, int first, int last) except -1
cdef int linux_half(Stack s, Tcb t, unsigned int laddr, int first, int end, bint relaxed) except -1
