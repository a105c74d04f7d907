from pystack._fast.packet cimport PacketQueue


cdef class DatagramSocket:
    cdef public int proto
    cdef public unsigned int laddr, faddr
    cdef public int lport, fport
    cdef public PacketQueue queue
    cdef public int cc, hiwat, sndbuf
    cdef public int error, fd
    cdef public object owner
    cdef public int so_options
    cdef public int ttl, tos
    cdef public object handler
    cdef public int ready, wanted
    cdef public bint queued, closed, cantrecv, cantsend
    cdef public long long dropped
    cdef public DatagramSocket next
