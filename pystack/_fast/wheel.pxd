from pystack._fast.chain cimport FreeList

cpdef int lowest_bit(unsigned long long bits) noexcept


cdef class Wheel:
    cdef readonly FreeList rows
    cdef readonly int count, maximum
    cdef long long[::1] _when
    cdef int[::1] _link, _head, _tail
    cdef short[::1] _half
    cdef unsigned long long[::1] _bits
    cdef long long _tick
    cdef int _records(self, object records) except -1
    cdef int _grow(self) except -1
    cpdef int alloc(self, short kind, int owner) except -1
    cpdef int kind(self, int row) noexcept
    cpdef int owner(self, int row) noexcept
    cpdef void free(self, int row) noexcept
    cpdef void arm(self, int row, long long deadline) noexcept
    cpdef void cancel(self, int row) noexcept
    cpdef bint armed(self, int row) noexcept
    cpdef long long deadline(self, int row) noexcept
    cdef void _place(self, int row) noexcept
    cdef void _unlink(self, int row) noexcept
    cdef int _first_slot(self) noexcept
    cdef long long _slot_start(self, int slot) noexcept
    cpdef long long next_deadline(self) noexcept
    cpdef int expire(self, long long now) noexcept
    cdef void _move_down(self, int slot) noexcept
