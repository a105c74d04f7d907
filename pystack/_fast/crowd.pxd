from pystack._fast.core cimport Core
from pystack._fast.ip4 cimport build as build_ip
from pystack._fast.packet cimport Packet
from pystack._fast.rng cimport Rng
from pystack._fast.seq cimport add
from pystack._fast.tcp_wire cimport build as build_tcp

cdef int ACK, FIN, FIRST_PORT, OPTIONS_LINUX, PORTS, PROTO_TCP, SYN


cdef class Crowd:
    cdef unsigned int network, addr
    cdef int port
    cdef int limit
    cdef public int count
    cdef unsigned int[::1] snd_nxt
    cdef unsigned int[::1] rcv_nxt
    cdef Rng rng
    cdef Packet give(self, Core core, int i, int flags, long long now)
    cpdef int open(self, Core core, int n, long long now) except -1
    cpdef int poke(self, Core core, const int[::1] order, long long now) except -1
    cpdef int part(self, Core core, int first, int n, bint fin, long long now) except -1
