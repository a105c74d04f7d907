from pystack._fast.ip4 cimport parse
from pystack._fast.ipfw_match cimport Rules
from pystack._fast.packet cimport Packet

cdef Py_ssize_t _STRIDE, _TOTAL
cdef int _BATCH


cdef class RulesPassing:
    cdef readonly Rules rules
    cdef const unsigned char[::1] octets
    cdef readonly Py_ssize_t count
    cdef list batch
    cdef readonly long long passed, denied
    cdef int read(self, Py_ssize_t at, int n) except -1
    cpdef int pass_all(self, int again=*) except -1
