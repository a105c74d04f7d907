# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""Which flows have to go when the table is full.

Three policies are those of kernels (early_drop); two are not, and are there to be compared with them
(docs/conntrack.md): whoever was seen longest ago goes (LRU), or nobody, but all timeouts shrink as the table fills, as
in pf (`ct_age`).

Source: nf_conntrack_core.c (early_drop); facts: conntrack 2.4, 2.5.
"""

import cython

from pystack._fast.chain import Chain
from pystack._fast.consts import CT_EVICT_BUCKETS, CT_EVICT_CHAIN, CT_EVICT_LRU, CT_EVICT_NODES
from pystack._fast.ct_table import ConnTable
from pystack._fast.nf_consts import H_STATUS, IPS_ASSURED, IPS_CONFIRMED, JIFFY

_EARLY_DROP_RANGE = 8
_U32 = cython.declare(cython.uint, 0xFFFFFFFF)


@cython.cclass
class ConnRoom(ConnTable):
    """A table that makes room by a policy, its era's or another. `early_drop` counts whom that removed."""

    def __init__(self, cfg, rng, now):
        ConnTable.__init__(
            self, max(1, cfg.ct_buckets), cfg.policy_ct_hash, rng.next64(), rng.next64()
        )
        self.cfg = cfg
        self.rng = rng
        self.early_drop = 0
        self.now = now
        self.jiffies = (now // JIFFY) & _U32
        self.recent = None
        self.stalest = 0
        if cfg.policy_ct_evict == CT_EVICT_LRU:
            self.recent = Chain(1, self.capacity + 1, any_size=True)

    def kill(self, row):
        """A flow in the table ends. Answers 0."""
        if self.half[(row << 5) + H_STATUS] & IPS_CONFIRMED:
            self.unlink(row)
        return 0

    def reserve(self, capacity):
        """As `ConnTable` has it."""
        ConnTable.reserve(self, capacity)
        if self.recent is not None:
            self.recent.grow(self.capacity + 1)

    # --- who was seen when, for LRU --------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def seen_first(self, row: cython.int) -> cython.void:
        """A flow is in the table: nobody was seen later."""
        if self.recent is not None:
            if self.stalest == 0:
                self.stalest = row
            self.recent.insert_head(0, row)

    @cython.exceptval(check=False)
    def seen_no_more(self, row: cython.int) -> cython.void:
        """A flow leaves the table."""
        if self.recent is not None:
            if self.stalest == row:
                self.stalest = self.recent.prev[row]
            self.recent.remove(0, row)

    @cython.exceptval(check=False)
    def seen(self, row: cython.int) -> cython.void:
        """A packet of a flow in the table has come."""
        if self.recent is not None and self.half[(row << 5) + H_STATUS] & IPS_CONFIRMED:
            self.seen_no_more(row)
            self.seen_first(row)

    # --- room ------------------------------------------------------------------------------------------------

    def _make_room(self, h):
        """The table is full: is there a flow in reach that nobody answered (facts: conntrack 2.5)?"""
        bucket: cython.uint = self.bucket_of(h)
        policy: cython.int = self.cfg.policy_ct_evict
        killed: cython.int
        if policy == CT_EVICT_BUCKETS:
            for _i in range(_EARLY_DROP_RANGE):
                killed = self._empty_bucket(bucket)
                if killed:
                    self.early_drop += killed
                    return True
                bucket = bucket + 1 if bucket + 1 < self.chain.buckets else 0
            return False
        if policy == CT_EVICT_NODES:
            seen: cython.int = 0
            for _i in range(self.chain.buckets):
                killed = self._oldest(bucket)
                seen += self._length
                if killed:
                    self.early_drop += 1
                    self.kill(killed)
                    return True
                if seen >= _EARLY_DROP_RANGE:
                    return False
                bucket = bucket + 1 if bucket + 1 < self.chain.buckets else 0
            return False
        if policy == CT_EVICT_CHAIN:
            killed = self._oldest(bucket)
            if killed:
                self.early_drop += 1
                self.kill(killed)
                return True
            return False
        if policy == CT_EVICT_LRU and self.stalest != 0:
            self.early_drop += 1
            self.kill(self.stalest)
            return True
        return False

    def _empty_bucket(self, bucket):
        """Remove every flow of a chain that is not ASSURED; how many. Expired ones go uncounted."""
        killed: cython.int = 0
        node: cython.int = self.chain.head[bucket]
        while node != 0:
            if self.expired(node >> 1):
                node = self.reap(node)
            elif self.half[(node >> 1 << 5) + H_STATUS] & IPS_ASSURED == 0:
                node = self.reap(node)
                killed += 1
            else:
                node = self.chain.next[node]
        return killed

    def _oldest(self, bucket):
        """The flow of a chain that came first and is not ASSURED, or 0; `_length` is how many nodes there are."""
        node: cython.int = self.chain.head[bucket]
        victim: cython.int = 0
        self._length = 0
        while node != 0:
            self._length += 1
            if self.half[(node >> 1 << 5) + H_STATUS] & IPS_ASSURED == 0:
                victim = node >> 1
            node = self.chain.next[node]
        return victim
