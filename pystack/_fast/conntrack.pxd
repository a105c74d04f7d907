from pystack._fast.config cimport Config
from pystack._fast.ct_table cimport ConnTable
from pystack._fast.packet cimport Packet
from pystack._fast.rng cimport Rng
from pystack._fast.tcp_track cimport TcpTracker
from pystack._fast.udp_icmp cimport Quote

cdef int CLASH, CT_ACCEPT, CT_DROP, CT_EVICT_BUCKETS, CT_EVICT_CHAIN, CT_EVICT_NODES, CT_INVALID, CT_REPEAT
cdef int CTS_ESTABLISHED, CTS_INVALID, CTS_NEW, CTS_RELATED, H_STATUS, IPS_ASSURED, IPS_CONFIRMED, IPS_DYING
cdef int IPS_EXPECTED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY, O_STATE, PROTO_ICMP, PROTO_TCP, PROTO_UDP
cdef int PROTO_GRE, PROTO_UDPLITE, TCPCT_CLOSE, TCPCT_FIN_WAIT, W_EXPIRES, W_LAST_SEQ, W_MARK, IPS_DST_NAT, IPS_SRC_NAT
cdef int EVENT_NEW, EVENT_UPDATE, EVENT_DESTROY, _GC_MIN, _GC_MAX, _GC_CLAMP, _GC_COUNT, _GC_EXPIRED
cdef int _EARLY_DROP_RANGE
cdef long long JIFFY
cdef unsigned long long UNCOUNTED


cdef class Conntrack(ConnTable):
    cdef Config cfg
    cdef Rng rng
    cdef readonly TcpTracker tcp
    cdef Quote quote
    cdef public object listener
    cdef public bint refused
    cdef public long long found, invalid, inserted, insert_failed, drop, early_drop, error, clash_resolve
    cdef public long long chaintoolong, last_failure, now, gc_next
    cdef public int high_water
    cdef readonly int udp, udp_stream, udp_age, icmp, generic, gre, gre_stream
    cdef int _length
    cdef int[::1] _ahead
    cdef public bint gc_wanted
    cdef unsigned int gc_bucket, gc_start
    cdef int gc_mean, gc_count
    cdef readonly unsigned long long[::1] packets, octets
    cdef readonly long long[::1] since
    cpdef int settle(self, long long now) except -1
    cpdef int set_mark(self, int row, unsigned int value, unsigned int mask) except -1
    cdef int tell(self, int event, int row) except -1
    cpdef int kill(self, int row) except -1
    cpdef void refresh(self, int row, int timeout) noexcept
    cpdef int conntrack_in(self, Packet p, long long now) except? -1
    cdef int _reject(self, Packet p) except? -1
    cdef int _wrong(self, Packet p) except? -1
    cdef unsigned long long ports_of(self, Packet p) noexcept
    cpdef unsigned long long turned(self, unsigned long long ports) noexcept
    cpdef void foresee(self, Packet p) noexcept
    cpdef unsigned long long fetch(self, const unsigned int[::1] hashes, int n) noexcept
    cdef int _look_up(self, Packet p) except? -1
    cdef int _begin(self, Packet p, unsigned long long addrs, unsigned long long ports, unsigned int h) except? -1
    cdef int _track(self, Packet p) except? -1
    cdef void _assure(self, int row) noexcept
    cdef int _datagram(self, int row, int short, int stream) noexcept
    cdef int _account(self, int row, Packet p) except -1
    cdef int icmp_error(self, Packet p) except? -1
    cdef unsigned long long _quoted_ping(self, Packet p) noexcept
    cpdef int confirm(self, Packet p, long long now) except? -1
    cdef int _clash(self, int row, Packet p) except? -1
    cpdef int forget(self, Packet p) except -1
    cpdef int close(self, Packet p) except -1
    cdef bint _make_room(self, unsigned int h) except -1
    cdef int _empty_bucket(self, unsigned int bucket) except -1
    cdef int _oldest(self, unsigned int bucket) noexcept
    cpdef int gc(self, long long now) except -1
    cdef int _sweep(self, unsigned int bucket, bint early) except -1
    cdef bint _closing(self, int row) noexcept
