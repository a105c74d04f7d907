from pystack._fast.core cimport Core
from pystack._fast.ip4 cimport build as build_ip
from pystack._fast.packet cimport Packet, PacketQueue
from pystack._fast.rng cimport Rng
from pystack._fast.tcp_wire cimport build as build_tcp
from pystack._fast.wire cimport Wire

cdef int OPTIONS_LINUX, PROTO_TCP, SYN


cdef class SynFlood:
    cdef Rng rng
    cdef unsigned int network, hosts
    cdef readonly unsigned int addr
    cdef int port
    cdef PacketQueue spare
    cdef public long long sent
    cdef public long long answers
    cdef int fill(self, Packet p) except -1
    cpdef int into(self, Core core, int iface, int n, long long now) except -1
    cpdef int into_nothing(self, Core core, int n) except -1
    cpdef int onto(self, Wire wire, int n, long long now) except -1
