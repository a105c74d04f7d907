"""The rules of ipfw as one flat program, and what a packet makes of it (ip_fw2.c: ipfw_chk).

`code` holds the instructions of all rules, one behind the other (`ipfw_ops`); the rule at position `i` of the walk has
its patterns from `start[i]`, its actions from `act[i]` to `end[i]`. The books of a rule are kept by its row, which it
has for life: `packets`, `octets`, `stamp` (second of the last packet, 0 = none), `log_left`.

Instructions that hold names, here in words: O_RECV, O_XMIT, O_VIA the number of a pattern (`Ground.iface_fits`);
the instructions of states, in their argument the number of the state's name (0 = any).
"""

import cython

from pystack._fast.chain import FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import IPFW_12, PROTO_ICMP, PROTO_TCP, PROTO_UDP, RST, SYN
from pystack._fast.ipfw_dyn import DynTable, Talk  # noqa: F401
from pystack._fast.ipfw_ops import (
    F_NOT,
    F_OR,
    IPFW_STACK,
    O_ACCEPT,
    O_ALTQ,
    O_ANTISPOOF,
    O_CALLRETURN,
    O_CHECK_STATE,
    O_COUNT,
    O_DENY,
    O_DIVERT,
    O_DSCP,
    O_ESTAB,
    O_FIB,
    O_FORWARD_IP,
    O_FRAG,
    O_ICMPTYPE,
    O_IN,
    O_IP4,
    O_IP_DST,
    O_IP_DST_LOOKUP,
    O_IP_DST_MASK,
    O_IP_DST_ME,
    O_IP_DST_SET,
    O_IP_DSTPORT,
    O_IP_SRC,
    O_IP_SRC_LOOKUP,
    O_IP_SRC_MASK,
    O_IP_SRC_ME,
    O_IP_SRC_SET,
    O_IP_SRCPORT,
    O_IPID,
    O_IPLEN,
    O_IPOPT,
    O_IPPRECEDENCE,
    O_IPTOS,
    O_IPTTL,
    O_IPVER,
    O_KEEP_STATE,
    O_LIMIT,
    O_LOG,
    O_NAT,
    O_NETGRAPH,
    O_NGTEE,
    O_NOP,
    O_PIPE,
    O_PROB,
    O_PROBE_STATE,
    O_PROTO,
    O_QUEUE,
    O_REASS,
    O_RECV,
    O_REJECT,
    O_SET_MSS,
    O_SETDSCP,
    O_SETFIB,
    O_SKIP_ACTION,
    O_SKIPTO,
    O_TAG,
    O_TAGGED,
    O_TCPACK,
    O_TCPDATALEN,
    O_TCPFLAGS,
    O_TCPMSS,
    O_TCPOPTS,
    O_TCPSEQ,
    O_TCPWIN,
    O_TEE,
    O_VERREVPATH,
    O_VERSRCREACH,
    O_VIA,
    O_XMIT,
    TABLEARG,
    TABLEARG_OLD,
    V_DENY,
    V_DIVERT,
    V_DUMMYNET,
    V_NAT,
    V_NETGRAPH,
    V_NGTEE,
    V_PASS,
    V_REASS,
    V_TEE,
)
from pystack._fast.ipfw_skip import SkipIndex  # noqa: F401
from pystack._fast.ipfw_table import Table
from pystack._fast.packet import Packet

_OPENING = cython.declare(cython.uint, SYN | RST | 0x10)
_PROB_MASK = cython.declare(cython.uint, 0x7FFFFFFF)
_EVERYBODY = cython.declare(cython.uint, 0xFFFFFFFF)
_NEXT = 0
_MATCH = 1
_DONE = 2
_JUMP = 3
_FIRST_RULES = 64
_IS_CONTROL = cython.declare(cython.uchar[::1], column("B", 256))
for _op in (
    *range(O_PROBE_STATE, O_PROB),
    *range(O_CHECK_STATE, O_REASS + 1),
    O_ALTQ,
    O_NETGRAPH,
    O_NGTEE,
    O_TAG,
    O_SETFIB,
    O_CALLRETURN,
    O_SETDSCP,
    O_SET_MSS,
    O_SKIP_ACTION,
):
    _IS_CONTROL[_op] = 1
