from pystack._fast cimport congestion, ecn, rtt
from pystack._fast.host_memory cimport round_trip_bsd
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before_eq, dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_check cimport trim_right
from pystack._fast.tcp_close cimport drop
from pystack._fast.tcp_handshake cimport established, peer_options
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_reply cimport reset_for
from pystack._fast.tcp_text cimport text
from pystack._fast.tcp_window cimport accepted_window, first_window
from pystack._fast.tfo cimport FastOpen

cdef int ACCEPTANCE_LINUX, ACK, CWR, ECE, ECONNREFUSED, FIN, FIN_WAIT_1, FO_ASK, FO_DATA, FO_TAKEN, RST
cdef int SIMULTANEOUS_BSD_14, SIMULTANEOUS_LINUX, SS_CANTSENDMORE, SYN, SYN_RECEIVED
cdef int TCP_BAD_ACK, TCP_BAD_RST, TCP_BAD_SYN, TCP_PAWS, TF_ACKNOW, TF_ECN, TF_NO_TS, TF_RCVD_TS
cdef long long MS, NEVER

cpdef int syn_sent_input(Stack s, Tcb t, Packet p) except -1
cdef int no_answer(Stack s, Tcb t, Packet p) except -1
cdef int answered(Stack s, Tcb t, Packet p) except -1
cdef int crossed(Stack s, Tcb t, Packet p) except -1
cdef int fast_answer(Stack s, Tcb t, Packet p) except -1
