from pystack._fast.conntrack cimport Conntrack
from pystack._fast.ip4 cimport parse
from pystack._fast.packet cimport Packet

cdef int BATCH


cdef class Passing:
    cdef Conntrack conntrack
    cdef const unsigned char[::1] octets
    cdef readonly Py_ssize_t count
    cdef list batch
    cdef unsigned int[::1] hashes
    cdef readonly long long dropped
    cdef public long long now
    cpdef int pass_all(self, long long step) except -1
    cpdef Py_ssize_t only_parse(self) except -1
