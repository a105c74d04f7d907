"""What a socket's buffer asks of its chains: their cost in memory (FreeBSD's mbcnt), short mbufs that are swallowed
(sbcompress), pages of files (sendfile(2)).

A chain is that of `mbuf.Pool`, the first argument of each function.
"""

import cython

from pystack._fast.mbuf import MSIZE, Pool
from pystack._fast.mbuf_octets import copy_octets

_MSIZE = cython.declare(cython.int, MSIZE)
_WHOLE = cython.declare(cython.int, 24)  # as a shift of octets to units: any storage is one unit
_BY_4K = cython.declare(cython.int, 12)
_S_BIG = cython.declare(cython.int, 4)
_SFBUF = cython.declare(cython.int, 6)
_SHORT = cython.declare(cython.int, 512)  # a quarter of a cluster


def cost(pool, m):
    """Octets of memory that an mbuf takes in a socket's buffer: its own and its cluster's (FreeBSD's mbcnt)."""
    c: cython.int = pool.m_ext[m]
    units: cython.int
    size: cython.int
    if c <= 0:
        return _MSIZE
    units = pool.c_charge[c] if pool.c_charge[c] > 0 else 1
    size = pool.s_size[pool.c_class[c]]
    if pool.c_shift[c] != _WHOLE:
        size = 1 << pool.c_shift[c]
    return units * (_MSIZE + size)


def storage(pool: Pool, m: cython.int):
    """(mbufs, clusters) that a chain would take on the machine that is played: a row may stand for several."""
    c: cython.int
    units: cython.int
    mbufs: cython.int = 0
    clusters: cython.int = 0
    while m:
        c = pool.m_ext[m]
        units = 1 if c <= 0 or pool.c_charge[c] <= 0 else pool.c_charge[c]
        mbufs += units
        clusters += units if c > 0 else 0
        m = pool.m_next[m]
    return mbufs, clusters


def chain_cost(pool, m):
    """`cost` of a whole chain."""
    octets: cython.int = 0
    while m:
        octets += cost(pool, m)
        m = pool.m_next[m]
    return octets


def shed(pool, m, n):
    """As `trim_front`; `shed_cost` is by how much the chain's cost fell."""
    before: cython.int
    pool.shed_cost = 0
    while m and n >= pool.m_len[m] and n > 0:
        pool.shed_cost += cost(pool, m)
        n -= pool.m_len[m]
        m = pool.free(m)
    if m and n > 0:
        before = cost(pool, m)
        m = pool.trim_front(m, n)
        pool.shed_cost += before - cost(pool, m)
    return m


def swallow(pool, tail, m):
    """Copy a short mbuf behind the data of `tail` and free it, where it fits there (FreeBSD's sbcompress)."""
    n: cython.int = pool.m_len[m]
    c: cython.int = pool.m_ext[tail]
    got: cython.int
    at: cython.longlong = pool.m_off[tail] + pool.m_len[tail]
    if n > _SHORT or pool.m_next[m] or (c and pool.c_refs[c] > 1) or pool.room_after(tail) < n:
        return False
    got = pool.extend(tail, n)
    if got < n:
        pool.m_len[tail] -= got
        return False
    copy_octets(pool.arena, at, pool.arena, pool.m_off[m], n)
    pool.free(m)
    return True


def map_pages(pool, m_tail, data, off, n):
    """As sendfile(2): pages of a file behind `m_tail`, each an mbuf and a buffer that maps it, no cluster. 0 as
    `m_tail`: a chain of their own. Answers its first mbuf, or 0; fewer octets than `n` were denied the rest.
    """
    done: cython.Py_ssize_t = 0
    first: cython.int = 0
    m: cython.int = m_tail
    new: cython.int
    want: cython.int
    got: cython.int
    cls: cython.int
    while done < n:
        want = 65536 if n - done > 65536 else cython.cast(cython.int, n - done)
        cls = 1
        while cls < _S_BIG and want > pool.s_room[cls]:
            cls += 1
        new = pool.attach(cls, _SFBUF, 1, _BY_4K)
        if new == 0:
            return first
        if m:
            pool.m_next[m] = new
        if first == 0:
            first = new
        m = new
        if want > pool.room_after(new):
            want = pool.room_after(new)
        got = pool.extend(new, want)
        copy_octets(pool.arena, pool.m_off[new], data, off + done, got)
        done += got
        if got < want:
            return first
    return first
