from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.hashing cimport jhash_3words


cdef int _ACE, _ECN


cdef class SynCache:
    cdef public int used
    cdef public int high_water
    cdef public int limit
    cdef public int bucket_limit
    cdef public long long last_overflow
    cdef public long long last_failure
    cdef public int longest
    cdef unsigned int[::1] laddr
    cdef unsigned int[::1] faddr
    cdef unsigned int[::1] ports
    cdef unsigned int[::1] irs
    cdef unsigned int[::1] iss
    cdef unsigned int[::1] ts_recent
    cdef unsigned int[::1] ts_offset
    cdef unsigned short[::1] mss
    cdef unsigned short[::1] win
    cdef signed char[::1] peer_scale
    cdef unsigned char[::1] flags
    cdef unsigned char[::1] rexmits
    cdef unsigned char[::1] tos
    cdef unsigned char[::1] ecn
    cdef int[::1] listener
    cdef int[::1] timer
    cdef long long[::1] born
    cdef long long[::1] answered
    cdef unsigned int[::1] ts_first
    cdef unsigned int[::1] ts_last
    cdef int[::1] length
    cdef long long[::1] overflowed
    cdef FreeList free
    cdef Chain chain
    cdef unsigned int secret
    cdef unsigned int mask
    cpdef unsigned int bucket_of(self, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cpdef int find(self, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cpdef int oldest_in(self, unsigned int bucket) noexcept
    cpdef int add(self, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cpdef void remove(self, int row) noexcept
    cpdef int all_flags(self, int row) noexcept
    cpdef void without_ecn(self, int row) noexcept
