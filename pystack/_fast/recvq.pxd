from pystack._fast.mbuf cimport Pool
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, dist


cdef int _MAX_REPORTED
cdef unsigned char[::1] _octet


cdef class RecvQueue:
    cdef Pool pool
    cdef int head
    cdef int tail
    cdef public int cc
    cdef public int hiwat
    cdef public int lowat
    cdef public int overhead
    cpdef int limit(self) noexcept
    cpdef int space(self) noexcept
    cpdef void append(self, int m, int length) noexcept
    cpdef int read_into(self, unsigned char[::1] data, Py_ssize_t at, Py_ssize_t n, bint peek) except -1
    cpdef void drop(self, int n) noexcept
    cpdef int pull(self, int off) except -2
    cpdef void flush(self) noexcept


cdef class Reassembly:
    cdef Pool pool
    cdef unsigned int[::1] left
    cdef unsigned int[::1] right
    cdef int[::1] head
    cdef int[::1] last
    cdef unsigned int[::1] recent
    cdef public int n
    cdef public int maximum
    cdef public int n_recent
    cdef public int octets
    cdef public unsigned int new_left
    cdef public unsigned int new_right
    cpdef int insert(self, unsigned int seq, int m, int length) except -2
    cpdef int take(self, unsigned int rcv_nxt, RecvQueue q) noexcept
    cpdef void report(self, unsigned int left, unsigned int right) noexcept
    cpdef void forget(self, unsigned int rcv_nxt) noexcept
    cpdef void flush(self) noexcept
    cdef void shift_out(self, int i) noexcept
    cdef int shift_in(self, int i) except -1
    cdef void join(self, int i, int m, int length) noexcept
