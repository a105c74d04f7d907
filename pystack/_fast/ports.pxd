from pystack._fast.hashing cimport sip2
from pystack._fast.tcb cimport Stack, Tcb

cdef int CONNECT_PORT_LINUX, CONNECT_PORT_UNUSED

cpdef int choose_port(Stack s, unsigned int laddr, unsigned int faddr, int fport, bint connecting) noexcept
cpdef bint tuple_free(Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
cpdef bint usable(Stack s, unsigned int laddr, int port, unsigned int faddr, int fport, bint connecting) noexcept
