"""`Tap`: a bare end of a link, raw IP packets in and out, no stack behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pystack._fast.packet import Packet
from pystack.addresses import dotted, parse_host

if TYPE_CHECKING:
    from pystack._fast.flood import SynFlood

HEAD = 20


class Tap:
    """Sends packets as they are given and keeps what arrives. Made by `Network.tap`.

    `received`: (ns, octets) of every packet, oldest first; yours to clear, and with `keep` False not kept.
    `on_packet(ns, octets)` is called besides, if set.
    """

    def __init__(self, name: str, addr: int, prefix: int, fabric: Any, pool: Any) -> None:
        self.name = name
        self.addr = addr
        self.prefix = prefix
        self.received: list[tuple[int, bytes]] = []
        self.keep = True
        self.on_packet: Callable[[int, bytes], object] | None = None
        self._fabric = fabric
        self._pool = pool
        self._wires: dict[int, tuple[int, Any]] = {}

    def __repr__(self) -> str:
        return f"<Tap {self.name}: {dotted(self.addr)}/{self.prefix}>"

    @property
    def address(self) -> str:
        """192.0.2.9 of "192.0.2.9/24"."""
        return dotted(self.addr)

    def attach(self, peer: int, number: int, wire: Any) -> None:
        """A link to the neighbour `peer`; the network does it."""
        self._wires[peer] = (number, wire)

    def send(self, packet: bytes, to: str | None = None) -> None:
        """Send octets that should be an IP packet, whatever they are; they leave at this moment.

        With several links it takes the one to the neighbour `to`, else the one to the packet's
        destination, else the first. Raises RuntimeError without a link, ValueError for more than 65535.
        """
        if not 0 < len(packet) <= 65535:
            raise ValueError(f"a packet of {len(packet)} octets: an IP packet has 1 to 65535")
        target = parse_host(to) if to else int.from_bytes(packet[16:20], "big")
        if to and target not in self._wires:
            raise ValueError(f"{self.name} has no link to {to}")
        number, wire = self._towards(target)
        wire.send(self._packet(packet), self._fabric.now)
        self._fabric.schedule(number)

    def flood(self, flood: SynFlood, n: int) -> None:
        """`n` SYNs of `flood` leave at this moment."""
        number, wire = self._towards(flood.addr)
        flood.onto(wire, n, self._fabric.now)
        self._fabric.schedule(number)

    def _towards(self, target: int) -> tuple[int, Any]:
        """The wire to a neighbour, or the first one."""
        if not self._wires:
            raise RuntimeError(f"{self.name} has no link")
        return self._wires.get(target) or next(iter(self._wires.values()))

    def _packet(self, data: bytes) -> Packet:
        """The octets as a packet whose checksums nobody vouches for: the receiver reads it as a device would."""
        p = Packet()
        p.pool = self._pool
        head = min(len(data), HEAD)
        for i in range(head):
            p.head[i] = data[i]
        p.head_len = head
        p.ip_len = head
        p.csum_ok = False
        if len(data) > head:
            view = memoryview(data)
            p.m = self._pool.new_chain(view, head, len(data) - head)
            p.length = len(data) - head
        return p

    def receive(self, now: int, packet: Any) -> None:
        """A packet arrived; the network does it."""
        if not self.keep and self.on_packet is None:
            return
        data = packet.to_bytes()
        if self.keep:
            self.received.append((now, data))
        if self.on_packet is not None:
            self.on_packet(now, data)
