from pystack._fast.chain cimport Chain
from pystack._fast.config cimport Config
from pystack._fast.ct_table cimport ConnTable
from pystack._fast.rng cimport Rng

cdef int CT_EVICT_BUCKETS, CT_EVICT_CHAIN, CT_EVICT_LRU, CT_EVICT_NODES, H_STATUS, IPS_ASSURED, IPS_CONFIRMED
cdef int _EARLY_DROP_RANGE
cdef long long JIFFY


cdef class ConnRoom(ConnTable):
    cdef Config cfg
    cdef Rng rng
    cdef public long long early_drop, now
    cdef int _length
    cdef readonly Chain recent
    cdef readonly int stalest
    cpdef int kill(self, int row) except -1
    cdef void seen_first(self, int row) noexcept
    cdef void seen_no_more(self, int row) noexcept
    cdef void seen(self, int row) noexcept
    cdef bint _make_room(self, unsigned int h) except -1
    cdef int _empty_bucket(self, unsigned int bucket) except -1
    cdef int _oldest(self, unsigned int bucket) noexcept
