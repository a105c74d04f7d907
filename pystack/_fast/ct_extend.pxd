from pystack._fast.ct_age cimport ConnAge
from pystack._fast.packet cimport Packet

cdef int CT_MASKED
cdef unsigned long long UNCOUNTED


cdef class ConnExtend(ConnAge):
    cdef readonly unsigned long long[::1] packets, octets
    cdef readonly long long[::1] since
    cdef int[::1] faces
    cdef unsigned short[::1] wanted
    cdef int extend(self) except -1
    cdef int clean(self, int row) except -1
    cdef int born(self, int row, long long now) except -1
    cdef int want(self, int row, int template) except -1
    cdef bint wants(self, int row, int told) noexcept
    cpdef int masqueraded(self, int row, int iface) except -1
    cdef int account(self, int row, Packet p) except -1
