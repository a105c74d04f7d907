# cython: overflowcheck=False
# Jiffies wrap; the checked build must not stop them.

"""When flows end of themselves: a timer for each, or a stamp and a worker that comes by.

Up to Linux 4.8 each flow has a timer, here a row of the machine's wheel; what fires is gone at once. From 4.9 on a flow
has a stamp, goes when a walk meets it (`ct_table.find`) or when the worker comes, and is counted until then. The worker
has had four schedules (consts: CT_EXPIRY_*). Where timeouts shrink as the table fills (CT_EVICT_PF_ADAPTIVE), a tenth
of the table is swept each second besides, as pf does.

Source: nf_conntrack_core.c (__nf_ct_refresh_acct, gc_worker), pf.conf(5) (adaptive.start, adaptive.end); facts:
conntrack 2.6.
"""

import cython

from pystack._fast.columns import column, grown
from pystack._fast.consts import (
    CT_EVICT_PF_ADAPTIVE,
    CT_EXPIRY_TIMERS,
    CT_EXPIRY_TIMERS_HZ,
    CT_EXPIRY_WORKER_5S,
    CT_EXPIRY_WORKER_16S,
    CT_EXPIRY_WORKER_120S,
    CT_EXPIRY_WORKER_MEAN,
    NEVER,
    PROTO_TCP,
    TIMER_FLOW,
)
from pystack._fast.ct_room import ConnRoom
from pystack._fast.nf_consts import (
    H_STATUS,
    HZ,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_FIXED_TIMEOUT,
    JIFFY,
    O_STATE,
    TCPCT_CLOSE,
    TCPCT_FIN_WAIT,
    W_EXPIRES,
)

_GC_MIN = 1 * HZ
_GC_MAX = 60 * HZ
_GC_CLAMP = 300 * HZ
_GC_COUNT = 100
_GC_EXPIRED = 64000 // HZ
_SCAN = 120 * HZ
"""Of 5.13: the whole table, then so long nothing."""
_PARTS, _STEP_MAX = 128, 16 * HZ // 128
"""Of 4.10: how many runs for a whole table, and what is longest between two."""
_PARTS_49, _BUCKETS_49, _GONE_49, _PAUSE_49 = 64, 8192, 256, 5 * HZ
"""Of 4.9: likewise; most buckets of a run, most flows that it removes."""
_PURGED = 10
"""Seconds in which pf goes through its table."""
_FROM, _TO = 60, 120
"""Per cent of the maximum at which timeouts begin to shrink, and would be 0 (pf: adaptive.start, adaptive.end)."""
_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_NEVER = cython.declare(cython.longlong, NEVER)


