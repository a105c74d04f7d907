"""What a network keeps of its traffic, as a capture file.

`_fast/record.py` keeps packets as the wires were given them; here they are cut out of super-segments,
their checksums are completed, and what befell them becomes a comment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Self

from pystack._fast.consts import Drop
from pystack._fast.ip4 import split, split_count
from pystack._fast.landing import Landing
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet
from pystack._fast.record import CORRUPTED, Record
from pystack.capture import Capture

_ARENA = 4 << 20

Name = Callable[[int], tuple[str, str]]
"""Number of a wire -> interface of the file, description; numbers below 0 are hosts."""


class Cutter:
    """Makes packets of recorded octets."""

    def __init__(self) -> None:
        self._pool = Pool(0, 0, 0, 0, 0, _ARENA)
        self._landing = Landing(self._pool)

    def pieces(self, data: bytes, gso_size: int, unfinished: bool, bare: bool) -> list[bytes]:
        """The packets as they are on the wire; octets that are no packet as they are.

        `unfinished`: checksums were left to whoever needs them; `bare`: UDP without one.
        """
        if not unfinished:
            return [data]
        whole: Any = Packet()
        whole.pool = self._pool
        whole.csum_ok = True
        self._landing.place()
        memoryview(self._landing.room)[: len(data)] = data
        if self._landing.parse(whole, 0, len(data)):
            return [data]
        whole.csum_ok = True
        whole.csum_none = bare
        whole.gso_size = gso_size
        try:
            count = split_count(whole)
            if count == 1:
                return [whole.to_bytes()]
            return [self._piece(whole, i) for i in range(count)]
        finally:
            whole.release()

    def _piece(self, whole: Any, index: int) -> bytes:
        piece: Any = Packet()
        piece.pool = self._pool
        if not split(whole, index, piece):
            raise MemoryError("a pool without limits denied an mbuf")
        data: bytes = piece.to_bytes()
        piece.release()
        return data


class Recording:
    """Writes what a `Record` keeps to a pcapng file: `write` once, or as a context manager.

    As a context manager the file gets what happens inside the block, however much that is.
    """

    def __init__(self, record: Record, path: str | os.PathLike[str], name: Name) -> None:
        self.path = path
        self.packets = 0
        """Written so far; pieces of super-segments count one by one."""
        self._record: Any = record
        self._name = name
        self._cutter = Cutter()
        self._capture: Capture | None = None
        self._next = 0
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._capture = Capture(self.path)
        self._next = int(self._record.next)
        self._record.on_full = self._drain
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Complete the file. Raises OSError for what went wrong with it on the way."""
        capture, self._capture = self._capture, None
        if capture is None:
            return
        self._record.on_full = None
        with capture:
            if self._error is not None:
                raise self._error
            self._write(capture)

    def write(self) -> int:
        """Write all that is kept; how many packets. Raises OSError."""
        self._next = int(self._record.first)
        with Capture(self.path) as capture:
            self._write(capture)
        return self.packets

    def _drain(self) -> None:
        """The record is full: take what is there. A broken file must not break the run."""
        try:
            if self._capture is not None and self._error is None:
                self._write(self._capture)
        except OSError as e:
            self._error = e

    def _write(self, capture: Capture) -> None:
        record = self._record
        for serial in range(max(self._next, int(record.first)), int(record.next)):
            for ns, wire, data, comment in _packets(record, serial, self._cutter):
                name, description = self._name(wire)
                number = capture.interface(name, description=description)
                capture.packet(ns, number, data, comment=comment, outbound=wire >= 0)
                self.packets += 1
        self._next = int(record.next)


def _packets(record: Record, serial: int, cutter: Cutter) -> Iterator[tuple[int, int, bytes, str]]:
    ns, wire, gso_size, unfinished, bare, data, notes = record.packet(serial)
    for i, octets in enumerate(cutter.pieces(data, gso_size, unfinished, bare)):
        said = []
        for piece, code in notes:
            if piece not in (-1, i):
                continue
            if code > 0:
                said.append(f"dropped: {Drop(code).name}")
            else:
                bit = CORRUPTED - code
                said.append(f"corrupted: bit {bit}")
                octets = _flipped(octets, bit)
        yield ns, wire, octets, "; ".join(said)


def _flipped(data: bytes, bit: int) -> bytes:
    at = bit >> 3
    return data[:at] + bytes((data[at] ^ (1 << (bit & 7)),)) + data[at + 1 :]
