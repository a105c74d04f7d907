from pystack._fast.seq cimport after, after_eq, before, before_eq, dist, maximum, minimum


cdef class Scoreboard:
    cdef unsigned int[::1] left
    cdef unsigned int[::1] right
    cdef public int n
    cdef public int maximum
    cdef public int sacked
    cdef public unsigned int high_rxt, resent_max
    cdef public bint split, full
    cdef public int refused, counted
    cdef public unsigned int acked
    cdef public int delivered, rescued
    cdef public int prr_delivered, prr_out, recover_fs
    cdef public unsigned int rescue_left, rescue_right
    cdef public unsigned int hole_left
    cdef public unsigned int hole_right
    cpdef int add_block(self, unsigned int left, unsigned int right) noexcept
    cpdef void advance(self, unsigned int una) noexcept
    cpdef unsigned int lost_edge(self, unsigned int una, int mss, int dupthresh) noexcept
    cpdef int pipe(self, unsigned int una, unsigned int nxt, unsigned int edge) noexcept
    cpdef int resent(self, unsigned int una) noexcept
    cpdef int missing_below(self, unsigned int una, unsigned int edge) noexcept
    cpdef bint first_hole_sent(self, unsigned int una) noexcept
    cpdef void no_rescue(self) noexcept
    cpdef unsigned int first(self) noexcept
    cpdef unsigned int highest(self) noexcept
    cpdef bint next_hole(self, unsigned int start) noexcept
    cpdef void clear(self) noexcept
