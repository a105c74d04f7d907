from pystack._fast.flight cimport Flight, SegmentTable
from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport add, after, before, before_eq, dist, sub
from pystack._fast.tcb cimport Stack, Tcb

cdef int EV_ERROR, WRITE_WAITS, WRITE_ZEROCOPY


cdef class Report:
    cdef public long long at
    cdef public str error
    cdef public int origin, kind, code
    cdef public unsigned int info, data, offender
    cdef public bytes octets


cdef class Mark:
    cdef public unsigned int end
    cdef public int asked


cdef class Copy:
    cdef public unsigned int end, first, last
    cdef public long long octets


cdef class Reports:
    cdef public int what, stamping, asked
    cdef public unsigned int origin, written
    cdef public list errors, marks, arrivals, copies
    cdef public long long memory
    cdef public bint unfinished
    cpdef Reports for_child(self)
    cpdef bint stamps_arrivals(self)
    cpdef Report take(self)


cpdef int queue(Stack s, Tcb t, Report report) except -1
cpdef int wrote(Tcb t, int n, int how, int held, bint whole) except -1
cdef int note_copy(Reports r, unsigned int end, int n, bint held) except -1
cdef int tell_time(Stack s, Tcb t, unsigned int end, int when, bytes octets) except -1
cpdef int departed(Stack s, Tcb t, Packet p, unsigned int at, int length) except -1
cpdef int joined(Tcb t, unsigned int start, unsigned int end) except -1
cdef bytes text_around(Stack s, Tcb t, unsigned int end)
cpdef int acknowledged(Stack s, Tcb t, unsigned int ack) except -1
cdef int tell_copied(Stack s, Tcb t, Copy copy, bint sent) except -1
cdef bint begun(Tcb t, Copy copy) noexcept
cpdef int abandoned(Stack s, Tcb t) except -1
cpdef int refused(Stack s, Tcb t, Packet p, int error) except -1
cpdef int arrived(Stack s, Tcb t, unsigned int at, int length) except -1
cpdef object arrival_of(Tcb t, unsigned int behind, bint keep)
