from pystack._fast cimport accept_filter, mtu_probe
from pystack._fast.host_memory cimport begin_linux, threshold_bsd
from pystack._fast.packet cimport Packet
from pystack._fast.source_routes cimport room
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport drop
from pystack._fast.tcp_window cimport grow_send_buffer, settle_buffers

cdef int FO_QUEUED
cdef int ECONNABORTED, PERSIST_LINUX
cdef int NAGLE_LINUX, SOCKBUF_LINUX, SYN_SENT, TF_SND_AUTO_OFF, ESTABLISHED, EV_ACCEPT, EV_CONNECT, EV_READ
cdef int EV_WRITE, SO_KEEPALIVE, SO_ROUTED, SS_CONNECTED
cdef int SS_CONNECTING, SS_INQUEUE, TF_NO_SACK, TF_NO_SCALE, TF_NO_TS, TF_PASSIVE, TF_RCVD_SCALE
cdef int TF_RCVD_TS, TF_SACK_PERMIT
cdef long long MS, NEVER

cpdef int peer_options(Stack s, Tcb t, Packet p) except -1
cpdef int set_mss(Stack s, Tcb t) except -1
cpdef int established(Stack s, Tcb t) except -1
cpdef int begin_transfer(Stack s, Tcb t) except -1
cpdef int join_queue(Stack s, Tcb t) except -1
cpdef int let_pass(Stack s, Tcb t) except -1
