from pystack._fast cimport seq
from pystack._fast.flight cimport Flight
from pystack._fast.tcb cimport Stack, Tcb

cdef int CA_RECOVERY, SEG_LOST

cpdef void check(Stack s, Flight f, int more) noexcept
cpdef void add(Stack s, Flight f, int n) noexcept
cpdef void remove(Stack s, Flight f, int acked) noexcept
cpdef void reset(Flight f) noexcept
cpdef int mark_first(Stack s, Tcb t, Flight f, bint advanced) except -1
