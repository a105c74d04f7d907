"""What lies below TCP, between machines: forwarding, TTL, datagrams, path MTU through a router, dying hosts."""

import pytest
from sim.world import A, Flow, World, machine, pump

from pystack._fast import commands, consts, datagrams, opening
from pystack._fast.consts import MS, PROTO_UDP, SECOND, Err
from pystack._fast.fabric import Fabric
from pystack._fast.rng import Rng
from pystack._fast.wire import Wire

FAR = 0xC6336402


def line(mtu: int = 1500, knobs=None):
    """a -- router -- b; the second link has an MTU of its own."""
    world = World.__new__(World)
    world.fabric = Fabric(0)
    world.a = machine(world.fabric, "freebsd-14", A, 1, knobs)
    world.r = machine(world.fabric, "linux-6", 0xC00002FE, 2, {"ip_forwarding": 1})
    world.b = machine(world.fabric, "linux-6", FAR, 3, knobs)
    world.r.add_interface("em1", 0xC63364FE, 24, mtu)
    world.a.routes.add(0, 0, 0, 0xC00002FE)
    world.b.routes.add(0, 0, 0, 0xC63364FE)
    world.b.interfaces[0].mtu = mtu
    for x, i, y, j in (
        (world.a, 0, world.r, 0),
        (world.r, 0, world.a, 0),
        (world.r, 1, world.b, 0),
        (world.b, 0, world.r, 1),
    ):
        wire = Wire(Rng(x.number + 10 * i), 0)
        wire.delay = 5 * MS
        w = world.fabric.add_wire(wire, y.number, j, None)
        world.fabric.attach(x.number, i, y.interfaces[j].addr, w)
    return world


def connect(world):
    listener, client = world.b.new_tcb(), world.a.new_tcb()
    client.wanted = listener.wanted = 255
    world.do(world.b, opening.tcp_bind, listener, 0, 80)
    world.do(world.b, opening.tcp_listen, listener, 5)
    assert world.do(world.a, opening.tcp_connect, client, FAR, 80) == -Err.EINPROGRESS
    world.run(1)
    server = world.do(world.b, opening.tcp_accept, listener)
    world.do(world.b, commands.tcp_close, listener)
    server.wanted = 255
    return client, server


@pytest.mark.parametrize("mtu", [1500, 1400, 600, 296])
def test_path_mtu_is_found(mtu):
    """RFC 1191 through a router with a smaller link behind it; super-segments on."""
    world = line(mtu)
    client, server = connect(world)
    up, down = Flow(world.a, client, 100_000, 1), Flow(world.b, server, 50_000, 2)
    assert pump(world, up, down, 500)
    for flow in (up, down):
        assert flow.into.digest() == flow.out.digest()
    assert client.maxseg <= mtu - 40
    world.do(world.a, commands.tcp_close, client)
    world.do(world.b, commands.tcp_close, server)
    world.run(200)
    for core in (world.a, world.b, world.r):
        core.make_room()  # made by this call at the latest
        assert core.pool.in_use == 1


def test_forwarding_and_ttl():
    world = line()
    before = sum(world.b.drops)
    for ttl, arrives in ((1, False), (2, True)):
        d = world.do(world.a, datagrams.new_datagram, PROTO_UDP)
        d.ttl = ttl
        far = world.do(world.b, datagrams.new_datagram, PROTO_UDP)
        assert world.do(world.b, datagrams.datagram_bind, far, 0, 5000) == 0
        assert (
            world.do(world.a, datagrams.datagram_send, d, memoryview(b"abc"), 0, 3, FAR, 5000) == 3
        )
        world.run(1)
        got = world.do(world.b, datagrams.datagram_receive, far, 100, False)
        assert (got[0] == b"abc") if arrives else (got == -Err.EAGAIN)
        world.do(world.b, datagrams.datagram_close, far)
        world.do(world.a, datagrams.datagram_close, d)
    assert sum(world.b.drops) == before
    assert world.r.drops[consts.Drop.IP_TTL] == 1


