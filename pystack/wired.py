"""A machine behind two wires: loss and delay on a real device (`--loss`, `--delay`).

The face is the core's own, so that the loop and the device do not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast.landing import Landing
from pystack._fast.mbuf import Pool
from pystack._fast.packet import PacketQueue
from pystack._fast.port import Port

if TYPE_CHECKING:
    from pystack._fast.packet import Packet
    from pystack._fast.wire import Wire

_ARENA = 512 << 20


class Wired(Port):
    """`core` with `inward` before what it receives and `outward` behind what it sends.

    Packets on the inward wire lie in a pool of its own, so that the machine's books are not touched
    before they arrive. A packet that is no packet is dropped before the wire and counted by the core.
    """

    def __init__(self, core: Any, inward: Wire, outward: Wire) -> None:
        self.core = core
        self.inward = inward
        self.outward = outward
        self.drops = core.drops
        self._landing = Landing(Pool(0, 0, 0, 0, 0, _ARENA))
        self._free = PacketQueue()

    def make_room(self) -> int:
        """As the core's."""
        self._landing.place()
        self.room = self._landing.room
        return 0

    def ingress_landed(
        self, iface: int, skip: int, n: int, gso_size: int, csum_ok: bool, now: int
    ) -> int:
        """As the core's; the core sees the packet when the wire delivers it."""
        packet = self._free.take_free()
        packet.iface_in = iface
        packet.gso_size = gso_size
        packet.csum_ok = csum_ok
        if reason := self._landing.parse(packet, skip, n):
            self.drops[reason] += 1
            packet.release()
            return int(reason)
        self.inward.send(packet, now)
        self._deliver(now)
        return 0

    def _deliver(self, now: int) -> None:
        while (packet := self.inward.deliver(now)) is not None:
            self.core.ingress(packet, now)

    def tick(self, now: int) -> None:
        """What is due is done, then what has arrived goes to the core."""
        self.core.tick(now)
        self._deliver(now)

    def egress(self, now: int) -> Packet | None:
        """The next packet that has passed the outward wire, once all that is ready is on it."""
        core = self.core
        while (packet := core.egress(now)) is not None:
            self.outward.send(packet, now)
        return self.outward.deliver(now)

    def next_deadline(self) -> int:
        """As the core's, or when a wire delivers."""
        due: int = min(self.core.next_deadline(), self.inward.next_time(), self.outward.next_time())
        return due

    def close(self) -> None:
        """Packets on the way are lost."""
        self.inward.clear()
        self.outward.clear()
        self._landing.close()
