"""Half-open connections as rows: FreeBSD's syncache, and what Linux calls request socks.

A row holds what the SYN said and which SYN-ACK answered it, about 70 octets. Chains with a limit each, oldest at the
tail; the table as a whole has a limit too. What to do at either limit is `tcp_listen`'s business.

Source: FreeBSD netinet/tcp_syncache.c; facts: freebsd-tcp 3.3.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column
from pystack._fast.hashing import jhash_3words

SC_TS = 1
SC_SCALE = 2
SC_SACK = 4
SC_ECN = 8
SC_ACKED = 16
SC_UNREACH = 32
SC_COOKIE = 64
SC_COOKIE_EXP = 128
SC_ACE = 256
"""In this unit the ECN that a SYN asked for, beyond SC_ECN (ecn.asked); a column of its own."""

_ACE = SC_ACE
_ECN = SC_ECN


@cython.final
@cython.cclass
class SynCache:
    """`limit` rows in `buckets` chains (a power of two) of at most `bucket_limit` each."""

    def __init__(self, limit, buckets, bucket_limit, secret):
        rows = limit + 1
        self.used = 0
        self.high_water = 0
        self.limit = limit
        self.bucket_limit = bucket_limit
        self.last_overflow = -(2**62)
        self.last_failure = 0
        self.longest = 0
        self.laddr = column("I", rows)
        self.faddr = column("I", rows)
        self.ports = column("I", rows)
        self.irs = column("I", rows)
        self.iss = column("I", rows)
        self.ts_recent = column("I", rows)
        self.ts_offset = column("I", rows)
        self.mss = column("H", rows)
        self.win = column("H", rows)
        self.peer_scale = column("b", rows)
        self.flags = column("B", rows)
        self.rexmits = column("B", rows)
        self.tos = column("B", rows)
        self.ecn = column("B", rows)
        self.listener = column("i", rows)
        self.timer = column("i", rows)
        self.born = column("q", rows)
        self.answered = column("q", rows)
        self.ts_first = column("I", rows)
        self.ts_last = column("I", rows)
        self.length = column("i", buckets)
        self.overflowed = column("q", buckets)
        for bucket in range(buckets):
            self.overflowed[bucket] = -(2**62)
        self.free = FreeList(limit)
        self.chain = Chain(buckets, limit)
        self.secret = secret
        self.mask = buckets - 1

    def bucket_of(self, laddr, lport, faddr, fport):
        """The chain of these four."""
        local: cython.uint = lport
        foreign: cython.uint = fport
        return jhash_3words(laddr, faddr, (local << 16) | foreign, self.secret) & self.mask

    def find(self, laddr, lport, faddr, fport):
        """Row of these four, or 0."""
        local: cython.uint = lport
        foreign: cython.uint = fport
        ports: cython.uint = (local << 16) | foreign
        row: cython.int = self.chain.head[self.bucket_of(laddr, lport, faddr, fport)]
        while row != 0:
            if self.ports[row] == ports and self.faddr[row] == faddr and self.laddr[row] == laddr:
                return row
            row = self.chain.next[row]
        return 0

    def oldest_in(self, bucket):
        """The row at the tail of a chain, 0 when it is empty."""
        row: cython.int = self.chain.head[bucket]
        while row != 0 and self.chain.next[row] != 0:
            row = self.chain.next[row]
        return row

    def add(self, laddr, lport, faddr, fport):
        """A new row at the head of its chain, or 0 when the table is at its limit."""
        row: cython.int = self.free.take()
        if row == 0:
            return 0
        local: cython.uint = lport
        foreign: cython.uint = fport
        self.laddr[row] = laddr
        self.faddr[row] = faddr
        self.ports[row] = (local << 16) | foreign
        bucket: cython.uint = self.bucket_of(laddr, lport, faddr, fport)
        self.chain.insert_head(bucket, row)
        self.length[bucket] += 1
        if self.length[bucket] > self.longest:
            self.longest = self.length[bucket]
        self.used += 1
        if self.used > self.high_water:
            self.high_water = self.used
        return row

    def remove(self, row):
        """The row is answered or given up; its timer is the caller's business."""
        bucket: cython.uint = self.bucket_of(
            self.laddr[row], self.ports[row] >> 16, self.faddr[row], self.ports[row] & 0xFFFF
        )
        self.chain.remove(bucket, row)
        self.length[bucket] -= 1
        self.free.give(row)
        self.used -= 1

    def all_flags(self, row):
        """What the row's SYN and its answer agreed on, Accurate ECN too."""
        return self.flags[row] | self.ecn[row] * _ACE

    def without_ecn(self, row):
        """The SYN-ACK says nothing more of ECN."""
        self.flags[row] &= ~_ECN
        self.ecn[row] = 0

    def longest_now(self):
        """Entries in the fullest bucket (for views, not hot)."""
        return max(self.length)

    def rows(self):
        """The rows in use as dicts (for views, not hot)."""
        out = []
        row: cython.int
        bucket: cython.int
        for bucket in range(self.mask + 1):
            row = self.chain.head[bucket]
            while row != 0:
                out.append(
                    {
                        "laddr": self.laddr[row],
                        "faddr": self.faddr[row],
                        "lport": self.ports[row] >> 16,
                        "fport": self.ports[row] & 0xFFFF,
                        "rexmits": self.rexmits[row],
                        "timer": self.timer[row],
                    }
                )
                row = self.chain.next[row]
        return out
