cdef class Draft:
    cdef public int flags, length
    cdef public int queued, off, win, mss
    cdef public bint more, writing, alone, record, probing, held, limited
