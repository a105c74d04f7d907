from pystack._fast.ip4 cimport split_count
from pystack._fast.nf_hook cimport HookState
from pystack._fast.nf_match cimport Match
from pystack._fast.nf_target cimport Target
from pystack._fast.packet cimport Packet

cdef int FORWARD, LOCAL_IN, LOCAL_OUT, NF_ACCEPT, NF_DROP, POSTROUTING, PREROUTING
cdef int CONTINUE, GOTO, JUMP, RETURN, STACK, _FACES, _NO_FACE, _LO, _UNKNOWN, _FITS, _FITS_NOT


cdef class Face:
    cdef readonly str name
    cdef readonly object prefix
    cdef readonly bint inverted
    cdef unsigned char[::1] known
    cdef int fits_name(self, str name) except -1
    cdef bint fits(self, int number, bint here, HookState state) except -1


cdef class Rule:
    cdef public object text
    cdef public Rule next
    cdef public unsigned int src, src_mask, dst, dst_mask
    cdef public bint src_not, dst_not, proto_not
    cdef public int proto, fragment
    cdef public Face face_in, face_out
    cdef public Match first
    cdef public Target target
    cdef public RuleChain chain
    cdef public long long packets, octets
    cdef bint fits(self, Packet p, HookState state) except -1


cdef class RuleChain:
    cdef public str name
    cdef public int policy
    cdef public list rules
    cdef public Rule first
    cdef public long long packets, octets


cdef class Table:
    cdef readonly str name
    cdef public dict chains
    cdef readonly RuleChain pre, local, forward, out, post
    cdef list stack
    cpdef RuleChain at(self, int hook)
    cpdef int run(self, int hook, Packet p, HookState state) except -1
