"""A proxy hands on what comes, both ways, and tells what it cannot reach."""

import pytest

from pystack import Network
from pystack.services import EchoService, HttpService, ProxyService
from pystack.traffic import Browser, ClosedLoad

FRONT = ("192.0.2.1", 80)


@pytest.fixture
def site():
    net = Network(seed=5)
    front = net.host("front", ["192.0.2.1/24", "10.0.0.1/24"], profile="linux-6")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    backs = [net.host(f"back{n}", f"10.0.0.1{n}/24", profile="freebsd-14") for n in (1, 2)]
    net.link(front, me, delay="5ms")
    for back in backs:
        net.link(front, back, delay="1ms", bandwidth="20Mbit/s")
    return net, front, me, backs


def test_backends_have_their_turn(site):
    net, front, me, backs = site
    services = [HttpService(80, keepalive="off") for _ in backs]
    for service, back in zip(services, backs, strict=True):
        service.start(back)
    proxy = ProxyService(80, [("10.0.0.11", 80), ("10.0.0.12", 80)])
    proxy.start(front)
    load = ClosedLoad(me, FRONT, clients=3, visits=10)
    load.start()
    net.run(for_="5s")
    assert (len(load.latencies), load.failed) == (10, 0)
    assert [service.accepted for service in services] == [5, 5]
    assert (proxy.accepted, dict(proxy.unreached), len(proxy.connections)) == (10, {}, 0)
    assert {"ESTABLISHED", "CLOSE_WAIT"}.isdisjoint(front.tcp_states())


def test_much_comes_whole_though_the_server_closes_early(site):
    """The answer is in the proxy when its backend closes; the client takes its time."""
    net, front, me, backs = site
    HttpService(80, keepalive="off").start(backs[0])
    ProxyService(80, [("10.0.0.11", 80)]).start(front)
    net.links[0].backward.bandwidth = "2Mbit/s"
    net.links[0].forward.bandwidth = "2Mbit/s"
    browser = Browser(me, FRONT, ["/bytes/3000000"])
    browser.start()
    net.run(for_="60s")
    assert browser.answers == [(200, 3000000)]


def test_a_client_that_goes_is_told_to_the_backend(site):
    net, front, me, backs = site
    echo = EchoService(7)
    echo.start(backs[0])
    ProxyService(80, [("10.0.0.11", 7)]).start(front)
    with me.socket() as sock:
        sock.connect(FRONT)
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"
    net.run(for_="2s")
    assert not echo.connections


def test_nobody_behind_it(site):
    _, front, me, _ = site
    proxy = ProxyService(80, [("10.0.0.11", 80)])
    proxy.start(front)
    with me.socket() as sock:
        sock.connect(FRONT)
        assert sock.recv(10) == b""
    assert dict(proxy.unreached) == {"ECONNREFUSED": 1}
    with pytest.raises(ValueError, match="needs a backend"):
        ProxyService(80, [])
