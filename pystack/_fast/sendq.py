"""The send queue of a connection: what the application wrote and the peer has not acknowledged.

A chain of mbufs of which segments are shared pieces: a transmission, and each retransmission of it, references the
same clusters. Offsets count from SND.UNA. A cached position makes finding the next octet to send O(1), as FreeBSD's
sbsndptr does.
"""

import cython

from pystack._fast import mbuf_books
from pystack._fast.mbuf import Pool  # noqa: F401  (the type in the .pxd)
from pystack._fast.ring import Ring
from pystack._fast.seq import add, after, before_eq, dist


@cython.final
@cython.cclass
class SendQueue:
    """Octets in order; `cc` of them, of at most `hiwat`. `mbcnt`: octets of memory that they lie in (`Pool.cost`).

    `lowat`: room that makes a full queue writable again (FreeBSD). What has room is said in `space`.
    """

    def __init__(self, pool, hiwat, lowat):
        self.pool = pool
        self.head = 0
        self.tail = 0
        self.near = 0
        self.near_off = 0
        self.cc = 0
        self.hiwat = hiwat
        self.lowat = lowat
        self.mbcnt = 0
        self.older = None
        self.n_marks = 0
        self.newest = 0
        self.piece = 0
        self.pushed = 0
        self.records = None

    def append(self, data, off, n, pages=False):
        """Take `n` octets of `data` from `off` on; answers how many the pool had room for. `pages`: they are those of a
        file, which are mapped and not copied (sendfile).
        """
        done: cython.Py_ssize_t
        first: cython.int
        if n <= 0:
            return 0
        if self.head == 0:
            if pages:
                self.head = mbuf_books.map_pages(self.pool, 0, data, off, n)
            else:
                self.head = self.pool.new_chain(data, off, n)
            if self.head == 0:
                return 0
            done = self.pool.chain_length(self.head)
            self.mbcnt = mbuf_books.chain_cost(self.pool, self.head)
            self.tail = self.pool.tail(self.head)
        elif pages:
            first = mbuf_books.map_pages(self.pool, self.tail, data, off, n)
            done = 0
            if first:
                done = self.pool.chain_length(first)
                self.mbcnt += mbuf_books.chain_cost(self.pool, first)
                self.tail = self.pool.tail(first)
        else:
            self.mbcnt -= mbuf_books.cost(self.pool, self.tail)
            done = self.pool.append_bytes(self.tail, data, off, n)
            self.mbcnt += mbuf_books.chain_cost(self.pool, self.tail)
            self.tail = self.pool.tail(self.tail)
        self.cc += done
        return done

    def drop(self, n):
        """The first `n` octets were acknowledged."""
        if n >= self.cc:
            self.flush()
            return
        if self.near != 0:
            self.near_off -= n
            if self.near_off < 0:
                self.near = 0
        self.head = mbuf_books.shed(self.pool, self.head, n)
        self.mbcnt -= self.pool.shed_cost
        self.cc -= n

    def chain(self, off, length):
        """A chain that shares `length` octets from `off` on; 0 when mbufs are denied."""
        if length == 0:
            return 0
        m: cython.int = self.near
        at: cython.int = self.near_off
        if m == 0 or at > off:
            m = self.head
            at = 0
        while at + self.pool.m_len[m] <= off:
            at += self.pool.m_len[m]
            m = self.pool.m_next[m]
        self.near = m
        self.near_off = at
        return self.pool.share(m, off - at, length)

    def first_mbuf(self):
        """The chain's first mbuf, 0 for none (for views: `mbuf_books.storage`)."""
        return self.head

    def flush(self):
        """Everything goes."""
        if self.head != 0:
            self.pool.free_chain(self.head)
        self.head = 0
        self.tail = 0
        self.near = 0
        self.near_off = 0
        self.cc = self.mbcnt = 0
        self.records = None

    # --- where PSH goes (Linux): the ends of the pieces that the application's writes were made into -------

    def written(self, at, n, sent, goal, half, more):
        """`n` octets were written at sequence number `at`, everything before `sent` has been sent.

        They continue the last piece if some of it has not been sent, else they are a new one; a piece ends at `goal`
        octets. The end of the write is marked, unless there is `more` to come; so is a piece when more than `half`
        octets were written since the last mark. So a mark moves on when a write is followed by another before it goes.

        Answers how many octets the piece had that was continued, 0 for a new one.
        """
        had: cython.bint = False
        room: cython.int
        held: cython.int
        if before_eq(at, sent) or (self.records is not None and self.ends_record(at)):
            self.piece = at
        else:
            if after(sent, self.piece):
                self.piece = sent
            if self.n_marks > 0 and self.newest == at:
                if dist(self.piece, at) < goal:
                    self.unmark()
        held = dist(self.piece, at)
        if held >= goal:
            held = 0
        while n > 0:
            room = goal - dist(self.piece, at)
            if room <= 0:
                self.piece = at
                room = goal
                had = False
            if room > n:
                room = n
            at = add(at, room)
            n -= room
            if dist(self.piece, at) >= goal and dist(self.pushed, at) > half:
                self.mark(at)
                had = True
        if not had and (not more or dist(self.pushed, at) > half):
            self.mark(at)
        return held

    # The newest mark stands in the queue itself: a connection whose writes go out one by one never needs the ring.

    def mark(self, at):
        """A segment that ends at `at`, or has `at` in it, carries PSH."""
        i: cython.int
        if after(at, self.pushed):
            self.pushed = at
        self.n_marks += 1
        if self.n_marks == 1:
            self.newest = at
            return 0
        if self.older is None:
            self.older = Ring()
        if not after(self.newest, at):
            self.older.push(self.newest)
            self.newest = at
            return 0
        self.older.push(at)
        i = self.older.count - 1
        while i > 0 and after(cython.cast(cython.uint, self.older.at(i - 1)), at):
            self.older.put(i, self.older.at(i - 1))
            i -= 1
        self.older.put(i, at)
        return 0

    def unmark(self):
        """Take the newest mark back."""
        self.n_marks -= 1
        if self.n_marks > 0:
            self.newest = cython.cast(cython.uint, self.older.pop())

    def next_mark(self, at):
        """Octets from `at` to the first mark behind it, 0 when there is none."""
        i: cython.int
        for i in range(self.n_marks - 1):
            if after(cython.cast(cython.uint, self.older.at(i)), at):
                return dist(at, cython.cast(cython.uint, self.older.at(i)))
        return dist(at, self.newest) if self.n_marks > 0 and after(self.newest, at) else 0

    def forget_marks(self, una):
        """Everything before `una` was acknowledged."""
        while self.n_marks > 1 and before_eq(cython.cast(cython.uint, self.older.at(0)), una):
            self.older.shift()
            self.n_marks -= 1
        if self.n_marks == 1 and before_eq(self.newest, una):
            self.n_marks = 0

    # --- records (Linux, MSG_EOR): no segment has octets of two of them ------------------------------------------

    def end_record(self, at):
        """What was written ends a record at `at`."""
        if self.records is None:
            self.records = Ring()
        self.records.push(at)
        return 0

    def ends_record(self, at):
        """Does a record end there?"""
        i: cython.int
        for i in range(self.records.count):
            if cython.cast(cython.uint, self.records.at(i)) == at:
                return True
        return False

    def next_record(self, at):
        """Octets from `at` to the first end of a record behind it, 0 when there is none."""
        i: cython.int
        for i in range(self.records.count):
            if after(cython.cast(cython.uint, self.records.at(i)), at):
                return dist(at, cython.cast(cython.uint, self.records.at(i)))
        return 0

    def forget_records(self, una):
        """Everything before `una` was acknowledged."""
        while self.records.count > 0:
            if after(cython.cast(cython.uint, self.records.at(0)), una):
                return 0
            self.records.shift()
        self.records = None
        return 0

    def to_bytes(self):
        """What is queued (for views and tests)."""
        return self.pool.to_bytes(self.head, 0, self.cc) if self.cc else b""
