from pystack._fast.ct_table cimport ConnTable
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before_eq, sub

cdef int ACK, CT_ACCEPT, CT_IGNORED, CT_INVALID, F_LIBERAL, F_MAXACK, F_SACK, F_SCALE, F_UNACKED
cdef int H_LAST_WIN, INV_ACK_OVER, INV_ACK_UNDER, INV_BEYOND, INV_SEQ_OVER, INV_SEQ_UNDER
cdef int O_FLAGS, O_LAST, O_REPLY, O_RETRANS, O_SCALE, TCPCT_SYN_RECV, TCPCT_SYN_SENT
cdef int W_END, W_LAST_ACK, W_LAST_END, W_LAST_SEQ, W_MAXACK, W_MAXEND, W_MAXWIN, W_REPLY
cdef unsigned int MAX_ACK_WINDOW

cpdef unsigned int end_of(Packet p) noexcept


cdef class TcpWindows:
    cdef ConnTable t
    cdef public bint liberal, old
    cdef public int reason
    cdef public unsigned int number
    cdef int kept(self) noexcept
    cdef void options(self, Py_ssize_t side, Packet p) noexcept
    cdef void opened(self, int row, int way, Packet p) noexcept
    cdef void _picked_up(self, int row, int way, Packet p, unsigned int sack) noexcept
    cdef bint _begins(self, int row, int way, int state, Packet p, unsigned int sack) noexcept
    cdef int window(self, int row, int way, int kind, int state, Packet p) noexcept
    cdef int _misfit(self, int row, int way, unsigned int seq, unsigned int end, unsigned int sack) noexcept
    cdef int _failed(self, Py_ssize_t so, int verdict, int reason, unsigned int bound) noexcept

cdef int _judge(
    TcpWindows windows, unsigned int[::1] word, unsigned short[::1] half, unsigned char[::1] octet,
    int row, int way, int kind, int state, Packet p
) noexcept
cdef void _advance(
    unsigned int[::1] word, unsigned char[::1] octet, int row, int way, Packet p,
    unsigned int ack, unsigned int sack, unsigned int end
) noexcept
cdef void _count_repeats(
    unsigned int[::1] word, unsigned short[::1] half, unsigned char[::1] octet,
    int row, int way, unsigned int seq, unsigned int ack, unsigned int end, int raw
) noexcept
