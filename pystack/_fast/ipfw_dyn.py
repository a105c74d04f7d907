# cython: overflowcheck=False
# Times and hashes wrap as the kernel's do; the checked build must not stop it.

"""Dynamic rules: the states that `keep-state` and `limit` make, and the parents that limits are counted at.

An entry is a row; what a packet reads and writes of it is one record of 64 octets, a line of the cache, seen through
two views of the same memory, `word[row << 4 | ...]` and `quad[row << 3 | ...]`:

    word    source, destination, ports (source << 16 | destination), protocol | kind << 8 | name << 16, hash, flags,
            second of its end, ACK numbers of both directions, (a spare,) rule, parent or children
    quad    packets, octets

Eras (policy `ipfw`; facts: ipfw 2):

    8       one table; what has expired goes when its chain is walked, or when the table is full
    10      one table; a tick each second takes out what has expired, and the table may grow
    12      states and parents apart, keyed hash, names; a row that a tick has taken out is free one tick later

Time is the machine's uptime in whole seconds. Source: ip_fw_dynamic.c of the eras; facts: ipfw 2 and 9.
"""

import cython

from pystack._fast.chain import Chain, FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import IPFW_8, IPFW_12, PROTO_TCP, PROTO_UDP, SYN
from pystack._fast.hashing import jenkins_hash32
from pystack._fast.ipfw_ops import (
    LIMIT_DST_ADDR,
    LIMIT_DST_PORT,
    LIMIT_SRC_ADDR,
    LIMIT_SRC_PORT,
    O_KEEP_STATE,
    O_LIMIT,
    O_LIMIT_PARENT,
)
from pystack._fast.seq import before_eq

W_SRC = 0
W_DST = 1
W_PORTS = 2
W_KIND = 3
W_HASH = 4
W_FLAGS = 5
W_EXPIRE = 6
W_ACK_FWD = 7
W_ACK_REV = 8
W_RULE = 9
W_PARENT = 10
W_COUNT = 11
Q_PACKETS = 6
Q_OCTETS = 7

ACK_FWD = 0x10000
ACK_REV = 0x20000
_ACK_BOTH = 0x30000
ORPHANED = 0x40000
BOTH_SYN = 0x202
BOTH_FIN = 0x101
_CLOSING_FWD = 0x203
_CLOSING_REV = 0x302
_KEPT = 7  # FIN, SYN, RST

FORWARD = 0
REVERSE = 1

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_FIRST_ROWS = 256
_FIRST_BUCKETS = 256
_MOST_BUCKETS = 65536
_INTERVAL = 20
_PERIOD = 5
_MANY = 32768
_words = cython.declare(cython.uint[::1], column("I", 3))


@cython.cclass
class Talk:
    """Who hears what dynamic rules have to say, and sends their packets."""

    def say(self, channel, text):
        """A line for the kernel's log; `channel`: facility.level, "debug" of the kernel's own, or "printf"."""
        raise AssertionError("Talk.say is the machine's")

    def probe(self, src, sport, dst, dport, seq, ack):
        """Send a keep-alive that no rule sees: an ACK without data."""
        raise AssertionError("Talk.probe is the machine's")

    def rule_number(self, rule):
        """The number of a rule by its row."""
        raise AssertionError("Talk.rule_number is the machine's")


