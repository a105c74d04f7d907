# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""Which flows have to go: when the table is full, when nobody has asked for them, when the worker comes by.

Source: nf_conntrack_core.c (early_drop, gc_worker); facts: conntrack 2.4 to 2.6.
"""

import cython

from pystack._fast.consts import (
    CT_EVICT_BUCKETS,
    CT_EVICT_CHAIN,
    CT_EVICT_NODES,
    H_STATUS,
    HZ,
    IPS_ASSURED,
    IPS_CONFIRMED,
    JIFFY,
    O_STATE,
    PROTO_TCP,
    TCPCT_CLOSE,
    TCPCT_FIN_WAIT,
)
from pystack._fast.ct_table import ConnTable

_EARLY_DROP_RANGE = 8
_GC_MIN = 1 * HZ
_GC_MAX = 60 * HZ
_GC_CLAMP = 300 * HZ
_GC_COUNT = 100
_GC_EXPIRED = 64000 // HZ
_U32 = cython.declare(cython.uint, 0xFFFFFFFF)


@cython.cclass
class ConnRoom(ConnTable):
    """A table that makes room: early drop by the policy of the era, and the worker. `early_drop` counts whom the first
    removed; what the second does is not counted, as in the kernel.
    """

    def __init__(self, cfg, rng, now):
        ConnTable.__init__(
            self, max(1, cfg.ct_buckets), cfg.policy_ct_hash, rng.next64(), rng.next64()
        )
        self.cfg = cfg
        self.rng = rng
        self.early_drop = 0
        self.now = now
        self.jiffies = (now // JIFFY) & _U32
        self.gc_bucket = 0
        self.gc_mean = _GC_MAX
        self.gc_count = _GC_COUNT
        self.gc_start = 0
        self.gc_wanted = False
        self.gc_next = now + 1_000_000_000

    def kill(self, row):
        """A flow in the table ends. Answers 0."""
        if self.half[(row << 5) + H_STATUS] & IPS_CONFIRMED:
            self.unlink(row)
        return 0

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

    # --- the worker ------------------------------------------------------------------------------------------

    def gc(self, now):
        """The worker runs: expired flows go, and after a refusal closing ones. `gc_next` is when it runs again."""
        self.now = now
        self.jiffies = cython.cast(cython.uint, (now // JIFFY) & _U32)
        if self.gc_bucket == 0:
            self.gc_mean = _GC_MAX
            self.gc_count = _GC_COUNT
            self.gc_start = self.jiffies
        gone: cython.int = 0
        early: cython.bint = self.gc_wanted
        while self.gc_bucket < self.chain.buckets:
            if gone > _GC_EXPIRED:
                self.gc_next = now + JIFFY
                return 0
            gone += self._sweep(self.gc_bucket, early)
            self.gc_bucket += 1
        self.gc_bucket = 0
        self.gc_wanted = False
        spent: cython.int = cython.cast(cython.int, (self.jiffies - self.gc_start) & 0x7FFFFFFF)
        wait: cython.int = max(_GC_MIN, min(_GC_MAX, self.gc_mean))
        wait = wait - spent if wait > spent else 1
        self.gc_next = now + cython.cast(cython.longlong, wait) * JIFFY
        return 0

    def _sweep(self, bucket, early):
        """One chain of the worker's pass; how many expired."""
        gone: cython.int = 0
        node: cython.int = self.chain.head[bucket]
        left: cython.int
        while node != 0:
            if self.expired(node >> 1):
                node = self.reap(node)
                gone += 1
                continue
            left = max(_GC_MIN, min(_GC_CLAMP, self.left(node >> 1)))
            self.gc_count += 1
            if left >= self.gc_mean:
                self.gc_mean += (left - self.gc_mean) // self.gc_count
            else:
                self.gc_mean -= (self.gc_mean - left) // self.gc_count
            if early and self._closing(node >> 1) and self.free.used >= self.cfg.ct_max // 100 * 95:
                node = self.reap(node)
            else:
                node = self.chain.next[node]
        return gone

    def _closing(self, row):
        """May the worker end this flow after the table was full: nobody answered, or it closes anyway?"""
        state: cython.int = self.octet[(row << 6) + O_STATE]
        proto: cython.int = (self.keys[4 * row + 1] >> 16) & 0xFF
        if self.half[(row << 5) + H_STATUS] & IPS_ASSURED == 0:
            return True
        return proto == PROTO_TCP and TCPCT_FIN_WAIT <= state <= TCPCT_CLOSE
