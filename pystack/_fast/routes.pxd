cdef class Interface:
    cdef public int number
    cdef public str name
    cdef public unsigned int addr
    cdef public int prefix
    cdef public unsigned int mask
    cdef public int mtu
    cdef public bint up
    cdef public long long ipackets, ibytes, idrops, opackets, obytes, odrops


cdef class RouteTable:
    cdef unsigned int[::1] net
    cdef unsigned int[::1] mask
    cdef unsigned int[::1] gateway
    cdef int[::1] iface
    cdef readonly int n
    cpdef int find(self, unsigned int dst) noexcept
    cpdef int add(self, unsigned int net, int prefix, int iface, unsigned int gateway) except -1
