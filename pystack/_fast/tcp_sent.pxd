from pystack._fast.departures cimport note_segment, room
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_delack cimport ack_sent

cdef int ACK, FIN, RECOVERY_LINUX, RST, SYN, LIMIT_BUFFER, LIMIT_PEER, LIMIT_SELF, SS_WRITE_BLOCKED
cdef int TF_ACKNOW, TF_CONGRECOVERY, TF_FASTRECOVERY, TF_FORCE, TF_RCV_AUTO_OFF, TF_SENTFIN
cdef long long NEVER

cpdef int sent(Stack s, Tcb t, Packet p, int mss, bint rexmit, bint synchronized) except -1
cpdef void note_sent(Stack s, Tcb t, unsigned int at, int length, int flags) noexcept
cpdef void count_sent(Stack s, Tcb t, int flags, int length, bint rexmit) noexcept
cpdef void note_limits(Stack s, Tcb t) noexcept
cdef int what_limits(Tcb t) noexcept
cdef bint has_room(Tcb t) noexcept
