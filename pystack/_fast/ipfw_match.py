"""The rules of ipfw as one flat program, and what a packet makes of it (ip_fw2.c: ipfw_chk).

`code` holds the instructions of all rules, one behind the other (`ipfw_ops`); the rule at position `i` of the walk has
its patterns from `start[i]`, its actions from `act[i]` to `end[i]`. The books of a rule are kept by its row, which it
has for life: `packets`, `octets`, `stamp` (second of the last packet, 0 = none), `log_left`.

The instructions of states have in their argument the number of the state's name (0 = any); what packets are asked
stands in `ipfw_pattern`.
"""

import cython

from pystack._fast.chain import FreeList
from pystack._fast.columns import column, grown
from pystack._fast.consts import IPFW_12, PROTO_ICMP, PROTO_TCP, PROTO_UDP
from pystack._fast.ipfw_dyn import DynTable  # noqa: F401
from pystack._fast.ipfw_ops import (
    F_NOT,
    F_OR,
    IPFW_STACK,
    O_ACCEPT,
    O_ALTQ,
    O_CALLRETURN,
    O_CHECK_STATE,
    O_COUNT,
    O_DENY,
    O_DIVERT,
    O_FORWARD_IP,
    O_IP_DST,
    O_IP_DST_MASK,
    O_IP_SRC,
    O_IP_SRC_MASK,
    O_KEEP_STATE,
    O_LIMIT,
    O_LOG,
    O_NAT,
    O_NETGRAPH,
    O_NGTEE,
    O_PIPE,
    O_PROB,
    O_PROBE_STATE,
    O_PROTO,
    O_QUEUE,
    O_REASS,
    O_REJECT,
    O_SET_MSS,
    O_SETDSCP,
    O_SETFIB,
    O_SKIP_ACTION,
    O_SKIPTO,
    O_TAG,
    O_TEE,
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
from pystack._fast.ipfw_pattern import Patterns
from pystack._fast.ipfw_skip import SkipIndex  # noqa: F401
from pystack._fast.packet import Packet

_EVERYBODY = cython.declare(cython.uint, 0xFFFFFFFF)
_NEXT = 0
_MATCH = 1
_DONE = 2
_JUMP = 3
_FIRST_RULES = 64
_FROM_NET = cython.declare(cython.uint, O_IP_SRC_MASK | 3 << 8)
"""These and the next four: the first half of a pattern that is neither negated nor one of several."""
_TO_NET = cython.declare(cython.uint, O_IP_DST_MASK | 3 << 8)
_FROM_ONE = cython.declare(cython.uint, O_IP_SRC | 2 << 8)
_TO_ONE = cython.declare(cython.uint, O_IP_DST | 2 << 8)
_IS_PROTO = cython.declare(cython.uint, O_PROTO | 1 << 8)
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


@cython.final
@cython.cclass
class Rules(Patterns):
    """The rules of a machine and the books of each. `states`: the dynamic rules. `stale`: the program is that of older
    rules, and is made anew before the next packet.

    `check` answers V_*; then `arg` is the number that the action names (pipe, NAT, port), `fwd_addr` and `fwd_port`
    where a `fwd` rule sends the packet, `pos` the position of the rule that decided.
    """

    def __init__(self, cfg, ground, states, rng):
        Patterns.__init__(self, cfg, ground, rng, states.era != IPFW_12)
        self.states = states
        self.uptime = 0
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

    def _count(self, position, p):
        """One more packet of a rule."""
        row: cython.int = self.row[position]
        self.packets[row] += 1
        self.octets[row] += cython.cast(cython.ulonglong, p.total)
        self.stamp[row] = self.uptime if self.uptime != 0 else 1  # 0: never

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
            else:
                self.pos = self._pass_over(p)
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

    def _pass_over(self, p):
        """The next rule whose plain patterns do not say no: one address or network, the protocol. Whatever else it asks
        is asked by the walk, which begins it anew.
        """
        last: cython.int = self.n - 1
        pos: cython.int = self.pos
        at: cython.int
        kind: cython.uint
        src: cython.uint = p.src
        dst: cython.uint = p.dst
        proto: cython.uint = cython.cast(cython.uint, p.proto)
        while pos < last:
            if not self.off[pos]:
                at = self.start[pos]
                while True:
                    kind = self.code[at] & 0xFFFF
                    if kind == _FROM_NET:
                        if src & self.code[at + 2] != self.code[at + 1]:
                            break
                        at += 3
                    elif kind == _TO_NET:
                        if dst & self.code[at + 2] != self.code[at + 1]:
                            break
                        at += 3
                    elif kind == _IS_PROTO:
                        if self.code[at] >> 16 != proto:
                            break
                        at += 1
                    elif kind == _FROM_ONE:
                        if src != self.code[at + 1]:
                            break
                        at += 2
                    elif kind == _TO_ONE:
                        if dst != self.code[at + 1]:
                            break
                        at += 2
                    else:
                        return pos
            pos += 1
        return pos

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
