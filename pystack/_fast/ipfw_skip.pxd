from pystack._fast.packet cimport Packet

cdef int PROTO_TCP, PROTO_UDP
cdef unsigned int FACE_FLAGS, FACE_PROTOCOL, FACE_SOURCE, FACE_SPORT, FACE_TARGET, FACE_WAY
cdef unsigned int _NO_FLAGS, _NO_PORT
cdef unsigned long long _DE_BRUIJN
cdef unsigned char[::1] _LOW6


cdef class SkipIndex:
    cdef readonly int words, shift, count
    cdef unsigned int[::1] kind, first, last, bounds
    cdef long long[::1] place
    cdef unsigned long long[::1] bits, always
    cpdef void locate(self, Packet p, bint out) noexcept
    cpdef int next(self, int position, bint searched) noexcept


cdef unsigned long long _ones64() noexcept
cdef int _lowest(unsigned long long word) noexcept
cdef unsigned int _value(Packet p, unsigned int kind, bint out) noexcept
