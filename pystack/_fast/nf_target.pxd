from pystack._fast.nf_hook cimport HookState, NatRange
from pystack._fast.packet cimport Packet
from pystack._fast.wirebytes cimport be16, put16

cdef int CT_TEMPLATE, CTS_UNTRACKED, IPCT_MARK, H_STATUS, IPS_CONFIRMED, PROTO_TCP, W_MARK
cdef int LOCAL_IN, LOCAL_OUT, NF_ACCEPT, NF_DROP, POSTROUTING, CONTINUE, RETURN, JUMP, GOTO
cdef int MARK_SET, MARK_RESTORE, TTL_INC, TTL_DEC, _HEADERS, _MSS_DEFAULT, _MSS_OPTION
cdef unsigned int _LOOPBACK

cpdef void fix_checksum(Packet p, int at, int old, int new) noexcept
cpdef void put_word(Packet p, int at, int value) noexcept
cpdef void put_tcp_word(Packet p, int at, int value) noexcept
cpdef void put_tos(Packet p, int tos) noexcept


cdef class Target:
    cdef public int verdict
    cpdef int apply(self, Packet p, HookState state) except? -9


cdef class Reject(Target):
    cdef public int kind


cdef class Log(Target):
    cdef public object prefix
    cdef public int level, flags


cdef class NatTarget(Target):
    cdef public NatRange wanted
    cdef public bint source


cdef class Masquerade(Target):
    cdef public NatRange wanted


cdef class Redirect(Target):
    cdef public NatRange wanted


cdef class Netmap(Target):
    cdef public NatRange wanted


cdef class NoTrack(Target):
    pass


cdef class Template(Target):
    cdef public int zone, only, events


cdef class Mark(Target):
    cdef public unsigned int mark, mask


cdef class ConnMark(Target):
    cdef public int action, shift
    cdef public unsigned int mark, flow_mask, packet_mask
    cdef unsigned int shifted(self, unsigned int mark) noexcept


cdef class SetTos(Target):
    cdef public int value, mask


cdef class SetTtl(Target):
    cdef public int how, value


cdef class TcpMss(Target):
    cdef public int mss
    cdef void lower(self, Packet p, int at, int mss) noexcept
    cdef void insert(self, Packet p, int mss) noexcept
