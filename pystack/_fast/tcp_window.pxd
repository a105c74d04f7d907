from pystack._fast.recvq cimport RecvQueue
from pystack._fast.seq cimport add, after, before, dist
from pystack._fast.space cimport recv_space
from pystack._fast.tcb cimport Stack, Tcb

cdef int _LARGEST, SOCKBUF_LINUX, ACK_PUSHED, ACK_PUSHED2, ACK_SCHEDULED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2
cdef int TF_DELACK, TF_NOMEM, TF_RCVD_SCALE, TF_RCVD_TS, TF_RCV_AUTO_OFF, WINDOW_BSD_14, WINDOW_LINUX
cdef long long MS

cpdef int whole_mss(Tcb t) noexcept
cpdef int aligned(int win, int scale) noexcept
cpdef int accepted_window(Stack s, Tcb t) noexcept
cpdef int receive_window(Stack s, Tcb t) noexcept
cpdef int usable_window(Stack s, Tcb t) noexcept
cdef void shrink_under_pressure(Tcb t) noexcept
cpdef int window_field(Stack s, Tcb t, int win) noexcept
cpdef void offered(Stack s, Tcb t, int win) noexcept
cpdef int offered_scale(Stack s, Tcb t) noexcept
cpdef int clamp_of(Tcb t) noexcept
cpdef int first_window(Stack s, Tcb t, int mss) noexcept
cpdef int syn_window(Stack s, Tcb t, int mss) noexcept
cpdef void settle_buffers(Stack s, Tcb t) noexcept
cdef int rounded_up(int size, int mss, long long most) noexcept
cdef void settle_linux(Stack s, Tcb t) noexcept
cpdef int memory_of(int length, int gso) noexcept
cpdef int room_behind(int length, int memory) noexcept
cpdef unsigned int first_unread(Tcb t) noexcept
cpdef void measure_segments(Stack s, Tcb t, int length, int size, int header, bint push) noexcept
cpdef void set_clamp(Tcb t, int clamp) noexcept
cpdef void open_window(Stack s, Tcb t, int length, int charge) noexcept
cdef void sample_round_trip(Tcb t, long long took, bint by_window) noexcept
cpdef void measure_round_trip(Stack s, Tcb t) noexcept
cpdef void measure_echo(Stack s, Tcb t, int length, unsigned int echo) noexcept
cpdef void moderate(Stack s, Tcb t) noexcept
cpdef void grow_linux(Stack s, Tcb t, int space) noexcept
cpdef void open_lowat(Tcb t) noexcept
cpdef void grow_buffer(Stack s, Tcb t, int length) noexcept
cpdef void grow_send_buffer(Stack s, Tcb t) noexcept
cpdef int minimum_i(unsigned int a, unsigned int b) noexcept
cpdef bint worth_an_update(Stack s, Tcb t) noexcept
cpdef bint takes_data(Tcb t) noexcept
cpdef bint read_opens(Stack s, Tcb t, int copied) noexcept
