from pystack._fast.hashing cimport sip3
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, sub

cdef int SYN
cdef long long MINUTE, SECOND, SLOT
cdef unsigned int _U32
cdef tuple LINUX_MSS


cdef class Cookies:
    cdef unsigned long long k0, k1
    cpdef unsigned long long derived(self, int use) noexcept
    cpdef int encode(self, Packet p) except -1
    cpdef unsigned int make(self, Packet p, int flags, long long now) except? 0
    cdef unsigned int at_slot(self, Packet p, int flags, long long slot) except? 0
    cpdef int check(self, Packet p, long long now) except -2
    cdef unsigned int mac(self, Packet p, long long count) noexcept
    cpdef unsigned int linux_make(self, Packet p, long long now) except? 0
    cpdef int linux_check(self, Packet p, long long now) except -1
    cpdef unsigned int hide(self, unsigned int ticks, unsigned int flags) noexcept
