# C face of vnet.py; the meaning of each attribute is documented there.
from pystack._fast.ip4 cimport split, split_count
from pystack._fast.packet cimport Packet

cdef int _VNET_LEN
cdef int _NEEDS_CSUM
cdef int _GSO_TCPV4
cdef int _GSO_ECN
cdef int _SMALL
cdef int _WHOLE
cdef int _ICMP
cdef int _CWR
cdef int _LOW


cdef class Framer:
    cdef readonly bint vnet
    cdef readonly object view
    cdef unsigned char[::1] out
    cdef Packet cut

    cdef void _u16(self, int at, int value) noexcept
    cdef int _lay(self, Packet p, int most) noexcept
    cpdef int frame(self, Packet p) noexcept
    cpdef int pieces(self, Packet p) noexcept
    cpdef int piece(self, Packet p, int index) noexcept
