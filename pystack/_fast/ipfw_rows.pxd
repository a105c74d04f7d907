from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.config cimport Config
from pystack._fast.hashing cimport jenkins_hash32

cdef int IPFW_8, IPFW_12, O_LIMIT, O_LIMIT_PARENT
cdef int W_SRC, W_DST, W_PORTS, W_KIND, W_HASH, W_FLAGS, W_EXPIRE, W_ACK_FWD, W_ACK_REV, W_RULE, W_PARENT, W_COUNT
cdef int Q_PACKETS, Q_OCTETS, _FIRST_ROWS, _FIRST_BUCKETS, _MANY


cdef class DynRows:
    cdef Config cfg
    cdef readonly int era
    cdef unsigned int seed
    cdef public unsigned int uptime
    cdef readonly long long count, parent_count, high_water, failures, failed_at
    cdef readonly long long parents_high, parent_failures, parent_failed_at
    cdef int dead
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
    cpdef int spread(self, long long buckets) except -1
    cpdef list rows(self)
    cpdef tuple entry(self, int row)
    cpdef int rule_of(self, int row) noexcept
