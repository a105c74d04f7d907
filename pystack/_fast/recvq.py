"""The receive side of a connection: octets in order for the application, and islands beyond a hole.

`RecvQueue` holds what `recv` will give. `Reassembly` exists only while data is out of order: islands as
[left, right) with their mbuf chains, sorted, never touching each other. What the peer is told of them is in
`sackreport`.

Overlap: octets that are queued already win; a new segment contributes only what is missing.
"""

import cython

from pystack._fast import mbuf_books
from pystack._fast.columns import column, grown
from pystack._fast.mbuf import Pool  # noqa: F401  (the type in the .pxd)
from pystack._fast.ring import Ring
from pystack._fast.seq import add, before, before_eq, dist

_octet = memoryview(bytearray(1))


@cython.final
@cython.cclass
class RecvQueue:
    """Octets in order: `cc` of them, in a buffer of `hiwat`; readable from `lowat` on.

    With `account` the buffer is one of memory, as Linux has it: `rmem` octets of it are in use, and `ratio`/256 of what
    is free is thought to be room for data. Then every segment is charged (`charge`) with what it takes there, and a
    read gives back what whole segments took. Without it (FreeBSD) octets are octets, and `ratio` is 256; `mbcnt` is the
    octets of memory that they lie in (`Pool.cost`), and a short segment moves into the storage of the one before.
    """

    def __init__(self, pool, hiwat, account):
        self.pool = pool
        self.head = 0
        self.tail = 0
        self.cc = 0
        self.hiwat = hiwat
        self.lowat = 1
        self.mbcnt = 0
        self.account = account != 0
        self.ratio = 128 if account else 256
        self.rmem = 0
        self.last_charge = 0
        self.tail_room = 0
        self.new_len = self.new_mem = 0
        self.older_len = self.older_mem = None

    def window_of(self, memory):
        """Octets of data for which `memory` octets of the buffer are thought to do."""
        out: cython.longlong = memory
        return (out * self.ratio) >> 8

    def limit(self):
        """Octets of data that fit."""
        return self.window_of(self.hiwat)

    def space(self):
        """Octets that may still arrive."""
        if self.account:
            return self.window_of(self.hiwat - self.rmem) if self.hiwat > self.rmem else 0
        return self.hiwat - self.cc if self.hiwat > self.cc else 0

    def charge(self, length, memory, room):
        """`length` octets, appended already, take `memory` octets: a block of its own with `room` to grow, unless the
        last block has room for them.

        The newest block stands in the queue itself, so that most connections never need the ring of the older ones.
        """
        self.last_charge = memory
        if length <= 0:
            return 0
        if self.new_len > 0 and length <= self.tail_room:
            self.new_len += length
            self.tail_room -= length
            return 0
        if self.new_len > 0:
            if self.older_len is None:
                self.make_rings()
            self.older_len.push(self.new_len)
            self.older_mem.push(self.new_mem)
        self.new_len = length
        self.new_mem = memory
        self.rmem += memory
        self.tail_room = room
        return 0

    def make_rings(self):
        """The first time that a second block is waiting."""
        self.older_len = Ring()
        self.older_mem = Ring()
        return 0

    def uncharge(self, n):
        """`n` octets were read: the blocks that held nothing else give their memory back."""
        while n > 0 and self.older_len is not None and self.older_len.count > 0:
            if self.older_len.at(0) > n:
                self.older_len.put(0, self.older_len.at(0) - n)
                return
            n -= self.older_len.shift()
            self.rmem -= self.older_mem.shift()
        if self.new_len > n:
            self.new_len -= n
        elif self.new_len > 0:
            self.rmem -= self.new_mem
            self.new_len = 0

    def collapse(self, memory):
        """Everything moves into dense blocks that take `memory` octets in all (Linux tcp_collapse)."""
        self.uncharge(self.cc)
        return self.charge(self.cc, memory, 0)

    def append(self, m, length):
        """The chain `m` of `length` octets is next; the queue owns it now."""
        self.cc += length
        if self.tail != 0:
            if not self.account and self.swallowed(m):
                return
            self.pool.m_next[self.tail] = m
        else:
            self.head = m
        if not self.account:
            self.mbcnt += mbuf_books.chain_cost(self.pool, m)
        self.tail = self.pool.tail(m)

    def swallowed(self, m):
        """Did the chain `m` fit behind what is there?"""
        cost: cython.int = mbuf_books.cost(self.pool, self.tail)
        if not mbuf_books.swallow(self.pool, self.tail, m):
            return False
        self.mbcnt += mbuf_books.cost(self.pool, self.tail) - cost
        return True

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
        self.cc -= n
        if self.account:
            self.head = self.pool.trim_front(self.head, n)
            self.uncharge(n)
        else:
            self.head = mbuf_books.shed(self.pool, self.head, n)
            self.mbcnt -= self.pool.shed_cost

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
        if self.account:
            self.uncharge(1)
        else:
            self.mbcnt = mbuf_books.chain_cost(self.pool, self.head)
        return _octet[0]

    def first_mbuf(self):
        """The chain's first mbuf, 0 for none (for views: `mbuf_books.storage`)."""
        return self.head

    def flush(self):
        """Everything goes."""
        if self.head != 0:
            self.pool.free_chain(self.head)
        self.uncharge(self.cc)
        self.head = 0
        self.tail = 0
        self.cc = self.mbcnt = 0


