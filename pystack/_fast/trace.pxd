from pystack._fast.packet cimport Packet

cdef unsigned long long _M64
cdef unsigned long long _K1
cdef unsigned long long _K2
cdef unsigned long long _K3
cdef unsigned long long _K4


cdef class Trace:
    cdef public bint payload
    cdef readonly long long packets
    cdef unsigned long long _a
    cdef unsigned long long _b

    cpdef void mix(self, unsigned long long word) noexcept
    cpdef void update(self, Packet p, long long time, int wire_id) noexcept
    cdef void _mix_head(self, const unsigned char[::1] head, int n) noexcept
