from pystack._fast cimport rtt
from pystack._fast.draft cimport Draft
from pystack._fast.seq cimport before
from pystack._fast.tcb cimport Stack, Tcb

cdef int ESTABLISHED, FIN, PERSIST_BSD, PERSIST_LINUX, TF_FORCE
cdef long long MS, NEVER

cpdef void set_persist(Stack s, Tcb t) noexcept
cpdef void begin(Stack s, Tcb t) noexcept
cpdef void shut(Stack s, Tcb t, Draft d) noexcept
cpdef void shrank(Stack s, Tcb t, Draft d) noexcept
cpdef void force(Tcb t, Draft d) noexcept
