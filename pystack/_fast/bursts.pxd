from pystack._fast cimport prr
from pystack._fast.draft cimport Draft
from pystack._fast.nagle cimport short_waits
from pystack._fast.seq cimport add, after, dist
from pystack._fast.tcb cimport Stack, Tcb

cdef int CA_RECOVERY, FIN, GSO_MAX, MOST_DEFERRED, PUSH_LINUX, TF_FORCE, TF_RCVD_TS, TF_SACK_PERMIT
cdef long long MS

cpdef int current_mss(Stack s, Tcb t) noexcept
cdef bint blocks_forbid(Stack s, Tcb t) noexcept
cpdef void cut(Stack s, Tcb t, Draft d) noexcept
cdef void one_burst(Stack s, Tcb t, int room, int mss) noexcept
cpdef bint defers(Stack s, Tcb t, Draft d) noexcept
cdef int pace(Stack s, Tcb t, int mss) noexcept
cdef int burst(Stack s, Tcb t, int mss) noexcept
