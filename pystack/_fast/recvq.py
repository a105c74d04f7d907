"""The receive side of a connection: octets in order for the application, and islands beyond a hole.

`RecvQueue` holds what `recv` will give. `Reassembly` exists only while data is out of order: islands as
[left, right) with their mbuf chains, sorted, never touching each other; and the list of islands that the next
acknowledgment should report, most recent first (RFC 2018 section 4).

Overlap: octets that are queued already win; a new segment contributes only what is missing.
"""

import cython

from pystack._fast.columns import column, grown
from pystack._fast.mbuf import Pool  # noqa: F401  (the type in the .pxd)
from pystack._fast.seq import add, after, after_eq, before, before_eq, dist

MAX_REPORTED = 6
_MAX_REPORTED = MAX_REPORTED
_octet = memoryview(bytearray(1))


@cython.final
@cython.cclass
class RecvQueue:
    """Octets in order: `cc` of them, of at most `limit()`; readable from `lowat` on.

    `hiwat` is the buffer's size as its system counts it. `overhead` is 1 where bookkeeping is thought to take half of
    it (Linux, tcp_adv_win_scale 1), else 0.
    """

    def __init__(self, pool, hiwat, overhead):
        self.pool = pool
        self.head = 0
        self.tail = 0
        self.cc = 0
        self.hiwat = hiwat
        self.lowat = 1
        self.overhead = overhead

    def limit(self):
        """Octets of data that fit."""
        return self.hiwat >> self.overhead

    def space(self):
        """Octets that may still arrive."""
        most: cython.int = self.hiwat >> self.overhead
        return most - self.cc if most > self.cc else 0

    def append(self, m, length):
        """The chain `m` of `length` octets is next; the queue owns it now."""
        if self.tail != 0:
            self.pool.m_next[self.tail] = m
        else:
            self.head = m
        self.tail = self.pool.tail(m)
        self.cc += length

    def read_into(self, data, at, n, peek):
        """Copy up to `n` octets to `data[at:]` and drop them unless `peek`; answers how many."""
        if n > self.cc:
            n = self.cc
        if n <= 0:
            return 0
        self.pool.copy_out(self.head, 0, data, at, n)
        if not peek:
            self.drop(n)
        return n

    def read_bytes(self, n, peek):
        """Up to `n` octets as bytes."""
        if n > self.cc:
            n = self.cc
        if n <= 0:
            return b""
        data = self.pool.to_bytes(self.head, 0, n)
        if not peek:
            self.drop(n)
        return data

    def drop(self, n):
        """The first `n` octets were read."""
        if n >= self.cc:
            self.flush()
            return
        self.head = self.pool.trim_front(self.head, n)
        self.cc -= n

    def pull(self, off):
        """Take the octet at `off` out of the queue; its value, or -1 when an mbuf is denied and it stays."""
        rest: cython.int
        self.pool.copy_out(self.head, off, _octet, 0, 1)
        if off == 0:
            self.drop(1)
            return _octet[0]
        if off + 1 < self.cc:
            rest = self.pool.share(self.head, off + 1, self.cc - off - 1)
            if rest == 0:
                return -1
            self.pool.truncate(self.head, off)
            self.pool.m_next[self.pool.tail(self.head)] = rest
        else:
            self.pool.truncate(self.head, off)
        self.tail = self.pool.tail(self.head)
        self.cc -= 1
        return _octet[0]

    def flush(self):
        """Everything goes."""
        if self.head != 0:
            self.pool.free_chain(self.head)
        self.head = 0
        self.tail = 0
        self.cc = 0


