cdef class EventQueue:
    cdef readonly int count, high_water
    cdef readonly long long time
    cdef readonly int kind, arg
    cdef long long[::1] _times, _orders
    cdef int[::1] _kinds, _args
    cdef long long _pushed
    cdef int _capacity
    cdef int _grow(self) except -1
    cdef void _move(self, Py_ssize_t source, Py_ssize_t to) noexcept
    cpdef long long next_time(self) noexcept
    cpdef int push(self, long long time, int kind, int arg) except -1
    cpdef bint pop(self) noexcept
    cpdef void clear(self) noexcept
