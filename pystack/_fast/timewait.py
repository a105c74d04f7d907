"""TIME_WAIT (and Linux's orphaned FIN_WAIT_2) as small rows.

A closed connection that only has to wait needs no buffers, no timers of its own and no object: about 100 octets in
columns, found by the same 4-tuple hash as a connection, ordered by expiry in a doubly linked list. Since nearly all
rows wait equally long, a row is appended at the young end and moved only when its wait differs.

Source: FreeBSD netinet/tcp_timewait.c, Linux tcp_minisocks; rules of reuse in `tcp_in.py`.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column
from pystack._fast.consts import NEVER, TIME_WAIT
from pystack._fast.hashing import jhash_3words

TWO_CHOSEN = 1
TWO_REUSE = 2
"""The machine chose the local port, for a connect(); the socket had SO_REUSEADDR."""

_NEVER = cython.declare(cython.longlong, NEVER)
_TIME_WAIT = cython.declare(cython.uchar, TIME_WAIT)


@cython.final
@cython.cclass
class TimeWaitTable:
    """Waiting connections. `capacity` rows are storage, `maximum` (<= capacity) is the limit in force.

    `state` is TIME_WAIT, or FIN_WAIT_2 where the peer has yet to say FIN. `win` is the window that was offered, in
    octets, and `scale` what it is shifted by on the wire. `options` (TWO_*): who else may use the local port.
    """

    def __init__(self, capacity, buckets, secret):
        self.maximum = capacity
        self.used = 0
        self.high_water = 0
        self.recycled = 0
        self.overflow = 0
        self.last_failure = 0
        rows = capacity + 1
        self.laddr = column("I", rows)
        self.faddr = column("I", rows)
        self.ports = column("I", rows)
        self.snd_nxt = column("I", rows)
        self.rcv_nxt = column("I", rows)
        self.ts_recent = column("I", rows)
        self.ts_offset = column("I", rows)
        self.win = column("i", rows)
        self.has_ts = column("B", rows)
        self.scale = column("B", rows)
        self.state = column("B", rows)
        self.options = column("B", rows)
        self.ts_stamp = column("q", rows)
        self.expires = column("q", rows)
        self.answered = column("q", rows)
        self.older = column("i", rows)
        self.newer = column("i", rows)
        self.oldest = 0
        self.newest = 0
        self.free = FreeList(capacity)
        self.chain = Chain(buckets, capacity)
        self.secret = secret
        self.mask = buckets - 1

    def bucket(self, row):
        """Chain of a row."""
        return (
            jhash_3words(self.laddr[row], self.faddr[row], self.ports[row], self.secret) & self.mask
        )

    def append(self, row):
        """Into the order of expiry: behind every row that ends no later."""
        before: cython.int = self.newest
        while before != 0 and self.expires[before] > self.expires[row]:
            before = self.older[before]
        after: cython.int = self.newer[before] if before != 0 else self.oldest
        self.older[row] = before
        self.newer[row] = after
        if before != 0:
            self.newer[before] = row
        else:
            self.oldest = row
        if after != 0:
            self.older[after] = row
        else:
            self.newest = row

    def detach(self, row):
        """Out of the order of expiry."""
        before: cython.int = self.older[row]
        after: cython.int = self.newer[row]
        if before != 0:
            self.newer[before] = after
        else:
            self.oldest = after
        if after != 0:
            self.older[after] = before
        else:
            self.newest = before

    def add(self, laddr, lport, faddr, fport, expires):
        """A new row, or 0 at the limit: the caller recycles `oldest` or closes at once, as its system does."""
        if self.used >= self.maximum:
            return 0
        row: cython.int = self.free.take()
        if row == 0:
            return 0
        local: cython.uint = lport
        foreign: cython.uint = fport
        self.laddr[row] = laddr
        self.faddr[row] = faddr
        self.ports[row] = (local << 16) | foreign
        self.expires[row] = expires
        self.answered[row] = -(_NEVER >> 1)
        self.has_ts[row] = 0
        self.state[row] = _TIME_WAIT
        self.options[row] = 0
        self.chain.insert_head(self.bucket(row), row)
        self.append(row)
        self.used += 1
        if self.used > self.high_water:
            self.high_water = self.used
        return row

    def remove(self, row):
        """The wait is over."""
        self.chain.remove(self.bucket(row), row)
        self.detach(row)
        self.free.give(row)
        self.used -= 1

    def restart(self, row, expires):
        """The wait begins anew."""
        self.detach(row)
        self.expires[row] = expires
        self.append(row)

    def find(self, laddr, lport, faddr, fport):
        """Row of this 4-tuple, or 0."""
        local: cython.uint = lport
        foreign: cython.uint = fport
        ports: cython.uint = (local << 16) | foreign
        row: cython.int = self.chain.head[
            jhash_3words(laddr, faddr, ports, self.secret) & self.mask
        ]
        while row != 0:
            if self.ports[row] == ports and self.faddr[row] == faddr and self.laddr[row] == laddr:
                return row
            row = self.chain.next[row]
        return 0

    def next_deadline(self):
        """When the oldest row ends."""
        if self.oldest == 0:
            return _NEVER
        return self.expires[self.oldest]

    def expire(self, now):
        """Remove the rows whose wait is over; answers how many."""
        n: cython.int = 0
        while self.oldest != 0 and self.expires[self.oldest] <= now:
            self.remove(self.oldest)
            n += 1
        return n

    def port_waits(self, laddr, port, reuse):
        """Does a row hold this local port against a bind to the address (0: any)? `reuse`: rows of sockets with
        SO_REUSEADDR do not.
        """
        row: cython.int = self.oldest
        number: cython.uint = port
        while row != 0:
            if (
                self.ports[row] >> 16 == number
                and (laddr == 0 or self.laddr[row] == laddr)
                and not (reuse and self.options[row] & 2)
            ):
                return True
            row = self.newer[row]
        return False

    def set_maximum(self, rows):
        """Another limit; rows above it stay until their time. No more than there is storage for."""
        self.maximum = rows if rows < len(self.laddr) else len(self.laddr) - 1

    def chain_lengths(self):
        """How many chains have 0, 1, 2 … entries."""
        return self.chain.lengths()

    def rows(self):
        """The rows in use as dicts, oldest first (for views)."""
        out = []
        row: cython.int = self.oldest
        while row != 0:
            out.append(
                {
                    "laddr": self.laddr[row],
                    "faddr": self.faddr[row],
                    "lport": self.ports[row] >> 16,
                    "fport": self.ports[row] & 0xFFFF,
                    "expires": self.expires[row],
                    "state": self.state[row],
                    "options": self.options[row],
                }
            )
            row = self.newer[row]
        return out
