from pystack._fast cimport rtt
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.mtu_probe cimport resegment
from pystack._fast.recovery cimport send_lost
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport drop
from pystack._fast.tcp_handshake cimport set_mss
from pystack._fast.tcp_out cimport tcp_output

cdef int ESTABLISHED, EV_ERROR, FO_QUEUED, SO_ERRORS_NOW
cdef int EHOSTUNREACH, EPROTO, ICMP_PARAM_PROBLEM, ICMP_TIME_EXCEEDED, ICMP_UNREACH, ICMP_UNREACH_HOST
cdef int ICMP_UNREACH_NET, SYN_RECEIVED, SYN_SENT, WAIT_RTO

cpdef int too_big(Stack s, Tcb t, int mtu) except -1
cpdef int error_of(int kind, int code) except -1
cpdef int told_of(Stack s, Tcb t, int kind, int code, unsigned int seq) except -1
cpdef int revert_backoff(Stack s, Tcb t, unsigned int seq) except -1
