"""Packets between two machines, in the order in which they arrive (`wire.Wire` keeps three such lines)."""

import cython

from pystack._fast.columns import column
from pystack._fast.packet import Packet

LAST = 1 << 30
"""The mark of a super-segment's last piece."""

_ROOM = 64
"""Places in a ring at first. It doubles when full and never shrinks."""


@cython.final
@cython.cclass
class Transit:
    """Packets on the way, by time of arrival and then by order of sending: a ring in four columns.

    `piece`: -1, the packet itself; otherwise which piece of a super-segment, with LAST when no later
    place refers to that super-segment.
    """

    def __init__(self) -> None:
        self.count = 0
        self._head = 0
        self._mask = _ROOM - 1
        self._due = column("q", _ROOM)
        self._order = column("q", _ROOM)
        self._piece = column("i", _ROOM)
        self._packets = [None] * _ROOM

    def _grow(self) -> None:
        """Double the room; the oldest place becomes number 0."""
        size: cython.int = (self._mask + 1) * 2
        due: cython.longlong[::1] = column("q", size)
        order: cython.longlong[::1] = column("q", size)
        piece: cython.int[::1] = column("i", size)
        packets: list = [None] * size
        i: cython.int
        at: cython.int
        for i in range(self.count):
            at = (self._head + i) & self._mask
            due[i] = self._due[at]
            order[i] = self._order[at]
            piece[i] = self._piece[at]
            packets[i] = self._packets[at]
        self._due = due
        self._order = order
        self._piece = piece
        self._packets = packets
        self._head = 0
        self._mask = size - 1

    @cython.exceptval(check=False)
    def push(
        self, p: Packet | None, piece: cython.int, due: cython.longlong, order: cython.longlong
    ) -> cython.int:
        """Append; `due` is not before that of any other. The answer is its distance from the head."""
        at: cython.int
        if self.count > self._mask:
            self._grow()
        at = (self._head + self.count) & self._mask
        self._due[at] = due
        self._order[at] = order
        self._piece[at] = piece
        self._packets[at] = p
        self.count += 1
        return self.count - 1

    @cython.exceptval(check=False)
    def insert(self, p: Packet, due: cython.longlong, order: cython.longlong) -> cython.void:
        """Put in by time, behind those of the same time; searched from the end."""
        at: cython.int
        before: cython.int
        i: cython.int = self.push(p, -1, due, order)
        while i > 0:
            at = (self._head + i) & self._mask
            before = (at - 1) & self._mask
            if self._due[before] <= due:
                break
            self._due[at] = self._due[before]
            self._order[at] = self._order[before]
            self._packets[at] = self._packets[before]
            i -= 1
        at = (self._head + i) & self._mask
        self._due[at] = due
        self._order[at] = order
        self._packets[at] = p

    @cython.exceptval(check=False)
    def forget_first(self) -> cython.void:
        """Take the head out. Its packet is the caller's."""
        self._packets[self._head] = None
        self._head = (self._head + 1) & self._mask
        self.count -= 1
