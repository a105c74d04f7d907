"""UDP and ICMP sockets."""

import errno
import socket as std

import pytest
from net_kit import fails, pair

import pystack
from pystack import sockopts as so
from pystack._fast.consts import EV_READ
from pystack.sockets import MSG_PEEK

DGRAM = std.SOCK_DGRAM


def test_question_and_answer():
    both = pair()
    server, client = both.web.socket(DGRAM), both.me.socket(DGRAM)
    server.bind(("", 53))
    assert client.sendto(b"question", ("192.0.2.1", 53)) == 8
    data, address = server.recvfrom(100)
    assert data == b"question"
    assert address == ("192.0.2.2", client.getsockname()[1])
    server.sendto(b"answer", 0, address)
    assert client.recvfrom(100) == (b"answer", ("192.0.2.1", 53))
    assert both.net.now == 10_000_000
    assert repr(server) == "<web: udp4 0 0 *.53 *.*>"
    client.close()
    server.close()
    assert both.pools() == (0, 0)
    fails(errno.EBADF, client.send, b"x")


def test_a_datagram_is_whole_or_cut_and_empty_ones_exist():
    both = pair()
    server, client = both.web.socket(DGRAM), both.me.socket(DGRAM)
    server.bind(("", 9))
    client.connect(("192.0.2.1", 9))
    for data in (b"first", b"", b"third"):
        client.send(data)
    assert server.recv(2, MSG_PEEK) == b"fi"
    assert server.recv(2) == b"fi"
    assert server.recv(100) == b""
    room = bytearray(10)
    assert server.recvfrom_into(room) == (5, client_address(client))
    assert room[:5] == b"third"
    with pytest.raises(ValueError, match="negative"):
        server.recv(-1)


def client_address(sock: pystack.Socket) -> tuple[str, int]:
    return "192.0.2.2", sock.getsockname()[1]


def test_large_datagrams_travel_in_fragments():
    both = pair(web="linux-6")
    server, client = both.web.socket(DGRAM), both.me.socket(DGRAM)
    server.bind(("", 9))
    data = bytes(range(256)) * 255 + bytes(227)
    assert len(data) == 65507
    client.sendto(data, ("192.0.2.1", 9))
    assert server.recv(70_000) == data
    fails(errno.EMSGSIZE, client.sendto, data + b"x", ("192.0.2.1", 9))
    assert both.link.backward.counters.delivered == 45


def test_freebsd_sends_no_more_than_maxdgram():
    both = pair()
    sock = both.web.socket(DGRAM)
    sock.sendto(bytes(9216), ("192.0.2.2", 9))
    fails(errno.EMSGSIZE, sock.sendto, bytes(9217), ("192.0.2.2", 9))
    sock.setsockopt(so.SOL_SOCKET, so.SO_SNDBUF, 10_000)
    sock.sendto(bytes(10_000), ("192.0.2.2", 9))
    both.web.sysctl["net.inet.udp.maxdgram"] = 20_000
    new = both.web.socket(DGRAM)
    assert new.getsockopt(so.SOL_SOCKET, so.SO_SNDBUF) == 20_000
    new.sendto(bytes(20_000), ("192.0.2.2", 9))


def test_a_closed_port_is_told_to_the_connected_socket():
    both = pair()
    client = both.me.socket(DGRAM)
    client.connect(("192.0.2.1", 9))
    assert client.getpeername() == ("192.0.2.1", 9)
    client.send(b"x")
    fails(errno.ECONNREFUSED, client.recv, 10)
    client.send(b"x")
    both.net.run(for_="1s")
    assert client.readable()
    fails(errno.ECONNREFUSED, client.send, b"y")
    assert both.web.drops() == {"UDP_NO_PORT": 2}
    client.send(b"x")
    both.net.run(for_="1s")
    assert client.getsockopt(so.SOL_SOCKET, so.SO_ERROR) == errno.ECONNREFUSED


def test_a_connected_socket_hears_its_peer_only():
    both = pair()
    server, stranger = both.web.socket(DGRAM), both.web.socket(DGRAM)
    server.bind(("", 7))
    client = both.me.socket(DGRAM)
    client.bind(("", 1000))
    client.connect(("192.0.2.1", 7))
    stranger.sendto(b"spoof", ("192.0.2.2", 1000))
    server.sendto(b"real", ("192.0.2.2", 1000))
    assert client.recv(100) == b"real"
    client.connect(("", 0))
    fails(errno.ENOTCONN, client.getpeername)
    fails(errno.EDESTADDRREQ, client.send, b"x")
    stranger.sendto(b"now", ("192.0.2.2", 1000))
    assert client.recv(100) == b"now"


