cdef class Search:
    cdef public int low, high, size
    cdef public unsigned int start, end
    cdef public long long since
