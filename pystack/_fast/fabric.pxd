from pystack._fast.core cimport Core, Driver
from pystack._fast.events cimport EventQueue
from pystack._fast.packet cimport Packet, PacketQueue
from pystack._fast.wire cimport Wire

cdef int EVENT_CORE, EVENT_WIRE, EVENT_CALL, NO_DEVICE, RX_RING
cdef long long NEVER


cdef class Fabric

cdef class MachineClock:
    cdef Fabric fabric
    cdef Core core


cdef class Fabric(Driver):
    cdef public long long now
    cdef public list cores
    cdef public list wires
    cdef public list ends
    cdef public dict neighbours
    cdef public list calls
    cdef list free_calls
    cdef list ready
    cdef int n_ready
    cdef EventQueue queue
    cdef long long[::1] wire_scheduled
    cdef int[::1] wire_core
    cdef int[::1] wire_iface
    cdef int[::1] only_wire
    cdef public long long delivered
    cdef public long long patience
    cdef long long step_end, progress
    cdef public object deadlock
    cpdef int run(self, long long until, bint stop_on_ready) except -1
    cdef int out_of(self, Core c, Packet p) except -1
    cdef int schedule_wire(self, int w) except -1
    cpdef long long next_time(self) noexcept
    cpdef list take_ready(self)
    cpdef int dispatch(self) except -1
    cdef bint any_ready(self) except -1
    cdef int arrive(self, int w, Packet p) except -1
    cdef int hold(self, Core c, Packet p) except -1
    cpdef halt(self, Core c, int room)
    cpdef go_on(self, Core c, bint stood)
    cpdef jump(self, Core c, long long by)
