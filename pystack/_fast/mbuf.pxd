from pystack._fast.mbuf_octets cimport Octets, copy_octets


cdef class Pool(Octets):
    cdef public int in_use, shed_cost
    cdef public int bulk_zone
    cdef public long long double_frees
    # mbuf rows
    cdef readonly int m_free
    cdef readonly int m_top
    # cluster rows
    cdef int[::1] c_refs
    cdef int[::1] c_zone
    cdef long long[::1] c_base
    cdef int[::1] c_charge
    cdef int[::1] c_class
    cdef int[::1] c_shift
    cdef int[::1] c_low
    cdef int[::1] c_fill
    cdef int[::1] c_next
    cdef readonly int c_top
    cdef int c_cap
    # storage classes
    cdef int[::1] s_size
    cdef int[::1] s_room
    cdef int[::1] s_free
    cdef long long bump

    cpdef int get(self) noexcept
    cpdef int get_cluster(self, int size) noexcept
    cpdef int get_for(self, int n) noexcept
    cdef int get_of(self, int n, int zone) noexcept
    cpdef int room_after(self, int m) noexcept
    cpdef int extend(self, int m, int n) noexcept
    cpdef int free(self, int m) noexcept
    cpdef void free_chain(self, int m) noexcept
    cpdef int share(self, int m, int skip, int length) noexcept
    cpdef int trim_front(self, int m, int n) noexcept
    cpdef int truncate(self, int m, int length) noexcept
    cpdef int append_bytes(
        self, int m_tail, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n
    ) noexcept
    cpdef int new_chain(self, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n) noexcept
    cpdef int import_chain(self, Pool other, int m, int skip, int length) noexcept
    cpdef int land(self) noexcept
    cpdef int keep_landed(self, int m, int skip, int n) noexcept
    cpdef bint would_deny(self, int n) noexcept
    cdef bint admit(self, int zone, long long n) noexcept
    cdef void charge(self, int zone, long long n) noexcept
    cdef void recharge(self, int c, int low, int fill) noexcept
    cdef int row(self) noexcept
    cdef void unrow(self, int m) noexcept
    cdef int storage(self, int cls) noexcept
    cdef void release(self, int c) noexcept
    cdef int attach(self, int cls, int zone, int units, int shift) noexcept
    cdef int freed_twice(self, int m) noexcept
