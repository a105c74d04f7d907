from pystack._fast.ct_table cimport ConnTable
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before_eq, sub

cdef int CT_ACCEPT, CT_INVALID, CT_REPEAT, H_LAST_WIN, H_STATUS, IPS_ASSURED, IPS_SEEN_REPLY, O_FLAGS, O_LAST
cdef int O_LAST_FLAGS, O_REPLY, O_RETRANS, O_SCALE, O_STATE, TCPCT_CLOSE, TCPCT_ESTABLISHED, TCPCT_FIN_WAIT
cdef int TCPCT_LAST_ACK, TCPCT_RETRANS, TCPCT_SYN_RECV, TCPCT_SYN_SENT, TCPCT_SYN_SENT2, TCPCT_TIME_WAIT
cdef int TCPCT_UNACK, W_END, W_LAST_ACK, W_LAST_END, W_LAST_SEQ, W_MAXACK, W_MAXEND, W_MAXWIN, W_REPLY
cdef int SYN, SYNACK, FIN, ACK, RST, NONE, F_SCALE, F_SACK, F_CLOSE_INIT, F_LIBERAL, F_UNACKED, F_MAXACK
cdef int F_CHALLENGE, F_SIMULTANEOUS, IGNORE, BAD, _IGNORED, _KEEP, _IN_WINDOW, _UNACK_LEFT
cdef int INV_ACK_OVER, INV_ACK_UNDER, INV_BEYOND, INV_CHALLENGE, INV_FLAGS, INV_IGNORED, INV_RST, INV_SEQ_OVER
cdef int INV_SEQ_UNDER, INV_STATE
cdef unsigned int MAX_ACK_WINDOW


cdef class TcpTracker:
    cdef ConnTable t
    cdef public bint loose, liberal, ignore_invalid_rst, old, old_table
    cdef public int max_retrans, timeout
    cdef public bint dead, changed, moved
    cdef public int reason
    cdef public unsigned int number
    cdef readonly int[::1] timeouts
    cpdef bint new(self, int row, Packet p) except -1
    cdef void _options(self, Py_ssize_t side, Packet p) noexcept
    cdef int _kept(self) noexcept
    cpdef int packet(self, int row, int way, Packet p) except? -1
    cdef int _in_window(self, int row, int way, int kind, int old, int new) except? -1
    cdef void _set_last(self, Py_ssize_t o, int kind, int way) noexcept
    cdef void _remember(self, int row, int way, int kind, Packet p, int old) noexcept
    cdef void _resync(self, int row, int way) noexcept
    cdef void _invalid(self, int row, int way, int kind) noexcept
    cdef int _reset(self, int row, int way, Packet p, int old) noexcept
    cdef int _failed(self, int flags, int verdict, int reason, unsigned int bound) noexcept
    cdef int _window(self, int row, int way, int kind, int state, Packet p) noexcept
    cdef void _begin(self, int row, int way, Packet p, unsigned int end, unsigned int window) noexcept
    cdef void _count_repeats(
        self, int row, int way, unsigned int seq, unsigned int ack, unsigned int end, int raw
    ) noexcept
