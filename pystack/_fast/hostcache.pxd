from pystack._fast.config cimport Config
from pystack._fast.hashing cimport sip2


cdef class HostEntry:
    cdef public unsigned int addr
    cdef public int mtu
    cdef public long long ssthresh, cwnd, rtt, rttvar, left
    cdef public long long hits, updates


cdef class HostCache:
    cdef Config cfg
    cdef unsigned long long k0, k1
    cdef public dict chains
    cdef public long long used, high, added, overflows, overflow_at, walked
    cdef public int purge_next
    cpdef unsigned long long bucket(self, unsigned int addr)
    cpdef walk(self, long long now)
    cpdef prune(self, long long gap, bint everything)
    cpdef HostEntry find(self, unsigned int addr, long long now)
    cpdef HostEntry told(self, unsigned int addr, long long now)
    cpdef int mtu_of(self, unsigned int addr, int mtu, long long now) except -1
    cpdef set_mtu(self, unsigned int addr, int mtu, long long now)
    cpdef purge(self)
    cpdef list entries(self, long long now)
    cpdef list lengths(self, long long now)


cpdef long long averaged(long long old, long long new) noexcept
