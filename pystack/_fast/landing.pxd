# C face of landing.py; the meaning of each attribute is documented there.
from pystack._fast.ip4 cimport parse_faulty, parse_landed
from pystack._fast.mbuf cimport Pool
from pystack._fast.packet cimport Packet

cdef int _MBUF
cdef int _BIG


cdef class Landing:
    cdef readonly Pool pool
    cdef readonly unsigned char[::1] room
    cdef readonly int m

    cpdef int place(self) except -1
    cpdef int parse(self, Packet p, int skip, int n) except? -1
    cpdef int parse_faulty(self, Packet p, int skip, int n, int reason) except? -1
    cpdef close(self)
