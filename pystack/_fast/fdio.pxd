# The compiled bodies of fdio.py, to be inlined by the driver.
from libc.errno cimport EMSGSIZE, errno
from posix.uio cimport iovec, writev
from posix.unistd cimport read, write

from pystack._fast.mbuf cimport Pool


cpdef inline Py_ssize_t read_packet(int fd, unsigned char[::1] room) noexcept:
    cdef Py_ssize_t n = read(fd, &room[0], room.shape[0])
    return n if n >= 0 else -errno


cpdef inline Py_ssize_t write_packet(int fd, const unsigned char[::1] head, Py_ssize_t n) noexcept:
    n = write(fd, &head[0], n)
    return n if n >= 0 else -errno


cpdef inline Py_ssize_t write_gathered(
    int fd, const unsigned char[::1] head, Py_ssize_t n, Pool pool, int m
) noexcept:
    # 64 KiB of payload in the smallest mbufs are fewer pieces than this
    cdef iovec pieces[1024]
    cdef int count = 1
    pieces[0].iov_base = <void *> &head[0]
    pieces[0].iov_len = n
    while m:
        if pool.m_len[m]:
            if count == 1024:
                return -EMSGSIZE
            pieces[count].iov_base = <void *> &pool.arena[pool.m_off[m]]
            pieces[count].iov_len = pool.m_len[m]
            count += 1
        m = pool.m_next[m]
    n = writev(fd, pieces, count)
    return n if n >= 0 else -errno
