from pystack._fast.chain cimport FreeList
from pystack._fast.ipfw_dyn cimport DynTable
from pystack._fast.ipfw_pattern cimport Patterns
from pystack._fast.ipfw_skip cimport SkipIndex
from pystack._fast.packet cimport Packet

cdef int IPFW_12, PROTO_ICMP, PROTO_TCP, PROTO_UDP
cdef unsigned int F_NOT, F_OR, IPFW_STACK, O_ACCEPT, O_ALTQ, O_CALLRETURN, O_CHECK_STATE, O_COUNT, O_DENY, O_DIVERT
cdef unsigned int O_IP_DST, O_IP_DST_MASK, O_IP_SRC, O_IP_SRC_MASK, O_PROTO
cdef unsigned int _FROM_NET, _TO_NET, _FROM_ONE, _TO_ONE, _IS_PROTO
cdef unsigned int O_FORWARD_IP, O_KEEP_STATE, O_LIMIT, O_LOG, O_NAT, O_NETGRAPH, O_NGTEE, O_PIPE, O_PROB
cdef unsigned int O_PROBE_STATE, O_QUEUE, O_REASS, O_REJECT, O_SET_MSS, O_SETDSCP, O_SETFIB, O_SKIP_ACTION, O_SKIPTO
cdef unsigned int O_TAG, O_TEE, V_DENY, V_DIVERT, V_DUMMYNET, V_NAT, V_NETGRAPH, V_NGTEE
cdef unsigned int V_PASS, V_REASS, V_TEE, _EVERYBODY
cdef int _NEXT, _MATCH, _DONE, _JUMP, _FIRST_RULES
cdef unsigned char[::1] _IS_CONTROL


cdef class Rules(Patterns):
    cdef readonly DynTable states
    cdef public unsigned int uptime
    cdef public bint stale
    cdef readonly FreeList free
    cdef public unsigned long long[::1] packets, octets, log_left
    cdef public unsigned int[::1] stamp, number
    cdef public int[::1] pos_of
    cdef unsigned int[::1] stack, walked
    cdef unsigned char[::1] off
    cdef readonly int[::1] row, start, act, end
    cdef readonly int n
    cdef readonly SkipIndex skip
    cdef bint searched
    cdef int depth, stop, found, way, verdict
    cdef readonly int pos
    cdef unsigned int ports, name
    cdef readonly unsigned int arg, fwd_addr, fwd_port

    cpdef int take_row(self, unsigned int number) except -1
    cpdef int zero(self, int row) except -1
    cdef void _count(self, int position, Packet p) noexcept
    cpdef int check(self, Packet p, int iface_in, int iface_out, int position) except -1
    cdef int _pass_over(self, Packet p) noexcept
    cdef int _control(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef int _action(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef int _decided(self, int verdict, unsigned int arg) noexcept
    cdef int _jump(self, int number) except -1
    cdef int _call(self, Packet p, unsigned int head) except -1
    cdef bint _look(self, Packet p, unsigned int name) except -1
    cdef int _install(self, Packet p, unsigned int op, unsigned int arg) except -1


cdef bint _may_answer(Packet p) noexcept
