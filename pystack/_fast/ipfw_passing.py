"""Packets that meet ipfw's rules, one after the other, with nothing else in the way: what rules cost.

A trace is headers of `STRIDE` octets, IPv4 and TCP without options, whose payload is not there (as `passing` has it).
"""

import cython

from pystack._fast.ip4 import parse
from pystack._fast.ipfw_match import Rules  # noqa: F401
from pystack._fast.packet import Packet

STRIDE = 40
_STRIDE = cython.declare(cython.Py_ssize_t, STRIDE)
_TOTAL = cython.declare(cython.Py_ssize_t, 65535)
_BATCH = 32


@cython.final
@cython.cclass
class RulesPassing:
    """The packets of a trace before `rules`. `passed`, `denied`: what became of them."""

    def __init__(self, rules, octets):
        self.rules = rules
        self.octets = memoryview(octets)
        self.count = len(octets) // STRIDE
        self.batch = [Packet() for _ in range(_BATCH)]
        self.passed = 0
        self.denied = 0

    def read(self, at, n):
        """The next `n` packets are parsed."""
        k: cython.int
        for k in range(n):
            p: Packet = self.batch[k]
            p.clear()
            p.csum_ok = True
            parse(p, self.octets, (at + k) * _STRIDE, _TOTAL)
        return 0

    def pass_all(self, again=1):
        """Every packet comes in by interface 0, parsed once and put through the rules `again` times."""
        _i: cython.int
        k: cython.int
        n: cython.int
        at: cython.Py_ssize_t = 0
        while at < self.count:
            n = _BATCH if self.count - at >= _BATCH else cython.cast(cython.int, self.count - at)
            self.read(at, n)
            for _i in range(again):
                for k in range(n):
                    p: Packet = self.batch[k]
                    if self.rules.check(p, 0, -1, 0) == 0:
                        self.passed += 1
                    else:
                        self.denied += 1
            at += n
        return 0
