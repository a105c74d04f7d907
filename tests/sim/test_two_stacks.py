"""Two whole machines over bad wires: the octets arrive, in order, and afterwards nothing is left of it."""

import random

import pytest
from sim.world import Flow, World, pump, threshold

from pystack import Network
from pystack._fast import commands
from pystack._fast.consts import MS

PROFILES = ("freebsd-10", "freebsd-14", "linux-6")
PAIRS = [(a, b) for a in PROFILES for b in PROFILES]


def bad_wire(chance: random.Random) -> dict[str, int]:
    """A wire with a random set of faults, each up to what a connection must bear."""
    wire = {"delay": chance.randrange(0, 60) * MS}
    if chance.random() < 0.7:
        wire["loss"] = threshold(chance.choice((0.001, 0.01, 0.05, 0.1)))
    if chance.random() < 0.5:
        wire["reorder"] = threshold(chance.choice((0.01, 0.1)))
        wire["reorder_delay"] = chance.randrange(1, 50) * MS
    if chance.random() < 0.4:
        wire["duplicate"] = threshold(chance.choice((0.01, 0.1)))
    if chance.random() < 0.3:
        wire["corrupt"] = threshold(chance.choice((0.001, 0.02)))
    if chance.random() < 0.4:
        wire["jitter"] = chance.randrange(1, 20) * MS
    if chance.random() < 0.5:
        wire["rate"] = chance.choice((1_000_000, 10_000_000, 100_000_000))
        if chance.random() < 0.7:
            wire["queue_packets"] = chance.choice((5, 20, 100))
    return wire


KNOBS = (
    "tcp_sack",
    "tcp_timestamps",
    "tcp_window_scaling",
    "tcp_ecn",
    "tcp_tso",
    "tcp_delayed_ack",
    "tcp_dsack",
)


@pytest.mark.parametrize(("left", "right"), PAIRS)
@pytest.mark.parametrize("seed", range(4))
def test_streams_survive_a_bad_wire(left, right, seed):
    chance = random.Random(f"{left} {right} {seed}")
    knobs = {name: chance.randrange(2) for name in KNOBS if chance.random() < 0.3}
    wire = bad_wire(chance)
    world = World(left, right, chance.randrange(1 << 30), knobs, **wire)
    client, server = world.connect()
    assert client is not None, f"no connection: {server}"
    size = (
        60_000
        if wire.get("loss", 0) > threshold(0.02) or wire.get("rate") == 1_000_000
        else 200_000
    )
    up = Flow(world.a, client, chance.randrange(size), seed + 1)
    down = Flow(world.b, server, chance.randrange(size), seed + 2)
    what = f"{wire} {knobs}"
    assert pump(world, up, down, 4000), (
        f"stuck at {world.now / 1e9}: {up.got}/{up.total} {down.got}/{down.total} {what}"
    )
    for flow in (up, down):
        assert not flow.error, f"{flow} {what}"
        assert flow.got == flow.total
        assert flow.into.digest() == flow.out.digest(), what
    world.do(world.a, commands.tcp_close, client)
    world.do(world.b, commands.tcp_close, server)
    world.run(1000)
    world.assert_clean()


@pytest.mark.parametrize("nodelay", [0, 1])
def test_an_old_linux_begins_with_three_segments(nodelay):
    """RFC 3390 until 2.6.39: what is written first goes at once, three segments of an Ethernet."""
    net = Network(seed=1)
    old = net.host("old", "192.0.2.1/24", profile="linux-2.6")
    new = net.host("new", "192.0.2.2/24", profile="linux-6")
    net.link(old, new, delay="20ms")
    listener = new.socket()
    listener.bind(("", 80))
    listener.listen(5)
    sock = old.socket()
    sock.setsockopt(6, 1, nodelay)
    sock.connect(("192.0.2.2", 80))
    conn, _ = listener.accept()
    conn.setblocking(False)
    sock.setblocking(False)
    sock.send(b"x" * 10_000)
    net.run(for_="30ms")
    assert len(conn.recv(10_000)) == 3 * 1448
