from pystack._fast.ct_window cimport TcpWindows, end_of
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after

cdef int CT_ACCEPT, CT_INVALID, CT_REPEAT, H_LAST_WIN, H_STATUS, IPS_ASSURED, IPS_SEEN_REPLY, O_FLAGS, O_LAST
cdef int O_LAST_FLAGS, O_REPLY, O_RETRANS, O_SCALE, O_STATE, TCPCT_CLOSE, TCPCT_ESTABLISHED, TCPCT_FIN_WAIT
cdef int TCPCT_LAST_ACK, TCPCT_RETRANS, TCPCT_SYN_RECV, TCPCT_SYN_SENT, TCPCT_SYN_SENT2, TCPCT_TIME_WAIT
cdef int TCPCT_UNACK, W_END, W_LAST_ACK, W_LAST_END, W_LAST_SEQ, W_MAXACK, W_MAXEND, W_MAXWIN, W_REPLY
cdef int SYN, SYNACK, FIN, ACK, RST, NONE, CT_IGNORED, F_SCALE, F_SACK, F_CLOSE_INIT, F_LIBERAL, F_UNACKED, F_MAXACK
cdef int F_CHALLENGE, F_SIMULTANEOUS, IGNORE, BAD, _KEEP, _IN_WINDOW, _UNACK_LEFT
cdef int IPCT_ASSURED, IPCT_PROTOINFO, INV_CHALLENGE, INV_FLAGS, INV_IGNORED, INV_RST, INV_STATE


cdef class TcpTracker(TcpWindows):
    cdef public bint loose, ignore_invalid_rst, old_table
    cdef public int max_retrans, timeout, told
    cdef public bint dead
    cdef readonly int[::1] timeouts
    cpdef bint new(self, int row, Packet p) except -1
    cpdef int packet(self, int row, int way, Packet p) except? -1
    cdef void _set_last(self, Py_ssize_t o, int kind, int way) noexcept
    cdef void _remember(self, int row, int way, int kind, Packet p, int old) noexcept
    cdef void _resync(self, int row, int way) noexcept
    cdef void _invalid(self, int row, int way, int kind) noexcept
    cdef int _reset(self, int row, int way, Packet p, int old) noexcept


cdef void _settle(
    TcpTracker tracker, unsigned short[::1] half, unsigned char[::1] octet, int row, int way, int kind, int old, int new
) noexcept
