# The bodies of the field functions stand here to be inlined elsewhere; wirebytes.py says why.

from libc.string cimport memcpy

cdef extern from "<endian.h>" nogil:
    unsigned short be16toh(unsigned short x)
    unsigned short htobe16(unsigned short x)
    unsigned int be32toh(unsigned int x)
    unsigned int htobe32(unsigned int x)


# memcpy of a known small size is one move, wherever the octets lie.
cpdef inline unsigned int be16(const unsigned char[::1] b, Py_ssize_t o) noexcept nogil:
    cdef unsigned short v
    memcpy(&v, &b[o], 2)
    return be16toh(v)


cpdef inline unsigned int be32(const unsigned char[::1] b, Py_ssize_t o) noexcept nogil:
    cdef unsigned int v
    memcpy(&v, &b[o], 4)
    return be32toh(v)


cpdef inline void put16(unsigned char[::1] b, Py_ssize_t o, unsigned int v) noexcept nogil:
    cdef unsigned short field = htobe16(<unsigned short> (v & 0xFFFF))
    memcpy(&b[o], &field, 2)


cpdef inline void put32(unsigned char[::1] b, Py_ssize_t o, unsigned int v) noexcept nogil:
    cdef unsigned int field = htobe32(v)
    memcpy(&b[o], &field, 4)


cpdef unsigned int csum_add(
    const unsigned char[::1] b, Py_ssize_t off, Py_ssize_t n, unsigned int acc,
) noexcept nogil
cpdef unsigned int csum_add16(
    const unsigned short[::1] words, Py_ssize_t first_word, Py_ssize_t nwords, unsigned int acc,
) noexcept nogil
cpdef unsigned int csum_octets(
    const unsigned char[::1] b, const unsigned short[::1] words,
    Py_ssize_t off, Py_ssize_t n, unsigned int acc,
) noexcept nogil
cpdef unsigned int csum_fold(unsigned int acc) noexcept nogil
cpdef void copy(
    unsigned char[::1] dst, Py_ssize_t d, const unsigned char[::1] src, Py_ssize_t s, Py_ssize_t n,
) noexcept nogil
