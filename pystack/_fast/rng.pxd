cdef class Rng:
    cdef readonly unsigned long long seed
    cdef unsigned long long _s0, _s1, _s2, _s3
    cpdef unsigned long long next64(self) noexcept
    cpdef unsigned int next32(self) noexcept
    cpdef unsigned int below(self, unsigned int n) noexcept
    cpdef bint chance(self, unsigned long long threshold) noexcept
