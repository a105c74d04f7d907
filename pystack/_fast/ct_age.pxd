from pystack._fast.ct_room cimport ConnRoom
from pystack._fast.wheel cimport Wheel

cdef int CT_EVICT_PF_ADAPTIVE, CT_EXPIRY_TIMERS, CT_EXPIRY_TIMERS_HZ, CT_EXPIRY_WORKER_5S, CT_EXPIRY_WORKER_16S
cdef int CT_EXPIRY_WORKER_120S, CT_EXPIRY_WORKER_MEAN, H_STATUS, HZ, IPS_ASSURED, IPS_CONFIRMED, IPS_FIXED_TIMEOUT
cdef int O_STATE, PROTO_TCP, TCPCT_CLOSE, TCPCT_FIN_WAIT, TIMER_FLOW, W_EXPIRES
cdef int _GC_MIN, _GC_MAX, _GC_CLAMP, _GC_COUNT, _GC_EXPIRED, _SCAN, _PARTS, _STEP_MAX, _PARTS_49, _BUCKETS_49
cdef int _GONE_49, _PAUSE_49, _PURGED, _FROM, _TO
cdef long long JIFFY


cdef class ConnAge(ConnRoom):
    cdef Wheel wheel
    cdef int[::1] alarms
    cdef unsigned int[::1] lives
    cdef bint lazy_timers
    cdef public long long gc_next
    cdef public bint gc_wanted
    cdef unsigned int gc_bucket, gc_start
    cdef int gc_mean, gc_count, gc_pause
    cpdef void refresh(self, int row, int timeout) noexcept
    cdef void start(self, int row) noexcept
    cdef long long _moment(self, unsigned int timeout) noexcept
    cpdef int time_out(self, int row, long long now) except -1
    cpdef int begin_gc(self, long long now) except -1
    cpdef int gc(self, long long now) except -1
    cdef int _whole_table(self) except -1
    cdef int _run(self, unsigned int buckets, int most) except -1
    cdef int _sweep(self, unsigned int bucket, bint early) except -1
    cdef bint _closing(self, int row) noexcept
    cdef int _purge(self) except -1
    cdef bint _outlived(self, int row) noexcept
