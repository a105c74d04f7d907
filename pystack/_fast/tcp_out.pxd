from pystack._fast cimport bursts, congestion, holes, nagle, persist
from pystack._fast.departures cimport room, sent_segments
from pystack._fast.draft cimport Draft
from pystack._fast.mtu_probe cimport probe
from pystack._fast.seq cimport before, dist, sub
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_emit cimport emit
from pystack._fast.tcp_sent cimport note_limits
from pystack._fast.tcp_window cimport grow_send_buffer, minimum_i

cdef int ACK, CLOSED, CLOSING, ESTABLISHED, FIN, FIN_WAIT_1, LAST_ACK, LISTEN, NAGLE_LINUX, PERSIST_LINUX
cdef int PUSH_LINUX
cdef int RECOVERY_LINUX, RST, SYN, SYN_RECEIVED, SYN_SENT, FO_DATA, FO_QUEUED, FO_WAIT
cdef int TF_FASTRECOVERY, TF_FORCE, TF_LASTIDLE, TF_MORETOCOME, TF_SENTFIN, TF_SND_AUTO_OFF
cdef long long NEVER

cpdef int tcp_output(Stack s, Tcb t) except -1
cdef void restart_after_idle(Stack s, Tcb t, bint idle, bint unsent) noexcept
cpdef int send_one(Stack s, Tcb t, bint idle) except -1
cdef bint may_defer(Stack s, Tcb t) noexcept
cdef void begin(Stack s, Tcb t, Draft d) noexcept
cdef void cut_at_record(Tcb t, Draft d) noexcept
cdef int flags_of(Tcb t) noexcept
cdef bint place_syn(Tcb t, Draft d) noexcept
cdef void place_fin(Stack s, Tcb t, Draft d) noexcept
