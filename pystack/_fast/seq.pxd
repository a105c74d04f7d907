# The bodies stand here to be inlined elsewhere: a call into another module goes through a pointer. What wraps here is
# meant to; the checked build must not stop it.
cimport cython


@cython.overflowcheck(False)
cpdef inline unsigned int add(unsigned int seq, unsigned int n) noexcept nogil:
    return seq + n


@cython.overflowcheck(False)
cpdef inline unsigned int sub(unsigned int seq, unsigned int n) noexcept nogil:
    return seq - n


@cython.overflowcheck(False)
cpdef inline int dist(unsigned int a, unsigned int b) noexcept nogil:
    return <int> (b - a)


@cython.overflowcheck(False)
cpdef inline bint before(unsigned int a, unsigned int b) noexcept nogil:
    return <int> (b - a) > 0


@cython.overflowcheck(False)
cpdef inline bint after(unsigned int a, unsigned int b) noexcept nogil:
    return <int> (b - a) < 0


@cython.overflowcheck(False)
cpdef inline bint before_eq(unsigned int a, unsigned int b) noexcept nogil:
    return <int> (b - a) >= 0


@cython.overflowcheck(False)
cpdef inline bint after_eq(unsigned int a, unsigned int b) noexcept nogil:
    return <int> (b - a) <= 0


@cython.overflowcheck(False)
cpdef inline bint between(unsigned int x, unsigned int lo, unsigned int hi) noexcept nogil:
    return x - lo < hi - lo


@cython.overflowcheck(False)
cpdef inline unsigned int maximum(unsigned int a, unsigned int b) noexcept nogil:
    return b if <int> (b - a) > 0 else a


@cython.overflowcheck(False)
cpdef inline unsigned int minimum(unsigned int a, unsigned int b) noexcept nogil:
    return a if <int> (b - a) > 0 else b
