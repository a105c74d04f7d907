from pystack._fast.packet cimport Packet
from pystack._fast.recvq cimport Reassembly
from pystack._fast.seq cimport add, after, after_eq, dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport enter_timewait
from pystack._fast.tcp_out cimport tcp_output

cdef int OOB_EXPECTED, OOB_HERE, OOB_NONE, SO_OOBINLINE
cdef int CLOSE_WAIT, CLOSING, DELACK_LINUX, ESTABLISHED, EV_ERROR, EV_READ, FIN, FIN_WAIT_1
cdef int FIN_WAIT_2, SHUT_RD_LINUX, SS_CANTRCVMORE, SYN_RECEIVED, TF_ACKNOW, TF_DELACK, TF_DSACK, TF_FIN_PENDING
cdef int TF_RCV_AUTO_OFF, TF_RXWIN0SENT, TF_SACK_PERMIT, TIME_WAIT, URG

cpdef int text(Stack s, Tcb t, Packet p) except -1
cpdef int pull_urgent(Stack s, Tcb t) except -1
cpdef int take_payload(Stack s, Packet p) noexcept
cdef int begin_reassembly(Stack s, Tcb t) except -1
cpdef int deliver(Stack s, Tcb t, int m, int length) except -1
cpdef int owe_ack(Stack s, Tcb t, int length) except -1
cpdef void grow_receive_buffer(Stack s, Tcb t, int length) noexcept
cpdef int got_fin(Stack s, Tcb t) except -1
cpdef bint note_dsack(Tcb t, unsigned int left, unsigned int right) noexcept
