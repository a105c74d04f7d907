"""Packets for tests of wires, links and captures: built by the core, with a payload that shows its place."""

from pystack._fast import consts, ip4
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.rng import Rng
from pystack._fast.wire import Wire

SRC = 0xC0000201  # 192.0.2.1
DST = 0xC0000202
MSS = 1448
PATTERN = bytes((i * 7 + (i >> 8)) & 0xFF for i in range(65536))


def make_pool(mbufs: int = 20_000) -> Pool:
    return Pool(mbufs, 20_000, 4_000, 500, 500, 64 << 20)


class Maker:
    """Makes packets of one pool; all of them come home to `queue`."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.pool = pool or make_pool()
        self.queue = PacketQueue()
        self.ip_id = 0

    def tcp(self, length: int = 0, seq: int = 1, gso: int = 0, flags: int = consts.ACK) -> Packet:
        """A segment of `length` octets of PATTERN, from `seq` on; a super-segment with `gso`."""
        p = self.queue.take_free()
        p.pool = self.pool
        p.src, p.dst, p.proto = SRC, DST, consts.PROTO_TCP
        p.sport, p.dport, p.seq, p.ack, p.flags, p.win = 80, 49152, seq, 7, flags, 1000
        p.ip_len, p.head_len, p.df, p.csum_ok = 20, 40, True, True
        p.ip_id = self.ip_id
        p.head[20:24] = bytes((0, 80, 0xC0, 0))
        p.head[24:28] = seq.to_bytes(4, "big")
        p.head[28:32] = (7).to_bytes(4, "big")
        p.head[32:40] = bytes((0x50, flags, 0x03, 0xE8, 0, 0, 0, 0))
        if length:
            p.m = self.pool.new_chain(memoryview(PATTERN), 0, length)
            assert p.m
        p.length = length
        p.total = 40 + length
        p.gso_size = gso
        ip4.build(p)
        self.ip_id = (self.ip_id + ip4.split_count(p)) & 0xFFFF
        return p


def make_wire(seed: int = 1, **settings: object) -> Wire:
    wire = Wire(Rng(seed))
    for name, value in settings.items():
        setattr(wire, name, value)
    return wire


def arrivals(wire: Wire, until: int = consts.NEVER - 1) -> list[tuple[int, bytes]]:
    """Deliver everything due by `until` at its own time: (ns, octets)."""
    got = []
    while (now := wire.next_time()) <= until:
        p = wire.deliver(now)
        if p is not None:
            got.append((now, p.to_bytes()))
            p.release()
    return got


def balanced(wire: Wire) -> bool:
    """No packet is unaccounted for."""
    came = wire.sent_packets + wire.duplicated
    return came == wire.delivered_packets + wire.dropped_packets + wire.in_flight and (
        wire.dropped_packets == sum(wire.drops)
    )


def seqs(got: list[tuple[int, bytes]]) -> list[int]:
    return [int.from_bytes(data[24:28], "big") for _, data in got]


def times(got: list[tuple[int, bytes]]) -> list[int]:
    return [now for now, _ in got]
