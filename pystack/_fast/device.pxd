# C face of device.py; the meaning of each attribute is documented there.
from pystack._fast.fdio cimport read_packet, write_gathered, write_packet
from pystack._fast.packet cimport Packet
from pystack._fast.port cimport Port
from pystack._fast.vnet cimport Framer

cdef int _AGAIN, _MBUF, _TX_QUEUE, _NO_DEVICE, _VNET_LEN, _LOW, _CSUM_KNOWN


cdef class Device:
    cdef public int fd
    cdef readonly bint offload
    cdef public long long batch_octets
    cdef Framer framer
    cdef readonly dict refused

    cpdef int receive(self, Port port, int iface, long long now, int limit) except? -1
    cpdef int transmit(self, Port port, long long now) except -1
    cdef int write_pieces(self, Port port, Packet p) except -1
    cdef int refuse(self, Port port, long long error) except -1
