from pystack._fast.seq cimport add, after, before_eq, dist
from pystack._fast.tcb cimport Stack, Tcb

cdef int LARGEST_PIECE, MIN_SNDBUF, TF_SND_AUTO_OFF
cdef long long MS

cpdef int piece_of(Tcb t) noexcept
cpdef int sent_memory(Tcb t) noexcept
cdef int piece_room(Tcb t) noexcept
cpdef int send_room(Tcb t) noexcept
cpdef long long memory_of_socket(Tcb t) noexcept
cdef long long pages(long long octets) noexcept
cpdef int account(Stack s, Tcb t) noexcept
cdef int look(Stack s, long long allocated) noexcept
cdef bint refused(Stack s) noexcept
cdef bint fair(Stack s, Tcb t) noexcept
cpdef bint may_receive(Stack s, Tcb t, int octets) noexcept
cpdef int may_send(Stack s, Tcb t, int octets) noexcept