_IPOPTS = cython.declare(cython.uchar[::1], column("B", 256))
_IPOPTS[0x89] = 1  # strict and loose source route, record route, timestamp: the bits of `ipoptions`
_IPOPTS[0x83] = 2
_IPOPTS[0x07] = 4
_IPOPTS[0x44] = 8
_TCPOPTS = cython.declare(cython.uchar[::1], column("B", 256))
_TCPOPTS[2] = 1  # mss, window, sack, ts, cc: the bits of `tcpoptions`
_TCPOPTS[3] = 2
_TCPOPTS[4] = 4
_TCPOPTS[5] = 4
_TCPOPTS[8] = 8
_TCPOPTS[11] = 16


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _flags_fit(wanted: cython.uint, bits: cython.uint) -> cython.bint:
    """`wanted`: bits that must be set | bits that must be clear << 8."""
    return wanted & 0xFF & ~bits == 0 and wanted >> 8 & 0xFF & bits == 0


@cython.cclass
class Ground(Talk):
    """What rules ask of the machine that they stand in, and what they have it do."""

    def renew(self):
        """The rules have changed: `Rules.program` is to be given what they are now."""
        raise AssertionError("Ground.renew is the machine's")

    def is_own(self, address):
        """Is it an address of this machine?"""
        raise AssertionError("Ground.is_own is the machine's")

    def iface_fits(self, iface, pattern):
        """Does an interface have this name (or address: `pattern` is the text of the rule)?"""
        raise AssertionError("Ground.iface_fits is the machine's")

    def way_to(self, address):
        """The interface towards an address, -1 for none."""
        raise AssertionError("Ground.way_to is the machine's")

    def is_near(self, address):
        """Is it in a network that this machine is connected to?"""
        raise AssertionError("Ground.is_near is the machine's")

    def answer(self, p, code):
        """A packet is refused and its sender told: a code of an ICMP unreachable, or REJECT_RST."""
        raise AssertionError("Ground.answer is the machine's")

    def log(self, p, position, out, arg):
        """A rule with `log` has matched."""
        raise AssertionError("Ground.log is the machine's")

    def warn(self, text):
        """The kernel prints something that nobody expected."""
        raise AssertionError("Ground.warn is the machine's")

    def has_tag(self, p, low, high):
        """Does the packet bear a tag in this range?"""
        raise AssertionError("Ground.has_tag is the machine's")

    def set_tag(self, p, tag, on):
        """The packet bears a tag, or no longer."""
        raise AssertionError("Ground.set_tag is the machine's")

    def rewrite(self, p, op, value):
        """O_SETDSCP, O_SET_MSS: the header says something else now."""
        raise AssertionError("Ground.rewrite is the machine's")


