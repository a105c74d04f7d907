from pystack._fast.config cimport Config
from pystack._fast.ct_table cimport ConnTable
from pystack._fast.rng cimport Rng

cdef int CT_EVICT_BUCKETS, CT_EVICT_CHAIN, CT_EVICT_NODES, H_STATUS, IPS_ASSURED, IPS_CONFIRMED, O_STATE, PROTO_TCP
cdef int TCPCT_CLOSE, TCPCT_FIN_WAIT, _EARLY_DROP_RANGE, _GC_MIN, _GC_MAX, _GC_CLAMP, _GC_COUNT, _GC_EXPIRED
cdef long long JIFFY


cdef class ConnRoom(ConnTable):
    cdef Config cfg
    cdef Rng rng
    cdef public long long early_drop, now, gc_next
    cdef public bint gc_wanted
    cdef unsigned int gc_bucket, gc_start
    cdef int gc_mean, gc_count, _length
    cpdef int kill(self, int row) except -1
    cdef bint _make_room(self, unsigned int h) except -1
    cdef int _empty_bucket(self, unsigned int bucket) except -1
    cdef int _oldest(self, unsigned int bucket) noexcept
    cpdef int gc(self, long long now) except -1
    cdef int _sweep(self, unsigned int bucket, bint early) except -1
    cdef bint _closing(self, int row) noexcept
