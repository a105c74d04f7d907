# C face of ring.py; the meaning of each attribute is documented there.


cdef class Ring:
    cdef long long[::1] items
    cdef int mask
    cdef int first
    cdef public int count
    cpdef long long at(self, int i) noexcept
    cpdef void put(self, int i, long long value) noexcept
    cpdef int push(self, long long value) except -1
    cpdef long long shift(self) noexcept
    cpdef long long pop(self) noexcept
