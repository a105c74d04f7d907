"""Packets that pass a conntrack, one after the other, with nothing else in the way: what tracking costs.

A trace is headers of `STRIDE` octets, IPv4 and TCP without options, whose payload is not there. Each packet is parsed,
found, tracked and confirmed as on its way through a machine.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.ip4 import parse
from pystack._fast.packet import Packet

STRIDE = 40
BATCH = 32
_STRIDE = cython.declare(cython.Py_ssize_t, STRIDE)
_TOTAL = cython.declare(cython.Py_ssize_t, 65535)


@cython.final
@cython.cclass
class Passing:
    """The packets of a trace on their way past `conntrack`. `invalid` and `dropped` count what did not pass."""

    def __init__(self, conntrack, octets):
        self.conntrack = conntrack
        self.octets = memoryview(octets)
        self.count = len(octets) // STRIDE
        self.batch = [Packet() for _ in range(BATCH)]
        self.hashes = column("I", BATCH)
        self.dropped = 0
        self.now = 0

    def pass_all(self, step):
        """Every packet once, `step` ns between two, from `now` on, which is the time behind the last then."""
        k: cython.int
        n: cython.int
        ct = self.conntrack
        moment: cython.longlong = self.now
        at: cython.Py_ssize_t = 0
        while at < self.count:
            n = BATCH if self.count - at >= BATCH else cython.cast(cython.int, self.count - at)
            for k in range(n):
                p: Packet = self.batch[k]
                p.clear()
                p.csum_ok = True
                parse(p, self.octets, (at + k) * _STRIDE, _TOTAL)
                ct.foresee(p)
                self.hashes[k] = p.ct_hash
            ct.fetch(self.hashes, n)
            for k in range(n):
                p = self.batch[k]
                if ct.conntrack_in(p, moment) == 0 or ct.confirm(p, moment) == 0:
                    self.dropped += 1
                moment += step
            at += n
        self.now = moment
        return 0

    def only_parse(self):
        """The same packets, parsed and thrown away: what the trace costs by itself."""
        i: cython.Py_ssize_t
        for i in range(self.count):
            p: Packet = self.batch[i & 31]
            p.clear()
            p.csum_ok = True
            parse(p, self.octets, i * _STRIDE, _TOTAL)
        return self.count
