cdef class Chain:
    cdef readonly int[::1] head, next, prev
    cdef readonly unsigned int buckets, mask
    cdef readonly int rows, count
    cpdef int first(self, unsigned int bucket) noexcept
    cpdef void insert_head(self, unsigned int bucket, int row) noexcept
    cpdef void remove(self, unsigned int bucket, int row) noexcept
    cpdef void move_to_front(self, unsigned int bucket, int row) noexcept


cdef class FreeList:
    cdef public int limit
    cdef readonly int rows, used, high_water
    cdef readonly long long failures
    cdef int[::1] _link
    cdef int _top, _fresh
    cpdef int take(self) noexcept
    cpdef void give(self, int row) noexcept
    cpdef bint in_use(self, int row) noexcept
