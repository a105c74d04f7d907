from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.hashing cimport jenkins_hash32, jhash_3words, sip2, swab16, swab32

cdef int CLASH, CT_HASH_JHASH2, CT_HASH_JHASH3, CT_HASH_SIP, H_STATUS, IPS_DYING, IPS_SRC_NAT_DONE, TOO_LONG, W_EXPIRES
cdef unsigned int[::1] _words


cdef class ConnTable:
    cdef readonly int kind, capacity
    cdef public unsigned int jiffies
    cdef unsigned long long key0, key1
    cdef readonly FreeList free
    cdef readonly Chain chain, sources
    cdef public list rules
    cdef readonly long long searched, hits, begun, linked, unlinked, ended
    cdef readonly unsigned long long[::1] keys
    cdef readonly unsigned int[::1] hashes, serial, word
    cdef readonly unsigned short[::1] half
    cdef readonly unsigned char[::1] octet
    cdef unsigned int next_serial
    cdef int[::1] _ahead
    cpdef unsigned int hash_of(self, unsigned long long addrs, unsigned long long ports) noexcept
    cpdef unsigned int bucket_of(self, unsigned int h) noexcept
    cpdef void set_key(self, int node, unsigned long long addrs, unsigned long long ports, unsigned int h) noexcept
    cpdef int take(self) except -1
    cpdef bint expired(self, int row) noexcept
    cpdef int left(self, int row) noexcept
    cpdef int removed(self, int row) except -1
    cpdef int detach(self, int row) except -1
    cpdef int release(self, int row) except -1
    cpdef int unlink(self, int row) except -1
    cpdef int own(self, int row, object rule) except -1
    cdef int reap(self, int node) except -1
    cdef unsigned int source_hash(self, int node) noexcept
    cdef unsigned int _source_bucket(self, int row) noexcept
    cpdef int link_source(self, int row) except -1
    cpdef int first_of_source(self, int row) except -1
    cpdef int find(self, unsigned long long addrs, unsigned long long ports, unsigned int h) except -1
    cpdef unsigned long long fetch(self, const unsigned int[::1] hashes, int n) noexcept
    cdef int _room(self, int node, int limit) noexcept
    cpdef int insert(self, int row, int limit) except -1
