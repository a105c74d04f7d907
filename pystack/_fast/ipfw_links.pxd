from pystack._fast.chain cimport Chain, FreeList
from pystack._fast.rng cimport Rng

cdef int FIN, PROTO_ICMP, PROTO_TCP, PROTO_UDP, RST, SYN
cdef int SPOKES, CLEANING, TRIES, PORT_BASE, PORT_COUNT, LINKS_MAX, LINK_FRAGMENT, LINK_ADDR, DRAWN
cdef unsigned int LINK_BUCKETS
cdef int L_PERMANENT, L_ANY_ADDR, L_ANY_PORT, L_SERVERS, _PARTIAL, _CLOSED, _OPEN, _OVER
cdef int _SYN_LIFE, _OPEN_LIFE, _HALF_LIFE, _DEAD_LIFE, _FRAGMENT_LIFE, _LIFE
cdef unsigned int _U32


cdef class Links:
    cdef Rng rng
    cdef public unsigned int address
    cdef public bint same_ports, create_in
    cdef public int port_base, port_count
    cdef readonly long long now, cleaned, failures
    cdef unsigned int spoke
    cdef readonly dict servers
    cdef readonly FreeList free
    cdef readonly Chain by_out, by_in
    cdef public unsigned int[::1] src, dst, alias
    cdef public int[::1] sport, dport, aport, kind, life
    cdef public long long[::1] stamp
    cdef public unsigned char[::1] flags, seen_in, seen_out
    cdef unsigned int _in_bucket(self, int row) noexcept
    cdef unsigned int _out_bucket(self, int row) noexcept
    cpdef int add(
        self, unsigned int src, unsigned int dst, unsigned int alias, int sport, int dport, int aport, int kind,
    ) except -1
    cdef int _grow(self) except -1
    cdef int _new_port(self, int row) except? -1
    cdef int _random_port(self) noexcept
    cpdef int remove(self, int row) except -1
    cpdef int clean(self, long long now) except -1
    cdef int _clean_bucket(self) except -1
    cpdef int find_in(
        self, unsigned int dst, unsigned int alias, int dport, int aport, int kind, bint replace,
    ) except -1
    cdef int _find_in(
        self, unsigned int dst, unsigned int alias, int dport, int aport, int kind, bint replace,
    ) except -1
    cpdef int find_out(
        self, unsigned int src, unsigned int dst, int sport, int dport, int kind, bint replace,
    ) except -1
    cdef int _find_out(
        self, unsigned int src, unsigned int dst, int sport, int dport, int kind, bint replace,
    ) except -1
    cdef int _relink(
        self, int row, unsigned int src, unsigned int dst, unsigned int alias,
        int sport, int dport, int aport, int kind,
    ) except -1
    cpdef unsigned int inside(self, int row) noexcept
    cpdef unsigned int outside(self, int row) noexcept
    cpdef unsigned int inside_of(self, unsigned int alias) except? 0
    cpdef unsigned int outside_of(self, unsigned int src) except? 0
    cpdef void saw_in(self, int row, int flags) noexcept
    cpdef void saw_out(self, int row, int flags) noexcept
    cdef void _ended(self, int row, bint came_in) noexcept


cpdef unsigned int in_bucket(unsigned int alias, int aport, int kind) noexcept
cpdef unsigned int out_bucket(unsigned int src, unsigned int dst, int sport, int dport, int kind) noexcept
