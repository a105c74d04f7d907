"""Networks: links between what belongs together, taps, time, captures, and one seed for all."""

from pathlib import Path

import pytest
from net_kit import SERVER, pair

import pystack
from pystack import capture
from pystack._fast.consts import SECOND


def test_names_are_taken_once():
    net = pystack.Network()
    net.host("a")
    net.tap("192.0.2.9/24", "t")
    for make in (
        lambda: net.host("a"),
        lambda: net.host("t"),
        lambda: net.tap("192.0.2.8/24", "a"),
    ):
        with pytest.raises(ValueError, match="is taken"):
            make()
    with pytest.raises(ValueError, match="is empty"):
        net.host("")
    assert "a, t" in repr(net)


def test_a_link_takes_the_interfaces_that_see_each_other():
    net = pystack.Network()
    gw = net.host("gw", ["192.0.2.254/24", "198.51.100.1/24"], profile="linux-6", forwarding=True)
    inside = net.host("inside", "198.51.100.2/24")
    outside = net.host("outside", "192.0.2.1/24")
    net.link(gw, inside, delay="1ms")
    net.link(outside, gw, delay="2ms")
    inside.route("0.0.0.0/0", via="198.51.100.1")
    outside.route("0.0.0.0/0", via="192.0.2.254")
    assert inside.ping("192.0.2.1") == [6_000_000]
    assert [i.opackets for i in gw.interfaces] == [1, 1]


def test_links_that_cannot_be():
    net = pystack.Network()
    a, b = net.host("a", "192.0.2.1/24"), net.host("b", "198.51.100.1/24")
    with pytest.raises(
        ValueError, match=r"no interface of a \(192.0.2.1/24\) is in a network of b"
    ):
        net.link(a, b)
    with pytest.raises(ValueError, match="joins nothing"):
        net.link(a, a)
    with pytest.raises(ValueError, match="not of this network"):
        net.link(a, pystack.Network().host("c", "192.0.2.3/24"))
    with pytest.raises(ValueError, match="joins nothing"):
        net.link(net.tap("192.0.2.8/24"), net.tap("192.0.2.9/24"))
    with pytest.raises(ValueError, match="no interface"):
        net.link(a, net.host("twin", "192.0.2.1/24"))
    c = net.host("c", "192.0.2.3/24")
    with pytest.raises(TypeError, match="dealy"):
        net.link(a, c, dealy="5ms")
    with pytest.raises(ValueError, match="did you mean"):
        net.link(a, c, delay="5 msec")
    net.link(a, c, delay="5ms")
    assert a.ping("192.0.2.3") == [10_000_000]


def test_several_neighbours_on_one_interface():
    net = pystack.Network()
    server = net.host("server", "10.0.0.1/24")
    clients = [net.host(f"c{i}", f"10.0.0.{i + 2}/24", profile="linux-6") for i in range(5)]
    for i, client in enumerate(clients):
        net.link(server, client, delay=f"{i + 1}ms")
    assert [client.ping("10.0.0.1") for client in clients] == [[2_000_000 * n] for n in range(1, 6)]
    assert [server.ping(client.address) for client in clients] == [
        [2_000_000 * n] for n in range(1, 6)
    ]
    assert clients[0].ping("10.0.0.3") == [None]  # a star of cables is no switch


def test_time_passes_only_as_asked():
    net = pystack.Network()
    assert net.now == 0
    assert net.run(for_="60s")
    assert net.now == 60 * SECOND
    net.run(for_=5)
    net.run(until_ns=61 * SECOND)
    assert net.now == 61 * SECOND
    net.run(until_ns=SECOND)
    assert net.now == 61 * SECOND
    with pytest.raises(TypeError, match="for how long"):
        net.run()
    with pytest.raises(ValueError, match="unit"):
        net.run("5")


def test_run_until_looks_after_every_event():
    both = pair()
    client, conn = both.connect()
    client.send(b"x")
    assert both.net.run(until=lambda: conn.readable())
    assert both.net.now == 15_000_000 + 5_000_000 or conn.readable()
    begin = both.net.now
    assert not both.net.run(until=lambda: False, for_="1s")
    assert both.net.now - begin == SECOND
    assert both.net.run(until=lambda: True)
    assert both.net.now - begin == SECOND


def test_run_until_what_cannot_happen():
    with pytest.raises(pystack.DeadlockError, match="nothing is on its way"):
        pystack.Network().run(until=lambda: False)


