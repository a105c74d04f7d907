from pystack._fast.hashing cimport jhash_3words
from pystack._fast.wheel cimport lowest_bit

cdef int _FIRST, _WORDS, _PLACES
cdef unsigned long long _ALL, _EVEN, _ONE


cdef class PortMap:
    cdef unsigned int secret
    cdef unsigned long long[::1] bits
    cdef unsigned int[::1] laddr
    cdef unsigned int[::1] faddr
    cdef int[::1] fport
    cdef int[::1] count
    cdef public int marks
    cdef public bint reserved
    cpdef void use(self, int port) noexcept
    cpdef void disuse(self, int port) noexcept
    cpdef bint is_reserved(self, int port) noexcept
    cdef int place_of(self, unsigned int laddr, unsigned int faddr, int fport) noexcept
    cpdef int row_of(self, unsigned int laddr, unsigned int faddr, int fport) noexcept
    cpdef void mark(self, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cdef void forget(self, int at) noexcept
    cpdef void forget_all(self) noexcept
    cpdef void freed(self, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cpdef int next_clear(self, int row, int port, int last, int stride) noexcept
