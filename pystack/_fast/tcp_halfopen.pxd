from pystack._fast cimport ecn
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before, between, dist, sub
from pystack._fast.source_routes cimport forget, learn
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_listen cimport Listener, reflected
from pystack._fast.tcp_build cimport our_mss
from pystack._fast.tcp_reply cimport reset_for
from pystack._fast.tcp_window cimport first_window

cdef int BANDLIM_RST_OPEN, SOCKET_LIMIT
cdef int COOKIE_FAILED, SOCKET_FAILED, SPURIOUS_ACK, SYNCACHE_REFUSED
cdef int SOURCE_ROUTES_LINUX, SO_ROUTED
cdef int ACK, COOKIES_LINUX, FIN, FO_QUEUED, FO_TAKEN, HALF_OPEN_REQUEST, HALF_OPEN_SYNCACHE, RST
cdef int SC_ACE, SC_ACKED, SC_ECN, SC_SACK, SC_SCALE, SC_TS, SS_BOUND, SS_NOFDREF, SYN, SYN_RECEIVED
cdef int TCP_BAD_ACK, TCP_BAD_RST, TCP_BAD_SYN, TCP_FROM_SELF, TCP_LISTEN_OVERFLOW
cdef int TCP_LISTEN_STATE, TCP_NO_ACK, TCP_NO_TIMESTAMP, TCP_PAWS, TCP_SYNFIN, TCP_WINDOW
cdef int TF_NODELAY, TF_NOPUSH, TF_PASSIVE, TF_RCVD_SCALE, TF_RCVD_TS, TF_RCV_AUTO_OFF
cdef int TF_SACK_PERMIT, TF_SND_AUTO_OFF, TS_ECN, TS_NO_SCALE, TS_SACK
cdef long long COOKIE_LIFE, LINUX_COOKIE_LIFE, SECOND
cdef tuple COOKIE_MSS, COOKIE_SCALE

cdef long long PAWS_MSL

cpdef Tcb listen_segment(Listener listeners, Stack s, Tcb t, Packet p)
cdef Tcb new_syn(Listener listeners, Stack s, Tcb t, Packet p)
cdef Tcb request_segment(Listener listeners, Stack s, Tcb t, Packet p, int row)
cdef Tcb syncache_segment(Listener listeners, Stack s, Tcb t, Packet p, int row)
cdef int syncache_reset(Listener listeners, Stack s, Tcb t, Packet p, int row) except -1
cdef Tcb syncache_expand(Listener listeners, Stack s, Tcb t, Packet p, int row)
cdef Tcb from_cookie(Listener listeners, Stack s, Tcb t, Packet p)
cdef bint no_room(Listener listeners, Stack s, Tcb t, Packet p, int row) except -1
cdef Tcb complete(Listener listeners, Stack s, Tcb t, Packet p, int row)
cdef Tcb completed(Stack s, Tcb child, Packet p)
cdef Tcb child_of(
    Stack s, Tcb t, Packet p, unsigned int iss, unsigned int irs, int mss, int win,
    int peer_scale, int flags, unsigned int ts_recent, unsigned int ts_offset,
)
cdef Tcb routed_segment(Listener listeners, Stack s, Tcb t, Packet p, int row)
cdef Tcb segment_of(Listener listeners, Stack s, Tcb t, Packet p, int row)
cdef Tcb fast_child(Listener listeners, Stack s, Tcb t, Packet p)
cpdef int fast_established(Listener listeners, Stack s, Tcb t) except -1
cpdef bint older_clock(Stack s, Packet p) except -1
