from pystack._fast.mbuf cimport Pool


cdef class SendQueue:
    cdef Pool pool
    cdef int head
    cdef int tail
    cdef int near
    cdef public int cc
    cdef int near_off
    cdef public int hiwat
    cdef public int lowat
    cpdef int space(self) noexcept
    cpdef bint roomy(self) noexcept
    cpdef int append(self, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n) except -1
    cpdef void drop(self, int n) noexcept
    cpdef int chain(self, int off, int length) noexcept
    cpdef void flush(self) noexcept
