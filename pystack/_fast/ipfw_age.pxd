from pystack._fast.chain cimport Chain
from pystack._fast.ipfw_ground cimport Talk
from pystack._fast.ipfw_rows cimport DynRows

cdef int IPFW_8, IPFW_12, PROTO_TCP, O_KEEP_STATE, O_LIMIT_PARENT
cdef int W_DST, W_PORTS, W_KIND, W_FLAGS, W_ACK_FWD, W_ACK_REV, W_RULE, W_COUNT
cdef unsigned int DYN_ACK_FWD, DYN_ACK_REV, DYN_BOTH_SYN, DYN_ORPHANED
cdef int _MOST_BUCKETS, _INTERVAL, _PERIOD


cdef class DynAging(DynRows):
    cdef Talk talk
    cdef readonly int longest
    cdef public long long last_sweep, last_round
    cdef public int last_rule

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
