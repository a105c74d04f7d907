# cython: overflowcheck=False
# Times and hashes wrap as the kernel's do; the checked build must not stop it.

"""Dynamic rules: the states that `keep-state` and `limit` make, and the parents that limits are counted at.

Eras (policy `ipfw`; facts: ipfw 2):

    8       one table; what has expired goes when its chain is walked, or when the table is full
    10      one table; a tick each second takes out what has expired, and the table may grow
    12      states and parents apart, keyed hash, names; a row that a tick has taken out is free one tick later

Below: `ipfw_rows`, where they are kept; `ipfw_age`, what time does to them. Here is what packets do.
Source: ip_fw_dynamic.c of the eras; facts: ipfw 2 and 9.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.consts import IPFW_8, IPFW_12, PROTO_TCP, PROTO_UDP, SYN
from pystack._fast.hashing import jenkins_hash32
from pystack._fast.ipfw_age import DynAging
from pystack._fast.ipfw_ops import (
    DYN_ACK_BOTH,
    DYN_ACK_FWD,
    DYN_ACK_REV,
    DYN_BOTH_FIN,
    DYN_BOTH_SYN,
    DYN_CLOSING_FWD,
    DYN_CLOSING_REV,
    DYN_FORWARD,
    DYN_KEPT,
    DYN_MOST_CLOSING,
    DYN_REVERSE,
    LIMIT_DST_ADDR,
    LIMIT_DST_PORT,
    LIMIT_SRC_ADDR,
    LIMIT_SRC_PORT,
    O_KEEP_STATE,
    O_LIMIT,
    O_LIMIT_PARENT,
    Q_OCTETS,
    Q_PACKETS,
    W_ACK_FWD,
    W_ACK_REV,
    W_COUNT,
    W_DST,
    W_FLAGS,
    W_KIND,
    W_PARENT,
    W_PORTS,
    W_RULE,
)
from pystack._fast.seq import before_eq

_U32 = cython.declare(cython.uint, 0xFFFFFFFF)
_words = cython.declare(cython.uint[::1], column("I", 1))


@cython.final
@cython.cclass
class DynTable(DynAging):
    """The dynamic rules of one machine. `way` is how the last packet was found to go: DYN_FORWARD or DYN_REVERSE."""

    def __init__(self, cfg, talk, era, seed):
        DynAging.__init__(self, cfg, talk, era, seed)
        self.way = DYN_FORWARD
        self.last_log = 0

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
                        self.way = DYN_FORWARD
                        break
                    if word[at] == dst and word[at + W_DST] == src and word[at + W_PORTS] == turned:
                        self.way = DYN_REVERSE
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
        state = self.word[at + W_FLAGS] | (flags & DYN_KEPT) << (
            8 if self.way == DYN_REVERSE else 0
        )
        self.word[at + W_FLAGS] = state
        state &= 0x707
        if state == SYN:
            self._live(row, cfg.fw_dyn_syn_lifetime)
        elif state == DYN_BOTH_SYN or state == DYN_CLOSING_FWD or state == DYN_CLOSING_REV:
            if header:
                self._acknowledged(row, ack)
        elif state == DYN_BOTH_SYN | DYN_BOTH_FIN:
            if cfg.fw_dyn_fin_lifetime > DYN_MOST_CLOSING:
                cfg.fw_dyn_fin_lifetime = DYN_MOST_CLOSING
            self._live(row, cfg.fw_dyn_fin_lifetime)
        else:
            if cfg.fw_dyn_rst_lifetime > DYN_MOST_CLOSING and (
                self.era != IPFW_12 or cfg.fw_dyn_keepalive
            ):
                cfg.fw_dyn_rst_lifetime = DYN_MOST_CLOSING
            self._live(row, cfg.fw_dyn_rst_lifetime)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _acknowledged(self, row: cython.int, ack: cython.uint) -> cython.void:
        """Only when both sides have acknowledged since the last time does the entry live on."""
        at: cython.int = row << 4
        place: cython.int = at + (W_ACK_FWD if self.way == DYN_FORWARD else W_ACK_REV)
        if self.word[place] == 0 or before_eq(self.word[place], ack):
            self.word[place] = ack
            self.word[at + W_FLAGS] |= DYN_ACK_FWD if self.way == DYN_FORWARD else DYN_ACK_REV
        if self.word[at + W_FLAGS] & DYN_ACK_BOTH == DYN_ACK_BOTH:
            self._live(row, self.cfg.fw_dyn_ack_lifetime)
            self.word[at + W_FLAGS] &= _U32 ^ DYN_ACK_BOTH

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
        self.way = DYN_FORWARD
        self.update(row, p.proto, flags, p.ack, self.era == IPFW_12 and p.frag_off == 0)
        if self.era == IPFW_12:
            self.quad[(row << 3) + Q_PACKETS] = 1
            self.quad[(row << 3) + Q_OCTETS] = p.total
        return True

    # --- limits ---------------------------------------------------------------------------------------------------

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
            if self.era == IPFW_12:
                self._live(row, self.cfg.fw_dyn_short_lifetime)
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

    # --- what is said ---------------------------------------------------------------------------------------------

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


def _dotted(address):
    return ".".join(str(address >> n & 255) for n in (24, 16, 8, 0))
