from pystack._fast.chain cimport FreeList

cdef int ROOT, BITS


cdef class Table:
    cdef readonly int count
    cdef readonly unsigned int value
    cdef readonly FreeList free
    cdef int[::1] _child
    cdef unsigned char[::1] _held
    cdef unsigned int[::1] _values
    cpdef int find(self, unsigned int key) noexcept
    cpdef int exact(self, unsigned int key, int length) noexcept
    cdef int _node(self, unsigned int key, int length) noexcept
    cpdef int put(self, unsigned int key, int length, unsigned int value) except -1
    cdef int _take(self) except -1
    cpdef int take_out(self, unsigned int key, int length) except -1
    cdef int _cut_off(self, int place) except -1
