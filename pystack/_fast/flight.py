"""The segments of a connection that are on their way: when each was sent, and what is known of it.

Loss recovery by segments (Linux; RFC 8985 needs the time of each transmission) keeps a row for each segment or
super-segment between SND.UNA and SND.NXT, in their order: where it ends, when it was sent last, how many segments it
counts for and of which size, and its marks (consts.SEG_*). Rows of all connections of a machine stand in one table, so
that a connection with nothing in flight has none, and none is allocated for a packet. Neighbours that the peer has are
joined, so what is walked are holes and the tail.

`Flight` is a connection's own part: its first and last row, the sums, and the variables of recovery. Counts are
segments, as Linux has them.
"""

import cython

from pystack._fast.chain import FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import (
    A_ACKED,
    A_ORIGINAL,
    A_RENEGING,
    A_RETRANS_ACKED,
    A_SACKED,
    NEVER,
    SEG_ASIDE,
    SEG_EVER,
    SEG_LOST,
    SEG_RETRANS,
    SEG_SACKED,
)
from pystack._fast.rates import Rate, RateTable
from pystack._fast.sackseen import SackBlocks
from pystack._fast.seq import add, after, after_eq, before, before_eq, dist

ROWS = 1024
"""Rows of a new table; it doubles when they are all in use."""

NO_TIME = 10_000
LEAST_RTT = 100_000
"""A round trip of less than `NO_TIME` ns, as virtual time has them, counts as one of `LEAST_RTT`: about what a kernel
measures of a peer beside it.
"""

CLOCK = 50_000
"""Two round trips that differ by less, ns, are the same: they are not measured at the same place."""


@cython.final
@cython.cclass
class Flight:
    """What recovery knows of one connection. Times are ns; 0 for "none" where a time may be missing.

    `start`: the left edge of the first row; `head`: where it was sent from, which is before that when a lone segment is
    acknowledged to its middle. `high_sack`: the right edge of what was SACKed. `high_seq`: SND.NXT when
    the state was entered. `undo`: a reduction may still be undone, of what was sent from `undo_marker` on;
    `undo_retrans`: retransmissions that no DSACK has reported yet. `delivered`, `lost`, `total_retrans`: sums;
    `delivered_ce`: of what was delivered, that with an echo of congestion.
    `seen`: the row of the blocks that the last acknowledgment had, 0 none.
    `probe`: segments that may go beyond the window now. `rows`: how many rows there are. `rate`: how fast it delivers.
    """

    def __init__(self, una, reordering):
        self.first = self.last = self.rows = 0
        self.start = self.head = self.high_sack = self.high_seq = una
        self.packets_out = self.sacked_out = self.lost_out = self.retrans_out = 0
        self.ca_state = 0
        self.frto = self.reneging = self.undo = False
        self.undo_marker = una
        self.undo_retrans = 0
        self.prior_ssthresh = 0
        self.prior_cwnd = 0
        self.retrans_ts = 0
        self.retrans_at = 0
        self.prr_delivered = self.prr_out = 0
        self.rack_sent_at = self.rack_rtt = self.min_rtt = self.min_rtt_at = 0
        self.rack_end = una
        self.rack_advanced = self.rack_dsack = False
        self.reordering = reordering
        self.reord_seen = self.reo_persist = 0
        self.reo_steps = 1
        self.delivered = 1  # the SYN
        self.delivered_ce = self.rack_delivered = self.lost = self.total_retrans = (
            self.dsack_dups
        ) = 0
        self.pending = self.retransmits = 0
        self.tlp = self.tlp_retrans = False
        self.tlp_high = una
        self.probe = 0
        self.cwnd_limited = False
        self.max_packets_out = self.cwnd_cnt = self.cwnd_used = 0
        self.usage_seq = una
        self.cwnd_stamp = self.data_sent_at = 0
        self.cubic_cnt = self.cubic_last_max = self.cubic_last = self.cubic_origin = 0
        self.cubic_acked = self.cubic_reno = 0
        self.cubic_k = self.cubic_epoch = self.cubic_at = self.delay_min = 0
        self.hystart_found = False
        self.hystart_samples = 0
        self.hystart_rtt = self.hystart_start = self.hystart_ack = 0
        self.hystart_end = una
        self.seen = 0
        self.rate = Rate()

    def in_flight(self):
        """Segments estimated to be in the network (RFC 6675 section 4's pipe, in segments)."""
        return self.packets_out - self.sacked_out - self.lost_out + self.retrans_out

    def left_out(self):
        """Segments that have left the network: arrived out of order, or lost."""
        return self.sacked_out + self.lost_out

    def delivered_at(self, mark, end, sent_at, now):
        """A segment sent at `sent_at` was delivered: the newest of them is RACK's yardstick (RFC 8985 section 6.2,
        steps 1 and 2). A retransmission that seems to have taken less than any round trip proves nothing. Below 0: the
        times of what was sent in one moment differ by 1 ns.
        """
        rtt: cython.longlong = now - sent_at
        if mark & (SEG_RETRANS | SEG_EVER) and rtt + CLOCK < self.min_rtt:
            return
        self.rack_advanced = True
        self.rack_rtt = rtt
        if sent_at > self.rack_sent_at or (
            sent_at == self.rack_sent_at and after(end, self.rack_end)
        ):
            self.rack_sent_at = sent_at
            self.rack_end = end

    def note_rtt(self, rtt, now, window):
        """A round trip for the minimum of the last `window` ns."""
        if rtt < NO_TIME:
            rtt = LEAST_RTT
        if self.min_rtt == 0 or rtt <= self.min_rtt or now - self.min_rtt_at > window:
            self.min_rtt = rtt
            self.min_rtt_at = now


