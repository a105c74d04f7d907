"""Single functions of the core, by pytest-benchmark: `pytest bench` (never part of `make test`).

Each test asserts its result first. Python's call is in every number: what matters is the change from one
commit to the next on the same machine.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from wire_kit import DST, MSS, PATTERN, SRC, Maker, make_wire

from pystack._fast import hashing, ip4, seq, tcp_wire, wirebytes
from pystack._fast.consts import NEVER
from pystack._fast.demux import Demux
from pystack._fast.events import EventQueue
from pystack._fast.packet import Packet
from pystack._fast.rng import Rng
from pystack._fast.vnet import Framer
from pystack._fast.wheel import Wheel

CONNECTIONS = 100_000


@pytest.fixture
def make() -> Iterator[Maker]:
    maker = Maker()
    yield maker
    assert maker.pool.in_use == 0


def test_dist(benchmark: Any) -> None:
    assert benchmark(seq.dist, 0xFFFFFFF0, 0x10) == 0x20


@pytest.mark.parametrize("octets", [20, MSS, 65536])
def test_checksum(benchmark: Any, octets: int) -> None:
    data = memoryview(PATTERN)
    words = sum(int.from_bytes(PATTERN[i : i + 2], "big") for i in range(0, octets, 2))
    total = benchmark(wirebytes.csum_add, data, 0, octets, 0)
    assert wirebytes.csum_fold(total) in (words % 0xFFFF, words % 0xFFFF ^ 0xFFFF)


def test_siphash_of_a_flow(benchmark: Any) -> None:
    first = hashing.sip2(1, 2, 3, 4)
    assert first != hashing.sip2(1, 2, 4, 3)
    assert benchmark(hashing.sip2, 1, 2, 3, 4) == first


def test_random_number(benchmark: Any) -> None:
    rng = Rng(1)
    assert rng.next64() != rng.next64()
    benchmark(rng.next64)


def test_parse_segment(benchmark: Any, make: Maker) -> None:
    p, octets = Packet(), make.tcp(MSS, seq=77)
    data = octets.to_bytes()
    octets.release()
    p.csum_ok = True
    assert ip4.parse(p, memoryview(data), 0, len(data)) == 0
    assert (p.src, p.dst, p.sport, p.seq, p.length) == (SRC, DST, 80, 77, MSS)
    benchmark(ip4.parse, p, memoryview(data), 0, len(data))


def test_build_options(benchmark: Any) -> None:
    p = Packet()
    p.ip_len = p.head_len = 20
    p.opt_mss, p.opt_wscale, p.opt_sack_ok, p.opt_ts = 1460, 7, True, True
    length = tcp_wire.option_length(p, 0)
    assert length == 20
    assert benchmark(tcp_wire.option_length, p, 0) == length


def test_frame_for_a_device(benchmark: Any, make: Maker) -> None:
    framer, p = Framer(True), make.tcp(MSS)
    assert framer.frame(p) == 10 + 40 + MSS
    benchmark(framer.frame, p)
    p.release()


def test_find_connection(benchmark: Any) -> None:
    """Among 100,000, each in turn: one cache miss after the other."""
    demux = Demux(CONNECTIONS + 1, 65536, 12345)
    peers = []
    for n in range(CONNECTIONS):
        row = demux.take(0)
        peers.append((row, 0x0A000000 + (n >> 14), 1024 + (n & 0x3FFF)))
        demux.connect(row, SRC, 80, *peers[-1][1:])
    random.Random(1).shuffle(peers)
    assert all(demux.find(SRC, 80, addr, port) == row for row, addr, port in peers)
    at = 0

    def find() -> None:
        nonlocal at
        at = (at + 1) % CONNECTIONS
        demux.find(SRC, 80, peers[at][1], peers[at][2])

    benchmark(find)


def test_wheel_arm_and_cancel(benchmark: Any) -> None:
    wheel = Wheel(64, maximum=64)
    row = wheel.alloc(0, 0)

    def both() -> None:
        wheel.arm(row, 5_000_000_000)
        wheel.cancel(row)

    both()
    assert wheel.next_deadline() == NEVER
    benchmark(both)


def test_event_queue(benchmark: Any) -> None:
    queue = EventQueue()
    for time in range(1000):
        queue.push(time, 0, time)
    assert queue.next_time() == 0

    def step() -> None:
        queue.pop()
        queue.push(queue.time + 1000, 0, 0)

    benchmark(step)
    assert len(queue) == 1000


def test_share_and_free(benchmark: Any, make: Maker) -> None:
    pool = make.pool
    chain = pool.new_chain(memoryview(PATTERN), 0, 65536)
    assert pool.to_bytes(chain, MSS, MSS) == PATTERN[MSS : 2 * MSS]

    def both() -> None:
        pool.free_chain(pool.share(chain, MSS, MSS))

    both()
    benchmark(both)
    pool.free_chain(chain)


def test_wire_of_a_super_segment(benchmark: Any, make: Maker) -> None:
    """45 packets over a wire with delay and rate: sent whole, delivered one by one."""

    def carry() -> int:
        wire = make_wire(delay=1_000_000, rate=10**10)
        wire.send(make.tcp(45 * MSS, gso=MSS), 0)
        count = 0
        while (p := wire.deliver(NEVER - 1)) is not None:
            p.release()
            count += 1
        return count

    assert carry() == 45
    benchmark(carry)
