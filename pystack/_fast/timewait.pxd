from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.hashing cimport jhash_3words


cdef class TimeWaitTable:
    cdef public int maximum
    cdef public int used
    cdef public int high_water
    cdef public long long recycled
    cdef public long long overflow
    cdef public long long last_failure
    cdef unsigned int[::1] laddr
    cdef unsigned int[::1] faddr
    cdef unsigned int[::1] ports
    cdef unsigned int[::1] snd_nxt
    cdef unsigned int[::1] rcv_nxt
    cdef unsigned int[::1] ts_recent
    cdef unsigned int[::1] ts_offset
    cdef int[::1] win
    cdef unsigned char[::1] has_ts
    cdef unsigned char[::1] scale
    cdef unsigned char[::1] state
    cdef unsigned char[::1] options
    cdef long long[::1] ts_stamp
    cdef long long[::1] expires
    cdef long long[::1] answered
    cdef int[::1] older
    cdef int[::1] newer
    cdef int oldest
    cdef int newest
    cdef FreeList free
    cdef Chain chain
    cdef unsigned int secret
    cdef unsigned int mask
    cpdef int add(self, unsigned int laddr, int lport, unsigned int faddr, int fport, long long expires) noexcept
    cpdef void remove(self, int row) noexcept
    cpdef void restart(self, int row, long long expires) noexcept
    cpdef int find(self, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cpdef long long next_deadline(self) noexcept
    cpdef int expire(self, long long now) noexcept
    cdef unsigned int bucket(self, int row) noexcept
    cdef void append(self, int row) noexcept
    cdef void detach(self, int row) noexcept
    cpdef bint port_waits(self, unsigned int laddr, int port, bint reuse) noexcept
