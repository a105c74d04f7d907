from pystack._fast.internet cimport Internet
from pystack._fast.seq cimport add
from pystack._fast.tcb cimport Tcb
from pystack._fast.tcp_out cimport tcp_output
from pystack._fast.tfo cimport FastOpen, Remembered

cdef int EINPROGRESS, FO_ASK, FO_DATA, FO_EXP, FO_WAIT, SS_ASKED

cpdef int fast_open(Internet s, Tcb t) except -1
cpdef int first_write(
    Internet s, Tcb t, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n,
) except -1000
