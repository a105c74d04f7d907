from pystack._fast.seq cimport after, after_eq, before, before_eq, maximum, minimum

cdef int _MOST


cdef class SackReport:
    cdef public int most
    cdef public int n
    cdef unsigned int[::1] left
    cdef unsigned int[::1] right
    cdef unsigned int[::1] saved_left
    cdef unsigned int[::1] saved_right
    cdef int n_saved
    cdef public bint dup
    cdef public unsigned int dup_left
    cdef public unsigned int dup_right
    cpdef void arrived(self, unsigned int left, unsigned int right) noexcept
    cpdef void covered(self, unsigned int rcv_nxt) noexcept
    cpdef void duplicate(self, unsigned int left, unsigned int right) noexcept
    cpdef void duplicate_more(self, unsigned int left, unsigned int right) noexcept
    cdef void save(self, unsigned int left, unsigned int right) noexcept
    cdef void restore(self, int at) noexcept
    cpdef void dropped(
        self, unsigned int left, unsigned int right, unsigned int rcv_nxt,
    ) noexcept
    cpdef void received(
        self, unsigned int left, unsigned int right, unsigned int rcv_nxt,
    ) noexcept
    cpdef void sent(self, unsigned int rcv_nxt) noexcept
    cpdef void clear(self) noexcept
