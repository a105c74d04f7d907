from pystack._fast.hashing cimport siphash_bytes
from pystack._fast.tcb cimport Stack, Tcb

cdef int COOKIES_LINUX, FO_DATA, FO_EXP, FO_NO_COOKIE, FO_SOCKET
cdef unsigned long long _U32


cdef class Remembered:
    cdef public bytes cookie
    cdef public int mss, ask_exp
    cdef public bint exp
    cdef public long long off_until


cdef class FastOpen:
    cdef public unsigned long long k0, k1
    cdef public dict cache
    cdef public long long off_until
    cdef public int times_off
    cpdef set_key_text(self, str text)
    cpdef str key_text(self)
    cpdef bytes cookie(self, Stack s, bytes key, unsigned int src, unsigned int dst)
    cpdef bint client_on(self, Stack s, Tcb t) except -1
    cpdef Remembered recall(self, Stack s, Tcb t)
    cpdef bint needs_cookie(self, Stack s, Tcb t) except -1
    cpdef learn(self, Stack s, Tcb t, int mss, bytes cookie, bint exp)
    cpdef lost_path(self, Stack s, Tcb t)
    cpdef black_hole(self, Stack s)