def test_calls():
    net = pystack.Network()
    seen: list[int] = []
    for delay in ("3s", "1s", "2s"):
        net.call_later(delay, lambda: seen.append(net.now))
    net.call_later("1s", seen.append, -1)
    net.call_later("90min", seen.append, -2).cancel()
    net.run(for_="2h")
    assert seen == [SECOND, -1, 2 * SECOND, 3 * SECOND]


def test_a_call_may_ask_for_the_next():
    net = pystack.Network()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(net.now)
        if len(ticks) < 1000:
            net.call_later("1s", tick)

    tick()
    net.run(for_="1d")
    assert ticks[-1] == 999 * SECOND


def syn(source: str = "192.0.2.9", port: int = 4000) -> bytes:
    """A SYN as octets, checksums and all."""
    net = pystack.Network()
    host = net.host("h", f"{source}/24", profile="linux-6")
    tap = net.tap("192.0.2.1/24")
    net.link(host, tap)
    sock = host.socket()
    sock.bind(("", port))
    sock.setblocking(False)
    sock.connect_ex(SERVER)
    net.run(for_="1ms")
    return tap.received[0][1]


def test_a_tap_sends_and_keeps_raw_packets():
    net = pystack.Network(seed=3)
    web = net.host("web", "192.0.2.1/24")
    tap = net.tap("192.0.2.9/24")
    net.link(tap, web, delay="2ms")
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(1)
    live: list[int] = []
    tap.on_packet = lambda ns, data: live.append(ns)
    tap.send(syn())
    net.run(for_="10ms")
    [(ns, answer)] = tap.received
    assert ns == 4_000_000
    assert live == [4_000_000]
    assert answer[33] == 0x12  # SYN, ACK
    assert answer[20:24] == (80).to_bytes(2, "big") + (4000).to_bytes(2, "big")
    assert web.tcp_states() == {"LISTEN": 1, "SYN_RCVD": 1}


def test_a_tap_sends_whatever_it_is_given():
    net = pystack.Network()
    web = net.host("web", "192.0.2.1/24")
    tap = net.tap("192.0.2.9/24")
    with pytest.raises(RuntimeError, match="no link"):
        tap.send(b"x")
    net.link(tap, web)
    good = syn()
    damaged = good[:-1] + bytes((good[-1] ^ 1,))
    for data in (b"x", bytes(20), good[:30], damaged, bytes(65535), b"\x45" + bytes(100)):
        tap.send(data)
    net.run(for_="1s")
    assert tap.received == []
    assert sum(web.drops().values()) == 6
    assert web.drops()["TCP_CHECKSUM"] == 1
    assert web.core.pool.in_use in (0, 1)  # one waits for the next packet to land
    for bad in (b"", bytes(65536)):
        with pytest.raises(ValueError, match="octets"):
            tap.send(bad)
    with pytest.raises(ValueError, match="no link to"):
        tap.send(good, to="192.0.2.77")


def test_a_tap_gets_no_super_segments():
    net = pystack.Network()
    web = net.host("web", "192.0.2.1/24")
    tap = net.tap("192.0.2.9/24")
    link = net.link(tap, web)
    assert (link.forward.offload, link.backward.offload) == (True, False)


def test_trace_hash_tells_runs_apart():
    def run(seed: int, word: bytes) -> str:
        both = pair(seed=seed, loss=0.2)
        client, conn = both.connect()
        client.sendall(word)
        assert conn.recv(100) == word
        return both.net.trace_hash()

    assert run(1, b"hello") == run(1, b"hello")
    assert run(1, b"hello") != run(2, b"hello")
    assert run(1, b"hello") != run(1, b"hallo")
    with pytest.raises(RuntimeError, match="trace=False"):
        pystack.Network(trace=False).trace_hash()


def test_what_is_recorded_or_hashed_changes_nothing():
    def run(**options: bool) -> tuple[int, int]:
        net = pystack.Network(seed=4, **options)
        web, me = net.host("web", "192.0.2.1/24"), net.host("me", "192.0.2.2/24")
        net.link(web, me, delay="5ms", loss=0.1, bandwidth="10Mbit/s")
        listener = web.socket()
        listener.bind(("", 80))
        listener.listen(1)
        client = me.socket()
        client.connect(SERVER)
        conn, _ = listener.accept()
        conn.on_ready = lambda events: conn.readable() and conn.recv(1 << 20)
        client.sendall(bytes(100_000))
        net.run(for_="1min")
        return net.now, me.stats["sndrexmitpack"]

    assert run() == run(record=False, trace=False) == run(record=False)
    assert run()[1] > 0


