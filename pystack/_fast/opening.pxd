from pystack._fast cimport mtu_probe
from pystack._fast.internet cimport Internet
from pystack._fast.ports cimport choose_port, tuple_free
from pystack._fast.seq cimport add
from pystack._fast.source_routes cimport adopt, towards
from pystack._fast.tcb cimport ListenBooks, Tcb
from pystack._fast.tcp_close cimport abort_queue, drop, remove_timewait
from pystack._fast.tcp_handshake cimport set_mss
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_window cimport offered_scale
from pystack._fast.tfo_calls cimport fast_open

cdef int CALLS_LINUX, CLOSED, CONNECT_PORT_LINUX, EACCES, EADDRINUSE, EADDRNOTAVAIL
cdef int EAFNOSUPPORT, EALREADY, ECONNABORTED, ECONNREFUSED, ECONNRESET, EINPROGRESS, EINVAL
cdef int EISCONN, ENETUNREACH, ENOBUFS, EOPNOTSUPP, ESTABLISHED, EV_ACCEPT, EV_CONNECT
cdef int EV_HANGUP, EV_READ, EV_WRITE, FO_CONNECT, FO_DATA, FO_LISTEN, FO_NO_COOKIE, FO_SOCKET
cdef int FO_WAIT, LISTEN, SERVER, SERVER_ALL, SO_NO_TCP_OPTIONS, SO_PORT_LOW
cdef int SO_REUSEADDR, SO_REUSEPORT, SS_ASKED, SS_BOUND
cdef int SS_CONNECTED, SS_CONNECTING, SS_DISCONNECTED, SS_INQUEUE, SS_NOFDREF
cdef int SS_PORT_CHOSEN, SS_UNCONNECTED, SYN_RECEIVED, SYN_SENT, TF_NODELAY, TF_NOPUSH
cdef int TF_NO_SACK, TF_NO_SCALE, TF_NO_TS, TF_RCV_AUTO_OFF, TF_SND_AUTO_OFF
cdef long long MS, NEVER

cpdef int take_error(Tcb t) noexcept
cdef int prepare(Internet s, Tcb t) except -1
cdef bint bind_conflict(Internet s, Tcb t, unsigned int addr, int port) except -1
cpdef int tcp_bind(Internet s, Tcb t, unsigned int addr, int port) except -1000
cpdef int tcp_listen(Internet s, Tcb t, int backlog) except -1000
cpdef Tcb tcp_accept(Internet s, Tcb t)
cpdef int tcp_connect(Internet s, Tcb t, unsigned int addr, int port) except -1000
cdef int asked_before(Internet s, Tcb t) except -1000
cdef int choose_ends(Internet s, Tcb t, unsigned int addr, int port) except -1000
cdef int begin_numbers(Internet s, Tcb t) except -1
cdef int revive(Internet s, Tcb t) except -2
cpdef int tcp_disconnect(Internet s, Tcb t) except -1000
cpdef int stop_listening(Internet s, Tcb t) except -1