@cython.cclass
class ConnAge(ConnRoom):
    """A table whose flows end. `gc_next` is when `gc` is to be called, ns; NEVER where timers do its work.

    `wheel` is the machine's; without one, flows of the eras with timers go when a walk meets them.
    """

    def __init__(self, cfg, rng, now, wheel):
        ConnRoom.__init__(self, cfg, rng, now)
        self.wheel = wheel
        self.alarms = None
        self.lives = None
        self.lazy_timers = cfg.policy_ct_expiry == CT_EXPIRY_TIMERS_HZ
        if wheel is not None and (self.lazy_timers or cfg.policy_ct_expiry == CT_EXPIRY_TIMERS):
            self.alarms = column("i", self.capacity + 1)
        if cfg.policy_ct_evict == CT_EVICT_PF_ADAPTIVE:
            self.lives = column("I", self.capacity + 1)
        self.gc_bucket = 0
        self.gc_mean = _GC_MAX
        self.gc_count = _GC_COUNT
        self.gc_start = 0
        self.gc_pause = 0
        self.gc_wanted = False
        self.begin_gc(now)

    def reserve(self, capacity):
        """As `ConnTable` has it."""
        ConnRoom.reserve(self, capacity)
        if self.alarms is not None:
            self.alarms = grown(memoryview(self.alarms), self.capacity + 1)
        if self.lives is not None:
            self.lives = grown(memoryview(self.lives), self.capacity + 1)

    # --- of one flow -----------------------------------------------------------------------------------------

    @cython.exceptval(check=False)
    def refresh(self, row: cython.int, timeout: cython.int) -> cython.void:
        """The flow lives so many jiffies from now; one that is not in the table yet, from then."""
        status: cython.int = self.half[(row << 5) + H_STATUS]
        expires: cython.uint
        if status & IPS_FIXED_TIMEOUT:
            return
        if self.lives is not None:
            self.lives[row] = timeout
        if status & IPS_CONFIRMED == 0:
            self.word[(row << 4) + W_EXPIRES] = timeout
            return
        expires = (self.jiffies + timeout) & _U32
        if self.lazy_timers and (expires - self.word[(row << 4) + W_EXPIRES]) & _U32 < HZ:
            return
        self.word[(row << 4) + W_EXPIRES] = expires
        if self.alarms is not None:
            self.wheel.arm(self.alarms[row], self._moment(timeout))

    @cython.exceptval(check=False)
    def start(self, row: cython.int) -> cython.void:
        """A flow is in the table: its time runs."""
        timeout: cython.uint = self.word[(row << 4) + W_EXPIRES]
        self.word[(row << 4) + W_EXPIRES] = (timeout + self.jiffies) & _U32
        self.half[(row << 5) + H_STATUS] |= IPS_CONFIRMED
        self.seen_first(row)
        if self.alarms is not None:
            self.alarms[row] = self.wheel.alloc(TIMER_FLOW, row)
            self.wheel.arm(self.alarms[row], self._moment(timeout))

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _moment(self, timeout: cython.uint) -> cython.longlong:
        """When so many jiffies from now are over, ns."""
        return (self.now // JIFFY + timeout) * JIFFY

    def removed(self, row):
        """As `ConnTable` has it."""
        self.seen_no_more(row)
        if self.alarms is not None:
            self.wheel.free(self.alarms[row])
        return 0

    def time_out(self, row, now):
        """The timer of a flow is due. Answers 0."""
        self.now = now
        self.jiffies = cython.cast(cython.uint, (now // JIFFY) & _U32)
        return self.kill(row)

    # --- the worker ------------------------------------------------------------------------------------------

    def begin_gc(self, now):
        """The worker comes in a second, if there is one. Answers 0."""
        self.gc_next = now + 1_000_000_000
        if self.lives is None and self.cfg.policy_ct_expiry >= CT_EXPIRY_TIMERS_HZ:
            self.gc_next = _NEVER
        return 0

    def gc(self, now):
        """The worker runs: expired flows go, and after a refusal closing ones. `gc_next` is when it runs again."""
        schedule: cython.longlong = self.cfg.policy_ct_expiry
        wait: cython.int
        self.now = now
        self.jiffies = cython.cast(cython.uint, (now // JIFFY) & _U32)
        if self.lives is not None:
            wait = self._purge()
        elif schedule == CT_EXPIRY_WORKER_MEAN:
            wait = self._whole_table()
        elif schedule == CT_EXPIRY_WORKER_120S:
            self._run(self.chain.buckets, 0x7FFFFFFF)
            wait = _SCAN
        elif schedule == CT_EXPIRY_WORKER_16S:
            wait = self._run(self.chain.buckets // _PARTS, 0x7FFFFFFF)
            self.gc_pause = 1 if wait > 50 else min(self.gc_pause + 1, _STEP_MAX)
            wait = self.gc_pause
        elif schedule == CT_EXPIRY_WORKER_5S:
            wait = self._run(min(self.chain.buckets // _PARTS_49, _BUCKETS_49), _GONE_49)
            wait = 1 if wait >= 90 else _PAUSE_49
        else:
            self.gc_next = _NEVER
            return 0
        self.gc_next = now + cython.cast(cython.longlong, wait) * JIFFY
        return 0

    def _whole_table(self):
        """A pass of 5.18 and later, or as much of it as fits into a slice: jiffies until the next."""
        if self.gc_bucket == 0:
            self.gc_mean = _GC_MAX
            self.gc_count = _GC_COUNT
            self.gc_start = self.jiffies
        gone: cython.int = 0
        early: cython.bint = self.gc_wanted
        while self.gc_bucket < self.chain.buckets:
            if gone > _GC_EXPIRED:
                return 1
            gone += self._sweep(self.gc_bucket, early)
            self.gc_bucket += 1
        self.gc_bucket = 0
        self.gc_wanted = False
        spent: cython.int = cython.cast(cython.int, (self.jiffies - self.gc_start) & 0x7FFFFFFF)
        wait: cython.int = max(_GC_MIN, min(_GC_MAX, self.gc_mean))
        return wait - spent if wait > spent else 1

    def _run(self, buckets, most):
        """A run of the older schedules over so many buckets, one at least, until `most` flows are gone: how many of
        a hundred flows that it met had expired.
        """
        gone: cython.int = 0
        done: cython.uint = 0
        count: cython.int = self.gc_count
        while True:
            if self.gc_bucket >= self.chain.buckets:
                self.gc_bucket = 0
            gone += self._sweep(self.gc_bucket, self.gc_wanted)
            self.gc_bucket += 1
            done += 1
            if done >= buckets or gone >= most:
                break
        self.gc_wanted = False
        met: cython.int = self.gc_count - count + gone
        self.gc_count = 0
        return gone * 100 // met if met > 0 else 0

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

    # --- timeouts that shrink, as in pf ----------------------------------------------------------------------

    def _purge(self):
        """A tenth of the table, a second's work: whoever has used up what is left of his time goes. Answers jiffies."""
        todo: cython.uint = self.chain.buckets // _PURGED + 1
        node: cython.int
        while todo > 0:
            if self.gc_bucket >= self.chain.buckets:
                self.gc_bucket = 0
            node = self.chain.head[self.gc_bucket]
            while node != 0:
                node = self.reap(node) if self._outlived(node >> 1) else self.chain.next[node]
            self.gc_bucket += 1
            todo -= 1
        self.gc_wanted = False
        return HZ

    @cython.cfunc
    @cython.exceptval(check=False)
    def _outlived(self, row: cython.int) -> cython.bint:
        """Is the time of a flow over, when timeouts are multiplied by (end - flows) / (end - start)?"""
        left: cython.longlong = self.left(row)
        start: cython.longlong = self.cfg.ct_max * _FROM // 100
        end: cython.longlong = self.cfg.ct_max * _TO // 100
        used: cython.longlong = self.free.used
        life: cython.longlong = self.lives[row]
        if left == 0:
            return True
        if self.cfg.ct_max == 0 or used <= start:
            return False
        return used >= end or left * (end - start) <= life * (used - start)
