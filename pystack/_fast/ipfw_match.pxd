from pystack._fast.chain cimport FreeList
from pystack._fast.config cimport Config
from pystack._fast.ipfw_dyn cimport DynTable, Talk
from pystack._fast.ipfw_skip cimport SkipIndex
from pystack._fast.ipfw_table cimport Table
from pystack._fast.packet cimport Packet
from pystack._fast.rng cimport Rng

cdef int IPFW_12, PROTO_ICMP, PROTO_TCP, PROTO_UDP, RST, SYN
cdef unsigned int F_NOT, F_OR, IPFW_STACK, O_ACCEPT, O_ALTQ, O_ANTISPOOF, O_CALLRETURN, O_CHECK_STATE, O_COUNT, O_DENY
cdef unsigned int O_DIVERT, O_DSCP, O_ESTAB, O_FIB, O_FORWARD_IP, O_FRAG, O_ICMPTYPE, O_IN, O_IP4, O_IP_DST
cdef unsigned int O_IP_DST_LOOKUP, O_IP_DST_MASK, O_IP_DST_ME, O_IP_DST_SET, O_IP_DSTPORT, O_IP_SRC, O_IP_SRC_LOOKUP
cdef unsigned int O_IP_SRC_MASK, O_IP_SRC_ME, O_IP_SRC_SET, O_IP_SRCPORT, O_IPID, O_IPLEN, O_IPOPT, O_IPPRECEDENCE
cdef unsigned int O_IPTOS, O_IPTTL, O_IPVER, O_KEEP_STATE, O_LIMIT, O_LOG, O_NAT, O_NETGRAPH, O_NGTEE, O_NOP, O_PIPE
cdef unsigned int O_PROB, O_PROBE_STATE, O_PROTO, O_QUEUE, O_REASS, O_RECV, O_REJECT, O_SET_MSS, O_SETDSCP, O_SETFIB
cdef unsigned int O_SKIP_ACTION, O_SKIPTO, O_TAG, O_TAGGED, O_TCPACK, O_TCPDATALEN, O_TCPFLAGS, O_TCPMSS, O_TCPOPTS
cdef unsigned int O_TCPSEQ, O_TCPWIN, O_TEE, O_VERREVPATH, O_VERSRCREACH, O_VIA, O_XMIT, TABLEARG, TABLEARG_OLD
cdef unsigned int V_DENY, V_DIVERT, V_DUMMYNET, V_NAT, V_NETGRAPH, V_NGTEE, V_PASS, V_REASS, V_TEE
cdef unsigned int _OPENING, _PROB_MASK, _EVERYBODY
cdef int _NEXT, _MATCH, _DONE, _JUMP, _FIRST_RULES
cdef unsigned char[::1] _IS_CONTROL, _IPOPTS, _TCPOPTS


cdef class Ground(Talk):
    cpdef int renew(self) except -1
    cpdef bint is_own(self, unsigned int address) except -1
    cpdef bint iface_fits(self, int iface, str pattern) except -1
    cpdef int way_to(self, unsigned int address) except -2
    cpdef bint is_near(self, unsigned int address) except -1
    cpdef int answer(self, Packet p, unsigned int code) except -1
    cpdef int log(self, Packet p, int position, bint out, unsigned int arg) except -1
    cpdef int warn(self, str text) except -1
    cpdef bint has_tag(self, Packet p, unsigned int low, unsigned int high) except -1
    cpdef int set_tag(self, Packet p, unsigned int tag, bint on) except -1
    cpdef int rewrite(self, Packet p, unsigned int op, unsigned int value) except -1


cdef class Rules:
    cdef readonly Config cfg
    cdef readonly Ground ground
    cdef readonly DynTable states
    cdef Rng rng
    cdef public unsigned int uptime
    cdef public dict tables
    cdef public unsigned int tablearg_is
    cdef public bint stale
    cdef readonly FreeList free
    cdef public unsigned long long[::1] packets, octets, log_left
    cdef public unsigned int[::1] stamp, number
    cdef public int[::1] pos_of
    cdef unsigned int[::1] stack, code, walked
    cdef unsigned char[::1] iface_known, off
    cdef readonly list patterns
    cdef readonly int[::1] row, start, act, end
    cdef readonly int n
    cdef readonly SkipIndex skip
    cdef bint out, searched
    cdef int iface_in, iface_out, depth, at, stop, found, way, verdict
    cdef readonly int pos
    cdef unsigned int ports, tablearg, name
    cdef readonly unsigned int arg, fwd_addr, fwd_port

    cpdef int take_row(self, unsigned int number) except -1
    cpdef int zero(self, int row) except -1
    cdef void _count(self, int position, Packet p) noexcept
    cpdef int check(self, Packet p, int iface_in, int iface_out, int position) except -1
    cdef int _control(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef int _action(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef int _decided(self, int verdict, unsigned int arg) noexcept
    cdef unsigned int _argument(self, unsigned int arg) noexcept
    cdef int _jump(self, int number) except -1
    cdef int _call(self, Packet p, unsigned int head) except -1
    cdef bint _look(self, Packet p, unsigned int name) except -1
    cdef int _install(self, Packet p, unsigned int op, unsigned int arg) except -1
    cdef bint _fits(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _address(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _lookup(self, Packet p, unsigned int address, unsigned int head) except -1
    cdef bint _in_ranges(self, unsigned int head, unsigned int value) except -1
    cdef bint _via(self, int iface, unsigned int head) except -1
    cdef bint _tcp(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _header(self, Packet p, unsigned int op, unsigned int head) except -1
    cdef bint _tagged(self, Packet p, unsigned int head) except -1


cdef bint _flags_fit(unsigned int wanted, unsigned int bits) noexcept
cdef bint _may_answer(Packet p) noexcept
cdef unsigned int _tcp_options(Packet p) noexcept
cdef int _ip_options(Packet p) noexcept
