from pystack._fast.ct_extend cimport ConnExtend
from pystack._fast.ip4 cimport is_checksum_fault
from pystack._fast.packet cimport Packet
from pystack._fast.tcp_track cimport TcpTracker
from pystack._fast.udp_icmp cimport Quote

cdef int CLASH, CT_ACCEPT, CT_DROP, CT_INVALID, CT_REPEAT, CTS_ESTABLISHED, CTS_INVALID, CTS_NEW, CTS_RELATED
cdef int EVENT_DESTROY, EVENT_NEW, EVENT_UPDATE, H_STATUS, INV_FLAGS, INV_ICMP, IPS_ASSURED, IPS_CONFIRMED
cdef int IPS_DYING
cdef int IPS_EXPECTED, IPS_SEEN_REPLY, O_STATE, PROTO_GRE, PROTO_ICMP, PROTO_TCP
cdef int PROTO_UDP, PROTO_UDPLITE, TCPCT_CLOSE, W_LAST_SEQ, W_MARK, ZONE_ORIGINAL
cdef int CT_MASKED, IPCT_ASSURED, IPCT_DESTROY, IPCT_MARK, IPCT_NEW, IPCT_PROTOINFO, IPCT_REPLY
cdef long long JIFFY


cdef class Conntrack(ConnExtend):
    cdef readonly TcpTracker tcp
    cdef Quote quote
    cdef public object listener, complain
    cdef public bint refused, moved
    cdef dict late
    cdef public long long found, invalid, inserted, insert_failed, drop, error, clash_resolve
    cdef public long long chaintoolong, ignored, last_failure
    cdef public int high_water
    cdef readonly int udp, udp_stream, udp_age, icmp, generic, gre, gre_stream
    cpdef int note(self, int row, int told) except -1
    cpdef int settle(self, long long now) except -1
    cpdef int set_mark(self, int row, unsigned int value, unsigned int mask) except -1
    cdef int tell(self, int event, int row, int told) except -1
    cdef int _news(self, int row) noexcept
    cpdef int conntrack_in(self, Packet p, long long now) except? -1
    cdef bint _faulty(self, Packet p) noexcept
    cdef int _say(self, Packet p, int reason, unsigned int number) except -1
    cdef int _reject(self, Packet p) except? -1
    cdef int _wrong(self, Packet p) except? -1
    cdef unsigned long long ports_of(self, Packet p) noexcept
    cdef unsigned long long _call_of(self, Packet p) noexcept
    cpdef unsigned long long turned(self, unsigned long long ports) noexcept
    cdef int _node_of(self, Packet p, unsigned long long addrs, unsigned long long ports, unsigned int h) except -1
    cpdef void foresee(self, Packet p) noexcept
    cdef int _look_up(self, Packet p) except? -1
    cdef int _begin(self, Packet p, unsigned long long addrs, unsigned long long ports, unsigned int h) except? -1
    cdef int _track(self, Packet p) except? -1
    cdef void _assure(self, int row) noexcept
    cdef int _datagram(self, int row, int short, int stream) noexcept
    cdef int icmp_error(self, Packet p) except? -1
    cdef unsigned long long _quoted_ping(self, Packet p) noexcept
    cpdef int confirm(self, Packet p, long long now) except? -1
    cdef int _clash(self, int row, Packet p) except? -1
    cpdef int forget(self, Packet p) except -1
    cpdef int close(self, Packet p) except -1
