from pystack._fast.draft cimport Draft
from pystack._fast.flight cimport Flight
from pystack._fast.seq cimport add, after, before
from pystack._fast.tcb cimport Stack, Tcb
from pystack._fast.tcp_window cimport worth_an_update

cdef int ESTABLISHED, FIN, NAGLE_LINUX, SYN, WINDOW_LINUX
cdef int TF_ACKNOW, TF_CORK_FLUSH, TF_FORCE, TF_MORETOCOME, TF_NODELAY, TF_NOPUSH, TF_SENTFIN

cpdef bint worth_sending(Stack s, Tcb t, Draft d, bint idle) noexcept
cdef bint short_worth(Tcb t, Draft d, bint idle) noexcept
cpdef bint holds_back(Tcb t, Draft d) noexcept
cpdef bint short_waits(Tcb t) noexcept
