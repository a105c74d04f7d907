"""Loss and delay in front of a machine, in a time that the test keeps."""

import struct
from collections import deque
from typing import Any

from port_kit import FakePort

from pystack._fast import consts, ip4
from pystack._fast.consts import MS, Drop
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet, PacketQueue
from pystack._fast.rng import Rng
from pystack._fast.wire import Wire
from pystack.wired import Wired


class Echo(FakePort):
    """A core that sends back what it gets, to be seen a moment later."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(1000, 1000, 100, 100, 100, 1 << 24)
        self.out: deque[Packet] = deque()
        self.came: list[tuple[int, bytes]] = []
        self.ticks: list[int] = []
        self.deadline = consts.NEVER
        self.free = PacketQueue()

    def ingress(self, packet: Packet, now: int) -> None:
        self.came.append((now, packet.to_bytes()))
        answer = self.free.take_free()
        answer.copy_headers(packet)
        answer.pool = self.pool
        answer.m = self.pool.import_chain(packet.pool, packet.m, 0, packet.length)
        answer.length = packet.length
        packet.release()
        self.out.append(answer)

    def tick(self, now: int) -> None:
        self.ticks.append(now)

    def egress(self, now: int) -> Any:
        return self.out.popleft() if self.out else None

    def next_deadline(self) -> int:
        return self.deadline


def udp(payload: bytes) -> bytes:
    p = Packet()
    p.src, p.dst, p.proto = 0x0A090001, 0x0A090002, consts.PROTO_UDP
    p.head_len, p.ip_len = 28, 20
    p.head[20:28] = struct.pack(">HHHH", 7, 7, 8 + len(payload), 0)
    pool = Pool(1000, 1000, 100, 100, 100, 1 << 24)
    p.pool, p.length = pool, len(payload)
    p.m = pool.new_chain(memoryview(payload), 0, len(payload))
    assert pool.chain_length(p.m) == len(payload)
    p.csum_ok = True
    ip4.build(p)
    return p.to_bytes()


def land(wired: Wired, octets: bytes, now: int) -> None:
    wired.make_room()
    view = memoryview(wired.room)
    view[10 : 10 + len(octets)] = octets
    wired.ingress_landed(0, 10, len(octets), 0, False, now)


def wires(**settings: int) -> tuple[Wire, Wire]:
    pair = Wire(Rng(1)), Wire(Rng(2))
    for wire in pair:
        for name, value in settings.items():
            setattr(wire, name, value)
    return pair


def test_a_packet_takes_the_delay_each_way() -> None:
    core = Echo()
    wired = Wired(core, *wires(delay=5 * MS))
    octets = udp(b"there and back")
    land(wired, octets, 100)
    wired.tick(100)
    assert core.came == []
    assert wired.next_deadline() == 100 + 5 * MS
    wired.tick(100 + 5 * MS)
    assert core.came == [(100 + 5 * MS, octets)]
    assert wired.egress(100 + 5 * MS) is None
    assert wired.next_deadline() == 100 + 10 * MS
    out = wired.egress(100 + 10 * MS)
    assert out is not None
    assert out.to_bytes() == octets
    out.release()
    assert wired.next_deadline() == consts.NEVER
    assert core.ticks == [100, 100 + 5 * MS]


def test_without_a_delay_it_is_there_at_once() -> None:
    core = Echo()
    wired = Wired(core, *wires())
    octets = udp(b"now")
    land(wired, octets, 100)
    assert core.came == [(100, octets)]


def test_everything_can_be_lost() -> None:
    core = Echo()
    inward, outward = wires(loss=2**64 - 1)
    wired = Wired(core, inward, outward)
    land(wired, udp(b"x" * 1000), 0)
    wired.tick(10 * MS)
    assert core.came == []
    assert inward.drops[Drop.LINK_LOSS] == 1


def test_no_packet_at_all_is_counted_by_the_core() -> None:
    core = Echo()
    wired = Wired(core, *wires())
    land(wired, b"\x60" + bytes(39), 0)
    wired.tick(1)
    assert core.dropped() == {Drop.IP_VERSION: 1}
    assert core.came == []


def test_the_cores_own_deadline_counts() -> None:
    core = Echo()
    core.deadline = 3 * MS
    wired = Wired(core, *wires(delay=5 * MS))
    land(wired, udp(b"x"), 0)
    assert wired.next_deadline() == 3 * MS


def test_big_packets_and_many_of_them_leave_nothing() -> None:
    core = Echo()
    wired = Wired(core, *wires(delay=MS))
    octets = udp(bytes(range(256)) * 200)
    for now in range(0, 40 * MS, MS):
        land(wired, octets, now)
        wired.tick(now)
        while (packet := wired.egress(now)) is not None:
            assert packet.to_bytes() == octets
            packet.release()
    assert not core.dropped()
    assert len(core.came) == 39
    wired.close()
    assert core.pool.in_use == 0
    assert wired._landing.pool.in_use == 0
