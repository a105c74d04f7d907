from pystack._fast.hashing cimport sip3
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before, between, sub
from pystack._fast.syncache cimport SynCache
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport drop
from pystack._fast.tcp_out cimport blank, our_mss, stamp, transmit
from pystack._fast.tcp_reply cimport reset_for
from pystack._fast.tcp_window cimport first_window, syn_window

cdef int ACK, CWR, ECE, LISTEN, LISTEN_LINUX, RST, SC_ECN, SC_SACK, SC_SCALE, SC_TS
cdef int SS_BOUND, SS_NOFDREF, SYN, SYN_RECEIVED, TCP_BAD_ACK, TCP_BAD_RST, TCP_LISTEN_OVERFLOW
cdef int TCP_LISTEN_STATE, TCP_SYN_LIMIT, TF_ECN, TF_NODELAY, TF_NOPUSH, TF_NO_SACK, TF_NO_SCALE
cdef int TF_NO_TS, TF_PASSIVE, TF_RCVD_SCALE, TF_RCVD_TS, TF_RCV_AUTO_OFF, TF_SACK_PERMIT
cdef int TF_SND_AUTO_OFF, TIMER_SYNCACHE
cdef long long SECOND
cdef unsigned int _U32


cdef class Listener:
    cdef public SynCache cache
    cdef unsigned long long k0, k1
    cdef int on_syn(self, Stack s, Tcb t, Packet p) except -1
    cdef Tcb on_ack(self, Stack s, Tcb t, Packet p)
    cdef int on_rst(self, Stack s, Tcb t, Packet p) except -1
    cdef int answer(self, Stack s, int row) except -1
    cdef int announced(self, Stack s, Tcb t, int row) except -1
    cdef int forget(self, Stack s, int row) except -1
    cdef int challenge(self, Stack s, Tcb t, int row) except -1
    cdef int send_syn_ack(
        self, Stack s, unsigned int laddr, int lport, unsigned int faddr, int fport,
        unsigned int iss, unsigned int irs, Tcb t, bint ts, unsigned int ts_recent,
        unsigned int ts_offset, bint scale, bint sack, bint ecn,
    ) except -1
    cdef Tcb child(
        self, Stack s, Tcb t, Packet p, unsigned int iss, unsigned int irs, int mss, int win,
        int peer_scale, int flags, unsigned int ts_recent, unsigned int ts_offset,
    )
    cdef unsigned int cookie(self, Stack s, Packet p, int flags, long long slot) noexcept
    cdef int encode(self, Packet p) noexcept
    cdef bint queue_full(self, Stack s, Tcb t) noexcept
    cpdef int expire(self, Stack s, int row) except -1
    cdef int forget_of(self, Stack s, Tcb t) except -1
