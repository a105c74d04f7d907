from pystack._fast cimport mtu_probe
from pystack._fast.seq cimport dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_handshake cimport set_mss

cdef int ESTABLISHED, FIN_WAIT_1

cpdef int try_smaller_bsd(Stack s, Tcb t) except -1
cpdef int try_smaller_linux(Stack s, Tcb t) except -1
