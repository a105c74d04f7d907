from pystack._fast cimport ecn
from pystack._fast.host_memory cimport proven
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add
from pystack._fast.syncache cimport SynCache
from pystack._fast.syncookies cimport Cookies
from pystack._fast.source_routes cimport forget, lay
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport drop
from pystack._fast.tcp_build cimport blank, our_mss, stamp, transmit
from pystack._fast.tcp_window cimport syn_window
from pystack._fast.tfo cimport FastOpen

cdef int ACK, BACKLOG_AND_ONE, COOKIES_LINUX, COOKIE_ROOM, CWR, ECE, ETIMEDOUT, FO_LISTEN
cdef int FO_NO_COOKIE, HALF_OPEN_REQUEST, LISTEN, SC_ACE, SC_ACKED, SC_COOKIE, SC_COOKIE_EXP, SC_ECN
cdef int SC_SACK, SC_SCALE, SC_TS, SC_UNREACH, SERVER, SERVER_NO_COOKIE, SYN
cdef int SO_NO_TCP_OPTIONS
cdef int TCP_BAD_SYN, TCP_LISTEN_OVERFLOW, TCP_SYN_LIMIT, TF_NO_SACK, TF_NO_SCALE, TF_NO_TS
cdef int TIMER_SYNCACHE, TS_ECN, TS_NO_SCALE, TS_SACK
cdef int LISTEN_OVERFLOW, OVERFLOW_LOG_LISTENER, SYNCACHE_PAUSE, SYN_FLOOD
cdef int SYNCACHE_AGAIN, SYNCACHE_DUPLICATE, SYNCACHE_STALE
cdef long long LONG_AGO, PAUSE, SECOND


cpdef int reflected(int tos, int ours) noexcept


cdef class Listener:
    cdef public SynCache cache
    cdef public Cookies cookies
    cdef public long long paused_until
    cdef public int pauses
    cdef public tuple last_syn
    cdef public long long overflows, overflow_told
    cdef bint queue_full(self, Stack s, Tcb t) noexcept
    cdef int on_syn(self, Stack s, Tcb t, Packet p) except -2
    cpdef int refuse(self, Stack s, Tcb t) except -1
    cpdef int overflowed(self, Stack s, Tcb t) except -1
    cdef int flooded(self, Stack s, Tcb t, bint cookies) except -1
    cdef int agree(self, Stack s, Tcb t, Packet p) except -1
    cdef int ecn_asked(self, Stack s, Packet p) noexcept
    cdef int new_row(self, Stack s, Tcb t, Packet p) except -1
    cdef int overflow(self, Stack s, int bucket, Packet p) except -1
    cdef int fill(self, Stack s, int row, Packet p, int flags) except -1
    cdef int answer_cookie(self, Stack s, Tcb t, Packet p, int flags) except -1
    cdef int fast_open(self, Stack s, Tcb t, Packet p) except -2
    cdef bint may_open(self, Stack s, Tcb t) except -1
    cdef Packet syn_ack(
        self, Stack s, Tcb t, unsigned int laddr, int lport, unsigned int faddr, int fport,
        unsigned int iss, unsigned int ack, int flags,
    )
    cdef int answer(self, Stack s, int row) except -1
    cdef int say_ack(self, Stack s, int row) except -1
    cdef int announced(self, Stack s, Tcb t, int row) except -1
    cdef int duplicate(self, Stack s, int row, Packet p) except -1
    cdef long long timeout(self, Stack s, int row) noexcept
    cdef int retries(self, Stack s, Tcb t) except -1
    cpdef int expire(self, Stack s, int row) except -1
    cdef int say_of_row(self, Stack s, int note, int row, int number) except -1
    cdef int forget_way(self, Stack s, int row) except -1
    cpdef int forget(self, Stack s, int row) except -1
    cdef int forget_of(self, Stack s, Tcb t) except -1
    cdef int unreachable(self, Stack s, int row, unsigned int seq, bint hard) except -1
