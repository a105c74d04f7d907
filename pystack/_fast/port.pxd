# C face of port.py; the meaning of each attribute is documented there.
from pystack._fast.packet cimport Packet


cdef class Port:
    cdef public unsigned char[::1] room
    cdef public long long[::1] drops
    cpdef int init_port(self) except -1
    cpdef int make_room(self) except -1
    cpdef int ingress_landed(self, int iface, int skip, int n, int gso_size, bint csum_ok, long long now) except -1
    cpdef Packet egress(self, long long now)
