from pystack._fast cimport mbuf_books
from pystack._fast.mbuf cimport Pool
from pystack._fast.ring cimport Ring
from pystack._fast.seq cimport add, after, before_eq, dist


cdef class SendQueue:
    cdef Pool pool
    cdef int head
    cdef int tail
    cdef int near
    cdef public int cc
    cdef int near_off
    cdef public int hiwat
    cdef public int lowat
    cdef public int mbcnt
    cdef public int n_marks
    cdef unsigned int newest
    cdef public unsigned int piece, pushed
    cdef Ring older
    cdef public Ring records
    cpdef int append(
        self, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n, bint pages=*
    ) except -1
    cpdef void drop(self, int n) noexcept
    cpdef int chain(self, int off, int length) noexcept
    cpdef void flush(self) noexcept
    cpdef int written(
        self, unsigned int at, int n, unsigned int sent, int goal, int half, bint more,
    ) except -1
    cpdef int mark(self, unsigned int at) except -1
    cdef void unmark(self) noexcept
    cpdef int next_mark(self, unsigned int at) noexcept
    cpdef void forget_marks(self, unsigned int una) noexcept
    cpdef int end_record(self, unsigned int at) except -1
    cpdef bint ends_record(self, unsigned int at) noexcept
    cpdef int next_record(self, unsigned int at) noexcept
    cpdef int forget_records(self, unsigned int una) except -1
