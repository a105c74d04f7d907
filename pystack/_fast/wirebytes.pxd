# The bodies of the field functions stand here to be inlined elsewhere; wirebytes.py says why.

cpdef inline unsigned int be16(const unsigned char[::1] b, Py_ssize_t o) noexcept nogil:
    cdef unsigned int high = b[o], low = b[o + 1]
    return (high << 8) | low


cpdef inline unsigned int be32(const unsigned char[::1] b, Py_ssize_t o) noexcept nogil:
    cdef unsigned int b0 = b[o], b1 = b[o + 1], b2 = b[o + 2], b3 = b[o + 3]
    return (b0 << 24) | (b1 << 16) | (b2 << 8) | b3


cpdef inline void put16(unsigned char[::1] b, Py_ssize_t o, unsigned int v) noexcept nogil:
    b[o] = (v >> 8) & 0xFF
    b[o + 1] = v & 0xFF


cpdef inline void put32(unsigned char[::1] b, Py_ssize_t o, unsigned int v) noexcept nogil:
    b[o] = (v >> 24) & 0xFF
    b[o + 1] = (v >> 16) & 0xFF
    b[o + 2] = (v >> 8) & 0xFF
    b[o + 3] = v & 0xFF


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
