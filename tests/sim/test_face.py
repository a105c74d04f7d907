"""The Python that users see: sockets, links, taps and captures."""

from pathlib import Path

import pystack
from pystack import capture


def test_the_promised_lines(tmp_path: Path):
    net = pystack.Network(seed=7)
    web = net.host("web", "192.0.2.1/24", profile="freebsd-10")
    me = net.host("client", "192.0.2.2/24", profile="linux-6")
    net.link(web, me, delay="5ms", bandwidth="1Gbit/s", loss=0.01)

    server = web.socket()
    server.bind(("", 80))
    server.listen(128)
    client = me.socket()
    client.connect(("192.0.2.1", 80))
    conn, _ = server.accept()
    client.sendall(b"hello")
    assert conn.recv(100) == b"hello"
    net.run(for_="60s")
    net.capture(tmp_path / "run.pcapng")
    assert len(list(capture.read(tmp_path / "run.pcapng"))) >= 5
    assert len(net.trace_hash()) == 32
    gw = net.host("gw", ["192.0.2.254/24", "198.51.100.1/24"], profile="linux-6", forwarding=True)
    net.link(gw, me)
    tap = net.tap("192.0.2.9/24")
    net.link(tap, web)
    tap.send(bytes(20))
    assert tap.received == []
    web.sysctl["net.inet.tcp.msl"] = 4096
    web.load_sysctl_conf("net.inet.tcp.msl=5000")
    assert web.tcp_states() == {"LISTEN": 1, "ESTABLISHED": 1}
    assert me.ping("192.0.2.254")[0] is not None


def test_a_machine_that_joins_late_lives_in_the_present():
    net = pystack.Network(seed=1)
    first = net.host("first", "192.0.2.1/24")
    net.run(for_="3d")
    late = net.host("late", "192.0.2.2/24", profile="linux-6")
    net.link(first, late, delay="1ms")
    listener = late.socket()
    listener.bind(("", 80))
    listener.listen(1)
    begin = net.now
    with first.socket() as sock:
        sock.connect(("192.0.2.2", 80))
        conn, _ = listener.accept()
        conn.sendall(b"here")
        assert sock.recv(10) == b"here"
    assert net.now - begin < 10_000_000
    conn.close()
    net.run(for_="2min")
    assert first.tcp_states() == {}
    assert late.tcp_states() == {"LISTEN": 1}


def test_blocking_clients_and_an_event_driven_server_in_one_program():
    net = pystack.Network(seed=2)
    web = net.host("web", "192.0.2.1/24")
    listener = web.socket()
    listener.bind(("", 7))
    listener.listen(64)
    served = []

    def accept(events: int) -> None:
        while listener.readable():
            conn, peer = listener.accept()
            conn.setblocking(False)
            served.append(peer)
            conn.on_ready = lambda events, conn=conn: answer(conn)

    def answer(conn: pystack.Socket) -> None:
        while not conn.closed and conn.readable():
            data = conn.recv(100)
            if data:
                conn.send(data.upper())
            else:
                conn.close()

    listener.on_ready = accept
    for i in range(20):
        me = net.host(f"c{i}", f"192.0.2.{i + 10}/24", profile="linux-6")
        net.link(web, me, delay="3ms", loss=0.05)
        with me.socket() as sock:
            sock.connect(("192.0.2.1", 7))
            sock.sendall(b"hello %d" % i)
            assert sock.recv(100) == b"HELLO %d" % i
    net.run(for_="10min")
    assert len(served) == 20
    assert web.tcp_states() == {"LISTEN": 1}
    assert [host.core.pool.in_use for host in net.hosts.values()] == [0] * 21