def test_bind():
    both = pair()
    one, two = both.me.socket(DGRAM), both.me.socket(DGRAM)
    one.bind(("192.0.2.2", 500))
    fails(errno.EADDRINUSE, two.bind, ("", 500))
    fails(errno.EADDRNOTAVAIL, two.bind, ("198.51.100.1", 500))
    fails(errno.EINVAL, one.bind, ("", 501))
    two.bind(("127.0.0.1", 500))
    one.close()
    three = both.me.socket(DGRAM)
    three.bind(("192.0.2.2", 500))
    chosen = both.me.socket(DGRAM)
    chosen.bind(("", 0))
    low, high = both.me.sysctl["net.ipv4.ip_local_port_range"]
    assert low <= chosen.getsockname()[1] <= high


def test_sockets_that_share_a_port():
    both = pair()
    first, second = both.web.socket(DGRAM), both.web.socket(DGRAM)
    for sock in (first, second):
        sock.setsockopt(so.SOL_SOCKET, so.SO_REUSEADDR, 1)
    first.bind(("192.0.2.1", 9))
    second.bind(("", 9))
    both.me.socket(DGRAM).sendto(b"exact", ("192.0.2.1", 9))
    assert first.recv(100) == b"exact"
    first.close()
    both.me.socket(DGRAM).sendto(b"any", ("192.0.2.1", 9))
    assert second.recv(100) == b"any"


def test_a_full_buffer_drops_and_counts():
    both = pair()
    server = both.web.socket(DGRAM)
    server.bind(("", 9))
    server.setsockopt(so.SOL_SOCKET, so.SO_RCVBUF, 3000)
    client = both.me.socket(DGRAM)
    for _ in range(5):
        client.sendto(bytes(1000), ("192.0.2.1", 9))
    both.net.run(for_="1s")
    assert both.web.drops() == {"UDP_BUFFER": 2}
    server.setblocking(False)
    for _ in range(3):
        assert len(server.recv(2000)) == 1000
    fails(errno.EAGAIN, server.recv, 2000)


def test_waiting_readiness_and_timeouts():
    both = pair()
    server = both.web.socket(DGRAM)
    server.bind(("", 9))
    server.settimeout(2)
    with pytest.raises(TimeoutError):
        server.recv(10)
    assert both.net.now == 2_000_000_000
    seen: list[int] = []
    server.on_ready = seen.append
    both.net.run(for_="1s")
    seen.clear()
    both.me.socket(DGRAM).sendto(b"x", ("192.0.2.1", 9))
    both.net.run(for_="1s")
    assert seen == [EV_READ]
    assert pystack.select([server]) == ([server], [], [])


def test_broadcast_needs_its_option():
    both = pair()
    server = both.web.socket(DGRAM)
    server.bind(("", 9))
    client = both.me.socket(DGRAM)
    fails(errno.EACCES, client.sendto, b"x", ("192.0.2.255", 9))
    client.setsockopt(so.SOL_SOCKET, so.SO_BROADCAST, 1)
    client.sendto(b"all", ("192.0.2.255", 9))
    assert server.recv(100) == b"all"


def test_shutdown():
    both = pair()
    client = both.me.socket(DGRAM)
    fails(errno.ENOTCONN, client.shutdown, std.SHUT_WR)
    client.connect(("192.0.2.1", 9))
    client.shutdown(std.SHUT_RDWR)
    fails(errno.EPIPE, client.send, b"x")
    assert client.recv(10) == b""


def test_errors_before_anything_is_sent():
    both = pair()
    client = both.me.socket(DGRAM)
    fails(errno.EDESTADDRREQ, client.send, b"x")
    fails(errno.ENETUNREACH, client.sendto, b"x", ("203.0.113.1", 9))
    assert client.connect_ex(("203.0.113.1", 9)) == errno.ENETUNREACH


def test_an_icmp_socket_sends_echoes_and_gets_its_own_replies():
    both = pair()
    one, two = (both.me.socket(DGRAM, std.IPPROTO_ICMP) for _ in range(2))
    assert "icm4" in repr(one)
    one.sendto(b"\x08\0\0\0\0\0\0\x05payload", ("192.0.2.1", 0))
    two.sendto(b"\x08\0\0\0\0\0\0\x06", ("192.0.2.1", 0))
    data, address = one.recvfrom(100)
    assert address == ("192.0.2.1", 0)
    assert (data[0], data[6:]) == (0, b"\0\x05payload")
    assert two.recv(100)[6:] == b"\0\x06"
    assert not one.readable()
    fails(errno.EINVAL, one.sendto, b"\0\0\0\0\0\0\0\0", ("192.0.2.1", 0))
    fails(errno.EINVAL, one.sendto, b"short", ("192.0.2.1", 0))
