"""What the rules of a set ask of a packet, as tables from which `_fast.ipfw_skip` sees which of them cannot match.

A constraint is a sorted list of intervals (first, last) of the values that a rule lets pass. Patterns that say nothing
about a face, or too much for intervals, leave it open: to look at a rule in vain is only slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pystack._fast.ipfw_ops import (
    FACE_FLAGS,
    FACE_PROTOCOL,
    FACE_SOURCE,
    FACE_SPORT,
    FACE_TARGET,
    FACE_TPORT,
    FACE_WAY,
    NO_FLAGS,
    NO_PORT,
    O_CHECK_STATE,
    O_ESTAB,
    O_IN,
    O_IP_DST,
    O_IP_DST_MASK,
    O_IP_DST_SET,
    O_IP_DSTPORT,
    O_IP_SRC,
    O_IP_SRC_MASK,
    O_IP_SRC_SET,
    O_IP_SRCPORT,
    O_PROB,
    O_PROBE_STATE,
    O_PROTO,
    O_TCPFLAGS,
)
from pystack._fast.ipfw_skip import SkipIndex
from pystack.firewall.ipfw.insn import Insn, Rule

Intervals = list[tuple[int, int]]
MOST = {
    FACE_PROTOCOL: 255,
    FACE_SOURCE: 0xFFFFFFFF,
    FACE_TARGET: 0xFFFFFFFF,
    FACE_SPORT: NO_PORT,
    FACE_TPORT: NO_PORT,
    FACE_FLAGS: NO_FLAGS,
    FACE_WAY: 1,
}
"""The largest value of each face."""
WORTH = 12
"""Rules from which on an index saves more than it costs."""
BITS = 4096
"""Bits of a row at most; rules share bits beyond that."""


def union(a: Intervals, b: Intervals) -> Intervals:
    """What is in one of two constraints."""
    if not a and len(b) < 2:
        return b  # what most patterns come to
    out: Intervals = []
    for low, high in sorted(a + b):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return out


def complement(a: Intervals, most: int) -> Intervals:
    """What is not in a constraint."""
    out: Intervals = []
    start = 0
    for low, high in a:
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= most:
        out.append((start, most))
    return out


def intersection(a: Intervals, b: Intervals) -> Intervals:
    """What is in both."""
    out = []
    for low, high in a:
        for first, last in b:
            if first <= high and last >= low:
                out.append((max(low, first), min(high, last)))
    return out


def _address(insn: Insn) -> Intervals | None:
    return [(insn.data[0], insn.data[0])]


def _masked(insn: Insn) -> Intervals | None:
    out: Intervals = []
    for address, mask in zip(insn.data[::2], insn.data[1::2], strict=True):
        host = mask ^ 0xFFFFFFFF
        if host & (host + 1):
            return None  # a mask with holes
        if address & host == 0:
            out = union(out, [(address, address | host)])
    return out


def _listed(insn: Insn) -> Intervals | None:
    first, *words = insn.data
    present = [n for n in range(insn.arg) if words[n >> 5] >> (n & 31) & 1]
    return union([], [(first + n, first + n) for n in present])


def _ports(insn: Insn) -> Intervals | None:
    ranges = [(word & 0xFFFF, word >> 16) for word in insn.data]
    return union([], [(low, high) for low, high in ranges if low <= high])


def _flags(insn: Insn) -> Intervals | None:
    wanted, clear = insn.arg & 0xFF, insn.arg >> 8
    return union([], [(f, f) for f in range(256) if f & wanted == wanted and not f & clear])


def _established(insn: Insn) -> Intervals | None:
    return union([], [(f, f) for f in range(256) if f & 0x16 != 2])


READERS: dict[int, tuple[int, Callable[[Insn], Intervals | None]]] = {
    O_PROTO: (FACE_PROTOCOL, lambda insn: [(insn.arg, insn.arg)]),
    O_IP_SRC: (FACE_SOURCE, _address),
    O_IP_DST: (FACE_TARGET, _address),
    O_IP_SRC_MASK: (FACE_SOURCE, _masked),
    O_IP_DST_MASK: (FACE_TARGET, _masked),
    O_IP_SRC_SET: (FACE_SOURCE, _listed),
    O_IP_DST_SET: (FACE_TARGET, _listed),
    O_IP_SRCPORT: (FACE_SPORT, _ports),
    O_IP_DSTPORT: (FACE_TPORT, _ports),
    O_TCPFLAGS: (FACE_FLAGS, _flags),
    O_ESTAB: (FACE_FLAGS, _established),
    O_IN: (FACE_WAY, lambda insn: [(0, 0)]),
}


def blocks(insns: list[Insn]) -> Iterator[list[Insn]]:
    """The patterns, those of an or-block together."""
    block: list[Insn] = []
    for insn in insns:
        block.append(insn)
        if not insn.other:
            yield block
            block = []
    if block:
        yield block


def constraint(block: list[Insn]) -> tuple[int, Intervals] | None:
    """The face that a block is about and the values that it lets pass; None: it is about none, or several."""
    face, passed = -1, Intervals()
    for insn in block:
        if insn.op not in READERS:
            return None
        kind, read = READERS[insn.op]
        values = read(insn)
        if values is None or face not in (-1, kind):
            return None
        face = kind
        passed = union(passed, complement(values, MOST[kind]) if insn.neg else values)
    return face, passed


def constraints(rule: Rule) -> dict[int, Intervals]:
    """What a rule asks for, by face. It is found out once."""
    if rule.asks is None:
        rule.asks = _constraints(rule)
    return rule.asks


def _constraints(rule: Rule) -> dict[int, Intervals]:
    out: dict[int, Intervals] = {}
    if any(insn.op == O_PROB for insn in rule.patterns):
        return out  # whoever draws a number is asked
    for block in blocks(rule.patterns):
        found = constraint(block)
        if found is not None:
            face, passed = found
            out[face] = intersection(out[face], passed) if face in out else passed
    return out


def looks(rule: Rule) -> bool:
    """Does it look for a state before it looks at the packet?"""
    return any(i.op in (O_PROBE_STATE, O_CHECK_STATE) for i in [*rule.patterns, *rule.actions])


def index(rules: list[Rule]) -> SkipIndex | None:
    """The tables of a rule set; None where to walk is as good."""
    if len(rules) < WORTH:
        return None
    shift = max(0, (len(rules) - 1).bit_length() - BITS.bit_length() + 1)
    size = ((len(rules) >> shift) + 64 >> 6) * 8
    asked = [constraints(rule) for rule in rules]
    always = 0
    for position, rule in enumerate(rules):
        if looks(rule):
            always |= 1 << (position >> shift)
    faces = []
    for face in MOST:
        values, rows = _rows([each.get(face) for each in asked], shift, size)
        if len(values) > 1:
            faces.append((face, values, rows))
    return SkipIndex(faces, always.to_bytes(size, "little"), len(rules), shift)


def _rows(asked: list[Intervals | None], shift: int, size: int) -> tuple[list[int], bytes]:
    """First values of intervals, and for each the bits of the rules that may match there."""
    changes: dict[int, int] = {0: 0}
    for bit in range((len(asked) - 1 >> shift) + 1):
        passed: Intervals | None = []
        for each in asked[bit << shift : bit + 1 << shift]:
            passed = None if passed is None or each is None else union(passed, each)
        for low, high in [(0, -1)] if passed is None else passed:
            changes[low] = changes.get(low, 0) ^ 1 << bit
            if high >= 0:
                changes[high + 1] = changes.get(high + 1, 0) ^ 1 << bit
    values = [value for value in sorted(changes) if value <= 0xFFFFFFFF]
    out = bytearray()
    now = 0
    for value in values:
        now ^= changes[value]
        out += now.to_bytes(size, "little")
    return values, bytes(out)
