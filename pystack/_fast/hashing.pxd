cpdef unsigned long long sip1(
    unsigned long long k0, unsigned long long k1, unsigned long long a,
) noexcept nogil
cpdef unsigned long long sip2(
    unsigned long long k0, unsigned long long k1, unsigned long long a, unsigned long long b,
) noexcept nogil
cpdef unsigned long long sip3(
    unsigned long long k0, unsigned long long k1,
    unsigned long long a, unsigned long long b, unsigned long long c,
) noexcept nogil
cpdef unsigned long long siphash_bytes(
    unsigned long long k0, unsigned long long k1, const unsigned char[:] data,
) noexcept nogil
cpdef unsigned int swab32(unsigned int x) noexcept nogil
cpdef unsigned int swab16(unsigned int x) noexcept nogil
cpdef unsigned int jhash_3words(
    unsigned int a, unsigned int b, unsigned int c, unsigned int initval,
) noexcept nogil
cpdef unsigned int jenkins_hash32(
    const unsigned int[::1] words, Py_ssize_t count, unsigned int initval,
) noexcept nogil
