from pystack._fast.config cimport Config
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_mem cimport send_room, sent_memory

cdef int SOCKBUF_LINUX

cpdef long long memory_allowed(Config cfg, int hiwat) noexcept
cpdef int recv_space(Stack s, Tcb t) noexcept
cpdef int send_space(Stack s, Tcb t) noexcept
cpdef bint writable(Stack s, Tcb t) noexcept
