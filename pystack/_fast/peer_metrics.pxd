from pystack._fast.hashing cimport sip2

cdef int CHAINS, DEPTH
cdef long long LIFE


cdef class PeerMetric:
    cdef public unsigned int laddr, faddr
    cdef public long long rtt, rttvar, stamp
    cdef public int ssthresh, cwnd, reordering
    cpdef forget(self)


cdef class PeerMetrics:
    cdef unsigned long long k0, k1
    cdef public dict chains
    cpdef unsigned long long chain(self, unsigned int laddr, unsigned int faddr)
    cpdef PeerMetric find(self, unsigned int laddr, unsigned int faddr, long long now)
    cpdef PeerMetric told(self, unsigned int laddr, unsigned int faddr, long long now)
    cpdef list entries(self)
