"""The newest packets of a network, kept so that a capture can be written after the run.

A ring of octets with columns beside it. A packet is copied once, when a wire is given it; a super-segment as it
is, with a note for each piece that something happened to. Cutting, checksums and text wait until somebody wants a file.
"""

import cython

from pystack._fast.columns import column
from pystack._fast.packet import Packet
from pystack._fast.wirebytes import copy

LEAST = 1 << 20
"""Octets of the smallest ring."""

CORRUPTED = -1
"""Notes: a `consts.Drop` above 0, or CORRUPTED - n: bit n was inverted."""


@cython.final
@cython.cclass
class Record:
    """The last `octets` octets of traffic, and no more than one packet for each 64 of them.

    Packets have serial numbers: `first` is the oldest that is kept, `next` the number of the next one. `on_full()` is
    called before one is forgotten; it may take them all (`clear`).
    """

    def __init__(self, octets: cython.longlong) -> None:
        packets: cython.longlong = 1
        self._room = octets if octets > LEAST else LEAST
        while packets < self._room >> 6:
            packets *= 2
        self.first = 0
        self.next = 0
        self.on_full = None
        self._notes = {}
        self._end = 0
        self._mask = packets - 1
        self._data = column("B", self._room)
        self._time = column("q", packets)
        self._at = column("q", packets)
        self._wire = column("i", packets)
        self._size = column("i", packets)
        self._gso = column("i", packets)
        self._left = column("B", packets)

    @cython.exceptval(check=False)
    def add(self, p: Packet, time: cython.longlong, wire: cython.int) -> cython.void:
        """Packet `p` was given to `wire` at `time`, ns."""
        n: cython.int = p.head_len + p.length
        slot: cython.longlong
        at: cython.longlong
        self._make_room(n)
        slot = self.next & self._mask
        at = self._end % self._room
        copy(self._data, at, p.head, 0, p.head_len)
        if p.length > 0:
            p.pool.copy_out(p.m, 0, self._data, at + p.head_len, p.length)
        self._time[slot] = time
        self._at[slot] = self._end
        self._wire[slot] = wire
        self._size[slot] = n
        self._gso[slot] = p.gso_size
        self._left[slot] = (1 if p.csum_ok else 0) | (2 if p.csum_none else 0)
        self._end += n
        self.next += 1

    def note(self, piece: cython.int, code: cython.int) -> cython.void:
        """Something happened to the packet added last, or to piece number `piece` of it (-1: the whole)."""
        serial = self.next - 1
        if serial in self._notes:
            self._notes[serial].append((piece, code))
        else:
            self._notes[serial] = [(piece, code)]

    def _make_room(self, n: cython.int) -> cython.int:
        """Room for one packet of `n` octets in a row at `_end`."""
        place: cython.longlong
        rest: cython.longlong
        while True:
            place = self._end
            rest = self._room - place % self._room
            if rest < n:
                place += rest
            if self.next - self.first <= self._mask and (
                self.first == self.next
                or place + n - self._at[self.first & self._mask] <= self._room
            ):
                self._end = place
                return 0
            if self.on_full is not None:
                self.on_full()
                if self.first == self.next:
                    continue
            self._forget()

    def _forget(self) -> None:
        """The oldest packet goes."""
        if self._notes:
            self._notes.pop(self.first, None)
        self.first += 1

    def clear(self) -> None:
        """All go."""
        self.first = self.next
        self._notes.clear()

    def packet(self, serial: cython.longlong) -> tuple:
        """(time, wire, gso_size, checksums left, without a checksum, octets, notes) of a packet.

        Notes are (piece, code). Raises IndexError for one that is not kept.
        """
        if not self.first <= serial < self.next:
            raise IndexError(f"packet {serial} is not among {self.first} to {self.next - 1}")
        slot: cython.longlong = serial & self._mask
        at: cython.longlong = self._at[slot] % self._room
        data = bytes(self._data[at : at + self._size[slot]])
        notes = tuple(self._notes.get(serial, ()))
        return (
            self._time[slot],
            self._wire[slot],
            self._gso[slot],
            self._left[slot] & 1 != 0,
            self._left[slot] & 2 != 0,
            data,
            notes,
        )
