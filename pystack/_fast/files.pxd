from pystack._fast.tcb cimport Stack

cdef int EMFILE, ENFILE, FILES_FULL, FILES_LINUX
cdef long long SECOND


cdef class Files:
    cdef public int used, high_water
    cdef public long long failures, last_failure
    cdef public dict programs
    cdef long long told
    cdef public long long sendfiles
    cdef int told_of
    cpdef bint admits(self, Stack s, int uid) except -1
    cpdef long long limit_of(self, Stack s, int uid) noexcept
    cpdef int tell(self, Stack s, int uid, int pid) except -1


cdef class Descriptors:
    cdef public Files files
    cdef public int pid, uid, nofile
    cdef public int used, high_water
    cdef public long long failures, last_failure
    cdef unsigned long long[::1] words
    cdef int hint
    cdef public object owner, handler
    cdef public int ready
    cdef public bint queued, asleep
    cdef public list held
    cpdef long long limit(self, Stack s) noexcept
    cpdef int take(self, Stack s) except -1
    cpdef void give(self, int fd) noexcept
    cdef int lowest(self) except -1
