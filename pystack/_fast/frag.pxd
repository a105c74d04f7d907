from pystack._fast.ip4 cimport is_l4_fault, parse_faulty, parse_landed
from pystack._fast.mbuf cimport Pool
from pystack._fast.packet cimport Packet
from pystack._fast.wirebytes cimport be16, csum_add, csum_fold, put16

cdef long long _NEVER
cdef int _BAD
cdef int _OVERLAP
cdef int _MEMORY
cdef int _HELD
cdef int _MBUF


cdef class Datagram:
    cdef object key
    cdef long long deadline
    cdef bint dead
    cdef int count
    cdef int octets
    cdef int end
    cdef int[::1] lo
    cdef int[::1] hi
    cdef int[::1] chain
    cdef unsigned char[::1] head
    cdef int head_len
    cdef int ip_len
    cdef int iface_in


cdef class Reassembler:
    cdef readonly Pool pool
    cdef public int max_packets
    cdef public long long max_bytes
    cdef public int max_per_packet
    cdef public long long timeout_ns
    cdef readonly long long octets
    cdef readonly long long received
    cdef readonly long long completed
    cdef readonly long long duplicates
    cdef readonly long long overlapped
    cdef readonly long long evicted
    cdef readonly long long timed_out
    cdef readonly int largest
    cdef object _waiting

    cpdef int add(self, Packet p, long long now) noexcept
    cpdef long long next_deadline(self) noexcept
    cpdef bint expire(self, long long now, Packet out) noexcept
    cpdef int waiting(self) noexcept
    cpdef void flush(self) noexcept
    cdef Datagram _find(self, Packet p, long long now)
    cdef int _place(self, Datagram d, int lo, int hi, bint mf) noexcept
    cdef bint _same(self, Datagram d, int i, Packet p) noexcept
    cdef bint _make_room(self, Datagram keep, int n) noexcept
    cdef int _take(self, Packet p) noexcept
    cdef void _insert(self, Datagram d, int at, int lo, int hi, int m) noexcept
    cdef void _remember_head(self, Datagram d, Packet p) noexcept
    cdef int _complete(self, Datagram d, Packet p) noexcept
    cdef void _empty(self, Datagram d) noexcept
    cdef void _forget(self, Datagram d) noexcept
