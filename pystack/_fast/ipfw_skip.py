# cython: overflowcheck=False
# The lowest bit of a word is found by a multiplication that wraps.

"""Which rules cannot match a packet: the walk over a long rule set leaves them out.

For each of a few things that a packet has (protocol, addresses, ports, flags, direction) the values fall into
intervals, and for each interval there is a row of bits, one for each `1 << shift` rules: may one of them match? The
rows of a packet's intervals, anded, are what is left to look at. A rule that is left out would not have matched and
would have done nothing on the way; what looks for a state is left in until the state was looked for.

`firewall.ipfw.skipping` makes the tables. The idea is that of bit-vector packet classification (Lakshman and Stiliadis,
1998).
"""

import cython

from pystack._fast.consts import PROTO_TCP, PROTO_UDP
from pystack._fast.ipfw_ops import (
    FACE_FLAGS,
    FACE_PROTOCOL,
    FACE_SOURCE,
    FACE_SPORT,
    FACE_TARGET,
    FACE_WAY,
    N_FACES,
    NO_FLAGS,
    NO_PORT,
)
from pystack._fast.packet import Packet

_NO_FLAGS = cython.declare(cython.uint, NO_FLAGS)
_NO_PORT = cython.declare(cython.uint, NO_PORT)
_DE_BRUIJN = cython.declare(cython.ulonglong, 0x03F79D71B4CB0A89)
_LOW6 = cython.declare(cython.uchar[::1], memoryview(bytearray(64)))
for _i in range(64):
    _LOW6[(0x03F79D71B4CB0A89 << _i & 0xFFFFFFFFFFFFFFFF) >> 58] = _i


@cython.final
@cython.cclass
class SkipIndex:
    """`faces`: for each thing that tells rules apart (its number, first values of intervals, rows of bits).
    `always`: a row that is ored in while no state was looked for. `n`: rules; `shift`: how many share a bit.
    """

    def __init__(self, faces, always, n, shift):
        self.words = ((n >> shift) + 64) >> 6
        self.shift = shift
        self.count = len(faces)
        self.kind = memoryview(bytearray(4 * N_FACES)).cast("I")
        self.first = memoryview(bytearray(4 * N_FACES)).cast("I")
        self.last = memoryview(bytearray(4 * N_FACES)).cast("I")
        self.place = memoryview(bytearray(8 * N_FACES)).cast("q")
        bounds = bytearray()
        bits = bytearray()
        self.always = memoryview(bytearray(always)).cast("Q")
        for i, (kind, values, rows) in enumerate(faces):
            self.kind[i] = kind
            self.first[i] = len(bounds) >> 2
            bounds += b"".join(value.to_bytes(4, "little") for value in values)
            self.last[i] = (len(bounds) >> 2) - 1
            bits += rows
        self.bounds = memoryview(bounds or bytearray(4)).cast("I")
        self.bits = memoryview(bits or bytearray(8)).cast("Q")

    @cython.exceptval(check=False)
    def locate(self, p: Packet, out: cython.bint) -> cython.void:
        """Which row of each face is that of this packet."""
        i: cython.int
        low: cython.uint
        high: cython.uint
        middle: cython.uint
        value: cython.uint
        for i in range(self.count):
            value = _value(p, self.kind[i], out)
            low = self.first[i]
            high = self.last[i]
            while low < high:
                middle = (low + high + 1) >> 1
                if self.bounds[middle] <= value:
                    low = middle
                else:
                    high = middle - 1
            self.place[i] = cython.cast(cython.longlong, low) * self.words

    @cython.exceptval(check=False)
    def next(self, position: cython.int, searched: cython.bint) -> cython.int:
        """The first rule at or behind `position` that may match; `searched`: its state was looked for."""
        bit: cython.int = position >> self.shift
        word: cython.int = bit >> 6
        left: cython.ulonglong
        i: cython.int
        found: cython.int
        mask: cython.ulonglong = _ones64() << (bit & 63) & _ones64()
        while word < self.words:
            left = mask
            for i in range(self.count):
                left &= self.bits[self.place[i] + word]
            if not searched:
                left |= self.always[word] & mask
            if left != 0:
                found = ((word << 6) | _lowest(left)) << self.shift
                return found if found > position else position
            mask = _ones64()
            word += 1
        return 0x7FFFFFFF


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _ones64() -> cython.ulonglong:
    """2**64 - 1 as the C compiler can fold it (see hashing.py)."""
    ones: cython.ulonglong = 0x7FFFFFFF
    return (ones << 33) | (ones << 2) | 3


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _lowest(word: cython.ulonglong) -> cython.int:
    """The number of the lowest bit that is set."""
    m64: cython.ulonglong = _ones64()
    low: cython.ulonglong = word & ((word ^ m64) + 1) & m64
    return _LOW6[((low * _DE_BRUIJN) & m64) >> 58]


@cython.cfunc
@cython.exceptval(check=False)
def _value(p: Packet, kind: cython.uint, out: cython.bint) -> cython.uint:
    """What a packet has of one kind."""
    if kind == FACE_PROTOCOL:
        return cython.cast(cython.uint, p.proto)
    if kind == FACE_SOURCE:
        return p.src
    if kind == FACE_TARGET:
        return p.dst
    if kind == FACE_WAY:
        return 1 if out else 0
    if kind == FACE_FLAGS:
        if p.proto != PROTO_TCP or p.frag_off != 0:
            return _NO_FLAGS
        return cython.cast(cython.uint, p.flags & 0xFF)
    if p.frag_off != 0 or (p.proto != PROTO_TCP and p.proto != PROTO_UDP):
        return _NO_PORT
    return cython.cast(cython.uint, p.sport if kind == FACE_SPORT else p.dport)
