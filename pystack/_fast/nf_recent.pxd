from pystack._fast.nf_match cimport Match
from pystack._fast.nf_rate cimport KeyTable

cdef int LOCAL_IN, PREROUTING
cdef int RECENT_SET, RECENT_UPDATE, RECENT_REMOVE, RECENT_ENTRIES, RECENT_STAMPS
cdef long long JIFFY


cdef class RecentTable(KeyTable):
    cdef readonly int stamps
    cdef readonly unsigned char[::1] ttl
    cdef readonly unsigned int[::1] number, place
    cdef readonly long long[::1] times
    cdef long long turn
    cdef void forget_oldest(self) noexcept
    cdef void seen(self, int row, int ttl, long long now) noexcept
    cdef int hits(self, int row, long long since) noexcept
    cdef void reap(self, long long since, int but) noexcept


cdef class Recent(Match):
    cdef public RecentTable table
    cdef public int action, hit_count
    cdef public unsigned int mask
    cdef public long long seconds
    cdef public bint by_dst, same_ttl, reap, inverted