@cython.final
@cython.cclass
class Rules:
    """The rules of a machine and the books of each. `states`: the dynamic rules; `tables`: by number.
    `stale`: the program is that of older rules, and is made anew before the next packet.

    `check` answers V_*; then `arg` is the number that the action names (pipe, NAT, port), `fwd_addr` and `fwd_port`
    where a `fwd` rule sends the packet, `pos` the position of the rule that decided.
    """

    def __init__(self, cfg, ground, states, rng):
        self.cfg = cfg
        self.ground = ground
        self.states = states
        self.rng = rng
        self.uptime = 0
        self.tables = {}
        self.tablearg_is = TABLEARG_OLD if states.era != IPFW_12 else TABLEARG
        self.stale = False
        self.free = FreeList(_FIRST_RULES)
        self.packets = column("Q", _FIRST_RULES + 1)
        self.octets = column("Q", _FIRST_RULES + 1)
        self.stamp = column("I", _FIRST_RULES + 1)
        self.log_left = column("Q", _FIRST_RULES + 1)
        self.number = column("I", _FIRST_RULES + 1)
        self.pos_of = column("i", _FIRST_RULES + 1)
        self.stack = column("I", IPFW_STACK)
        self.program([], [], [], 0)

    # --- the books -------------------------------------------------------------------------------------------

    def take_row(self, number):
        """A row for the books of a new rule."""
        row: cython.int
        if self.free.used >= self.free.rows:
            rows = 2 * self.free.rows
            self.free.grow(rows)
            for name in ("packets", "octets", "stamp", "log_left", "number", "pos_of"):
                setattr(self, name, grown(memoryview(getattr(self, name)), rows + 1))
        row = self.free.take()
        self.zero(row)
        self.log_left[row] = 0
        self.number[row] = number
        return row

    def zero(self, row):
        """The counters of a rule begin again."""
        self.packets[row] = 0
        self.octets[row] = 0
        self.stamp[row] = 0

    def program(self, code, walk, patterns, n, skip=None):
        """Other rules from now on. `code`: words; `walk`: for each rule (row, start, actions, end, skipped), of which
        the first `n` are walked and the others are deleted and live on in their states; `patterns`: texts of
        interfaces by number; `skip`: a `SkipIndex` of the rules that are walked.
        """
        walked = n
        n = len(walk)
        new = column("I", len(code) + 1)
        for i, word in enumerate(code):
            new[i] = word
        self.code = new
        self.row = column("i", n + 1)
        self.start = column("i", n + 1)
        self.act = column("i", n + 1)
        self.end = column("i", n + 1)
        self.off = column("B", n + 1)
        self.walked = column("I", n + 1)
        for i, (row, start, act, end, off) in enumerate(walk):
            self.row[i] = row
            self.start[i] = start
            self.act[i] = act
            self.end[i] = end
            self.off[i] = off
            self.walked[i] = self.number[row]
            self.pos_of[row] = i
        self.n = walked
        self.skip = skip
        self.patterns = patterns
        self.stale = False
        self.forget_interfaces()

    def forget_interfaces(self):
        """Which interfaces have the names and addresses that rules know is found out anew."""
        self.iface_known = column("B", 64 * (len(self.patterns) + 1))

    def _count(self, position, p):
        """One more packet of a rule."""
        row: cython.int = self.row[position]
        self.packets[row] += 1
        self.octets[row] += cython.cast(cython.ulonglong, p.total)
        self.stamp[row] = self.uptime

    # --- a packet --------------------------------------------------------------------------------------------

    def check(self, p, iface_in, iface_out, position):
        """What the rules from `position` on say of a packet that came by one interface, and (not -1) leaves by one."""
        f: cython.int
        op: cython.uint
        head: cython.uint
        size: cython.int
        result: cython.int
        satisfied: cython.bint
        known: cython.bint
        if self.stale:
            self.ground.renew()
        self.out = iface_out >= 0
        self.iface_in = iface_in
        self.iface_out = iface_out
        self.found = 0
        self.searched = False
        self.depth = 0
        self.ports = 0
        if p.frag_off == 0 and (p.proto == PROTO_TCP or p.proto == PROTO_UDP):
            self.ports = cython.cast(cython.uint, p.sport) << 16 | cython.cast(cython.uint, p.dport)
        self.fwd_addr = 0
        self.states.uptime = self.uptime
        self.pos = position
        if self.skip is not None:
            self.skip.locate(p, self.out)
        while self.pos < self.n:
            if self.skip is not None:
                known = self.searched and (self.states.era != IPFW_12 or self.name == 0)
                self.pos = self.skip.next(self.pos, known)
                if self.pos >= self.n:
                    break
            f = self.pos
            if self.off[f]:
                self.pos += 1
                continue
            self.at = self.start[f]
            self.stop = self.end[f]
            self.tablearg = 0
            satisfied = False
            while self.at < self.stop:
                head = self.code[self.at]
                size = head >> 8 & 0x3F
                if satisfied:  # one way of several has held: the others do not matter
                    if head & F_OR == 0:
                        satisfied = False
                    self.at += size
                    continue
                op = head & 0xFF
                if _IS_CONTROL[op]:
                    result = self._control(p, op, head)
                    if result == _DONE:
                        self._count(self.pos, p)
                        return self.verdict
                    if result == _NEXT:
                        break
                    if result == _JUMP:
                        continue
                else:
                    result = self._fits(p, op, head)
                    if head & F_NOT:
                        result = 1 - result
                    if result:
                        satisfied = head & F_OR != 0
                    elif head & F_OR == 0:
                        break
                self.at += size
            if self.pos >= self.n:
                self.pos = (
                    self.n - 2
                )  # a deleted rule of a state that lives on: the last rule is next
            self.pos += 1
        self.ground.warn("ipfw: ouch!, skip past end of rules, denying packet")
        return V_DENY

    def _control(self, p, op, head):
        """An instruction that is no pattern: _MATCH (go on), _NEXT (rule), _DONE (`verdict`), _JUMP (to `at`)."""
        arg: cython.uint = head >> 16
        row: cython.int
        if op == O_PROBE_STATE or op == O_CHECK_STATE:
            if self._look(p, arg):
                return _JUMP
            return _MATCH if op == O_PROBE_STATE else _NEXT
        if op == O_KEEP_STATE or op == O_LIMIT:
            return self._install(p, op, arg)
        if op == O_ACCEPT:
            return self._decided(V_PASS, 0)
        if op == O_DENY:
            return self._decided(V_DENY, 0)
        if op == O_COUNT:
            self._count(self.pos, p)
            return _NEXT
        if op == O_SKIPTO:
            self._count(self.pos, p)
            row = cython.cast(cython.int, self._argument(arg))
            if row <= cython.cast(cython.int, self.walked[self.pos]):
                row = cython.cast(cython.int, self.walked[self.pos]) + 1
            return self._jump(row)
        if op == O_LOG:
            if self.cfg.fw_verbose:
                self.ground.log(p, self.pos, self.out, self.tablearg)
            return _MATCH
        if op == O_REJECT:
            if _may_answer(p):
                if head >> 8 & 0x3F == 2:
                    arg |= self.code[self.at + 1] << 16  # the MTU of `unreach needfrag`
                row = self.pos
                self.ground.answer(p, arg)  # which meets the rules, too
                self.pos = row
            return self._decided(V_DENY, 0)
        return self._action(p, op, head)

    def _action(self, p, op, head):
        """Actions that are met less often."""
        arg: cython.uint = head >> 16
        if op == O_PIPE or op == O_QUEUE:
            return self._decided(V_DUMMYNET, arg)
        if op == O_NAT:
            return self._decided(V_NAT, arg)
        if op == O_DIVERT:
            return self._decided(V_DIVERT, arg)
        if op == O_TEE:
            return self._decided(V_TEE, arg)
        if op == O_NETGRAPH:
            return self._decided(V_NETGRAPH, arg)
        if op == O_NGTEE:
            return self._decided(V_NGTEE, arg)
        if op == O_FORWARD_IP:
            # what comes back on a state of this rule is not sent there
            if (
                self.found == 0
                or self.pos_of[self.states.rule_of(self.found)] != self.pos
                or self.way == 0
            ):
                self.fwd_addr = self.code[self.at + 1] or self.tablearg
                self.fwd_port = self.code[self.at + 2]
            return self._decided(V_PASS, 0)
        if op == O_TAG:
            self.ground.set_tag(p, self._argument(arg), head & F_NOT == 0)
            return _MATCH
        if op == O_CALLRETURN:
            return self._call(p, head)
        self._count(self.pos, p)
        if op == O_REASS:
            return self._decided(V_REASS, 0) if p.mf or p.frag_off != 0 else _NEXT
        if op == O_SETDSCP or op == O_SET_MSS:
            self.ground.rewrite(p, op, self._argument(arg))
        return _NEXT  # O_SKIP_ACTION, O_SETFIB

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _decided(self, verdict: cython.int, arg: cython.uint) -> cython.int:
        """The walk is over."""
        self.verdict = verdict
        self.arg = self._argument(arg)
        return _DONE

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _argument(self, arg: cython.uint) -> cython.uint:
        """The argument of an action: its own, or what a table said."""
        return self.tablearg if arg == self.tablearg_is else arg

    def _jump(self, number):
        """Go on with the first rule of this number or a larger one that is not skipped."""
        low: cython.int = 0
        high: cython.int = self.n - 1
        middle: cython.int
        while low < high:
            middle = (low + high) >> 1
            if cython.cast(cython.int, self.walked[middle]) < number:
                low = middle + 1
            else:
                high = middle
        while low < self.n - 1 and self.off[low]:
            low += 1
        self.pos = low
        self.at = self.start[low]
        self.stop = self.end[low]
        return _JUMP

    def _call(self, p, head):
        """`call` remembers where it was, `return` goes on behind that. A stack that is full or empty: next rule."""
        back: cython.bint = head & F_NOT != 0
        if (self.depth == 0) if back else (self.depth == IPFW_STACK):
            return _NEXT
        self._count(self.pos, p)
        if back:
            self.depth -= 1
            return self._jump(cython.cast(cython.int, self.stack[self.depth]) + 1)
        self.stack[self.depth] = self.walked[self.pos]
        self.depth += 1
        return self._jump(cython.cast(cython.int, self._argument(head >> 16)))

    # --- states ----------------------------------------------------------------------------------------------

    def _look(self, p, name):
        """Is there a state for this packet? Then its rule's actions are next. Looked for once in a pass, in era 12
        again under another name.
        """
        row: cython.int
        if self.searched and (self.states.era != IPFW_12 or self.name == 0 or self.name == name):
            return False
        self.searched = True
        self.name = name
        row = self.states.lookup(p, self.ports, name)
        self.found = row
        if row == 0:
            return False
        self.way = self.states.way
        self.pos = self.pos_of[self.states.rule_of(row)]
        self.at = self.act[self.pos]
        self.stop = self.end[self.pos]
        return True

    def _install(self, p, op, arg):
        """A rule with `keep-state` or `limit` has matched; where its state cannot be, the packet ends here."""
        mask: cython.int = 0
        limit: cython.uint = 0
        name: cython.uint = arg
        if op == O_LIMIT:
            mask = self.code[self.at + 1] & 0xFFFF
            name = self.code[self.at + 1] >> 16
            limit = self._argument(arg)
        if self.states.install(p, self.ports, self.row[self.pos], mask, limit, name):
            return _MATCH
        return self._decided(V_DENY, 0)

    # --- patterns --------------------------------------------------------------------------------------------

    def _fits(self, p, op, head):
        """Does a pattern hold?"""
        if op <= O_IP_DST_SET or op == O_IP_SRC_LOOKUP or op == O_IP_DST_LOOKUP:
            return self._address(p, op, head)
        if op == O_PROTO:
            return cython.cast(cython.uint, p.proto) == head >> 16
        if op == O_IP_SRCPORT or op == O_IP_DSTPORT:
            if p.frag_off != 0 or (p.proto != PROTO_TCP and p.proto != PROTO_UDP):
                return False
            return self._in_ranges(
                head, cython.cast(cython.uint, p.sport if op == O_IP_SRCPORT else p.dport)
            )
        if op == O_IN:
            return not self.out
        if op == O_VIA:
            return self._via(self.iface_out if self.out else self.iface_in, head)
        if op == O_RECV:
            return self._via(self.iface_in, head)
        if op == O_XMIT:
            return self._via(self.iface_out, head)
        if op == O_FRAG:
            return p.frag_off != 0
        if op == O_ICMPTYPE:
            if p.frag_off != 0 or p.proto != PROTO_ICMP or p.icmp_type > 31:
                return False
            return self.code[self.at + 1] >> p.icmp_type & 1
        if op == O_ESTAB or op == O_TCPFLAGS or (O_TCPWIN <= op <= O_TCPACK) or op == O_TCPOPTS:
            return p.frag_off == 0 and p.proto == PROTO_TCP and self._tcp(p, op, head)
        if op == O_TCPDATALEN or op == O_TCPMSS:
            return p.frag_off == 0 and p.proto == PROTO_TCP and self._tcp(p, op, head)
        return self._header(p, op, head)

    def _address(self, p, op, head):
        """Patterns about one of the addresses."""
        source: cython.bint = op <= O_IP_SRC_SET or op == O_IP_SRC_LOOKUP
        address: cython.uint = p.src if source else p.dst
        at: cython.int = self.at + 1
        stop: cython.int = self.at + cython.cast(cython.int, head >> 8 & 0x3F)
        offset: cython.uint
        if op == O_IP_SRC or op == O_IP_DST:
            return address == self.code[at]
        if op == O_IP_SRC_MASK or op == O_IP_DST_MASK:
            while at < stop:
                if self.code[at] == address & self.code[at + 1]:
                    return True
                at += 2
            return False
        if op == O_IP_SRC_ME or op == O_IP_DST_ME:
            return self.ground.is_own(address)
        if op == O_IP_SRC_SET or op == O_IP_DST_SET:
            if address < self.code[at]:
                return False
            offset = address - self.code[at]
            return offset < head >> 16 and self.code[at + 1 + (offset >> 5)] >> (offset & 31) & 1
        if op == O_NOP:
            return True
        return self._lookup(p, address, head)

    def _lookup(self, p, address, head):
        """Is it in a table? What stands there is `tablearg` from now on, unless a value is asked for."""
        size: cython.int = cython.cast(cython.int, head >> 8 & 0x3F)
        key: cython.uint = address
        kind: cython.uint
        if size == 3:
            kind = self.code[self.at + 2]
            if kind == 0:
                key = p.dst
            elif kind == 1:
                key = p.src
            elif kind == 2 or kind == 3:
                if p.frag_off != 0 or (p.proto != PROTO_TCP and p.proto != PROTO_UDP):
                    return False
                key = cython.cast(cython.uint, p.dport if kind == 2 else p.sport)
            elif kind == 6:
                key = cython.cast(cython.uint, p.tos >> 2)
            else:
                return False
        table: Table = self.tables.get(head >> 16)
        if table is None or not table.find(key):
            return False
        if size == 2:
            return table.value == self.code[self.at + 1]
        self.tablearg = table.value
        return True

    def _in_ranges(self, head, value):
        """Is it in one of the ranges of the instruction, or (without any) its argument?"""
        at: cython.int = self.at + 1
        stop: cython.int = self.at + cython.cast(cython.int, head >> 8 & 0x3F)
        if at == stop:
            return value == head >> 16
        while at < stop:
            if self.code[at] & 0xFFFF <= value <= self.code[at] >> 16:
                return True
            at += 1
        return False

    def _via(self, iface, head):
        """Is this interface one that the instruction names? Asked once for each interface and name."""
        place: cython.int
        pattern: cython.uint = self.code[self.at + 1]
        if iface < 0:
            return False
        if head >> 16 != 0:
            table: Table = self.tables.get(pattern)
            if table is None or not table.find(cython.cast(cython.uint, iface)):
                return False
            self.tablearg = table.value
            return True
        place = cython.cast(cython.int, pattern) * 64 + (iface & 63)
        if self.iface_known[place] == 0:
            self.iface_known[place] = (
                2 if self.ground.iface_fits(iface, self.patterns[pattern]) else 1
            )
        return self.iface_known[place] == 2

    def _tcp(self, p, op, head):
        """Patterns about the TCP header, which is there."""
        flags: cython.uint = cython.cast(cython.uint, p.flags)
        if op == O_ESTAB:
            return flags & _OPENING != SYN
        if op == O_TCPFLAGS:
            return _flags_fit(head >> 16, flags & 0xFF)
        if op == O_TCPOPTS:
            return _flags_fit(head >> 16, _tcp_options(p))
        if op == O_TCPSEQ:
            return p.seq == self.code[self.at + 1]
        if op == O_TCPACK:
            return p.ack == self.code[self.at + 1]
        if op == O_TCPWIN:
            return self._in_ranges(head, cython.cast(cython.uint, p.win))
        if op == O_TCPMSS:
            return p.opt_mss >= 0 and self._in_ranges(head, cython.cast(cython.uint, p.opt_mss))
        return self._in_ranges(head, cython.cast(cython.uint, p.total - p.head_len))

    def _header(self, p, op, head):
        """Patterns about the IP header, and about the way that a packet takes."""
        if op == O_IPLEN:
            return self._in_ranges(head, cython.cast(cython.uint, p.total))
        if op == O_IPID:
            return self._in_ranges(head, cython.cast(cython.uint, p.ip_id))
        if op == O_IPTTL:
            return self._in_ranges(head, cython.cast(cython.uint, p.ttl))
        if op == O_IPTOS:
            return _flags_fit(head >> 16, cython.cast(cython.uint, p.tos))
        if op == O_IPPRECEDENCE:
            return cython.cast(cython.uint, p.tos & 0xE0) == head >> 16
        if op == O_DSCP:
            return self.code[self.at + 1 + (p.tos >> 7)] >> (p.tos >> 2 & 31) & 1
        if op == O_IPVER:
            return head >> 16 == 4
        if op == O_IPOPT:
            options: cython.int = _ip_options(p)
            return options >= 0 and _flags_fit(head >> 16, cython.cast(cython.uint, options))
        if op == O_IP4:
            return True
        if op == O_FIB:
            return head >> 16 == 0
        if op == O_TAGGED:
            return self._tagged(p, head)
        if op == O_PROB:
            return self.rng.next32() & _PROB_MASK < self.code[self.at + 1]
        if op == O_VERREVPATH or op == O_ANTISPOOF:
            if self.out or (op == O_ANTISPOOF and not self.ground.is_near(p.src)):
                return True
            return self.ground.way_to(p.src) == self.iface_in
        if op == O_VERSRCREACH:
            return self.out or self.ground.way_to(p.src) >= 0
        return False  # of layer 2, of sockets, of IPv6: never here

    def _tagged(self, p, head):
        """Does it bear one of these tags?"""
        at: cython.int = self.at + 1
        stop: cython.int = self.at + cython.cast(cython.int, head >> 8 & 0x3F)
        if at == stop:
            return self.ground.has_tag(p, self._argument(head >> 16), self._argument(head >> 16))
        while at < stop:
            if self.ground.has_tag(p, self.code[at] & 0xFFFF, self.code[at] >> 16):
                return True
            at += 1
        return False


