from pystack._fast.chain cimport FreeList
from pystack._fast.nf_hook cimport HookState
from pystack._fast.nf_match cimport Match
from pystack._fast.nf_rate cimport KeyTable

cdef int H_STATUS, IPS_ASSURED, IPS_CONFIRMED, O_STATE, PROTO_TCP, TCPCT_CLOSE, TCPCT_TIME_WAIT
cdef int _GC_MOST


cdef class ConnLimit(Match):
    cdef public unsigned int limit, mask
    cdef public bint by_dst, above
    cdef readonly KeyTable lists
    cdef readonly int capacity
    cdef readonly FreeList free
    cdef readonly unsigned long long[::1] addrs, ports
    cdef readonly int[::1] after, head, tail, count
    cdef readonly unsigned int[::1] cleaned
    cdef int _grow_lists(self) except -1
    cdef int _grow(self) except -1
    cdef bint clean(self, int key, unsigned long long addrs, unsigned long long ports, HookState state) except -1
    cdef int put(self, int key, unsigned long long addrs, unsigned long long ports) except -1
