# cython: overflowcheck=False
# Times wrap as the kernel's do; the checked build must not stop it.

"""What time does to dynamic rules: they expire, their ends are asked whether they live, the table grows.

    8       what has expired goes when its chain is walked, or in a sweep when the table is full; every 5 s keep-alives
    10, 12  a tick each second takes out what has expired; every fifth asks; then the table may grow

Time is the machine's uptime in whole seconds. Source: ip_fw_dynamic.c of the eras; facts: ipfw 2.7 to 2.10, 9.
"""

import cython

from pystack._fast.consts import IPFW_8, IPFW_12, PROTO_TCP
from pystack._fast.ipfw_ops import (
    DYN_ACK_FWD,
    DYN_ACK_REV,
    DYN_BOTH_SYN,
    DYN_ORPHANED,
    O_KEEP_STATE,
    O_LIMIT_PARENT,
    W_ACK_FWD,
    W_ACK_REV,
    W_COUNT,
    W_DST,
    W_FLAGS,
    W_KIND,
    W_PORTS,
    W_RULE,
)
from pystack._fast.ipfw_rows import DynRows

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_MOST_BUCKETS = 65536
_INTERVAL = 20
_PERIOD = 5


@cython.cclass
class DynAging(DynRows):
    """Dynamic rules that grow old. `last_rule`: the row of the default rule; `longest`: the longest chain of the last
    tick.
    """

    def __init__(self, cfg, talk, era, seed):
        DynRows.__init__(self, cfg, era, seed)
        self.talk = talk
        self.longest = 0
        self.last_sweep = 0
        self.last_round = 0
        self.last_rule = 0

    def tick(self, uptime):
        """What happens once a second (era 8: every five)."""
        probing: cython.bint = False
        before: cython.longlong
        self.uptime = uptime
        if self.era == IPFW_12:
            self._bury()
        if self.cfg.fw_dyn_keepalive and self.last_round + _PERIOD <= uptime:
            self.last_round = uptime
            probing = True
        if self.count == 0 and self.parent_count == 0:
            return 0
        if self.era == IPFW_8:
            if probing:
                self._probe_all()
            return 0
        before = self.count
        self._expire(0, probing)
        self._grow(before)
        return 0

    @cython.exceptval(check=False)
    def busy(self) -> cython.bint:
        """Is there anything that time does something to?"""
        return self.count + self.parent_count != 0 or self.dead != 0

    def resume(self, uptime):
        """No tick was needed for a while; they begin again behind this second."""
        if self.cfg.fw_dyn_keepalive:
            self.last_round += (uptime - self.last_round) // _PERIOD * _PERIOD
        return 0

    def _expire(self, rule, probing):
        """Everything whose time is over goes, or (`rule`) all of one; those about to go are probed."""
        bucket: cython.uint
        row: cython.int
        after: cython.int
        n: cython.int
        gone: cython.int = 0
        self.longest = 0
        for bucket in range(self.chain.buckets):
            row = self.chain.head[bucket]
            n = 0
            while row != 0:
                after = self.chain.next[row]
                n += 1
                if self.word[(row << 4) + W_KIND] >> 8 & 0xFF == O_LIMIT_PARENT:
                    pass
                elif self._over(row) if rule == 0 else self._goes(row, rule):
                    self._unlink(row)
                    gone += 1
                elif probing and self._near(row):
                    self._probe(row)
                row = after
            if n > self.longest:
                self.longest = n
        if self.era == IPFW_12 or gone:
            self._childless(rule)
        return gone

    @cython.cfunc
    @cython.exceptval(check=False)
    def _goes(self, row: cython.int, rule: cython.int) -> cython.bint:
        """Does an entry go with its rule? Where states outlive their rules, they follow the last rule from now on."""
        at: cython.int = row << 4
        if cython.cast(cython.int, self.word[at + W_RULE]) != rule:
            return False
        if self.cfg.fw_dyn_keep_states == 0 or self._over(row):
            return True
        if self.era == IPFW_12:
            if self.word[at + W_KIND] >> 8 & 0xFF != O_KEEP_STATE:
                return True
            self.word[at + W_FLAGS] |= DYN_ORPHANED
        else:
            self.word[at + W_RULE] = self.last_rule
        return False

    def _childless(self, rule):
        """Parents without a child go; in era 12 only when their time is over."""
        bucket: cython.uint
        row: cython.int
        after: cython.int
        at: cython.int
        for bucket in range(self.parents.buckets):
            row = self.parents.head[bucket]
            while row != 0:
                after = self.parents.next[row]
                at = row << 4
                if (
                    self.word[at + W_KIND] >> 8 & 0xFF == O_LIMIT_PARENT
                    and self.word[at + W_COUNT] == 0
                ):
                    if (
                        self.era != IPFW_12
                        or self._over(row)
                        or self.word[at + W_RULE] == rule != 0
                    ):
                        self._unlink(row)
                row = after
        return 0

    # --- rules that go --------------------------------------------------------------------------------------------

    def forget_rule(self, rule):
        """A rule is deleted: what it made goes with it."""
        if self.era == IPFW_8:
            return self.sweep_rule(rule, True)
        return self._expire(rule, False)

    def drop_rule(self, rule):
        """The entries of a rule go, and the rule stays; how many."""
        before: cython.int = self.count + self.parent_count
        self._sweep(rule, True)
        return before - self.count - self.parent_count

    def sweep(self):
        """Era 8: everything that has expired goes, children first; at most once a second."""
        if self.last_sweep == self.uptime:
            return 0
        self.last_sweep = self.uptime
        return self._sweep(0, False)

    def sweep_rule(self, rule, whole=False):
        """Era 8: what has expired of one rule goes, or all of it."""
        if not whole:
            if self.last_sweep == self.uptime:
                return 0
            self.last_sweep = self.uptime
        return self._sweep(rule, whole)

    def _sweep(self, rule, whole):
        """Two passes: states, then parents that have none."""
        self._pass(self.chain, rule, whole, False)
        return self._pass(self.parents, rule, whole, True)

    def _pass(self, chain, rule, whole, parents):
        """One of these passes over one table."""
        bucket: cython.uint
        row: cython.int
        after: cython.int
        at: cython.int
        for bucket in range(chain.buckets):
            row = chain.head[bucket]
            while row != 0:
                after = chain.next[row]
                at = row << 4
                if rule == 0 or cython.cast(cython.int, self.word[at + W_RULE]) == rule:
                    if (self.word[at + W_KIND] >> 8 & 0xFF == O_LIMIT_PARENT) == parents:
                        if whole or self._over(row):
                            if not parents or self.word[at + W_COUNT] == 0:
                                self._unlink(row)
                row = after
        return 0

    # --- keep-alives ----------------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def _near(self, row: cython.int) -> cython.bint:
        """Is this a connection whose last seconds have begun?"""
        at: cython.int = row << 4
        left: cython.uint = self.left(row)
        if (
            self.word[at + W_KIND] & 0xFF != PROTO_TCP
            or self.word[at + W_FLAGS] & DYN_BOTH_SYN != DYN_BOTH_SYN
        ):
            return False
        if self.word[at + W_KIND] >> 8 & 0xFF == O_LIMIT_PARENT or left == 0:
            return False
        return left < _INTERVAL or (
            left == _INTERVAL and self.era != IPFW_8 and self.era != IPFW_12
        )

    def _probe(self, row):
        """Ask the sides that have not acknowledged since the entry was last renewed."""
        at: cython.int = row << 4
        src: cython.uint = self.word[at]
        dst: cython.uint = self.word[at + W_DST]
        ports: cython.uint = self.word[at + W_PORTS]
        fwd: cython.uint = self.word[at + W_ACK_FWD]
        rev: cython.uint = self.word[at + W_ACK_REV]
        strict: cython.bint = self.era == IPFW_12
        if self.word[at + W_FLAGS] & DYN_ACK_REV == 0 and (rev != 0 or not strict):
            self.talk.probe(src, ports >> 16, dst, ports & 0xFFFF, (rev - 1) & _U32, fwd)
        if self.word[at + W_FLAGS] & DYN_ACK_FWD == 0 and (fwd != 0 or not strict):
            self.talk.probe(dst, ports & 0xFFFF, src, ports >> 16, (fwd - 1) & _U32, rev)
        return 0

    def _probe_all(self):
        """Era 8: a round, which removes nothing."""
        for bucket in range(self.chain.buckets):
            row: cython.int = self.chain.head[bucket]
            while row != 0:
                if self._near(row):
                    self._probe(row)
                row = self.chain.next[row]
        return 0

    # --- size -----------------------------------------------------------------------------------------------------

    def _grow(self, before):
        """More chains where there are many entries. `before`: how many there were when the tick began."""
        now: cython.longlong = self.chain.buckets
        most: cython.longlong = self.cfg.fw_dyn_buckets
        if self.era == IPFW_12:
            if now < most and (now < self.count // 2 or (now < self.count and self.longest > 8)):
                size = 1 << int(self.count).bit_length()
                self.spread(min(size, most))
            return 0
        most = min(most, _MOST_BUCKETS)
        if before > 2 * now and before < most:
            while now < before and now < most:
                now *= 2
            if now <= _MOST_BUCKETS:
                self.spread(now)
        return 0

    def _fit(self):
        """Era 8: the wanted number of chains, while there is no entry."""
        wanted: cython.longlong = self.cfg.fw_dyn_buckets
        if wanted == self.chain.buckets:
            return 0
        if wanted > _MOST_BUCKETS:
            wanted = self.cfg.fw_dyn_buckets = 1024
        if wanted <= 0 or wanted & (wanted - 1):
            self.cfg.fw_dyn_buckets = self.chain.buckets
            return 0
        return self.spread(wanted)
