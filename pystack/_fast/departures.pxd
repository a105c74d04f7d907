from pystack._fast cimport congestion, prr, rack
from pystack._fast.draft cimport Draft
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.seq cimport add, before_eq, dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_mem cimport piece_of

cdef int FIN, WAIT_TLP
cdef long long MS, US

cpdef void sent_segments(Stack s, Tcb t, Flight f, int n, bint unsent) noexcept
cpdef int room(Tcb t, Flight f) noexcept
cpdef Flight first_flight(Stack s, Tcb t)
cdef void skip_idle(Stack s, Flight f) noexcept
cpdef int note_segment(
    Stack s, Tcb t, unsigned int at, int length, int mss, int flags, bint rexmit,
) except -1
