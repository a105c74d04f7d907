"""The books of the segments in flight, kept over bad wires: what is counted is what is marked."""

import random

import pytest
from sim.test_two_stacks import bad_wire
from sim.world import Flow, World, pump

from pystack import Network
from pystack._fast import commands
from pystack._fast.consts import CA_LOSS, SEG_LOST, SEG_RETRANS, SEG_SACKED

CHOICES = {
    "tcp_recovery": (1, 1, 3, 5),
    "tcp_early_retrans": (0, 3),
    "tcp_frto": (0, 2),
    "tcp_sack": (0, 1, 1, 1),
    "tcp_timestamps": (0, 1),
    "tcp_dsack": (0, 1),
    "tcp_tso": (0, 1),
}


def check(core, t) -> None:
    """Sums, edges and order of one connection's rows."""
    f = t.flight
    if f is None or t.row == 0:
        return
    rows = core.segments.rows(f)
    marked = [
        sum(count for _, _, _, count, mark in rows if mark & bit)
        for bit in (SEG_SACKED, SEG_LOST, SEG_RETRANS)
    ]
    assert f.packets_out == sum(count for _, _, _, count, _ in rows)
    if t.t_flags & 0x80:  # without SACK the peer's segments are counted, not marked
        assert f.sacked_out == marked[0]
    assert [f.lost_out, f.retrans_out] == marked[1:]
    assert 0 <= f.sacked_out + f.lost_out <= f.packets_out
    assert f.packets_out - f.sacked_out - f.lost_out + f.retrans_out >= 0
    assert t.cwnd >= t.maxseg
    assert t.cwnd % t.maxseg == 0
    assert t.snd_nxt == t.snd_max
    if rows:
        assert rows[0][0] == t.snd_una
        assert rows[-1][1] == t.snd_max
        assert t.at_rexmt < 2**62, "something is out and no timer runs"
        times = [sent for _, _, sent, _, _ in rows]
        # pieces of one super-segment have left together
        assert core.cfg.tcp_tso or len(set(times)) == len(times)
    else:
        assert t.snd_una == t.snd_max


@pytest.mark.parametrize("seed", range(24))
def test_books_over_a_bad_wire(seed):
    chance = random.Random(f"flight {seed}")
    knobs = {name: chance.choice(values) for name, values in CHOICES.items()}
    world = World("linux-6", "linux-6", chance.randrange(1 << 30), knobs, **bad_wire(chance))
    client, server = world.connect()
    assert client is not None, server
    up = Flow(world.a, client, 60_000, seed + 1)
    down = Flow(world.b, server, 30_000, seed + 2)
    lost = 0
    done = False
    for _ in range(6000):
        done = pump(world, up, down, 0.05)
        check(world.a, client)
        check(world.b, server)
        lost += client.flight is not None and client.flight.ca_state == CA_LOSS
        if done:
            break
    assert done, f"{knobs}: {up.got}/{up.total} {down.got}/{down.total}"
    assert up.into.digest() == up.out.digest()
    assert down.into.digest() == down.out.digest()
    world.do(world.a, commands.tcp_close, client)
    world.do(world.b, commands.tcp_close, server)
    world.run(2000)
    world.assert_clean()
    assert world.a.segments.free.used == world.b.segments.free.used == 0


def test_an_idle_time_moves_the_epoch_of_cubic_and_never_into_the_future():
    """Linux bictcp_cwnd_event: time without data does not count for the curve; `make checked` found it ahead."""
    net = Network(seed=2, record=False)
    web = net.host("web", "192.0.2.1/24", profile="linux-6")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(me, web, delay="1ms", loss=0.05)
    with web.socket() as listener:
        listener.bind(("", 80))
        listener.listen(1)
        sock = me.socket()
        sock.connect(("192.0.2.1", 80))
        child, _ = listener.accept()
    epochs = 0
    for _ in range(120):
        sock.sendall(bytes(30_000))
        got = 0
        while got < 30_000:
            got += len(child.recv(65536))
        flight = sock.row.flight
        if flight is not None and flight.cubic_epoch:
            epochs += 1
            assert flight.cubic_epoch <= net.now // 1_000_000
    assert epochs > 5
