from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before, between
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_listen cimport Listener
from pystack._fast.tcp_reply cimport reset_for

cdef int ACK, FIN, RST, SC_TS, SYN, TCP_BAD_ACK, TCP_BAD_RST, TCP_BAD_SYN, TCP_NO_ACK, TCP_WINDOW

cpdef int half_open_input(Stack s, Listener listeners, Tcb t, int row, Packet p) except -2
