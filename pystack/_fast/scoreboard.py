"""What the peer said it has beyond SND.UNA: the sender's side of SACK (RFC 2018, RFC 6675).

Ranges [left, right), sorted, never touching. The questions of RFC 6675 section 4 are answered by walking them: which
octets are lost (`lost_edge`), how many are in the network (`pipe`), which come next (`next_hole`).
"""

import cython

from pystack._fast.columns import column
from pystack._fast.seq import after, after_eq, before, before_eq, dist, maximum, minimum


@cython.final
@cython.cclass
class Scoreboard:
    """SACKed ranges of one connection. `maximum` ranges (net.inet.tcp.sack.maxholes); what is beyond is not noted,
    which is safe: an octet that is not noted counts as missing.

    `high_rxt`: everything below was retransmitted in this recovery; `resent_max`: SND.MAX when that was done last.
    `sacked`: octets in ranges. `acked`: the last acknowledgment, which SND.UNA may be behind. `split`: a block that was
    added last parted a hole. `delivered`: octets that the last acknowledgment showed to have arrived. `rescue_left`,
    `rescue_right`: the end of the flight, sent again when nothing else is left to do (RFC 6675 section 4 rule 4);
    `rescued`: octets of it that were.
    `full`: the machine has as many ranges as it may, of all connections; `refused` counts those too many, and
    `counted` those that the machine has counted (`Stack.sack_holes`).
    `prr_delivered`, `prr_out`, `recover_fs`: RFC 6937 section 3.
    """

    def __init__(self, maximum):
        self.maximum = maximum
        self.left = column("I", maximum + 2)
        self.right = column("I", maximum + 2)
        self.n = 0
        self.sacked = 0
        self.high_rxt = self.resent_max = 0
        self.split = False
        self.full = False
        self.refused = 0
        self.counted = 0
        self.acked = 0
        self.delivered = 0
        self.rescue_left = self.rescue_right = 0
        self.rescued = 0
        self.prr_delivered = self.prr_out = self.recover_fs = 0
        self.hole_left = 0
        self.hole_right = 0

    def add_block(self, left, right):
        """The peer has [left, right); answers how many octets of it are news."""
        i: cython.int = 0
        j: cython.int
        had: cython.int = 0
        lo: cython.uint = left
        hi: cython.uint = right
        while i < self.n and before(self.right[i], left):
            i += 1
        j = i
        while j < self.n and before_eq(self.left[j], right):
            had += dist(self.left[j], self.right[j])
            lo = minimum(lo, self.left[j])
            hi = maximum(hi, self.right[j])
            j += 1
        if j == i:
            if self.full or self.n >= self.maximum:
                self.refused += 1
                return 0
            self.split = self.split or i < self.n
            j = self.n
            while j > i:
                self.left[j] = self.left[j - 1]
                self.right[j] = self.right[j - 1]
                j -= 1
            self.n += 1
        elif j > i + 1:
            had_n: cython.int = j - i - 1
            self.n -= had_n
            j = i + 1
            while j < self.n:
                self.left[j] = self.left[j + had_n]
                self.right[j] = self.right[j + had_n]
                j += 1
        self.left[i] = lo
        self.right[i] = hi
        news: cython.int = dist(lo, hi) - had
        self.sacked += news
        return news

    def advance(self, una):
        """Everything below `una` is acknowledged."""
        self.acked = una
        gone: cython.int = 0
        while gone < self.n and before_eq(self.right[gone], una):
            self.sacked -= dist(self.left[gone], self.right[gone])
            gone += 1
        i: cython.int
        if gone:
            for i in range(self.n - gone):
                self.left[i] = self.left[i + gone]
                self.right[i] = self.right[i + gone]
            self.n -= gone
        if self.n and before(self.left[0], una):
            self.sacked -= dist(self.left[0], una)
            self.left[0] = una

    def lost_edge(self, una, mss, dupthresh):
        """Every octet below the answer that is not SACKed is lost (IsLost of RFC 6675 section 4)."""
        octets: cython.int = 0
        i: cython.int = self.n - 1
        ranges: cython.int = 0
        while i >= 0:
            octets += dist(self.left[i], self.right[i])
            ranges += 1
            if ranges >= dupthresh or octets > (dupthresh - 1) * mss:
                return self.left[i]
            i -= 1
        return una

    def pipe(self, una, nxt, edge):
        """Octets estimated to be in the network (SetPipe of RFC 6675 section 4); `edge` from `lost_edge`."""
        total: cython.int = 0
        at: cython.uint = una
        end: cython.uint
        i: cython.int
        for i in range(self.n + 1):
            end = self.left[i] if i < self.n else nxt
            if after(end, at):
                if after(end, edge):
                    total += dist(maximum(at, edge), end)
                if after(self.high_rxt, at):
                    total += dist(at, minimum(end, self.high_rxt))
            if i < self.n:
                at = self.right[i]
        return total

    def next_hole(self, start):
        """The first missing octets at or after `start` that lie below a SACKed range: hole_left, hole_right."""
        i: cython.int
        for i in range(self.n):
            if before(start, self.left[i]):
                self.hole_left = start
                self.hole_right = self.left[i]
                return True
            if before(start, self.right[i]):
                start = self.right[i]
        return False

    def resent(self, una):
        """Octets that were sent again and are still missing."""
        total: cython.int = 0
        at: cython.uint = maximum(una, self.acked)
        i: cython.int
        for i in range(self.n):
            if after(self.high_rxt, at):
                total += dist(at, minimum(self.left[i], self.high_rxt))
            at = self.right[i]
        return total + self.rescued

    def missing_below(self, una, edge):
        """Octets below `edge` that are not SACKed: lost ones."""
        total: cython.int = 0
        at: cython.uint = una
        i: cython.int
        for i in range(self.n):
            if after(edge, at):
                total += dist(at, minimum(self.left[i], edge))
            at = self.right[i]
        return total

    def first_hole_sent(self, una):
        """Was the first hole sent again, all of it?"""
        at: cython.uint = maximum(una, self.acked)
        i: cython.int
        for i in range(self.n):
            if after(self.left[i], at):
                return after_eq(self.high_rxt, self.left[i])
            at = self.right[i]
        return False

    def no_rescue(self):
        """The end of the flight is no business any more."""
        self.rescue_right = self.rescue_left
        self.rescued = 0

    def first(self):
        """The left edge of the first range."""
        return self.left[0]

    def highest(self):
        """The right edge of the last range."""
        return self.right[self.n - 1]

    def clear(self):
        """Nothing is known (a timeout, or the peer reneged)."""
        self.n = 0
        self.sacked = 0
        self.no_rescue()

    def ranges(self):
        """[(left, right)] for views and tests."""
        return [(self.left[i], self.right[i]) for i in range(self.n)]
