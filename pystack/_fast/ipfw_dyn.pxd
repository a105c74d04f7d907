from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.config cimport Config
from pystack._fast.hashing cimport jenkins_hash32
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport before_eq

cdef int IPFW_8, IPFW_12, PROTO_TCP, PROTO_UDP, SYN
cdef int LIMIT_DST_ADDR, LIMIT_DST_PORT, LIMIT_SRC_ADDR, LIMIT_SRC_PORT, O_KEEP_STATE, O_LIMIT, O_LIMIT_PARENT
cdef int W_SRC, W_DST, W_PORTS, W_KIND, W_HASH, W_FLAGS, W_EXPIRE, W_ACK_FWD, W_ACK_REV, W_RULE, W_PARENT, W_COUNT
cdef int Q_PACKETS, Q_OCTETS
cdef unsigned int ACK_FWD, ACK_REV, _ACK_BOTH, ORPHANED, BOTH_SYN, BOTH_FIN, _CLOSING_FWD, _CLOSING_REV
cdef int _KEPT, _FIRST_ROWS, _FIRST_BUCKETS, _MOST_BUCKETS, _INTERVAL, _PERIOD, _MANY, FORWARD, REVERSE


cdef class Talk:
    cpdef int say(self, str channel, str text) except -1
    cpdef int probe(
        self, unsigned int src, int sport, unsigned int dst, int dport, unsigned int seq, unsigned int ack,
    ) except -1
    cpdef int rule_number(self, int rule) except -1


cdef class DynTable:
    cdef Config cfg
    cdef Talk talk
    cdef readonly int era
    cdef unsigned int seed
    cdef public unsigned int uptime
    cdef readonly int way
    cdef readonly long long count, parent_count, high_water, failures, failed_at
    cdef readonly long long parents_high, parent_failures, parent_failed_at
    cdef readonly int longest
    cdef public long long last_log, last_sweep, last_round
    cdef int dead
    cdef public int last_rule
    cdef readonly int capacity
    cdef readonly FreeList free
    cdef readonly Chain chain, parents
    cdef readonly unsigned int[::1] word
    cdef readonly unsigned long long[::1] quad

    cpdef unsigned int hash_of(self, unsigned int src, unsigned int dst, unsigned int ports) noexcept
    cdef bint _over(self, int row) noexcept
    cpdef unsigned int left(self, int row) noexcept
    cdef void _live(self, int row, long long seconds) noexcept
    cdef int _add(
        self, unsigned int src, unsigned int dst, unsigned int ports, unsigned int kind, unsigned int name,
        unsigned int h, int rule,
    ) except -1
    cdef bint _admits(self, bint parent) noexcept
    cdef int _unlink(self, int row) except -1
    cdef int _bury(self) except -1
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
    cpdef int tick(self, long long uptime) except -1
    cpdef bint busy(self) noexcept
    cpdef int resume(self, long long uptime) except -1
    cdef int _expire(self, int rule, bint probing) except -1
    cdef bint _goes(self, int row, int rule) noexcept
    cdef int _childless(self, int rule) except -1
    cpdef int forget_rule(self, int rule) except -1
    cpdef int drop_rule(self, int rule) except -1
    cpdef int sweep(self) except -1
    cpdef int sweep_rule(self, int rule, bint whole=*) except -1
    cdef int _sweep(self, int rule, bint whole) except -1
    cdef int _pass(self, Chain chain, int rule, bint whole, bint parents) except -1
    cdef bint _near(self, int row) noexcept
    cdef int _probe(self, int row) except -1
    cdef int _probe_all(self) except -1
    cdef int _grow(self, long long before) except -1
    cdef int _fit(self) except -1
    cpdef int spread(self, long long buckets) except -1
    cpdef list rows(self)
    cpdef tuple entry(self, int row)
    cpdef int rule_of(self, int row) noexcept
