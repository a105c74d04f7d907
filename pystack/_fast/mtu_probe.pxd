from pystack._fast cimport prr, undo
from pystack._fast.bursts cimport current_mss
from pystack._fast.draft cimport Draft
from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.mtu_search cimport Search
from pystack._fast.seq cimport add, after_eq, dist
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_emit cimport emit

cdef int ACK, CA_CWR, CA_LOSS, CA_OPEN, ESTABLISHED, LEAST_WINDOW, SEG_RETRANS, SEG_SACKED
cdef int TF_FORCE, TF_RCVD_TS

cpdef int header_of(Tcb t) noexcept
cpdef int begin(Stack s, Tcb t, int header) except -1
cpdef bint probe(Stack s, Tcb t) except -1
cpdef bint arrived(Stack s, Tcb t, Flight f) except -1
cpdef bint lost(Stack s, Tcb t, Flight f) except -1
cpdef int resegment(Stack s, Tcb t, Flight f, bint smaller) except -1
