from pystack._fast.packet cimport Packet
from pystack._fast.recvq cimport Reassembly
from pystack._fast.reports cimport arrived
from pystack._fast.sackreport cimport SackReport
from pystack._fast.seq cimport add, after, after_eq, before, before_eq, dist, maximum, minimum
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_close cimport enter_timewait
from pystack._fast.tcp_delack cimport answer_data, converse, data_came, delay_bsd, measure, see_mark
from pystack._fast.tcp_handshake cimport let_pass
from pystack._fast.tcp_mem cimport account, may_receive
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tcp_window cimport grow_buffer, grow_linux, memory_of, open_window, room_behind

cdef int CALLS_LINUX, SS_DONE, SS_FILTERED
cdef int FO_QUEUED
cdef int OOB_EXPECTED, OOB_HERE, OOB_NONE, SO_OOBINLINE
cdef int ACK_SCHEDULED, CLOSE_WAIT, CLOSING, DELACK_LINUX, ESTABLISHED, EV_ERROR, EV_READ, FIN
cdef int FIN_WAIT_1, FIN_WAIT_2, SACK_REPORT_LINUX, SHUT_RD_LINUX, SS_CANTRCVMORE, SYN_RECEIVED
cdef int TF_ACKNOW, TF_DSACK, TF_ECN, TF_FIN_PENDING, TF_NOMEM, TF_SACK_PERMIT, TIME_WAIT, URG, WINDOW_LINUX

cpdef int text(Stack s, Tcb t, Packet p) except -1
cdef int in_order(Stack s, Tcb t, Packet p, int length) except -1
cdef bint has_memory(Stack s, Tcb t, int length) except -1
cdef int out_of_order(Stack s, Tcb t, Packet p, int length) except -1
cdef bint guarded(Stack s, Tcb t, Packet p, int length) noexcept
cdef bint may_wait(Stack s, Tcb t, Packet p) noexcept
cdef int fill_hole(Stack s, Tcb t, Packet p, int length, int memory) except -1
cdef int end_reassembly(Tcb t) except -1
cdef SackReport report_of(Stack s, Tcb t)
cpdef int note_duplicate(Stack s, Tcb t, unsigned int left, unsigned int right) except -1
cdef bint tell_of_overlap(Stack s, Tcb t, unsigned int left, int length) except -1
cdef int tell_of_text(Stack s, Tcb t, unsigned int left, int length, unsigned int was) except -1
cpdef int pull_urgent(Stack s, Tcb t) except -1
cpdef int take_payload(Stack s, Packet p) noexcept
cdef int begin_reassembly(Stack s, Tcb t) except -1
cpdef int give_up_islands(Stack s, Tcb t) except -1
cpdef int got_fin(Stack s, Tcb t) except -1