@cython.cfunc
@cython.exceptval(check=False)
def _may_answer(p: Packet) -> cython.bint:
    """Is this a packet whose sender may be told? No later fragment, no ICMP but a question, nobody's many."""
    if p.frag_off != 0 or p.dst >> 28 == 14 or p.dst == _EVERYBODY:
        return False
    kind: cython.int = p.icmp_type
    return (
        p.proto != PROTO_ICMP or kind == 8 or kind == 10 or kind == 13 or kind == 15 or kind == 17
    )


@cython.cfunc
@cython.exceptval(check=False)
def _tcp_options(p: Packet) -> cython.uint:
    """Which of the options that ipfw knows a segment has."""
    bits: cython.uint = 0
    at: cython.int = p.ip_len + 20
    kind: cython.int
    while at < p.head_len:
        kind = p.head[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        if at + 1 >= p.head_len or p.head[at + 1] == 0:
            break
        bits |= _TCPOPTS[kind]
        at += p.head[at + 1]
    return bits


@cython.cfunc
@cython.exceptval(check=False)
def _ip_options(p: Packet) -> cython.int:
    """Which of the IP options that ipfw knows a packet has; -1 where they are broken."""
    bits: cython.int = 0
    at: cython.int = 20
    size: cython.int
    while at < p.ip_len:
        if p.head[at] == 0:
            break
        size = 1
        if p.head[at] != 1:
            size = p.head[at + 1] if at + 1 < p.ip_len else 0
            if size == 0 or at + size > p.ip_len:
                return -1
        bits |= _IPOPTS[p.head[at]]
        at += size
    return bits
