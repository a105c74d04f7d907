from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.hashing cimport sip2
from pystack._fast.nf_hook cimport HookState
from pystack._fast.nf_match cimport Match

cdef int BY_SRC, BY_DST, BY_SPORT, BY_DPORT
cdef int _CHUNK_SHIFT, _BUCKETS
cdef long long JIFFY


cdef class Limit(Match):
    cdef public long long cost, most, tokens, last


cdef class Statistic(Match):
    cdef public unsigned int threshold
    cdef public long long every, count
    cdef public bint inverted


cdef class KeyTable:
    cdef public int most
    cdef readonly int capacity
    cdef readonly FreeList free
    cdef readonly Chain chain
    cdef readonly unsigned long long[::1] first, second
    cdef readonly long long[::1] when
    cdef unsigned long long key0, key1
    cdef readonly bint keyed
    cpdef int start(self, HookState state) except -1
    cpdef int grow(self) except -1
    cdef unsigned int bucket(self, unsigned long long first, unsigned long long second) noexcept
    cpdef int find(self, unsigned long long first, unsigned long long second) noexcept
    cpdef int add(self, unsigned long long first, unsigned long long second) except -1
    cpdef void remove(self, int row) noexcept


cdef class HashTable(KeyTable):
    cdef public long long cost, expire, interval
    cdef public unsigned int burst
    cdef public bint in_octets
    cdef long long swept, window, window_rate, window_most
    cdef readonly long long[::1] credit, seen
    cdef readonly unsigned int[::1] refills
    cdef void sweep(self, long long turn) noexcept
    cpdef count_windows(self, long long rate, long long most, long long window)
    cpdef int start_window(self, unsigned long long first, unsigned long long second, long long jiffies) except -2
    cdef int below_in_window(self, int row, int length, long long now) noexcept
    cpdef int below(self, unsigned long long first, unsigned long long second, int length, long long now) except -2


cdef class HashLimit(Match):
    cdef public HashTable table
    cdef public int mode
    cdef public unsigned int src_mask, dst_mask
    cdef public bint above
