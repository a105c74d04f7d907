from pystack._fast.packet cimport Packet
from pystack._fast.wirebytes cimport copy


cdef class Record:
    cdef readonly long long first
    cdef readonly long long next
    cdef public object on_full
    cdef dict _notes
    cdef long long _room
    cdef long long _end
    cdef long long _mask
    cdef unsigned char[::1] _data
    cdef long long[::1] _time
    cdef long long[::1] _at
    cdef int[::1] _wire
    cdef int[::1] _size
    cdef int[::1] _gso
    cdef unsigned char[::1] _left

    cpdef void add(self, Packet p, long long time, int wire) noexcept
    cpdef void note(self, int piece, int code)
    cdef void _forget(self) except *
    cdef int _make_room(self, int n) except -1
