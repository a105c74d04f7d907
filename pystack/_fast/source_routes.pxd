from pystack._fast.ip4 cimport sum_header
from pystack._fast.packet cimport Packet
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.wirebytes cimport be32, put32

cdef int SO_ROUTED, BAD_ADDRESS, FIRST_POINTER, GO_ON, ONE_STOP, REFUSE, ROUTE_STRICT, SOURCE_ROUTES_LINUX, STOP

cpdef int judge(Stack s, Packet p) except -1
cdef int judge_linux(Stack s, Packet p, int at) except -1
cpdef unsigned int next_stop(Packet p) noexcept
cpdef int step(Packet p, unsigned int here) noexcept
cpdef int lay(Stack s, Packet p) except -1
cpdef int room(Stack s, Tcb t) except -1
cpdef unsigned int towards(Stack s, Tcb t, unsigned int addr) except? 0
cpdef int adopt(Stack s, Tcb t) except -1
cpdef bint learn(Stack s, Packet p) except -1
cpdef int forget(Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport) except -1