def test_a_capture_after_the_run_has_every_packet_and_why_it_was_dropped(tmp_path: Path):
    both = pair(bandwidth="100Mbit/s", loss=0.05, seed=2)
    client, conn = both.connect()
    conn.on_ready = lambda events: conn.readable() and conn.recv(1 << 20)
    client.sendall(bytes(200_000))
    both.net.run(for_="5s")
    assert both.me.socket().connect_ex(("192.0.2.1", 81)) == 111
    path = tmp_path / "run.pcapng"
    written = both.net.capture(path).packets
    packets = list(capture.read(path))
    there, back = both.link.backward.counters, both.link.forward.counters
    on_wires = [p for p in packets if p.interface in ("me.eth0", "web.em0")]
    assert len(on_wires) == there.sent + back.sent
    lost = [p for p in on_wires if p.comment == "dropped: LINK_LOSS"]
    assert len(lost) == there.drops["LINK_LOSS"] + back.drops.get("LINK_LOSS", 0) > 0
    refused = [p.comment for p in packets if p.interface == "web"]
    assert refused == ["dropped: TCP_NO_PORT"] * both.web.drops()["TCP_NO_PORT"] != []
    assert len(packets) == written
    assert [p.ns for p in packets] == sorted(p.ns for p in packets)
    assert max(len(p.data) for p in packets) == 1500


def test_the_octets_of_a_capture_are_those_on_the_wire(tmp_path: Path):
    net = pystack.Network(seed=2)
    web = net.host("web", "192.0.2.1/24")
    tap = net.tap("192.0.2.9/24")
    net.link(web, tap, delay="1ms", corrupt=0.3)
    sock = web.socket(2)
    for n in range(40):
        sock.sendto(bytes(range(n)), ("192.0.2.9", 9))
    tap.send(b"no packet at all")
    net.run(for_="1s")
    net.capture(tmp_path / "run.pcapng")
    packets = list(capture.read(tmp_path / "run.pcapng"))
    sent = [p for p in packets if p.interface == "web.em0"]
    assert [p.data for p in sent] == [data for _, data in tap.received]
    assert any(p.comment.startswith("corrupted: bit ") for p in sent)
    assert [p.data for p in packets if p.interface == "tap0"] == [b"no packet at all"]


def test_the_record_forgets_the_oldest(tmp_path: Path):
    net = pystack.Network(record="1MiB")
    a, b = net.host("a", "192.0.2.1/24", profile="linux-6"), net.host("b", "192.0.2.2/24")
    net.link(a, b, delay="1us")
    sock = a.socket(2)
    for n in range(3000):
        sock.sendto(n.to_bytes(4, "big") + bytes(996), ("192.0.2.2", 9))
        net.run(for_="10us")
    net.capture(tmp_path / "run.pcapng")
    kept = [p for p in capture.read(tmp_path / "run.pcapng") if p.interface == "a.eth0"]
    numbers = [int.from_bytes(p.data[28:32], "big") for p in kept]
    assert numbers == list(range(numbers[0], 3000))
    assert 400 < len(numbers) < 1024


def test_a_capture_as_a_context_keeps_all_of_its_block(tmp_path: Path):
    net = pystack.Network(record="1MiB")
    a, b = net.host("a", "192.0.2.1/24", profile="linux-6"), net.host("b", "192.0.2.2/24")
    net.link(a, b, delay="1us")
    sock = a.socket(2)
    sock.sendto(b"before", ("192.0.2.2", 9))
    net.run(for_="10us")
    with net.capture(tmp_path / "run.pcapng"):
        for n in range(2500):
            sock.sendto(n.to_bytes(4, "big") + bytes(996), ("192.0.2.2", 9))
            net.run(for_="10us")
    sock.sendto(b"behind", ("192.0.2.2", 9))
    net.run(for_="10us")
    kept = [p for p in capture.read(tmp_path / "run.pcapng") if p.interface == "a.eth0"]
    assert [int.from_bytes(p.data[28:32], "big") for p in kept] == list(range(2500))


def test_no_record_no_capture(tmp_path: Path):
    with pytest.raises(RuntimeError, match="record=False"):
        pystack.Network(record=False).capture(tmp_path / "x")
    with pytest.raises(OSError, match="nowhere"):
        pystack.Network().capture(tmp_path / "nowhere" / "x")


def test_an_hour_of_idle_connections():
    both = pair()
    socks = [both.connect() for _ in range(300)]
    both.net.run(for_="1h")
    assert both.web.tcp_states()["ESTABLISHED"] == 300
    for client, conn in socks:
        client.close()
        conn.close()
    both.net.run(for_="10min")
    assert both.pools() == (0, 0)
