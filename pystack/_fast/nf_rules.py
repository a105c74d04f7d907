"""Rules, chains and tables of netfilter: the walk of a packet through them.

A rule is what it asks of the packet (addresses, interfaces, protocol, matches), a target, and two counters. Rules of a
chain are linked; a packet goes from the first to the last, into other chains and back over a stack of fixed depth. That
no chain leads back to itself is seen to when rules are loaded.

Source: net/netfilter/nf_tables_core.c, which runs the rules of iptables since 1.8; facts: conntrack 7.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.ip4 import split_count
from pystack._fast.nf_consts import CONTINUE, GOTO, JUMP, RETURN
from pystack._fast.nf_hook import (
    FORWARD,
    LOCAL_IN,
    LOCAL_OUT,
    NF_ACCEPT,
    NF_DROP,
    POSTROUTING,
    PREROUTING,
)
from pystack._fast.nf_match import Match

STACK = 16
"""Chains that may be open at a time (NFT_JUMP_STACK_SIZE)."""

_FACES = 66
"""Interfaces whose answer a rule remembers: none, lo, and the first 64 by number."""
_NO_FACE = 0
_LO = 1
_UNKNOWN = 0
_FITS = 1
_FITS_NOT = 2


@cython.final
@cython.cclass
class Face:
    """A condition on the name of an interface: a name, or with a `+` at its end the beginning of one."""

    def __init__(self, name, inverted=False):
        self.name = name
        self.prefix = name.removesuffix("+") if name.endswith("+") else None
        self.inverted = inverted
        self.known = column("B", _FACES)

    def fits_name(self, name):
        """Is it of such a name, inversion included? 1 or 0."""
        hit = name.startswith(self.prefix) if self.prefix is not None else name == self.name
        return int(hit != self.inverted)

    def fits(self, number, here, state):
        """Is it the interface `number` (-1: lo)? `here`: the packet has one at this hook."""
        slot: cython.int = _NO_FACE
        answer: cython.int
        if here:
            slot = _LO if number < 0 else number + 2
        if slot < _FACES and self.known[slot] != _UNKNOWN:
            return self.known[slot] == _FITS
        if slot < 2:
            answer = self.fits_name("lo" if slot == _LO else "")
        else:
            answer = self.fits_name(state.iface_name(number))
        if slot < _FACES:
            self.known[slot] = _FITS if answer else _FITS_NOT
        return answer != 0


@cython.final
@cython.cclass
class Rule:
    """One rule. Addresses are compared under their masks; `proto` 0 is any; `fragment` 1: only fragments but the first,
    2: only others, 0: both.

    `chain` is where a JUMP or GOTO leads. `text` is the business of whoever wrote the rule.
    """

    def __init__(self, text=None):
        self.text = text
        self.next = None
        self.src = self.src_mask = self.dst = self.dst_mask = 0
        self.src_not = self.dst_not = self.proto_not = False
        self.proto = 0
        self.fragment = 0
        self.face_in = None
        self.face_out = None
        self.first = None
        self.target = None
        self.chain = None
        self.packets = 0
        self.octets = 0

    def link(self, matches):
        """Its matches, in their order."""
        before = None
        self.first = None
        for match in matches:
            if before is None:
                self.first = match
            else:
                before.next = match
            match.next = None
            before = match

    def fits(self, p, state):
        """Does all of it fit the packet?"""
        equal: cython.bint
        match: Match
        if self.src_mask != 0 or self.src_not:
            equal = p.src & self.src_mask == self.src
            if equal == self.src_not:
                return False
        if self.dst_mask != 0 or self.dst_not:
            equal = p.dst & self.dst_mask == self.dst
            if equal == self.dst_not:
                return False
        if self.proto != 0:
            equal = p.proto == self.proto
            if equal == self.proto_not:
                return False
        if self.fragment != 0:
            equal = p.frag_off != 0
            if equal != (self.fragment == 1):
                return False
        if self.face_in is not None:
            equal = state.hook != LOCAL_OUT and state.hook != POSTROUTING
            if not self.face_in.fits(p.iface_in, equal, state):
                return False
        if self.face_out is not None:
            equal = state.hook != PREROUTING and state.hook != LOCAL_IN
            if not self.face_out.fits(p.iface_out, equal, state):
                return False
        match = self.first
        while match is not None:
            if not match.test(p, state):
                return False
            if state.hot_drop:
                return False
            match = match.next
        return True


@cython.final
@cython.cclass
class RuleChain:
    """A chain. `policy` is NF_ACCEPT or NF_DROP for one that stands at a hook, RETURN for a user's."""

    def __init__(self, name, policy=RETURN):
        self.name = name
        self.policy = policy
        self.rules = []
        self.first = None
        self.packets = 0
        self.octets = 0

    def relink(self):
        """After a change of `rules`."""
        before = None
        self.first = None
        for rule in self.rules:
            if before is None:
                self.first = rule
            else:
                before.next = rule
            rule.next = None
            before = rule


@cython.final
@cython.cclass
class Table:
    """A table: chains by name, in the order of their making, and which of them stands at a hook."""

    def __init__(self, name, hooks):
        self.name = name
        self.chains = {}
        self.pre = self.local = self.forward = self.out = self.post = None
        self.stack = [None] * STACK
        for hook, chain in hooks.items():
            self.chains[chain] = self._stand(hook, RuleChain(chain, NF_ACCEPT))

    def _stand(self, hook, chain):
        """The chain of a hook."""
        if hook == PREROUTING:
            self.pre = chain
        elif hook == LOCAL_IN:
            self.local = chain
        elif hook == FORWARD:
            self.forward = chain
        elif hook == LOCAL_OUT:
            self.out = chain
        else:
            self.post = chain
        return chain

    def swap(self, chains):
        """Other chains, all at once; those of the hooks are among them under their names."""
        hooks = (PREROUTING, LOCAL_IN, FORWARD, LOCAL_OUT, POSTROUTING)
        standing = [(hook, self.at(hook)) for hook in hooks]
        self.chains = chains
        for hook, chain in standing:
            if chain is not None:
                self._stand(hook, chains[chain.name])

    def at(self, hook):
        """The chain that stands at a hook, or None."""
        if hook == PREROUTING:
            return self.pre
        if hook == LOCAL_IN:
            return self.local
        if hook == FORWARD:
            return self.forward
        if hook == LOCAL_OUT:
            return self.out
        return self.post

    def run(self, hook, p, state):
        """What the rules of a hook make of a packet: NF_ACCEPT, NF_DROP or NF_STOLEN."""
        base: RuleChain = self.at(hook)
        rule: Rule
        depth: cython.int = 0
        verdict: cython.int
        count: cython.longlong = split_count(p)
        octets: cython.longlong = count * p.head_len + p.length
        if base is None:
            return NF_ACCEPT
        rule = base.first
        while True:
            if rule is None:
                if depth == 0:
                    break
                depth -= 1
                rule = self.stack[depth]
                self.stack[depth] = None
                continue
            if not rule.fits(p, state):
                if state.hot_drop:
                    state.hot_drop = False
                    return NF_DROP
                rule = rule.next
                continue
            rule.packets += count
            rule.octets += octets
            verdict = CONTINUE if rule.target is None else rule.target.apply(p, state)
            if verdict >= 0:
                state.decided = rule
                return verdict
            if verdict == CONTINUE:
                rule = rule.next
            elif verdict == JUMP:
                self.stack[depth] = rule.next
                depth += 1
                rule = rule.chain.first
            elif verdict == GOTO:
                rule = rule.chain.first
            else:
                rule = None
        base.packets += count
        base.octets += octets
        state.decided = base
        return base.policy