def test_udp_both_ways_and_large():
    world = World("freebsd-14", "linux-6", 3, delay=MS)
    a = world.do(world.a, datagrams.new_datagram, PROTO_UDP)
    b = world.do(world.b, datagrams.new_datagram, PROTO_UDP)
    assert world.do(world.b, datagrams.datagram_bind, b, 0, 53) == 0
    for size in (0, 1, 1472, 1473, 5000, 9000):
        data = bytes(i * 7 & 255 for i in range(size))
        assert (
            world.do(
                world.a,
                datagrams.datagram_send,
                a,
                memoryview(data or b"x"),
                0,
                size,
                0xC0000202,
                53,
            )
            == size
        )
        world.run(0.1)
        got, addr, port, whole = world.do(world.b, datagrams.datagram_receive, b, 65535, False)
        assert (got, addr, whole) == (data, 0xC0000201, size)
        assert (
            world.do(world.b, datagrams.datagram_send, b, memoryview(b"ok"), 0, 2, addr, port) == 2
        )
        world.run(0.1)
        assert world.do(world.a, datagrams.datagram_receive, a, 10, False)[0] == b"ok"
    for core, d in ((world.a, a), (world.b, b)):
        world.do(core, datagrams.datagram_close, d)
    for core in (world.a, world.b):
        core.make_room()  # made by this call at the latest
        assert core.pool.in_use == 1


def test_udp_to_a_closed_port():
    """The ICMP error comes back to the connected socket."""
    world = World("linux-6", "freebsd-14", 3, delay=MS)
    a = world.do(world.a, datagrams.new_datagram, PROTO_UDP)
    assert world.do(world.a, datagrams.datagram_connect, a, 0xC0000202, 99) == 0
    assert world.do(world.a, datagrams.datagram_send, a, memoryview(b"abc"), 0, 3, 0, 0) == 3
    world.run(0.1)
    assert world.do(world.a, datagrams.datagram_receive, a, 10, False) == -Err.ECONNREFUSED
    assert world.do(world.a, datagrams.datagram_receive, a, 10, False) == -Err.EAGAIN


@pytest.mark.parametrize(
    "pair", [("freebsd-14", "linux-6"), ("linux-6", "freebsd-10"), ("freebsd-10", "freebsd-14")]
)
def test_a_host_that_forgot_everything(pair):
    """One end restarts: its RSTs end the other's half-open connection, and the two do not talk for ever."""
    world = World(*pair, 5, delay=10 * MS)
    client, server = world.connect()
    server_row = server.row
    world.b.detach(server)
    assert server_row
    data = memoryview(b"abc")
    assert world.do(world.a, commands.tcp_send, client, data, 0, 3, False) == 3
    world.run(5)
    assert client.so_error == Err.ECONNRESET
    delivered = world.fabric.delivered
    world.run(1000)
    assert world.fabric.delivered == delivered


@pytest.mark.parametrize(
    "pair", [("freebsd-14", "linux-6"), ("linux-6", "freebsd-10"), ("linux-6", "linux-6")]
)
@pytest.mark.parametrize("shift", [1, 1000, 100_000, 2**31])
def test_two_desynchronized_ends_do_not_talk_for_ever(pair, shift):
    """Both believe in different numbers: their answers to each other must die down (RFC 5961 section 7)."""
    world = World(*pair, 5, delay=10 * MS)
    client, _server = world.connect()
    world.run(1)
    for name in ("snd_una", "snd_nxt", "snd_max", "rcv_nxt", "rcv_adv", "last_ack_sent"):
        setattr(client, name, (getattr(client, name) + shift) & 0xFFFFFFFF)
    world.do(world.a, commands.tcp_send, client, memoryview(b"abc"), 0, 3, False)
    before = world.fabric.delivered
    world.fabric.run(world.now + 100 * SECOND, False)
    assert world.fabric.delivered - before < 3000, "an ACK war"


def test_partition_and_end():
    """The network is gone while data is under way: both ends give up and nothing is left."""
    world = World("freebsd-14", "linux-6", 5, delay=10 * MS)
    client, server = world.connect()
    for core, t in ((world.a, client), (world.b, server)):
        world.do(core, commands.tcp_send, t, memoryview(bytes(20000)), 0, 20000, False)
    for wire in world.wires:
        wire.partitioned = True
    world.run(3000)
    assert client.so_error == server.so_error == Err.ETIMEDOUT
    world.do(world.a, commands.tcp_close, client)
    world.do(world.b, commands.tcp_close, server)
    world.run(1)
    world.assert_clean()
