from pystack._fast.ipstat cimport IpStat
from pystack._fast.tcb cimport Stack

cdef int ICMP_UNREACH, ICMP_UNREACH_NEEDFRAG, SAVED, HOSTS
cdef long long SECOND, STEP


cdef class IcmpLimit:
    cdef public dict hosts
    cdef public long long credit, stamp
    cpdef bint may_send(self, Stack s, IpStat stat, int kind, int code, unsigned int dst) except -1
    cdef bint any_left(self, Stack s) except -1
    cdef bint host_may(self, Stack s, unsigned int dst) except -1