@cython.final
@cython.cclass
class DynTable:
    """The entries of one machine. `era`: IPFW_*. `uptime` is set by whoever calls.

    `way` is how the last packet was found to go: FORWARD or REVERSE. `last_rule`: the row of the default rule. `count`:
    entries, up to era 10 with the parents; `parent_count`: parents.
    """

    def __init__(self, cfg, talk, era, seed):
        self.cfg = cfg
        self.talk = talk
        self.era = era
        self.seed = seed
        self.uptime = 0
        self.way = FORWARD
        self.count = 0
        self.parent_count = 0
        self.longest = 0
        self.high_water = 0
        self.failures = 0
        self.failed_at = 0
        self.parents_high = 0
        self.parent_failures = 0
        self.parent_failed_at = 0
        self.last_log = 0
        self.last_sweep = 0
        self.last_round = 0
        self.dead = 0
        self.last_rule = 0
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

    # --- keys ------------------------------------------------------------------------------------------------

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

    # --- rows ------------------------------------------------------------------------------------------------

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

    # --- packets ---------------------------------------------------------------------------------------------

    def find(self, src, dst, ports, proto, name):
        """The entry that a packet belongs to, 0 for none; `way` says in which direction. Nothing of it changes but
        its place in the chain: up to era 10 it comes to the front.
        """
        h: cython.uint = self.hash_of(src, dst, ports)
        turned: cython.uint = (ports << 16 | ports >> 16) & _U32
        row: cython.int = self.chain.head[h & self.chain.mask]
        at: cython.int
        after: cython.int
        kind: cython.uint
        word = self.word
        while row != 0:
            at = row << 4
            kind = word[at + W_KIND]
            if self.era == IPFW_8 and self._over(row):
                after = self.chain.next[row]
                if kind >> 8 & 0xFF != O_LIMIT_PARENT or word[at + W_COUNT] == 0:
                    self._unlink(row)
                    row = after
                    continue
            if (
                kind & 0xFF == cython.cast(cython.uint, proto)
                and kind >> 8 & 0xFF != O_LIMIT_PARENT
            ):
                if name == 0 or kind >> 16 == cython.cast(cython.uint, name):
                    if word[at] == src and word[at + W_DST] == dst and word[at + W_PORTS] == ports:
                        self.way = FORWARD
                        break
                    if word[at] == dst and word[at + W_DST] == src and word[at + W_PORTS] == turned:
                        self.way = REVERSE
                        break
            row = self.chain.next[row]
        if row != 0 and self.era != IPFW_12:
            self.chain.move_to_front(h & self.chain.mask, row)
        return row

    def lookup(self, p, ports, name):
        """`find` for a packet, which then counts as one of the entry's: its flags, its acknowledgement, its time."""
        row: cython.int = self.find(p.src, p.dst, ports, p.proto, name)
        if row != 0:
            self.update(row, p.proto, p.flags if p.frag_off == 0 else 0, p.ack, p.frag_off == 0)
            self.quad[(row << 3) + Q_PACKETS] += 1
            self.quad[(row << 3) + Q_OCTETS] += cython.cast(cython.uint, p.total)
        return row

    @cython.cfunc
    @cython.exceptval(check=False)
    def update(
        self,
        row: cython.int,
        proto: cython.int,
        flags: cython.int,
        ack: cython.uint,
        header: cython.bint,
    ) -> cython.void:
        """A packet in the direction `way` was seen; `header`: its acknowledgement is known."""
        at: cython.int = row << 4
        state: cython.uint
        cfg = self.cfg
        if proto != PROTO_TCP:
            self._live(
                row, cfg.fw_dyn_udp_lifetime if proto == PROTO_UDP else cfg.fw_dyn_short_lifetime
            )
            return
        state = self.word[at + W_FLAGS] | (flags & _KEPT) << (8 if self.way == REVERSE else 0)
        self.word[at + W_FLAGS] = state
        state &= 0x707
        if state == SYN:
            self._live(row, cfg.fw_dyn_syn_lifetime)
        elif state == BOTH_SYN or state == _CLOSING_FWD or state == _CLOSING_REV:
            if header:
                self._acknowledged(row, ack)
        elif state == BOTH_SYN | BOTH_FIN:
            if cfg.fw_dyn_fin_lifetime >= _PERIOD:
                cfg.fw_dyn_fin_lifetime = _PERIOD - 1
            self._live(row, cfg.fw_dyn_fin_lifetime)
        else:
            if cfg.fw_dyn_rst_lifetime >= _PERIOD and (self.era != IPFW_12 or cfg.fw_dyn_keepalive):
                cfg.fw_dyn_rst_lifetime = _PERIOD - 1
            self._live(row, cfg.fw_dyn_rst_lifetime)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _acknowledged(self, row: cython.int, ack: cython.uint) -> cython.void:
        """Only when both sides have acknowledged since the last time does the entry live on."""
        at: cython.int = row << 4
        place: cython.int = at + (W_ACK_FWD if self.way == FORWARD else W_ACK_REV)
        if self.word[place] == 0 or before_eq(self.word[place], ack):
            self.word[place] = ack
            self.word[at + W_FLAGS] |= ACK_FWD if self.way == FORWARD else ACK_REV
        if self.word[at + W_FLAGS] & _ACK_BOTH == _ACK_BOTH:
            self._live(row, self.cfg.fw_dyn_ack_lifetime)
            self.word[at + W_FLAGS] &= _U32 ^ _ACK_BOTH

    def install(self, p, ports, rule, mask, limit, name):
        """A rule has matched: its state is made unless it is there. `mask` 0: keep-state; else LIMIT_* and how many.
        False: the packet is to be dropped.
        """
        src: cython.uint = p.src
        dst: cython.uint = p.dst
        h: cython.uint = self.hash_of(src, dst, ports)
        flags: cython.int = p.flags if p.frag_off == 0 else 0
        kind: cython.uint
        parent: cython.int = 0
        row: cython.int = self.find(src, dst, ports, p.proto, name)
        if row != 0:
            if self.era != IPFW_12:
                self.update(row, p.proto, flags, 0, False)
            return True
        if self.era == IPFW_8 and self.count >= self.cfg.fw_dyn_max:
            self.sweep()
            if self.count >= self.cfg.fw_dyn_max:
                self.failures += 1
                self.failed_at = self.uptime
                self._complain("printf", "ipfw: ipfw_install_state: Too many dynamic rules")
                return False
        if self.era == IPFW_8 and self.count == 0:
            self._fit()
            h = self.hash_of(src, dst, ports)
        kind = p.proto | (O_KEEP_STATE if mask == 0 else O_LIMIT) << 8
        if mask != 0:
            parent = self._parent(p, ports, rule, mask, limit, name)
            if parent == 0:
                return False
            self.word[(parent << 4) + W_COUNT] += 1
        row = self._add(src, dst, ports, kind, name, h, rule)
        if row == 0:
            if parent != 0:
                self.word[(parent << 4) + W_COUNT] -= 1
            self._full()
            return False
        self.word[(row << 4) + W_PARENT] = parent
        self.way = FORWARD
        self.update(row, p.proto, flags, p.ack, self.era == IPFW_12 and p.frag_off == 0)
        if self.era == IPFW_12:
            self.quad[(row << 3) + Q_PACKETS] = 1
            self.quad[(row << 3) + Q_OCTETS] = p.total
        return True

    # --- limits ----------------------------------------------------------------------------------------------

    def _parent(self, p, ports, rule, mask, limit, name):
        """The parent that a flow counts at, made if need be; 0 where it has its number, or cannot be made."""
        src: cython.uint = p.src if mask & LIMIT_SRC_ADDR else 0
        dst: cython.uint = p.dst if mask & LIMIT_DST_ADDR else 0
        masked: cython.uint = ports
        row: cython.int
        if mask & LIMIT_SRC_PORT == 0:
            masked &= 0xFFFF
        if mask & LIMIT_DST_PORT == 0:
            masked &= _U32 ^ 0xFFFF
        row = self._find_parent(src, dst, masked, p.proto, rule)
        if row == 0:
            h: cython.uint = self._parent_hash(src, dst, masked, rule)
            row = self._add(src, dst, masked, p.proto | O_LIMIT_PARENT << 8, name, h, rule)
            if row == 0:
                self._no_parent()
                return 0
        if self.word[(row << 4) + W_COUNT] >= limit and self.era == IPFW_8:
            self.sweep_rule(rule)
        if self.word[(row << 4) + W_COUNT] >= limit:
            self._too_many(p, ports, rule, src, dst, masked)
            return 0
        return row

    def _parent_hash(self, src, dst, ports, rule):
        """Up to era 10 that of the masked key; then the rule is part of it."""
        h: cython.uint = self.hash_of(src, dst, ports)
        if self.era != IPFW_12:
            return h
        _words[0] = rule
        return jenkins_hash32(_words, 1, h)

    def _find_parent(self, src, dst, ports, proto, rule):
        """The parent of this masked key and rule; finding it keeps it alive."""
        h: cython.uint = self._parent_hash(src, dst, ports, rule)
        wanted: cython.uint = proto | O_LIMIT_PARENT << 8
        row: cython.int = self.parents.head[h & self.parents.mask]
        at: cython.int
        while row != 0:
            at = row << 4
            if self.word[at + W_KIND] & 0xFFFF == wanted and self.word[at + W_RULE] == rule:
                if self.word[at] == src and self.word[at + W_DST] == dst:
                    if self.word[at + W_PORTS] == ports:
                        self._live(row, self.cfg.fw_dyn_short_lifetime)
                        return row
            row = self.parents.next[row]
        return 0

    # --- what is said ----------------------------------------------------------------------------------------

    def _complain(self, channel, text):
        """Once a second, whatever it is about."""
        if self.last_log != self.uptime:
            self.last_log = self.uptime
            self.talk.say(channel, text)
        return 0

    def _full(self):
        """There was no storage for a state."""
        if self.era == IPFW_12:
            self._complain(
                "debug",
                "ipfw: Cannot allocate dynamic state, consider increasing net.inet.ip.fw.dyn_max",
            )
        elif self.era != IPFW_8:
            self._complain("debug", "ipfw: add_dyn_rule: Cannot allocate rule")
        return 0

    def _no_parent(self):
        """There was no storage for a parent."""
        if self.era == IPFW_12:
            self._complain(
                "debug",
                "ipfw: Cannot allocate parent dynamic state, consider increasing net.inet.ip.fw.dyn_parent_max",
            )
        else:
            self._full()
            self.talk.say("printf", "ipfw: ipfw_install_state: add parent failed")
        return 0

    def _too_many(self, p, ports, rule, src, dst, masked):
        """A limit is reached."""
        if self.cfg.fw_verbose == 0 or self.last_log == self.uptime:
            return 0
        number = self.talk.rule_number(rule)
        if self.era == IPFW_8:
            ends = f"{_dotted(p.src)}:{ports >> 16} -> {_dotted(p.dst)}:{ports & 0xFFFF}"
            text = f"ipfw: {number} drop session {ends}, too many entries"
        else:
            if self.era != IPFW_12:
                src, dst, masked = p.src, p.dst, ports
            ends = f"{_dotted(src)} {masked >> 16} -> {_dotted(dst)} {masked & 0xFFFF}"
            text = (
                f"ipfw: {number} drop session type {O_LIMIT} {ends}, {self.count} too many entries"
            )
        return self._complain("security.debug", text)

    # --- time ------------------------------------------------------------------------------------------------

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
            self.word[at + W_FLAGS] |= ORPHANED
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

    # --- keep-alives -----------------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def _near(self, row: cython.int) -> cython.bint:
        """Is this a connection whose last seconds have begun?"""
        at: cython.int = row << 4
        left: cython.uint = self.left(row)
        if (
            self.word[at + W_KIND] & 0xFF != PROTO_TCP
            or self.word[at + W_FLAGS] & BOTH_SYN != BOTH_SYN
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
        if self.word[at + W_FLAGS] & ACK_REV == 0 and (rev != 0 or not strict):
            self.talk.probe(src, ports >> 16, dst, ports & 0xFFFF, (rev - 1) & _U32, fwd)
        if self.word[at + W_FLAGS] & ACK_FWD == 0 and (fwd != 0 or not strict):
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

    # --- size ------------------------------------------------------------------------------------------------

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

    # --- for whoever looks -----------------------------------------------------------------------------------

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


def _dotted(address):
    return ".".join(str(address >> n & 255) for n in (24, 16, 8, 0))
