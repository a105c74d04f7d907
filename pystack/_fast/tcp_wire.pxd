from pystack._fast.mbuf_octets cimport copy_octets
from pystack._fast.packet cimport Packet
from pystack._fast.wirebytes cimport be16, be32, csum_add, put16, put32

cdef int _TRUNCATED
cdef int _OFFSET
cdef int _CHECKSUM
cdef int _LINUX
cdef unsigned int _NOP_NOP_TS
cdef unsigned int _NOP_NOP_SACK
cdef unsigned int _SACK_OK_TS
cdef unsigned int _NOP_NOP_SACK_OK
cdef unsigned int _NOP_WSCALE
cdef unsigned int _MSS
cdef unsigned char[::1] _scratch

cpdef int parse(Packet p, const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n) noexcept
cpdef int build(Packet p, int layout) noexcept
cpdef int option_length(Packet p, int layout) noexcept
