from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.hashing cimport jhash_3words
from pystack._fast.portmap cimport PortMap


cdef class Demux:
    cdef public int capacity, maximum
    cdef public int used, others
    cdef public int high_water
    cdef public long long taken
    cdef public long long failures
    cdef public long long last_failure
    cdef unsigned int[::1] laddr
    cdef unsigned int[::1] faddr
    cdef unsigned int[::1] ports
    cdef unsigned char[::1] kind
    cdef unsigned char[::1] chosen
    cdef int[::1] port_use
    cdef int[::1] port_chosen
    cdef public PortMap map
    cdef public int first, last, range_used, range_high
    cdef FreeList free
    cdef Chain connections
    cdef Chain listeners
    cdef Chain on_port
    cdef unsigned int secret
    cdef unsigned int mask
    cdef unsigned int listen_mask
    cpdef int take(self, long long now) noexcept
    cpdef bint take_other(self, long long now) noexcept
    cpdef int refuse(self, long long now) noexcept
    cpdef void give(self, int row) noexcept
    cpdef void bind(self, int row, unsigned int laddr, int lport) noexcept
    cpdef void unbind(self, int row) noexcept
    cdef void hold(self, int port) noexcept
    cdef void release(self, int port) noexcept
    cpdef void watch(self, int first, int last) noexcept
    cpdef void choose(self, int row) noexcept
    cdef void unchoose(self, int row) noexcept
    cpdef void connect(self, int row, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cpdef void listen(self, int row) noexcept
    cpdef void unlink(self, int row) noexcept
    cpdef int find(self, unsigned int laddr, int lport, unsigned int faddr, int fport) noexcept
    cpdef int find_listener(self, unsigned int laddr, int lport) noexcept
    cpdef int next_listener(self, int row, unsigned int laddr, int lport) noexcept
    cpdef int port_users(self, int port) noexcept
    cpdef int next_on_port(self, int row, int port) noexcept
