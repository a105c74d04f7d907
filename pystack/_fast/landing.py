"""Where a device's packets are read into, and how they become `Packet` objects (docs/packet_path.md)."""

from __future__ import annotations

import cython

from pystack._fast import consts
from pystack._fast.ip4 import parse_faulty, parse_landed
from pystack._fast.mbuf import BIG, Pool
from pystack._fast.packet import Packet

_MBUF = cython.declare(cython.int, consts.Drop.MBUF)
_BIG = cython.declare(cython.int, BIG)
_SPARE = memoryview(bytearray(BIG))
"""Where packets are read to, and lost, when the pool has no landing mbuf to give."""


@cython.final
@cython.cclass
class Landing:
    """One landing mbuf of a pool, taken when it is first needed and replaced whenever a packet keeps it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.m = 0
        self.room = _SPARE

    def place(self) -> cython.int:
        """`room`: where to read the next packet, writable, `BIG` octets. Ask before every read. Answers 0."""
        if self.m == 0:
            self.m = self.pool.land()
            if self.m == 0:
                self.room = _SPARE
            else:
                off: cython.longlong = self.pool.m_off[self.m]
                self.room = self.pool.arena[off : off + _BIG]
        return 0

    def parse(self, p: Packet, skip: cython.int, n: cython.int) -> cython.int:
        """Fill `p` with the packet of `n` octets at `room[skip]`; a Drop reason or 0.

        `csum_ok`, `gso_size` and `iface_in` are the caller's to set before. The payload is in `pool`.
        """
        reason: cython.int = _MBUF
        if self.m == 0:
            p.drop = reason
            return reason
        reason = parse_landed(p, self.pool, self.m, skip, n)
        if p.m == self.m:
            self.m = 0
        return reason

    def parse_faulty(
        self, p: Packet, skip: cython.int, n: cython.int, reason: cython.int
    ) -> cython.int:
        """The packet that `parse` has just refused for this fault of its L4 part, as one to pass on: 0 or a Drop
        reason (see `ip4.parse_faulty`).
        """
        done: cython.int = parse_faulty(p, self.pool, self.m, skip, n, reason)
        if p.m == self.m:
            self.m = 0
        return done

    def close(self) -> None:
        """Give the landing mbuf back."""
        if self.m:
            self.pool.free(self.m)
            self.m = 0
        self.room = _SPARE
