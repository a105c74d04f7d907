from pystack._fast.seq cimport after


cdef class Rate:
    cdef public long long first_sent, delivered_at, interval
    cdef public long long segments
    cdef public int limited_until
    cdef public bint limited


cdef class RateTable:
    cdef public long long[::1] first_sent
    cdef public long long[::1] delivered_at
    cdef public int[::1] delivered
    cdef public unsigned char[::1] limited
    # the acknowledgment at hand
    cdef int prior_delivered
    cdef long long prior_at, took
    cdef bint prior_limited
    cdef unsigned int prior_end
    cpdef void grow(self, int rows)
    cdef void begin(self) noexcept
    cdef void sent(self, Rate r, int row, int delivered, bint idle, long long now) noexcept
    cdef void divide(self, int row, int new) noexcept
    cdef void arrived(self, Rate r, int row, long long sent_at, unsigned int end) noexcept
    cdef void sacked(self, int row) noexcept
    cdef void sample(self, Rate r, int delivered, int newly, long long now, long long least) noexcept


cpdef void pause(Rate r, int delivered, int flight) noexcept