@cython.final
@cython.cclass
class Reassembly:
    """Islands of data beyond RCV.NXT; at most `maximum` of them, a segment that would need more is refused.

    After `insert`, `new_left` and `new_right` bound the island that the segment ended up in.
    """

    def __init__(self, pool, maximum):
        self.pool = pool
        self.maximum = maximum
        self.left = column("I", 9)
        self.right = column("I", 9)
        self.head = column("i", 9)
        self.last = column("i", 9)
        self.recent = column("I", 2 * MAX_REPORTED + 2)
        self.n = 0
        self.n_recent = 0
        self.octets = 0
        self.new_left = 0
        self.new_right = 0

    def grow(self):
        """Room for twice as many islands."""
        size = 2 * (len(self.left) - 1) + 1
        self.left = grown(memoryview(self.left), size)
        self.right = grown(memoryview(self.right), size)
        self.head = grown(memoryview(self.head), size)
        self.last = grown(memoryview(self.last), size)

    def shift_in(self, i):
        """An empty place at `i`; False when there may be no more islands."""
        if self.n >= self.maximum:
            return False
        if self.n + 1 >= self.left.shape[0]:
            self.grow()
        j: cython.int = self.n
        while j > i:
            self.left[j] = self.left[j - 1]
            self.right[j] = self.right[j - 1]
            self.head[j] = self.head[j - 1]
            self.last[j] = self.last[j - 1]
            j -= 1
        self.n += 1
        return True

    def shift_out(self, i):
        """Island `i` is no more."""
        self.n -= 1
        j: cython.int = i
        while j < self.n:
            self.left[j] = self.left[j + 1]
            self.right[j] = self.right[j + 1]
            self.head[j] = self.head[j + 1]
            self.last[j] = self.last[j + 1]
            j += 1

    def join(self, i, m, length):
        """The chain `m` continues island `i`."""
        if self.head[i] == 0:
            self.head[i] = m
        else:
            self.pool.m_next[self.last[i]] = m
        self.last[i] = self.pool.tail(m)
        self.right[i] = add(self.right[i], length)

    def insert(self, seq, m, length):
        """Queue the chain `m` (owned from now on) of `length` > 0 octets at `seq`.

        Answers how many octets were new, or -1 when there is no room for another island.
        """
        end: cython.uint = add(seq, length)
        i: cython.int = 0
        new: cython.int = 0
        piece: cython.int
        skip: cython.int
        rest: cython.int
        while i < self.n and before(self.right[i], seq):
            i += 1
        if i < self.n and before_eq(self.left[i], seq):
            skip = dist(seq, self.right[i])
            if skip >= length:
                self.pool.free_chain(m)
                self.new_left = self.left[i]
                self.new_right = self.right[i]
                return 0
            if skip > 0:
                m = self.pool.trim_front(m, skip)
                seq = self.right[i]
                length -= skip
        else:
            if not self.shift_in(i):
                self.pool.free_chain(m)
                return -1
            self.left[i] = seq
            self.right[i] = seq
            self.head[i] = 0
            self.last[i] = 0
        while True:
            if length > 0:
                piece = length
                if i + 1 < self.n and before(self.left[i + 1], end):
                    piece = dist(self.right[i], self.left[i + 1])
                rest = 0
                if piece < length:
                    skip = dist(self.right[i], self.right[i + 1])
                    if skip < length:
                        rest = self.pool.share(m, skip, length - skip)
                        if (
                            rest == 0
                        ):  # no mbuf: the octets beyond are not taken, the peer sends them again
                            end = self.right[i + 1]
                    else:
                        end = self.right[i + 1]
                    self.pool.truncate(m, piece)
                new += piece
                self.join(i, m, piece)
                m = rest
                length = 0
            if i + 1 < self.n and self.left[i + 1] == self.right[i]:
                self.pool.m_next[self.last[i]] = self.head[i + 1]
                self.last[i] = self.last[i + 1]
                self.right[i] = self.right[i + 1]
                self.shift_out(i + 1)
                if m != 0:
                    length = dist(self.right[i], end)
            elif m == 0:
                break
        self.octets += new
        self.new_left = self.left[i]
        self.new_right = self.right[i]
        return new

    def take(self, rcv_nxt, q):
        """Hand the first island to `q` if it begins at `rcv_nxt`; answers its octets."""
        if self.n == 0 or self.left[0] != rcv_nxt:
            return 0
        length: cython.int = dist(self.left[0], self.right[0])
        q.append(self.head[0], length)
        self.octets -= length
        self.shift_out(0)
        return length

    def report(self, left, right):
        """[left, right) is the block to report first from now on."""
        kept: cython.int = 0
        i: cython.int
        lo: cython.uint
        hi: cython.uint
        for i in range(self.n_recent):
            lo = self.recent[2 * i]
            hi = self.recent[2 * i + 1]
            if after_eq(lo, left) and before_eq(hi, right):
                continue
            self.recent[2 * kept] = lo
            self.recent[2 * kept + 1] = hi
            kept += 1
        if kept == _MAX_REPORTED:
            kept -= 1
        i = kept
        while i > 0:
            self.recent[2 * i] = self.recent[2 * i - 2]
            self.recent[2 * i + 1] = self.recent[2 * i - 1]
            i -= 1
        self.recent[0] = left
        self.recent[1] = right
        self.n_recent = kept + 1

    def forget(self, rcv_nxt):
        """Blocks at or below `rcv_nxt` need no report."""
        kept: cython.int = 0
        i: cython.int
        for i in range(self.n_recent):
            if after(self.recent[2 * i + 1], rcv_nxt):
                self.recent[2 * kept] = self.recent[2 * i]
                self.recent[2 * kept + 1] = self.recent[2 * i + 1]
                kept += 1
        self.n_recent = kept

    def ranges(self):
        """[(left, right)] of the islands, for views and tests."""
        return [(self.left[i], self.right[i]) for i in range(self.n)]

    def reported(self):
        """[(left, right)] that the next acknowledgment would report, for views and tests."""
        return [(self.recent[2 * i], self.recent[2 * i + 1]) for i in range(self.n_recent)]

    def flush(self):
        """Everything goes."""
        i: cython.int
        for i in range(self.n):
            self.pool.free_chain(self.head[i])
        self.n = 0
        self.n_recent = 0
        self.octets = 0
