from pystack._fast.chain cimport FreeList
from pystack._fast.seq cimport before

cdef int MOST, ROWS


cdef class SackBlocks:
    cdef public FreeList free
    cdef public unsigned int[::1] edges
    cdef public int[::1] n
    cpdef void insert(self, unsigned int left, unsigned int right) noexcept
    cpdef int take(self) except 0
    cpdef void keep(self, int row) noexcept
