"""What a script is played on: a machine, its one cable, and a clock that jumps.

`Bench` is a world of one machine without a network: the player reads what the machine sends and hands it
octets, nothing is between. `NetworkBench` is a machine of a `Network` that is there already, and a tap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pystack._fast.consts import NEVER
from pystack._fast.core import Driver
from pystack._fast.ip4 import split, split_count
from pystack._fast.packet import Packet
from pystack.addresses import dotted

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.network import Network

BEGIN = 10_000_000_000
"""The clock's reading when a script begins: no deadline and no stamp of a connection is near 0."""


class Workbench(Protocol):
    """What the player needs of either."""

    host: Host
    wire: deque[tuple[int, bytes]]
    """(ns, octets) of what the machine sent and nobody has taken yet."""

    @property
    def now(self) -> int:
        """Ns."""

    def settle(self) -> None:
        """All that is due at this moment happens."""

    def step(self, limit: int) -> bool:
        """Time passes until something happens, to `limit` at most; False when that came first."""

    def spend(self, ns: int) -> None:
        """Time passes; what is due in it happens later."""

    def inject(self, data: bytes, gso_size: int) -> None:
        """The machine receives a packet; with `gso_size` it is a super-segment."""

    def close(self) -> None:
        """The bench is given back."""


def _pieces(packet: Any) -> list[bytes]:
    """The packet as it is on the wire of a device without offload: a super-segment is many."""
    count = split_count(packet)
    if count == 1:
        return [packet.to_bytes()]
    found = []
    for i in range(count):
        piece: Any = Packet()
        piece.pool = packet.pool
        if split(packet, i, piece):
            found.append(piece.to_bytes())
        piece.release()
    return found


class Bench(Driver):
    """A world (`pystack.world.World`) for one machine, and its cable."""

    def __init__(self, host: Host) -> None:
        self.now = BEGIN
        self.wire: deque[tuple[int, bytes]] = deque()
        self.host = host
        self._core: Any = host.core
        host.join(self)

    @property
    def clock(self) -> Bench:
        """The bench itself."""
        return self

    @property
    def driver(self) -> Bench:
        """The bench itself."""
        return self

    def before(self, core: Any) -> int:
        """The machine is about to be given commands."""
        core.settle(self.now)
        return 0

    def after(self, core: Any) -> int:
        """The machine was given commands: what it sends goes onto the wire."""
        now = self.now
        while (packet := core.egress(now)) is not None:
            for data in _pieces(packet):
                self.wire.append((now, data))
            packet.release()
        return 0

    def settle(self) -> None:
        """All that is due at this moment happens."""
        core = self._core
        self.after(core)
        while core.n_ready:
            self.host.dispatch()
            self.after(core)

    def step(self, limit: int) -> bool:
        """Time passes until a timer of the machine is due, to `limit` at most; False when that came first."""
        core = self._core
        due = core.next_deadline()
        if due > limit:
            self.now = max(self.now, limit)
            core.settle(self.now)
            return False
        self.now = max(self.now, due)
        core.tick(self.now)
        self.settle()
        return True

    def spend(self, ns: int) -> None:
        """Time passes; what is due in it happens later."""
        self.now += ns

    def inject(self, data: bytes, gso_size: int) -> None:
        """The machine's first interface receives this."""
        core = self._core
        if gso_size:
            core.make_room()
            memoryview(core.room)[: len(data)] = data
            core.ingress_landed(0, 0, len(data), gso_size, False, self.now)
        else:
            core.ingress_bytes(0, data, self.now)
        self.settle()

    def close(self) -> None:
        """Nobody refers to anybody any more, so that the machine's memory goes at once."""
        self._core.close()
        self._core.driver = None
        self.host.before = self.host.after = self.host.world = self.host.clock = None  # type: ignore[assignment]
        self.wire.clear()

    # A world can be asked for more by what waits; here nothing waits but the player.

    def run_until(self, condition: Callable[[], object], deadline: int) -> bool:
        """Let time pass until `condition()` is true (True) or `deadline` has come (False)."""
        while not condition():
            if not self.step(deadline):
                return bool(condition())
        return True

    def call_at(self, time: int, fn: Callable[[], object]) -> None:
        """Nobody calls this: a script has no timers of its own."""
        raise RuntimeError("a script's machine takes no calls for later")


class NetworkBench:
    """A machine of a network, and a tap that has the script's remote address behind it."""

    def __init__(self, net: Network, host: Host, remote: str) -> None:
        self.net = net
        self.host = host
        self.wire: deque[tuple[int, bytes]] = deque()
        name = f"script{len(net.taps)}"
        self._tap = net.tap(_free_address(host), name)
        net.link(self._tap, host)
        self._tap.on_packet = self._arrived
        self._route = f"{remote}/32"
        iface = host.interfaces[0]
        if iface.mask & iface.addr == iface.mask & self._number(remote):
            raise ValueError(
                f"{remote} is in {host.name}'s own network: choose another with --remote_ip"
            )
        host.route(self._route, via=self._tap.address)

    @staticmethod
    def _number(address: str) -> int:
        return int.from_bytes(bytes(int(part) for part in address.split(".")), "big")

    def _arrived(self, ns: int, data: bytes) -> None:
        self._tap.received.clear()
        self.wire.append((ns, data))

    @property
    def now(self) -> int:
        """The network's present."""
        return self.net.now

    def settle(self) -> None:
        """All that is due at this moment happens."""
        self.net.run(until_ns=self.net.now)

    def step(self, limit: int) -> bool:
        """Time passes until something happens in the network, to `limit` at most; False when that came first."""
        net = self.net
        due = int(net.clock.next_time())
        if due > limit:
            net.run(until_ns=max(limit, net.now))
            return False
        net.run(until_ns=max(due, net.now))
        return True

    def spend(self, ns: int) -> None:
        """Time passes."""
        self.net.run(until_ns=self.net.now + ns)

    def inject(self, data: bytes, gso_size: int) -> None:
        """The tap sends this; a super-segment is one big packet."""
        self._tap.send(data)
        self.settle()

    def close(self) -> None:
        """The network goes on; the route to the script's peer is taken away."""
        self.settle()
        self.host.delete_route(self._route)


def _free_address(host: Host) -> str:
    """An address in the network of the machine's first interface that is not its own."""
    if not host.interfaces:
        raise ValueError(f"{host.name} has no interface")
    iface = host.interfaces[0]
    base = iface.addr & iface.mask
    for offset in (254, 253, 2, 1, 3):
        number = base + (offset & ~iface.mask & 0xFFFFFFFF)
        if number not in (iface.addr, base):
            return f"{dotted(number)}/{iface.prefix}"
    raise ValueError(f"the network of {host.name} has no free address")


__all__ = ["BEGIN", "NEVER", "Bench", "NetworkBench", "Workbench"]
