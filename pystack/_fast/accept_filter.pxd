from pystack._fast.tcb cimport Tcb

cdef int DATAREADY, HTTPREADY, DNSREADY, SS_CANTRCVMORE, SS_FILTERED

cpdef bint passes(Tcb t) except -1
cpdef bint dns_ready(bytes length, int have) except -1
cpdef int wait(Tcb t) except -1
cpdef int leave(Tcb t) except -1