@cython.final
@cython.cclass
class Reassembly:
    """Islands of data beyond RCV.NXT; at most `maximum` of them, a segment that would need more is refused.

    After `insert`, island `new_at` is the one that the segment ended up in.
    """

    def __init__(self, pool, maximum):
        self.pool = pool
        self.maximum = maximum
        self.left = column("I", 9)
        self.right = column("I", 9)
        self.head = column("i", 9)
        self.last = column("i", 9)
        self.mem = column("i", 9)
        self.n = 0
        self.rmem = 0
        self.freed = 0
        self.octets = 0
        self.new_at = 0

    def grow(self):
        """Room for twice as many islands."""
        size = 2 * (len(self.left) - 1) + 1
        self.left = grown(memoryview(self.left), size)
        self.right = grown(memoryview(self.right), size)
        self.head = grown(memoryview(self.head), size)
        self.last = grown(memoryview(self.last), size)
        self.mem = grown(memoryview(self.mem), size)

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
            self.mem[j] = self.mem[j - 1]
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
            self.mem[j] = self.mem[j + 1]
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
        begin: cython.uint = seq
        end: cython.uint = add(seq, length)
        i: cython.int = 0
        new: cython.int = 0
        piece: cython.int
        skip: cython.int
        rest: cython.int
        while i < self.n and before(self.right[i], seq):
            i += 1
        self.freed = 0
        if i < self.n and before_eq(self.left[i], seq):
            if self.left[i] == seq and dist(seq, self.right[i]) < length:
                self.freed = self.mem[i]  # the island is covered: its segments are not kept
                self.mem[i] = 0
            skip = dist(seq, self.right[i])
            if skip >= length:
                self.pool.free_chain(m)
                self.new_at = i
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
            self.mem[i] = 0
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
                if before_eq(begin, self.left[i + 1]) and before_eq(self.right[i + 1], end):
                    self.freed += self.mem[i + 1]
                else:
                    self.mem[i] += self.mem[i + 1]
                self.shift_out(i + 1)
                if m != 0:
                    length = dist(self.right[i], end)
            elif m == 0:
                break
        self.octets += new
        self.new_at = i
        return new

    def charge(self, memory, q):
        """The segment that was inserted last takes `memory` octets of the buffer `q`, less what it replaced took."""
        self.mem[self.new_at] += memory
        memory -= self.freed
        self.rmem += memory
        q.rmem += memory

    def take(self, rcv_nxt, q):
        """Hand the first island to `q` if it begins at `rcv_nxt`; answers its octets."""
        if self.n == 0 or self.left[0] != rcv_nxt:
            return 0
        length: cython.int = dist(self.left[0], self.right[0])
        q.append(self.head[0], length)
        if q.account:
            q.rmem -= self.mem[0]  # the queue's charge names it again
            q.charge(length, self.mem[0], 0)
            self.rmem -= self.mem[0]
        self.octets -= length
        self.shift_out(0)
        return length

    def ranges(self):
        """[(left, right)] of the islands, for views and tests."""
        return [(self.left[i], self.right[i]) for i in range(self.n)]

    def flush(self):
        """Everything goes."""
        i: cython.int
        for i in range(self.n):
            self.pool.free_chain(self.head[i])
        self.n = 0
        self.octets = 0
        self.rmem = 0
