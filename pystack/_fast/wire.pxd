from pystack._fast.ip4 cimport finish, split, split_count
from pystack._fast.packet cimport Packet, PacketQueue
from pystack._fast.record cimport Record
from pystack._fast.rng cimport Rng
from pystack._fast.trace cimport Trace
from pystack._fast.transit cimport Transit

cdef long long _NEVER
cdef long long _BIT_NS_PER_OCTET
cdef unsigned long long _M64
cdef int LAST
cdef int _MBUF
cdef int _GONE
cdef int _LOSS
cdef int _QUEUE
cdef int _PARTITION
cdef int _MTU


cdef class Wire:
    # settings; 0 switches each off
    cdef public int number
    cdef public long long delay
    cdef public long long jitter
    cdef public long long rate
    cdef public int queue_packets
    cdef public long long queue_octets
    cdef public unsigned long long loss
    cdef public unsigned long long burst_enter
    cdef public unsigned long long burst_leave
    cdef public unsigned long long burst_loss_good
    cdef public unsigned long long burst_loss_bad
    cdef public bint burst_bad
    cdef public unsigned long long reorder
    cdef public long long reorder_delay
    cdef public unsigned long long duplicate
    cdef public unsigned long long corrupt
    cdef public bint partitioned
    cdef public set severed
    cdef public int mtu
    cdef public bint offload
    # who looks on
    cdef public Trace trace
    cdef public Record record
    cdef int _own_piece
    cdef public object tap
    cdef public object tap_arrival
    cdef public object error
    # counters
    cdef readonly long long sent_packets
    cdef readonly long long sent_octets
    cdef readonly long long delivered_packets
    cdef readonly long long delivered_octets
    cdef readonly long long dropped_packets
    cdef readonly long long duplicated
    cdef readonly long long corrupted
    cdef readonly long long reordered
    cdef readonly long long[::1] drops
    # state
    cdef readonly Rng rng
    cdef Transit _ordered
    cdef Transit _late
    cdef Transit _backlog
    cdef long long _backlog_octets
    cdef PacketQueue _free
    cdef long long _sequence
    cdef long long _last_due
    cdef long long _free_at
    cdef long long _free_part
    cdef long long _unit_rate
    cdef int _unit_octets
    cdef long long _unit_ns
    cdef long long _unit_part

    cpdef void send(self, Packet p, long long now) noexcept
    cpdef long long next_time(self) noexcept
    cpdef Packet deliver(self, long long now)
    cpdef void clear(self) noexcept
    cdef bint _late_first(self) noexcept
    cpdef bint acts_per_packet(self) noexcept
    cdef void _send_pieces(self, Packet p, long long now) noexcept
    cdef int _one(self, Packet p, int piece, int octets, long long now) noexcept
    cdef bint _is_severed(self, Packet p) noexcept
    cdef void _late_one(
        self, Packet p, int piece, int octets, long long due, long long now, bint twice
    ) noexcept
    cdef long long _transmit(self, int octets, long long now) noexcept
    cdef bint _lost(self) noexcept
    cdef Packet _damaged(self, Packet p, int piece)
    cdef Packet _cut(self, Packet p, int piece)
    cdef Packet _copy(self, Packet p)
    cdef void _drop(self, Packet p, int piece, int reason, long long now) noexcept
    cdef void _fate(self, long long word) noexcept
    cdef void _tell(self, object hook, long long time, Packet p, int reason) noexcept
