from pystack._fast.hashing cimport sip2
from pystack._fast.tcb cimport Stack, Tcb

cdef int CONNECT_PORT_LINUX, CONNECT_PORT_UNUSED, TIME_WAIT
cdef long long SECOND

cpdef int choose_port(Stack s, unsigned int laddr, unsigned int faddr, int fport, bint connecting) except -1
cdef int linux_port(
    Stack s, unsigned int laddr, unsigned int faddr, int fport, bint connecting, int first, int last,
) except -1
cpdef bint tuple_free(
    Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport, bint chosen,
) except -1
cdef bint hurried(Stack s) noexcept
cpdef bint usable(Stack s, unsigned int laddr, int port, unsigned int faddr, int fport, bint connecting) except -1
