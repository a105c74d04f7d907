from pystack._fast cimport prr
from pystack._fast.flight cimport Flight
from pystack._fast.internet cimport Internet
from pystack._fast.opening cimport stop_listening, take_error, tcp_connect, tcp_disconnect
from pystack._fast.rates cimport pause
from pystack._fast.reports cimport wrote
from pystack._fast.seq cimport add, dist
from pystack._fast.space cimport send_space, writable
from pystack._fast.tcb cimport Tcb
from pystack._fast.tcp_close cimport application_close, application_shutdown_send
from pystack._fast.tcp_mem cimport account, may_send, piece_of
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_window cimport moderate, read_opens, worth_an_update
from pystack._fast.tfo cimport FastOpen
from pystack._fast.tfo_calls cimport fast_open, first_write

cdef int CALLS_LINUX, CLOSED, EACCES, EAGAIN, ECONNABORTED, EINPROGRESS, EINVAL, ENOBUFS, ENOTCONN
cdef int EOPNOTSUPP, EPIPE, EV_ACCEPT, EV_READ, EV_WRITE, FO_WAIT, LISTEN, MBUF_SHORTAGE_SLEEP, OOB_EXPECTED
cdef int PUSH_LINUX, SHUT_LISTENER_CLOSES, SHUT_RD_LINUX, SOCKBUF_LINUX, SS_CANTRCVMORE, SS_CANTSENDMORE
cdef int SS_CONNECTED, SS_CONNECTING, SS_DONE, SS_WRITE_BLOCKED, SYN_SENT, TF_ACKNOW
cdef int TF_MORETOCOME, WINDOW_LINUX, WRITE_GRANTED, WRITE_MORE, WRITE_PAGES, WRITE_RECORD, TF_CORK_FLUSH

cpdef int tcp_send_to(
    Internet s, Tcb t, unsigned int addr, int port, const unsigned char[::1] data, Py_ssize_t off,
    Py_ssize_t n,
) except -1000
cpdef int tcp_send(
    Internet s, Tcb t, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n, int how,
) except -1000
cdef int pauses(Internet s, Tcb t, Flight f) noexcept
cpdef long long unsent(Tcb t) noexcept
cpdef int tcp_readable(Tcb t) except -1000
cpdef int tcp_writable(Internet s, Tcb t) except -1000
cpdef int tcp_recv_into(
    Internet s, Tcb t, unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n, bint peek,
) except -1000
cpdef object tcp_recv_bytes(Internet s, Tcb t, Py_ssize_t n, bint peek)
cpdef Py_ssize_t to_the_mark(Tcb t, Py_ssize_t n) noexcept
cdef void towards_the_mark(Tcb t, int n) noexcept
cpdef bint tcp_at_mark(Tcb t) noexcept
cpdef int after_read(Internet s, Tcb t, int copied) except -1
cpdef int tcp_shutdown(Internet s, Tcb t, int how) except -1000
cdef int shut_listener(Internet s, Tcb t, int how) except -1000
cpdef int tcp_close(Internet s, Tcb t) except -1000
