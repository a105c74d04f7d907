from pystack._fast.mbuf cimport Pool
from pystack._fast.mbuf_octets cimport copy_octets

cdef int _MSIZE, _WHOLE, _BY_4K, _S_BIG, _SFBUF, _SHORT

cpdef int cost(Pool pool, int m) noexcept
cpdef int chain_cost(Pool pool, int m) noexcept
cpdef int shed(Pool pool, int m, int n) noexcept
cpdef bint swallow(Pool pool, int tail, int m) noexcept
cpdef int map_pages(
    Pool pool, int m_tail, const unsigned char[::1] data, Py_ssize_t off, Py_ssize_t n
) noexcept
