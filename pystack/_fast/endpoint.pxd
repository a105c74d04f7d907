from pystack._fast.commands cimport tcp_close, tcp_readable, tcp_recv_bytes, tcp_recv_into, tcp_send, tcp_writable
from pystack._fast.core cimport Core, Driver
from pystack._fast.opening cimport take_error, tcp_accept, tcp_connect
from pystack._fast.files cimport Descriptors
from pystack._fast.tcb cimport Tcb

cdef int ACCEPTING, CONNECTING, EAGAIN, EINPROGRESS, EINVAL, EPIPE, FILES_LINUX, LISTEN, READING
cdef int EV_ACCEPT, EV_CONNECT, EV_ERROR, EV_HANGUP, EV_READ, EV_WRITE
cdef int SS_ASKED, SS_CONNECTED, SS_CONNECTING, SS_DISCONNECTED, SS_UNCONNECTED
cdef long long NEVER

cpdef int let_go(object row) except -1
cdef bint plain(object buffer) except -1
cdef bint dozes(Core core, Tcb t) except -1


cdef class Endpoint:
    cdef object __weakref__
    cdef public object host
    cdef public object _host
    cdef public Core core
    cdef public object row
    cdef public long long _timeout
    cdef public int _wanted
    cpdef long long _deadline(self) noexcept


cdef class StreamEndpoint(Endpoint):
    cdef Tcb oldest_child(self, Core core, Tcb t)
    cdef int wait(self, Tcb t, int events, long long deadline) except -1
    cdef int await_data(self, Core core, Tcb t) except -1
    cpdef bint readable(self) except -1
    cpdef bint writable(self) except -1
    cpdef int level(self) except -1
    cpdef int await_connection(self, Tcb t) except -1000
