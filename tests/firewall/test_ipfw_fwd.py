"""`fwd`: a packet, as it is, to another machine, or to a socket of this one that answers for whoever it was for."""

import socket

import pytest
from gateway import SYN, tcp, udp

from pystack import Network

SECOND = 10**9


@pytest.fixture
def crossing():
    """A client, a router with ipfw, and two machines behind it, one of which is a proxy that takes what it gets."""
    net = Network(seed=5)
    gw = net.host("gw", ["10.1.0.1/24", "10.2.0.1/24"], profile="freebsd-10")
    client = net.tap("10.1.0.2/24", "client")
    proxy = net.tap("10.2.0.9/24", "proxy")
    net.link(client, gw)
    net.link(proxy, gw)
    gw.ipfw("add 65000 allow ip from any to any")
    return net, gw, client, proxy


def listener(host, address):
    """A socket that waits for connections."""
    sock = host.socket()
    sock.bind(address)
    sock.listen(5)
    return sock


def arrived(tap):
    """What has come, which is forgotten."""
    out = [data for _, data in tap.received]
    tap.received.clear()
    return out


def test_fwd_of_what_came(crossing):
    """The packet goes on as it is, even where the machine does not forward; its TTL is one less."""
    net, gw, client, proxy = crossing
    gw.ipfw("add 100 fwd 10.2.0.9 udp from any to any in recv em0")
    for target in ("192.0.2.1", "10.1.0.1"):
        client.send(udp("10.1.0.2", 1000, target, 53))
        net.run(for_=SECOND)
        (data,) = arrived(proxy)
        assert data[16:20] == bytes(int(part) for part in target.split("."))
        assert data[8] == 63


def test_fwd_to_nowhere(crossing):
    net, gw, client, proxy = crossing
    gw.ipfw("add 100 fwd 198.51.100.1 udp from any to any in")
    client.send(udp("10.1.0.2", 1000, "192.0.2.1", 53))
    net.run(for_=SECOND)
    assert arrived(proxy) == []


@pytest.fixture(params=("freebsd-7", "freebsd-10", "freebsd-14"))
def ambush(request):
    """A client, and a router that has a proxy of its own for whatever goes by."""
    net = Network(seed=5)
    gw = net.host("gw", ["10.1.0.1/24", "10.2.0.1/24"], profile=request.param, forwarding=True)
    client = net.host("client", "10.1.0.2/24", profile="linux-6")
    net.link(client, gw)
    client.route("0.0.0.0/0", "10.1.0.1")
    gw.ipfw("add 65000 allow ip from any to any")
    return net, gw, client


def test_a_listener_answers_for_the_destination(ambush):
    """The connection has the address that the client asked for on both sides; `show` and netstat say so."""
    net, gw, client = ambush
    gw.ipfw("add 100 fwd 127.0.0.1,3128 tcp from 10.1.0.0/24 to any 80 in")
    proxy = listener(gw, ("127.0.0.1", 3128))
    visitor = client.socket()
    visitor.connect(("192.0.2.80", 80))
    taken, peer = proxy.accept()
    assert peer == visitor.getsockname()
    assert taken.getsockname() == ("192.0.2.80", 80)
    visitor.sendall(b"GET http")
    assert taken.recv(100) == b"GET http"
    taken.sendall(b"200")
    assert visitor.recv(100) == b"200"
    assert "192.0.2.80.80" in gw.netstat("-an")
    taken.close()
    assert visitor.recv(100) == b""
    visitor.close()
    net.run(for_="90s")
    assert client.tcp_states() == {} or set(client.tcp_states()) == {"TIME_WAIT"}


def test_without_a_port_it_is_the_destination_s(ambush):
    _net, gw, client = ambush
    gw.ipfw("add 100 fwd 10.2.0.1 tcp from any to 192.0.2.0/24 in")
    proxy = listener(gw, ("10.2.0.1", 25))
    visitor = client.socket()
    visitor.connect(("192.0.2.9", 25))
    assert proxy.accept()[0].getsockname() == ("192.0.2.9", 25)
    with pytest.raises(ConnectionRefusedError):
        client.socket().connect(("192.0.2.9", 26))


def test_only_what_the_rule_is_about_is_taken(ambush):
    """The proxy's port is closed to whoever is not sent there, though it listens."""
    _net, gw, client = ambush
    gw.ipfw("add 100 fwd 127.0.0.1,3128 tcp from any to any 80 in")
    proxy = listener(gw, ("127.0.0.1", 3128))
    with pytest.raises(ConnectionRefusedError):
        client.socket().connect(("10.1.0.1", 3128))
    assert int(gw.ipfw("show 100").split()[1]) == 0
    proxy.close()


def test_a_connection_that_there_is_goes_on_without_the_rule(ambush):
    net, gw, client = ambush
    gw.ipfw("add 100 fwd 10.1.0.1,8080 tcp from any to any 80 in")
    proxy = listener(gw, ("", 8080))
    visitor = client.socket()
    visitor.connect(("192.0.2.80", 80))
    taken, _ = proxy.accept()
    gw.ipfw("delete 100")
    visitor.sendall(b"more")
    net.run(for_=SECOND)
    taken.setblocking(False)
    with pytest.raises(BlockingIOError):
        taken.recv(100)  # nobody here has that address: without the rule it goes by
    gw.ipfw("add 100 fwd 10.1.0.1,8080 tcp from any to any 80 in")
    net.run(for_="10s")
    assert taken.recv(100) == b"more"


def test_datagrams(ambush):
    """They reach the socket; what it answers is its own."""
    _net, gw, client = ambush
    gw.ipfw("add 100 fwd 127.0.0.1,5353 udp from any to any 53 in")
    server = gw.socket(socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 5353))
    asker = client.socket(socket.SOCK_DGRAM)
    asker.bind(("10.1.0.2", 4000))
    asker.sendto(b"who", ("192.0.2.53", 53))
    assert server.recvfrom(100) == (b"who", ("10.1.0.2", 4000))


def test_what_a_machine_sends_itself_is_taken_too(ambush):
    """On its way out, and no rule sees it come in again."""
    _net, gw, _client = ambush
    gw.ipfw("add 50 count tcp from any to any 80 in")
    gw.ipfw("add 100 fwd 127.0.0.1,3128 tcp from me to 10.1.0.2 80 out")
    proxy = listener(gw, ("127.0.0.1", 3128))
    visitor = gw.socket()
    visitor.connect(("10.1.0.2", 80))
    taken, _ = proxy.accept()
    visitor.sendall(b"x")
    assert taken.recv(10) == b"x"
    assert taken.getsockname() == ("10.1.0.2", 80)
    assert int(gw.ipfw("show 50").split()[1]) == 0


def test_nobody_listens_where_it_is_sent(crossing):
    """The sender is told by the address that it asked."""
    net, gw, client, _proxy = crossing
    gw.ipfw("add 100 fwd 127.0.0.1,3128 tcp from any to any in")
    client.send(tcp("10.1.0.2", 1000, "192.0.2.1", 80, SYN))
    net.run(for_=SECOND)
    (data,) = arrived(client)
    assert data[12:16] == bytes((192, 0, 2, 1))
    assert data[33] & 4
