# cython: overflowcheck=False
# Times and hashes wrap as the kernel's do; the checked build must not stop it.

"""Where dynamic rules are kept: an entry is a row, found by its hash.

What a packet reads and writes of an entry is one record of 64 octets, a line of the cache, seen through two views of
the same memory, `word[row << 4 | ...]` and `quad[row << 3 | ...]`; `ipfw_ops` has the places (W_, Q_) and the flags.
Up to era 10 states and the parents that limits are counted at share one table; in 12 they are apart, the hash is keyed,
and a row that a tick has taken out is free one tick later.

Source: ip_fw_dynamic.c of the eras; facts: ipfw 2.1, 2.2.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import IPFW_8, IPFW_12
from pystack._fast.hashing import jenkins_hash32
from pystack._fast.ipfw_ops import (
    O_LIMIT,
    O_LIMIT_PARENT,
    Q_OCTETS,
    Q_PACKETS,
    W_ACK_FWD,
    W_ACK_REV,
    W_COUNT,
    W_DST,
    W_EXPIRE,
    W_FLAGS,
    W_HASH,
    W_KIND,
    W_PARENT,
    W_PORTS,
    W_RULE,
    W_SRC,
)

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_FIRST_ROWS = 256
_FIRST_BUCKETS = 256
_MANY = 32768
_words = cython.declare(cython.uint[::1], column("I", 3))


@cython.cclass
class DynRows:
    """The entries of one machine. `era`: IPFW_*. `uptime`: seconds, set by whoever calls. `count`: entries, up to era
    10 with the parents; `parent_count`: parents; `failures`: entries for which there was no room.
    """

    def __init__(self, cfg, era, seed):
        self.cfg = cfg
        self.era = era
        self.seed = seed
        self.uptime = 0
        self.count = 0
        self.parent_count = 0
        self.high_water = 0
        self.failures = 0
        self.failed_at = 0
        self.parents_high = 0
        self.parent_failures = 0
        self.parent_failed_at = 0
        self.dead = 0
        self.capacity = _FIRST_ROWS
        rows = self.capacity + 1
        self.free = FreeList(self.capacity)
        self.chain = Chain(_FIRST_BUCKETS, self.capacity)
        self.parents = Chain(_FIRST_BUCKETS, self.capacity) if era == IPFW_12 else self.chain
        self._record(column("Q", 8 * rows))

    def _record(self, records):
        """The two views of the records."""
        self.quad = records
        self.word = memoryview(records).cast("B").cast("I")

    def reserve(self, capacity):
        """Room for so many entries. Not for each packet: storage doubles."""
        rows = capacity + 1
        huge = capacity >= _MANY
        self.free.grow(capacity)
        self.chain.grow(capacity, huge)
        if self.era == IPFW_12:
            self.parents.grow(capacity)
        self._record(grown(memoryview(self.quad), 8 * rows, huge))
        self.capacity = capacity

    # --- keys -----------------------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def hash_of(self, src: cython.uint, dst: cython.uint, ports: cython.uint) -> cython.uint:
        """The same for both directions. `ports`: source << 16 | destination."""
        if self.era != IPFW_12:
            return src ^ dst ^ (ports >> 16) ^ (ports & 0xFFFF)
        if src > dst or (src == dst and ports >> 16 > ports & 0xFFFF):
            src, dst = dst, src
            ports = (ports << 16 | ports >> 16) & _U32
        _words[0] = src
        _words[1] = dst
        _words[2] = ports
        return jenkins_hash32(_words, 3, self.seed)

    # --- time -----------------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def _over(self, row: cython.int) -> cython.bint:
        """Is its time over (a signed distance of 32 bits)?"""
        left: cython.uint = (self.word[(row << 4) + W_EXPIRE] - self.uptime) & _U32
        return left == 0 or left > 0x7FFFFFFF

    @cython.exceptval(check=False)
    def left(self, row: cython.int) -> cython.uint:
        """Seconds that an entry still has; 0 when they are over."""
        if self._over(row):
            return 0
        return (self.word[(row << 4) + W_EXPIRE] - self.uptime) & _U32

    @cython.cfunc
    @cython.exceptval(check=False)
    def _live(self, row: cython.int, seconds: cython.longlong) -> cython.void:
        """So long from now on."""
        self.word[(row << 4) + W_EXPIRE] = cython.cast(cython.uint, (self.uptime + seconds) & _U32)

    # --- rows -----------------------------------------------------------------------------------------------------

    def _add(self, src, dst, ports, kind, name, h, rule):
        """A new entry at the head of its chain; 0 where the storage has no more."""
        row: cython.int
        at: cython.int
        parent: cython.bint = kind & 0xFF00 == O_LIMIT_PARENT << 8
        if not self._admits(parent):
            if parent and self.era == IPFW_12:
                self.parent_failures += 1
                self.parent_failed_at = self.uptime
            else:
                self.failures += 1
                self.failed_at = self.uptime
            return 0
        if self.free.used >= self.capacity:
            self.reserve(2 * self.capacity)
        row = self.free.take()
        at = row << 4
        word = self.word
        word[at + W_SRC] = src
        word[at + W_DST] = dst
        word[at + W_PORTS] = ports
        word[at + W_KIND] = kind | name << 16
        word[at + W_HASH] = h
        word[at + W_FLAGS] = 0
        word[at + W_ACK_FWD] = 0
        word[at + W_ACK_REV] = 0
        word[at + W_RULE] = rule
        word[at + W_PARENT] = 0
        word[at + W_COUNT] = 0
        self.quad[(row << 3) + Q_PACKETS] = 0
        self.quad[(row << 3) + Q_OCTETS] = 0
        self._live(row, self.cfg.fw_dyn_syn_lifetime)
        if parent:
            self.parent_count += 1
            if self.parent_count > self.parents_high:
                self.parents_high = self.parent_count
            self.parents.insert_head(h & self.parents.mask, row)
        else:
            self.chain.insert_head(h & self.chain.mask, row)
        if not parent or self.era != IPFW_12:
            self.count += 1
            if self.count > self.high_water:
                self.high_water = self.count
        return row

    @cython.cfunc
    @cython.exceptval(check=False)
    def _admits(self, parent: cython.bint) -> cython.bint:
        """Is there room for one more?"""
        used: cython.longlong = self.free.used
        if self.era != IPFW_12:
            return self.era == IPFW_8 or used < self.cfg.fw_dyn_max
        if parent:
            return self.parent_count < self.cfg.fw_dyn_parent_max
        return used - self.parent_count < self.cfg.fw_dyn_max

    def _unlink(self, row):
        """Out of its chain; a child is taken off its parent's count. The row is free, in era 12 with the next tick."""
        at: cython.int = row << 4
        kind: cython.int = self.word[at + W_KIND] >> 8 & 0xFF
        h: cython.uint = self.word[at + W_HASH]
        if kind == O_LIMIT_PARENT:
            self.parent_count -= 1
            self.parents.remove(h & self.parents.mask, row)
        else:
            self.chain.remove(h & self.chain.mask, row)
            if kind == O_LIMIT:
                self.word[(cython.cast(cython.int, self.word[at + W_PARENT]) << 4) + W_COUNT] -= 1
        if kind != O_LIMIT_PARENT or self.era != IPFW_12:
            self.count -= 1
        if self.era == IPFW_12 and kind != O_LIMIT_PARENT:
            self.word[at + W_HASH] = self.dead
            self.dead = row
        else:
            self.free.give(row)
        return 0

    def _bury(self):
        """Rows that an earlier tick has taken out are free now."""
        row: cython.int = self.dead
        after: cython.int
        while row != 0:
            after = cython.cast(cython.int, self.word[(row << 4) + W_HASH])
            self.free.give(row)
            row = after
        self.dead = 0
        return 0

    # --- size -----------------------------------------------------------------------------------------------------

    def spread(self, buckets):
        """All states over another number of chains, in the order in which the kernel puts them there."""
        new = Chain(buckets, self.capacity)
        old = self.chain
        bucket: cython.uint
        row: cython.int
        after: cython.int
        for bucket in range(old.buckets):
            row = old.head[bucket]
            while row != 0:
                after = old.next[row]
                new.insert_head(self.word[(row << 4) + W_HASH] & new.mask, row)
                row = after
        if self.era != IPFW_12:
            self.parents = new
        self.chain = new
        return 0

    # --- for whoever looks ----------------------------------------------------------------------------------------

    def rows(self):
        """All entries in the order in which a listing has them: chain by chain, parents first where they are apart."""
        out = []
        bucket: cython.uint
        row: cython.int
        for bucket in range(max(self.chain.buckets, self.parents.buckets)):
            if self.era == IPFW_12 and bucket < self.parents.buckets:
                row = self.parents.head[bucket]
                while row != 0:
                    out.append(row)
                    row = self.parents.next[row]
            if bucket < self.chain.buckets:
                row = self.chain.head[bucket]
                while row != 0:
                    out.append(row)
                    row = self.chain.next[row]
        return out

    def entry(self, row):
        """A row as a tuple: rule, kind (an opcode), protocol, source, port, destination, port, flags, seconds left,
        packets, octets, children, ACK numbers forward and reverse, name.
        """
        at: cython.int = row << 4
        word = self.word
        return (
            word[at + W_RULE],
            word[at + W_KIND] >> 8 & 0xFF,
            word[at + W_KIND] & 0xFF,
            word[at + W_SRC],
            word[at + W_PORTS] >> 16,
            word[at + W_DST],
            word[at + W_PORTS] & 0xFFFF,
            word[at + W_FLAGS],
            self.left(row),
            self.quad[(row << 3) + Q_PACKETS],
            self.quad[(row << 3) + Q_OCTETS],
            word[at + W_COUNT] if word[at + W_KIND] >> 8 & 0xFF == O_LIMIT_PARENT else 0,
            word[at + W_ACK_FWD],
            word[at + W_ACK_REV],
            word[at + W_KIND] >> 16,
        )

    @cython.exceptval(check=False)
    def rule_of(self, row: cython.int) -> cython.int:
        """The row of the rule that an entry follows."""
        return cython.cast(cython.int, self.word[(row << 4) + W_RULE])
