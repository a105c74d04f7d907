from pystack._fast.hashing cimport jenkins_hash32
from pystack._fast.ipfw_age cimport DynAging
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport before_eq

cdef int IPFW_8, IPFW_12, PROTO_TCP, PROTO_UDP, SYN
cdef int LIMIT_DST_ADDR, LIMIT_DST_PORT, LIMIT_SRC_ADDR, LIMIT_SRC_PORT, O_KEEP_STATE, O_LIMIT, O_LIMIT_PARENT
cdef int W_DST, W_PORTS, W_KIND, W_FLAGS, W_ACK_FWD, W_ACK_REV, W_RULE, W_PARENT, W_COUNT
cdef int Q_PACKETS, Q_OCTETS, DYN_KEPT, DYN_FORWARD, DYN_REVERSE, DYN_MOST_CLOSING
cdef unsigned int DYN_ACK_FWD, DYN_ACK_REV, DYN_ACK_BOTH, DYN_BOTH_SYN, DYN_BOTH_FIN, DYN_CLOSING_FWD, DYN_CLOSING_REV


cdef class DynTable(DynAging):
    cdef readonly int way
    cdef public long long last_log

    cpdef int find(self, unsigned int src, unsigned int dst, unsigned int ports, int proto, int name) except -1
    cpdef int lookup(self, Packet p, unsigned int ports, int name) except -1
    cdef void update(self, int row, int proto, int flags, unsigned int ack, bint header) noexcept
    cdef void _acknowledged(self, int row, unsigned int ack) noexcept
    cpdef bint install(
        self, Packet p, unsigned int ports, int rule, int mask, unsigned int limit, int name) except -1
    cdef int _parent(self, Packet p, unsigned int ports, int rule, int mask, unsigned int limit, int name) except -1
    cdef unsigned int _parent_hash(self, unsigned int src, unsigned int dst, unsigned int ports, int rule) noexcept
    cdef int _find_parent(self, unsigned int src, unsigned int dst, unsigned int ports, int proto, int rule) except -1
    cdef int _complain(self, str channel, str text) except -1
    cdef int _full(self) except -1
    cdef int _no_parent(self) except -1
    cdef int _too_many(
        self, Packet p, unsigned int ports, int rule, unsigned int src, unsigned int dst, unsigned int masked,
    ) except -1
