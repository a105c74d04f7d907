from pystack._fast cimport mbuf_books
from pystack._fast.mbuf cimport Pool
from pystack._fast.ring cimport Ring
from pystack._fast.seq cimport add, before, before_eq, dist


cdef unsigned char[::1] _octet


cdef class RecvQueue:
    cdef Pool pool
    cdef int head
    cdef int tail
    cdef public int cc
    cdef public int hiwat
    cdef public int lowat
    cdef public int mbcnt
    cdef public bint account
    cdef public int ratio
    cdef public int rmem
    cdef public int last_charge
    cdef int tail_room
    cdef int new_len
    cdef int new_mem
    cdef Ring older_len
    cdef Ring older_mem
    cpdef int window_of(self, int memory) noexcept
    cpdef int limit(self) noexcept
    cpdef int space(self) noexcept
    cpdef int charge(self, int length, int memory, int room) except -1
    cdef int make_rings(self) except -1
    cpdef void uncharge(self, int n) noexcept
    cpdef int collapse(self, int memory) except -1
    cpdef void append(self, int m, int length) noexcept
    cdef bint swallowed(self, int m) noexcept
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
    cdef int[::1] mem
    cdef public int n
    cdef public int maximum
    cdef public int octets
    cdef public int rmem
    cdef public int new_at
    cdef int freed
    cpdef int insert(self, unsigned int seq, int m, int length) except -2
    cpdef void charge(self, int memory, RecvQueue q) noexcept
    cpdef int take(self, unsigned int rcv_nxt, RecvQueue q)
    cpdef void flush(self) noexcept
    cdef void shift_out(self, int i) noexcept
    cdef int shift_in(self, int i) except -1
    cdef void join(self, int i, int m, int length) noexcept
