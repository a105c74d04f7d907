from pystack._fast.internet cimport Internet
from pystack._fast.packet cimport Packet
from pystack._fast.ports cimport choose_port, tuple_free
from pystack._fast.reports cimport wrote
from pystack._fast.seq cimport add, dist
from pystack._fast.tcb cimport ListenBooks, Tcb
from pystack._fast.tcp_close cimport (
    abort_queue, application_close, application_shutdown_send, drop, remove_timewait,
)
from pystack._fast.tcp_handshake cimport set_mss
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_window cimport moderate, offered_scale, read_opens, worth_an_update
from pystack._fast.tfo cimport FastOpen, Remembered

cdef int SS_DONE
cdef int CLOSED, CONNECT_PORT_LINUX, EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN
cdef int EALREADY, ECONNABORTED, EINPROGRESS, EINVAL, EISCONN, ENETUNREACH, ENOBUFS, ENOTCONN
cdef int EOPNOTSUPP, EPIPE, ESTABLISHED, EV_READ, EV_WRITE, FIN_WAIT_1, FIN_WAIT_2, LISTEN
cdef int CALLS_LINUX, ECONNREFUSED, ECONNRESET, EV_ACCEPT, EV_CONNECT, EV_HANGUP, FO_ASK, FO_CONNECT
cdef int FO_DATA, FO_EXP, FO_LISTEN, FO_NO_COOKIE, FO_SOCKET, FO_WAIT, SERVER, SERVER_ALL
cdef int SHUT_LISTENER_CLOSES, SS_ASKED, SS_PORT_CHOSEN, SS_UNCONNECTED, SYN_RECEIVED, TF_NODELAY
cdef int TF_NOPUSH, TF_RCV_AUTO_OFF, TF_SND_AUTO_OFF, WINDOW_LINUX
cdef int SHUT_RD_LINUX, SO_REUSEADDR, SO_REUSEPORT, SS_BOUND, SS_CANTRCVMORE
cdef int SS_CANTSENDMORE, SS_CONNECTED, SS_CONNECTING, SS_DEAD, SS_DISCONNECTED, SS_INQUEUE
cdef int SS_NOFDREF, SS_WRITE_BLOCKED, SYN_SENT, TF_MORETOCOME, TF_NO_SACK, TF_NO_SCALE, TF_NO_TS
cdef int WRITE_MORE, WRITE_RECORD
cdef int OOB_EXPECTED, PUSH_LINUX, TF_ACKNOW
cdef long long MS, NEVER

cpdef int tcp_bind(Internet s, Tcb t, unsigned int addr, int port) except -1000
cpdef int tcp_listen(Internet s, Tcb t, int backlog) except -1000
cpdef int tcp_connect(Internet s, Tcb t, unsigned int addr, int port) except -1000
cpdef int tcp_disconnect(Internet s, Tcb t) except -1000
cpdef int tcp_send_to(
    Internet s, Tcb t, unsigned int addr, int port, const unsigned char[::1] data, Py_ssize_t off,
    Py_ssize_t n,
) except -1000
cdef int first_write(
    Internet s, Tcb t, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n,
) except -1000
cdef int fast_open(Internet s, Tcb t) except -1
cdef int revive(Internet s, Tcb t) except -2
cdef int stop_listening(Internet s, Tcb t) except -1
cdef int shut_listener(Internet s, Tcb t, int how) except -1000
cpdef Tcb tcp_accept(Internet s, Tcb t)
cpdef int tcp_send(
    Internet s, Tcb t, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n, int how,
) except -1000
cpdef int tcp_recv_into(
    Internet s, Tcb t, unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n, bint peek,
) except -1000
cpdef int tcp_readable(Tcb t) except -1000
cpdef int tcp_writable(Tcb t) except -1000
cpdef int tcp_shutdown(Internet s, Tcb t, int how) except -1000
cpdef int tcp_close(Internet s, Tcb t) except -1000
cpdef int after_read(Internet s, Tcb t, int copied) except -1
cdef int goal(Tcb t, int half) noexcept
cpdef long long unsent(Tcb t) noexcept
cpdef int take_error(Tcb t) noexcept
cpdef Py_ssize_t to_the_mark(Tcb t, Py_ssize_t n) noexcept
cdef void towards_the_mark(Tcb t, int n) noexcept
cpdef bint tcp_at_mark(Tcb t) noexcept
cpdef object tcp_recv_bytes(Internet s, Tcb t, Py_ssize_t n, bint peek)
cdef int prepare(Internet s, Tcb t) except -1
cdef bint bind_conflict(Internet s, Tcb t, unsigned int addr, int port) except -1