@cython.final
@cython.cclass
class SegmentTable:
    """Rows of all connections of a machine, and what the acknowledgement at hand did to one of them.

    `found`: consts.A_*. `acked`: segments acknowledged. `reord`: the lowest octet that was delivered after higher ones
    without having been sent again. `first_acked`, …: when the first and the last of what was newly acknowledged, or
    SACKed, had been sent; 0 none. `ts_ecr`: the timestamp that it echoes, 0 none; `echoed`: what was
    sent then or later has another timestamp, ns. `sent_end`: where the segment sent last ended. `blocks_ack`: the
    acknowledgment whose blocks are read. `blocks`: the SACK blocks of the acknowledgment at hand, and of the last
    one of each connection that has segments SACKed (`Flight.seen`). `lost_again`: retransmissions of the machine
    that were found lost.
    """

    def __init__(self):
        self.blocks = SackBlocks()
        self.rates = RateTable(ROWS)
        self.lost_again = 0
        self.free = FreeList(ROWS)
        self.next = column("i", ROWS + 1)
        self.count = column("i", ROWS + 1)
        self.size = column("i", ROWS + 1)
        self.end = column("I", ROWS + 1)
        self.sent_at = column("q", ROWS + 1)
        self.mark = column("B", ROWS + 1)
        self.sent_end = self.blocks_ack = 0
        self.latest = 0
        self.begin(0)

    def begin(self, nxt):
        """A new acknowledgement; SND.NXT is `nxt`."""
        self.found = self.acked = 0
        self.reord = nxt
        self.ts_ecr = 0
        self.echoed = NEVER
        self.first_acked = self.last_acked = self.first_sacked = self.last_sacked = 0
        self.rates.begin()

    def take(self):
        """A free row; the table grows when there is none."""
        row: cython.int = self.free.take()
        if row == 0:
            rows = 2 * self.free.rows
            self.free.grow(rows)
            self.next = grown(memoryview(self.next), rows + 1)
            self.count = grown(memoryview(self.count), rows + 1)
            self.size = grown(memoryview(self.size), rows + 1)
            self.end = grown(memoryview(self.end), rows + 1)
            self.sent_at = grown(memoryview(self.sent_at), rows + 1)
            self.mark = grown(memoryview(self.mark), rows + 1)
            self.rates.grow(rows)
            row = self.free.take()
        return row

    def stamp(self, now):
        """The time of a transmission: later than every other, by 1 ns if need be, so that times have an order."""
        if now > self.latest:
            self.latest = now
        else:
            self.latest += 1
        return self.latest

    def append(self, f, end, count, size, now):
        """What ends at `end` was sent for the first time: `count` segments of `size` octets, the last maybe less."""
        row: cython.int = self.take()
        self.end[row] = end
        self.count[row] = count
        self.size[row] = size
        self.sent_at[row] = self.stamp(now)
        self.mark[row] = 0
        self.next[row] = 0
        self.rates.sent(f.rate, row, f.delivered, f.packets_out == 0, now)
        if f.last != 0:
            self.next[f.last] = row
        else:
            f.first = row
        f.last = row
        f.rows += 1
        f.packets_out += count
        return row

    def split(self, f, row, start, at, mss, fin=0):
        """Cut the row [start, end), now of segments of `mss` octets, at `at`; the new one follows it. `fin`: how many
        of its octets, the last, are our FIN, which takes no room.
        """
        new: cython.int = self.take()
        had: cython.int = self.count[row]
        left: cython.int = (dist(start, at) + mss - 1) // mss
        right: cython.int = had - left
        mark: cython.int = self.mark[row]
        if right < 1 or dist(start, at) % mss != 0:
            right = (dist(at, self.end[row]) - fin + mss - 1) // mss
            if right < 1:
                right = 1
        self.end[new] = self.end[row]
        self.end[row] = at
        self.count[row] = left
        self.count[new] = right
        self.size[row] = self.size[new] = mss
        self.sent_at[new] = self.sent_at[row]
        self.mark[new] = mark
        self.next[new] = self.next[row]
        self.next[row] = new
        self.rates.divide(row, new)
        f.rows += 1
        if f.last == row:
            f.last = new
        self.recount(f, mark, left + right - had)
        return 0

    def recount(self, f, mark, more):
        """A row with these marks counts for `more` segments more than before."""
        f.packets_out += more
        if mark & SEG_SACKED:
            f.sacked_out += more
        if mark & SEG_LOST:
            f.lost_out += more
        if mark & SEG_RETRANS:
            f.retrans_out += more

    def resize(self, f, row, length, mss):
        """The row's `length` octets go in segments of `mss` octets from now on."""
        n: cython.int = (length + mss - 1) // mss if length > mss else 1
        self.recount(f, self.mark[row], n - self.count[row])
        self.count[row] = n
        self.size[row] = mss

    def drop_next(self, f, row):
        """The row takes the place of the one behind it too; the counts are the caller's."""
        gone: cython.int = self.next[row]
        self.end[row] = self.end[gone]
        self.next[row] = self.next[gone]
        f.rows -= 1
        if f.last == gone:
            f.last = row
        self.free.give(gone)

    def tag_row(self, f, row, start, now):
        """The peer has the segment [start, end) out of order: what that says of it and of the network."""
        mark: cython.int = self.mark[row]
        count: cython.int = self.count[row]
        sent: cython.longlong = self.sent_at[row]
        f.delivered_at(mark, self.end[row], sent, now)
        if mark & SEG_RETRANS:
            # not marked lost: the retransmission still is on its way
            if mark & SEG_LOST:
                mark &= ~(SEG_LOST | SEG_RETRANS)
                f.lost_out -= count
                f.retrans_out -= count
        else:
            if mark & SEG_EVER == 0:
                if before(start, f.high_sack) and before(start, self.reord):
                    self.reord = start
                if before_eq(self.end[row], f.high_seq):
                    self.found |= A_ORIGINAL
                if self.first_sacked == 0:
                    self.first_sacked = sent
                self.last_sacked = sent
            if mark & SEG_LOST:
                mark &= ~SEG_LOST
                f.lost_out -= count
        self.mark[row] = mark | SEG_SACKED
        self.rates.arrived(f.rate, row, sent, self.end[row])
        self.rates.sacked(row)
        self.found |= A_SACKED
        f.sacked_out += count
        f.delivered += count
        if after(self.end[row], f.high_sack):
            f.high_sack = self.end[row]

    def tag_unseen(self, f, left, right, seen, at, now):
        """`tag` for what of [left, right) the blocks of row `seen` do not have. Of these the one whose left edge is at
        `at` is the first that may matter; answers which that is for the next block.
        """
        blocks: SackBlocks = self.blocks
        known: cython.int = 8 * seen + 2 * blocks.n[seen] if seen else 0
        done: cython.uint = left
        while at < known and after_eq(left, blocks.edges[at + 1]):
            at += 2
        while at < known and after(right, blocks.edges[at]):
            if before(left, blocks.edges[at]):
                self.tag(f, left, blocks.edges[at], done, now)
            if before_eq(right, blocks.edges[at + 1]):
                return at
            done = blocks.edges[at + 1]
            at += 2
        self.tag(f, left, right, done, now)
        return at

    def forget_seen(self, f):
        """Nothing is SACKed, or the connection is gone."""
        if f.seen != 0:
            self.blocks.free.give(f.seen)
            f.seen = 0

    def tag(self, f, left, right, done, now):
        """The peer has [left, right) (RFC 2018 section 4): whole segments of it that end behind `done` are marked."""
        row: cython.int = f.first
        before_it: cython.int = 0
        start: cython.uint = f.start
        end: cython.uint
        at: cython.uint
        n: cython.int
        mss: cython.int
        if f.sacked_out == 0:
            f.high_sack = f.start
        while row != 0 and before(start, right):
            end = self.end[row]
            if before_eq(end, done) or self.mark[row] & SEG_SACKED:
                before_it = row
                start = end
                row = self.next[row]
                continue
            mss = self.size[row]
            if before(start, left):
                n = (dist(start, left) + mss - 1) // mss
                at = add(start, n * mss)
                if self.count[row] > 1 and before(at, end):
                    self.split(f, row, start, at, mss)
                    end = at
                before_it = row
                start = end
                row = self.next[row]
                continue
            if after(end, right):
                n = dist(start, right) // mss
                if self.count[row] < 2 or n < 1:
                    break
                self.split(f, row, start, add(start, n * mss), mss)
                end = self.end[row]
            self.tag_row(f, row, start, now)
            if before_it != 0 and self.mark[before_it] == self.mark[row]:
                if self.mark[row] & (SEG_RETRANS | SEG_LOST) == 0:
                    self.count[before_it] += self.count[row]
                    self.drop_next(f, before_it)
                    row = before_it
            before_it = row
            start = end
            row = self.next[row]
        return 0

    def tag_twice(self, f, left, right):
        """The peer got [left, right) twice (RFC 2883), and it is not acknowledged yet."""
        row: cython.int = f.first
        start: cython.uint = f.start
        mark: cython.int
        while row != 0 and before(start, right):
            if after_eq(start, left) and before_eq(self.end[row], right):
                mark = self.mark[row]
                if mark & (SEG_RETRANS | SEG_EVER):
                    if f.undo and f.undo_retrans > 0 and after(self.end[row], f.undo_marker):
                        f.undo_retrans -= self.count[row]
                        if f.undo_retrans < 0:
                            f.undo_retrans = 0
                    if mark & SEG_SACKED and before(start, self.reord):
                        self.reord = start
                if mark & SEG_RETRANS:
                    self.mark[row] = mark & ~SEG_RETRANS
                    f.retrans_out -= self.count[row]
            start = self.end[row]
            row = self.next[row]

    def acknowledge(self, f, ack, sack, now):
        """Everything below `ack` is acknowledged."""
        row: cython.int
        mark: cython.int
        count: cython.int
        rest: cython.int
        end: cython.uint
        whole: cython.bint = True
        while f.first != 0 and whole:
            row = f.first
            end = self.end[row]
            mark = self.mark[row]
            count = self.count[row]
            rest = 0
            if after(end, ack):
                whole = False
                if before_eq(ack, f.start):
                    break
                if count > 1:
                    rest = (dist(ack, end) + self.size[row] - 1) // self.size[row]
                    if rest > count:
                        rest = count
                    count -= rest
                if rest == 0 or count == 0:
                    f.start = ack
                    if rest:
                        f.head = ack
                    break
            if mark & SEG_EVER:
                if mark & SEG_RETRANS:
                    f.retrans_out -= count
                self.found |= A_RETRANS_ACKED
            elif mark & SEG_SACKED == 0:
                self.last_acked = self.sent_at[row]
                if self.first_acked == 0:
                    self.first_acked = self.last_acked
                if before(f.head, self.reord):
                    self.reord = f.head
                if before_eq(end, f.high_seq):
                    self.found |= A_ORIGINAL
            if mark & SEG_SACKED:
                f.sacked_out -= count
            elif sack:
                f.delivered += count
                if mark & SEG_EVER == 0 or self.sent_at[row] < self.echoed:
                    f.delivered_at(
                        mark, end, self.sent_at[row], now
                    )  # else the first transmission came
            if mark & SEG_LOST:
                f.lost_out -= count
            f.packets_out -= count
            self.acked += count
            self.found |= A_ACKED
            self.rates.arrived(f.rate, row, self.sent_at[row], end)
            if not whole:
                self.count[row] = rest
                f.start = f.head = ack
                break
            f.start = f.head = end
            f.first = self.next[row]
            f.rows -= 1
            if f.first == 0:
                f.last = 0
            self.free.give(row)
        if f.first == 0:
            f.start = f.head = ack
        elif self.mark[f.first] & SEG_SACKED:
            self.found |= A_RENEGING
        if before(f.high_sack, f.start) or f.sacked_out == 0:
            f.high_sack = f.start

    def mark_lost(self, f, row):
        """The segment is lost; if it had been sent again, that is lost too."""
        mark: cython.int = self.mark[row]
        if mark & SEG_SACKED:
            return
        if mark & SEG_LOST:
            if mark & SEG_RETRANS:
                self.mark[row] = mark & ~SEG_RETRANS
                f.retrans_out -= self.count[row]
                f.lost += self.count[row]
                self.lost_again += self.count[row]
        else:
            self.mark[row] = mark | SEG_LOST
            f.lost_out += self.count[row]
            f.lost += self.count[row]

    def forget_lost(self, f):
        """Nothing is lost after all."""
        row: cython.int = f.first
        while row != 0:
            self.mark[row] = self.mark[row] & ~SEG_LOST
            row = self.next[row]
        f.lost_out = 0

    def forget_sacked(self, f):
        """The peer has thrown away what it reported (RFC 2018 section 8)."""
        row: cython.int = f.first
        while row != 0:
            self.mark[row] = self.mark[row] & ~SEG_SACKED
            row = self.next[row]
        f.sacked_out = 0
        f.high_sack = f.start

    def probed(self, f, row, now):
        """The segment was sent again, to see what becomes of it."""
        self.sent_at[row] = self.stamp(now)
        self.rates.sent(f.rate, row, f.delivered, False, now)
        self.mark[row] = self.mark[row] & ~SEG_ASIDE | SEG_EVER

    def resent(self, f, row, now):
        """The segment was sent again."""
        self.sent_at[row] = self.stamp(now)
        self.rates.sent(f.rate, row, f.delivered, False, now)
        if self.mark[row] & SEG_RETRANS == 0:
            f.retrans_out += self.count[row]
        self.mark[row] = self.mark[row] & ~SEG_ASIDE | SEG_RETRANS | SEG_EVER

    def clear(self, f):
        """The connection is gone."""
        row: cython.int = f.first
        self.forget_seen(f)
        while row != 0:
            f.first = self.next[row]
            self.free.give(row)
            row = f.first
        f.last = f.rows = 0
        f.packets_out = f.sacked_out = f.lost_out = f.retrans_out = 0

    def rows(self, f):
        """[(start, end, sent_at, count, marks)] for views and tests."""
        out = []
        row = f.first
        start = f.start
        while row != 0:
            end = self.end[row]
            out.append((start, end, self.sent_at[row], self.count[row], self.mark[row]))
            start = end
            row = self.next[row]
        return out
