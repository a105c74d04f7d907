"""A SYN flood: a sender of SYNs whose sources never answer (RFC 4987)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pystack._fast.consts import MS, SECOND
from pystack._fast.flood import SynFlood
from pystack.addresses import parse_host, parse_network
from pystack.traffic.latency import Latencies
from pystack.traffic.tally import Tally

if TYPE_CHECKING:
    from pystack.network import Network
    from pystack.sockets import Address
    from pystack.tap import Tap

TICK = MS
"""SYNs leave in batches, one each millisecond."""


class SynFlooder:
    """Sends SYNs to `target` from a tap of the network, `rate` a second, from `start` until `stop`.

    Sources are random hosts of `sources` ("10.0.0.0/8"), ports and sequence numbers random too; all follow from
    `seed`. The target needs a route to `sources`, or it cannot answer. `sent` counts.

    Raises ValueError for a rate below one a second.
    """

    def __init__(
        self,
        net: Network,
        tap: Tap,
        target: Address,
        *,
        rate: int,
        sources: str = "10.0.0.0/8",
        seed: int = 1,
    ) -> None:
        if rate < 1:
            raise ValueError(f"a rate of {rate} SYNs a second is no flood")
        network, prefix = parse_network(sources)
        self.net = net
        self.tap = tap
        self.rate = rate
        self._to = parse_host(target[0]), target[1]
        self._from = network, 0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF
        self._flood = SynFlood(seed, *self._from, *self._to)
        self._begin = 0
        self._before = 0
        self._running = False

    @property
    def sent(self) -> int:
        """SYNs so far."""
        return int(self._flood.sent)

    def tally(self) -> Tally:
        """How it stands: nobody asks for anything."""
        return Tally(self.sent, 0, 0, {}, Latencies())

    def start(self) -> None:
        """From now on."""
        self._begin = self.net.now
        self._before = self.sent
        if not self._running:
            self._running = True
            self._batch()

    def stop(self) -> None:
        """No more from now on."""
        self._running = False

    def send(self, n: int) -> None:
        """So many more, now."""
        self.tap.flood(self._flood, n)

    def _batch(self) -> None:
        if not self._running:
            return
        due = (self.net.now - self._begin + TICK) * self.rate // SECOND
        self.send(due - (self.sent - self._before))
        self.net.call_at(self.net.now + TICK, self._batch)
