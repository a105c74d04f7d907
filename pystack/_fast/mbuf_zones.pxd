cdef class Zones:
    cdef public long long now
    cdef public bint wait
    cdef public int denied_zone
    cdef public long long deny_in
    cdef bint tight
    cdef public bint starved
    cdef public long long drained
    cdef long long[::1] z_limit
    cdef long long[::1] z_line
    cdef long long[::1] z_total
    cdef long long[::1] z_used
    cdef long long[::1] z_high
    cdef long long[::1] z_requests
    cdef long long[::1] z_fail
    cdef long long[::1] z_sleep
    cdef long long[::1] z_hits
    cdef long long[::1] z_last
    cdef long long[::1] z_told
    cdef public object watcher
    cpdef bint grow_mbufs(self, long long n) noexcept
    cpdef bint grow_pairs(self, long long n) noexcept
    cpdef bint grow_jumbo(self, int zone, long long n) noexcept
    cpdef bint refuse(self, int zone, int limit) noexcept
    cpdef long long units_left(self, int zone) noexcept
    cdef bint injected(self, int zone) noexcept
    cdef long long mbufs_left(self) noexcept
    cdef void drain_pairs(self) noexcept
    cdef void settle(self) noexcept
