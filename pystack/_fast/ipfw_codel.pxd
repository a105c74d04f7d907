from pystack._fast.nf_target cimport put_tos
from pystack._fast.packet cimport Packet, PacketQueue

cdef int _CE, _AGAIN, _MSEC
cdef long long _LOW


cdef class Codel:
    cdef public long long target, interval
    cdef public bint ecn


cdef class FlowSet:
    cdef readonly int number
    cdef public int pipe, slots, weight
    cdef public long long octets
    cdef public unsigned int plr
    cdef public tuple mask
    cdef public bint silent
    cdef public int buckets
    cdef public Codel codel


cdef class Flow:
    cdef readonly FlowSet flowset
    cdef readonly tuple key
    cdef readonly PacketQueue waiting
    cdef public long long octets, deficit, total, total_octets, dropped, marked
    cdef public object start, finish
    cdef public int packets, counted, listed, gone
    cdef public Flow next
    cdef readonly bint dropping
    cdef readonly long long above, due
    cdef readonly int count, last_count, largest
    cpdef int put(self, Packet p, long long now) except -1
    cpdef Packet pop(self)
    cpdef Packet leave(self, Codel codel, long long now, PacketQueue lost)
    cdef int _begin(self, Codel codel, long long now) except -1
    cdef bint _stands(self, Codel codel, long long now) except -1
    cdef int _drop(self, Packet p, PacketQueue lost) except -1
    cdef bint _mark(self, Packet p) except -1


cpdef long long step(long long interval, long long count) noexcept
