from pystack._fast.packet cimport Packet


cdef class Transit:
    cdef readonly int count
    cdef int _head
    cdef int _mask
    cdef long long[::1] _due
    cdef long long[::1] _order
    cdef int[::1] _piece
    cdef list _packets

    cdef void _grow(self) except *
    cdef int push(self, Packet p, int piece, long long due, long long order) noexcept
    cdef void insert(self, Packet p, long long due, long long order) noexcept
    cdef void forget_first(self) noexcept
