from pystack._fast.packet cimport Packet
from pystack._fast.seq cimport dist
from pystack._fast.tcb cimport Stack, Tcb

cdef int AE, CWR, ECE, SYN, SYN_RECEIVED, SYN_SENT
cdef int TF_ACKNOW, TF_ECN, TF_ECN_SND_ECE, TF_NO_ECN
cdef int ACE_AGREED, ACE_COUNTS, ASKED_CLASSIC, _BITS

cdef int bits_of(Packet p) noexcept
cdef int mark_bits(int mark) noexcept
cdef int count_bits(int count) noexcept
cpdef int syn_flags(Stack s, Tcb t) noexcept
cpdef int asked(Stack s, Packet p) noexcept
cpdef int syn_ack_flags(int what) noexcept
cpdef void child(Stack s, Tcb t, int what) noexcept
cpdef bint answered(Stack s, Tcb t, Packet p) noexcept
cpdef void crossed(Stack s, Tcb t, Packet p) noexcept
cdef void agree(Stack s, Tcb t, Packet p) noexcept
cpdef bint arrived(Stack s, Tcb t, Packet p) noexcept
cdef bint counted(Tcb t, Packet p, bint marked) noexcept
cpdef int say(Tcb t) noexcept
cpdef int say_crossed(Tcb t) noexcept
