"""What a driver sees of a machine: a place for the next packet, its arrival, and what is to be sent.

`Core` is one; `wired.Wired` is one with wires before and behind; tests have others.
"""

from __future__ import annotations

import cython

from pystack._fast.columns import column
from pystack._fast.consts import N_DROPS
from pystack._fast.packet import Packet

ROOM = 66_048
"""Octets of `room` at least: a header of the device and the largest IPv4 packet."""


@cython.cclass
class Port:
    """The part of a machine that a device is plugged into. `drops` counts packets by `consts.Drop`."""

    def init_port(self) -> cython.int:
        """Called once by what this is the base of."""
        self.drops = column("q", N_DROPS)
        return 0

    def make_room(self) -> cython.int:
        """`room`: where the next packet is to be read to, `ROOM` octets. Ask before each packet. Answers 0."""
        raise AssertionError("Port.make_room is the machine's")

    def ingress_landed(
        self,
        iface: cython.int,
        skip: cython.int,
        n: cython.int,
        gso_size: cython.int,
        csum_ok: cython.bint,
        now: cython.longlong,
    ) -> cython.int:
        """The packet of `n` octets at `room[skip:]` arrived. Answers 0 or its drop reason."""
        raise AssertionError("Port.ingress_landed is the machine's")

    def egress(self, now: cython.longlong) -> Packet | None:
        """The next packet to be written, which the caller releases; None: there is none."""
        raise AssertionError("Port.egress is the machine's")
