from pystack._fast.packet cimport Packet


cdef class Talk:
    cpdef int say(self, str channel, str text) except -1
    cpdef int probe(
        self, unsigned int src, int sport, unsigned int dst, int dport, unsigned int seq, unsigned int ack,
    ) except -1
    cpdef int rule_number(self, int rule) except -1


cdef class Ground(Talk):
    cpdef int renew(self) except -1
    cpdef bint is_own(self, unsigned int address) except -1
    cpdef bint iface_fits(self, int iface, str pattern) except -1
    cpdef int way_to(self, unsigned int address) except -2
    cpdef bint is_near(self, unsigned int address) except -1
    cpdef int answer(self, Packet p, unsigned int code) except -1
    cpdef int log(self, Packet p, int position, bint out, unsigned int arg) except -1
    cpdef int warn(self, str text) except -1
    cpdef bint has_tag(self, Packet p, unsigned int low, unsigned int high) except -1
    cpdef int set_tag(self, Packet p, unsigned int tag, bint on) except -1
    cpdef int rewrite(self, Packet p, unsigned int op, unsigned int value) except -1
