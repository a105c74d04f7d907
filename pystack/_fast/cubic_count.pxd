from pystack._fast.cubic cimport cube_root
from pystack._fast.flight cimport Flight
from pystack._fast.seq cimport after
from pystack._fast.tcb cimport Stack, Tcb

cdef int BETA, HYSTART_MIN_SAMPLES, HYSTART_WINDOW
cdef long long CUBE_FACTOR, MS

cpdef int update(Stack s, Flight f, int window, int acked) noexcept
cpdef int reduced(Flight f, int window) noexcept
cpdef void reset(Flight f) noexcept
cpdef void round_trip(Stack s, Tcb t, Flight f, long long rtt) noexcept
cpdef void new_round(Stack s, Tcb t, Flight f) noexcept
