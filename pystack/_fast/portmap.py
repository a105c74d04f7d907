"""Local ports that a search need not look at: a bit for each, so that thousands of taken ports cost a few words.

Two rows of bits hold for all: ports that some socket uses (`IN_USE`), and those that an operator keeps from being
chosen (`RESERVED`, Linux's ip_local_reserved_ports). The others belong to a destination each, as long as no other
needs the place: ports from which a connection to it was found to exist already. A bit is set when a search finds that
out, and cleared when the connection goes; a search asks again about every port whose bit is clear.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.hashing import jhash_3words
from pystack._fast.wheel import lowest_bit

IN_USE = 0
RESERVED = 1
PLACES = 64
"""Destinations that are remembered; a power of two."""
WORDS = 1024

_FIRST = cython.declare(cython.int, 2)
_WORDS = cython.declare(cython.int, WORDS)
_PLACES = cython.declare(cython.int, PLACES)
_ALL = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_EVEN = cython.declare(cython.ulonglong, 0x5555555555555555)
_ONE = cython.declare(cython.ulonglong, 1)


@cython.final
@cython.cclass
class PortMap:
    """The bits of one machine. `marks`: how many are set for destinations."""

    def __init__(self, secret):
        self.secret = secret
        self.bits = column("Q", (2 + PLACES) * WORDS)
        self.laddr = column("I", PLACES)
        self.faddr = column("I", PLACES)
        self.fport = column("i", PLACES)
        self.count = column("i", PLACES)
        self.marks = 0
        self.reserved = False

    def use(self, port):
        """Somebody uses the port now."""
        self.bits[port >> 6] |= _ONE << (port & 63)

    def disuse(self, port):
        """Nobody uses it any more."""
        self.bits[port >> 6] &= _ALL ^ (_ONE << (port & 63))

    def reserve(self, ports):
        """The ports that may not be chosen are these, and no others (not hot: an operator says so)."""
        i: cython.int
        for i in range(_WORDS):
            self.bits[_WORDS + i] = 0
        self.reserved = False
        for port in ports:
            self.bits[_WORDS + (port >> 6)] |= _ONE << (port & 63)
            self.reserved = True

    def is_reserved(self, port):
        """May the port not be chosen?"""
        return self.reserved and (self.bits[_WORDS + (port >> 6)] >> (port & 63)) & 1 != 0

    def place_of(self, laddr, faddr, fport):
        """Where a destination would be, from a local address."""
        foreign: cython.uint = fport
        return jhash_3words(laddr, faddr, foreign, self.secret) & 63

    def row_of(self, laddr, faddr, fport):
        """The row of bits of a destination, -1 where nothing is known of it."""
        at: cython.int = self.place_of(laddr, faddr, fport)
        if (
            self.count[at] == 0
            or self.fport[at] != fport
            or self.faddr[at] != faddr
            or self.laddr[at] != laddr
        ):
            return -1
        return _FIRST + at

    def mark(self, laddr, lport, faddr, fport):
        """There is a connection of these four. What was known of another destination may be forgotten for it."""
        at: cython.int = self.place_of(laddr, faddr, fport)
        row: cython.int = self.row_of(laddr, faddr, fport)
        word: cython.int
        bit: cython.ulonglong = _ONE << (lport & 63)
        if row < 0:
            self.forget(at)
            self.laddr[at] = laddr
            self.faddr[at] = faddr
            self.fport[at] = fport
            row = _FIRST + at
        word = row * _WORDS + (lport >> 6)
        if self.bits[word] & bit == 0:
            self.bits[word] |= bit
            self.count[at] += 1
            self.marks += 1

    def forget(self, at):
        """Nothing is known of the destination at this place any more."""
        i: cython.int
        base: cython.int = (_FIRST + at) * _WORDS
        if self.count[at] == 0:
            return
        for i in range(base, base + _WORDS):
            self.bits[i] = 0
        self.marks -= self.count[at]
        self.count[at] = 0

    def forget_all(self):
        """Nothing is known of any destination: what a connection may share has changed."""
        at: cython.int
        for at in range(_PLACES):
            self.forget(at)

    def freed(self, laddr, lport, faddr, fport):
        """The connection of these four is gone."""
        if self.marks == 0:
            return
        row: cython.int = self.row_of(laddr, faddr, fport)
        bit: cython.ulonglong = _ONE << (lport & 63)
        word: cython.int
        if row < 0:
            return
        word = row * _WORDS + (lport >> 6)
        if self.bits[word] & bit:
            self.bits[word] ^= bit
            self.count[row - _FIRST] -= 1
            self.marks -= 1

    @cython.overflowcheck(False)
    def next_clear(self, row, port, last, stride):
        """The first of port, port + stride, … (1 or 2) whose bit is clear; the first of them above `last` where none
        is.
        """
        base: cython.int = row * _WORDS
        at: cython.int = port >> 6
        mask: cython.ulonglong = _ALL
        word: cython.ulonglong
        found: cython.int
        if port > last:
            return port
        if stride == 2:
            mask = (_EVEN << (port & 1)) & _ALL
        word = (self.bits[base + at] ^ _ALL) & mask & ((_ALL << (port & 63)) & _ALL)
        while word == 0 and (at + 1) << 6 <= last:
            at += 1
            word = (self.bits[base + at] ^ _ALL) & mask
        if word != 0:
            found = (at << 6) + lowest_bit(word)
            if found <= last:
                return found
        return port + ((last - port) // stride + 1) * stride
