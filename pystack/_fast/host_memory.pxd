from pystack._fast cimport prr
from pystack._fast.hostcache cimport HostEntry, averaged
from pystack._fast.peer_metrics cimport PeerMetric
from pystack._fast.tcb cimport Stack, Tcb

cdef int CA_OPEN, ENOUGH, INFINITE

cpdef int learn_bsd(Stack s, Tcb t) except -1
cpdef void count(Stack s) noexcept
cpdef int round_trip_bsd(Stack s, Tcb t) except -1
cpdef int threshold_bsd(Stack s, Tcb t) except -1
cpdef int learn_linux(Stack s, Tcb t) except -1
cpdef bint proven(Stack s, unsigned int laddr, unsigned int faddr)
cpdef int begin_linux(Stack s, Tcb t) except -1
