"""Socket options: what is read back, what is refused and how, and what they do to packets."""

import errno
import socket as std
import struct
from dataclasses import fields

import pytest
from net_kit import SERVER, fails, pair

from pystack import linux_options
from pystack import sockopts as so
from pystack._fast.consts import SECOND
from pystack.sockets import MSG_MORE, MSG_OOB, MSG_PEEK
from pystack.tcpinfo import TcpInfo

SOL = so.SOL_SOCKET
TCP = so.IPPROTO_TCP
IP = so.IPPROTO_IP


@pytest.mark.parametrize("me", ["freebsd-10", "linux-6"])
@pytest.mark.parametrize(
    ("level", "name"),
    [
        (SOL, so.SO_REUSEADDR),
        (SOL, so.SO_REUSEPORT),
        (SOL, so.SO_KEEPALIVE),
        (SOL, so.SO_BROADCAST),
        (SOL, so.SO_OOBINLINE),
        (TCP, so.TCP_NODELAY),
        (TCP, so.TCP_CORK),
    ],
)
def test_flags(me: str, level: int, name: int):
    sock = pair(me=me).me.socket()
    assert sock.getsockopt(level, name) == 0
    sock.setsockopt(level, name, 5)
    assert sock.getsockopt(level, name) != 0
    assert struct.unpack("i", sock.getsockopt(level, name, 4)) != (0,)
    sock.setsockopt(level, name, struct.pack("i", 0))
    assert sock.getsockopt(level, name) == 0


@pytest.mark.parametrize(
    ("level", "name", "value", "bad"),
    [
        (TCP, so.TCP_KEEPIDLE, 300, 0),
        (TCP, so.TCP_KEEPINTVL, 7, 40000),
        (TCP, so.TCP_KEEPCNT, 5, 128),
        (TCP, so.TCP_USER_TIMEOUT, 30_000, -1),
        (TCP, so.TCP_MAXSEG, 1000, 50_000),
        (IP, so.IP_TTL, 9, 256),
        (IP, so.IP_TOS, 0x10, -1),
        (SOL, so.SO_RCVLOWAT, 10, None),
    ],
)
def test_numbers(level: int, name: int, value: int, bad: int | None):
    sock = pair().me.socket()
    sock.setsockopt(level, name, value)
    assert sock.getsockopt(level, name) == value
    if bad is not None:
        fails(errno.EINVAL, sock.setsockopt, level, name, bad)
    assert sock.getsockopt(level, name) == value


def test_what_there_is_not():
    sock = pair().me.socket()
    fails(errno.ENOPROTOOPT, sock.setsockopt, TCP, 9999, 1)
    fails(errno.ENOPROTOOPT, sock.getsockopt, SOL, 9999)
    fails(errno.ENOPROTOOPT, sock.setsockopt, SOL, so.SO_TYPE, 1)
    with pytest.raises(TypeError):
        sock.setsockopt(TCP, so.TCP_NODELAY, "1")
    fails(errno.EINVAL, sock.setsockopt, TCP, so.TCP_NODELAY, b"\1")


def test_type_and_acceptconn():
    both = pair()
    assert both.listener.getsockopt(SOL, so.SO_TYPE) == std.SOCK_STREAM
    assert both.listener.getsockopt(SOL, so.SO_PROTOCOL) == std.IPPROTO_TCP
    assert both.listener.getsockopt(SOL, so.SO_ACCEPTCONN) == 1
    assert both.me.socket().getsockopt(SOL, so.SO_ACCEPTCONN) == 0


@pytest.mark.parametrize("name", [so.SO_SNDBUF, so.SO_RCVBUF])
def test_buffer_sizes_on_freebsd_are_exact_or_enobufs(name: int):
    sock = pair().web.socket()
    assert sock.getsockopt(SOL, name) in (32768, 65536)
    sock.setsockopt(SOL, name, 12_345)
    assert sock.getsockopt(SOL, name) == 12_345
    largest = 2_097_152 * 8 // 9
    sock.setsockopt(SOL, name, largest)
    fails(errno.ENOBUFS, sock.setsockopt, SOL, name, largest + 1)
    fails(errno.EINVAL, sock.setsockopt, SOL, name, 0)
    assert sock.getsockopt(SOL, name) == largest


@pytest.mark.parametrize(("name", "least"), [(so.SO_SNDBUF, 4608), (so.SO_RCVBUF, 2304)])
def test_buffer_sizes_on_linux_are_doubled_and_clamped(name: int, least: int):
    sock = pair().me.socket()
    sock.setsockopt(SOL, name, 50_000)
    assert sock.getsockopt(SOL, name) == 100_000
    sock.setsockopt(SOL, name, 2**31 - 1)
    assert sock.getsockopt(SOL, name) == 2 * 4_194_304
    sock.setsockopt(SOL, name, 1)
    assert sock.getsockopt(SOL, name) == least


def test_a_buffer_that_was_set_does_not_grow():
    both = pair()
    client = both.me.socket()
    client.setsockopt(SOL, so.SO_SNDBUF, 20_000)
    client.connect(SERVER)
    client.setblocking(False)
    assert client.send(bytes(10**6)) <= 40_000 + 65_215  # and the rest of a piece
    assert client.getsockopt(SOL, so.SO_SNDBUF) == 40_000


def test_the_receive_low_water_mark_holds_back_readiness():
    both = pair()
    client, conn = both.connect()
    conn.setsockopt(SOL, so.SO_RCVLOWAT, 10)
    client.send(b"12345")
    both.net.run(for_="1s")
    assert not conn.readable()
    client.send(b"67890")
    both.net.run(for_="1s")
    assert conn.readable()


def test_sndlowat_is_linux_s_constant():
    both = pair()
    fails(errno.ENOPROTOOPT, both.me.socket().setsockopt, SOL, so.SO_SNDLOWAT, 100)
    sock = both.web.socket()
    assert sock.getsockopt(SOL, so.SO_SNDLOWAT) == 2048
    sock.setsockopt(SOL, so.SO_SNDLOWAT, 10**9)
    assert sock.getsockopt(SOL, so.SO_SNDLOWAT) == 32768


@pytest.mark.parametrize(("me", "on"), [("freebsd-10", 128), ("linux-6", 1)])
def test_linger_is_read_back(me: str, on: int):
    sock = pair(me=me).me.socket()
    assert sock.getsockopt(SOL, so.SO_LINGER) == (0, 0)
    sock.setsockopt(SOL, so.SO_LINGER, struct.pack("ii", 1, 20))
    assert sock.getsockopt(SOL, so.SO_LINGER) == (on, 20)
    assert sock.getsockopt(SOL, so.SO_LINGER, 8) == struct.pack("ii", on, 20)
    sock.setsockopt(SOL, so.SO_LINGER, (0, 20))
    assert sock.getsockopt(SOL, so.SO_LINGER) == (0, 0)
    if on == 128:
        fails(errno.EDOM, sock.setsockopt, SOL, so.SO_LINGER, (1, 65536))


def test_linger_off_close_returns_at_once_and_the_data_goes():
    both = pair()
    client, conn = both.connect()
    before = both.net.now
    client.send(b"last words")
    client.close()
    assert both.net.now == before
    assert conn.recv(100) == b"last words"
    assert conn.recv(100) == b""


def test_linger_0_close_resets():
    both = pair()
    client, conn = both.connect()
    client.setsockopt(SOL, so.SO_LINGER, (1, 0))
    client.send(b"lost words")
    client.close()
    assert both.me.tcp_states() == {}
    conn.settimeout(1)
    assert conn.recv(100) == b"lost words"  # RFC 9293 leaves it open; this profile keeps data
    fails(errno.ECONNRESET, conn.recv, 100)


def test_linger_close_waits_for_the_peer():
    both = pair()
    client, _ = both.connect()
    client.setsockopt(SOL, so.SO_LINGER, (1, 30))
    client.send(bytes(10_000))
    before = both.net.now
    client.close()
    assert 10_000_000 <= both.net.now - before < SECOND
    assert both.me.tcp_states() == {"FIN_WAIT_2": 1}


@pytest.mark.parametrize(("me", "said"), [("freebsd-10", True), ("linux-6", False)])
def test_linger_close_of_what_nobody_acknowledges_ends_in_time(me: str, said: bool):
    both = pair(me=me)
    client, _ = both.connect()
    client.setsockopt(SOL, so.SO_LINGER, (1, 3))
    both.link.partition()
    client.send(b"x")
    before = both.net.now
    if said:
        fails(errno.EAGAIN, client.close)
    else:
        client.close()
    assert both.net.now - before == 3 * SECOND
    assert client.closed
    assert both.me.tcp_states() == {"FIN_WAIT_1": 1}


def test_linger_close_of_a_socket_that_does_not_block_does_not_wait():
    both = pair()
    client, _ = both.connect()
    client.setsockopt(SOL, so.SO_LINGER, (1, 3))
    client.setblocking(False)
    before = both.net.now
    client.close()
    assert both.net.now == before


def segments(both: object) -> int:
    return both.me.stats["sndpack"]  # type: ignore[attr-defined]


def test_nodelay_sends_small_pieces_at_once():
    for nodelay in (0, 1):
        both = pair()
        client, _ = both.connect()
        client.setsockopt(TCP, so.TCP_NODELAY, nodelay)
        for _ in range(5):
            client.send(b"x")
        assert segments(both) == (5 if nodelay else 1)


@pytest.mark.parametrize("option", [so.TCP_CORK, so.TCP_NOPUSH])
def test_a_cork_holds_short_segments_until_it_is_pulled(option: int):
    both = pair()
    client, conn = both.connect()
    client.setsockopt(TCP, option, 1)
    client.send(b"head ")
    client.send(b"body")
    assert segments(both) == 0
    client.setsockopt(TCP, option, 0)
    assert segments(both) == 1
    assert conn.recv(100) == b"head body"


def test_msg_more_is_a_cork_for_one_call():
    both = pair()
    client, conn = both.connect()
    client.send(b"head ", MSG_MORE)
    assert segments(both) == 0
    client.send(b"body")
    assert segments(both) == 1
    assert conn.recv(100) == b"head body"


def test_keepalive_drops_a_vanished_peer():
    both = pair()
    client, _ = both.connect()
    client.setsockopt(SOL, so.SO_KEEPALIVE, 1)
    client.setsockopt(TCP, so.TCP_KEEPIDLE, 60)
    client.setsockopt(TCP, so.TCP_KEEPINTVL, 10)
    client.setsockopt(TCP, so.TCP_KEEPCNT, 3)
    both.link.partition()
    begin = both.net.now
    fails(errno.ETIMEDOUT, client.recv, 1)
    assert (both.net.now - begin) / SECOND == pytest.approx(60 + 3 * 10, abs=1)
    assert both.me.stats["keepprobe"] == 3


def test_keepalive_can_be_switched_off_again():
    both = pair()
    client, _ = both.connect()
    client.setsockopt(TCP, so.TCP_KEEPIDLE, 60)
    client.setsockopt(SOL, so.SO_KEEPALIVE, 1)
    client.setsockopt(SOL, so.SO_KEEPALIVE, 0)
    both.link.partition()
    both.net.run(for_="1h")
    assert both.me.tcp_states() == {"ESTABLISHED": 1}
    assert both.me.stats["keepprobe"] == 0


def test_the_user_timeout_ends_a_connection_whose_data_is_not_acknowledged():
    both = pair()
    client, _ = both.connect()
    client.setsockopt(TCP, so.TCP_USER_TIMEOUT, 10_000)
    both.link.partition()
    client.send(b"x")
    begin = both.net.now
    fails(errno.ETIMEDOUT, client.recv, 1)
    assert 10 <= (both.net.now - begin) / SECOND < 25


def test_maxseg_limits_segments():
    both = pair(offload=False)
    client = both.me.socket()
    client.setsockopt(TCP, so.TCP_MAXSEG, 600)
    client.connect(SERVER)
    assert client.getsockopt(TCP, so.TCP_MAXSEG) == 600 - 12
    tap_sizes: list[int] = []
    both.link.backward.wire.tap = lambda ns, packet, reason: tap_sizes.append(packet.length)
    client.send(bytes(3000))
    both.net.run(for_="1s")
    assert max(tap_sizes) == 600 - 12
    assert sum(tap_sizes) == 3000


def test_ttl_and_tos_are_in_the_packets():
    both = pair()
    client, _ = both.connect()
    client.setsockopt(IP, so.IP_TTL, 7)
    client.setsockopt(IP, so.IP_TOS, 0x10)
    seen: list[tuple[int, int]] = []
    both.link.backward.wire.tap = lambda ns, packet, reason: seen.append((packet.ttl, packet.tos))
    client.send(b"x")
    assert seen == [(7, 0x10)]


@pytest.mark.parametrize(
    ("me", "names"), [("linux-6", ("cubic", "reno")), ("freebsd-14", ("cubic", "newreno"))]
)
def test_congestion_control_by_name(me: str, names: tuple[str, str]):
    sock = pair(me=me).me.socket()
    assert sock.getsockopt(TCP, so.TCP_CONGESTION) == names[0]
    sock.setsockopt(TCP, so.TCP_CONGESTION, names[1])
    assert sock.getsockopt(TCP, so.TCP_CONGESTION) == names[1]
    assert sock.getsockopt(TCP, so.TCP_CONGESTION, 16) == names[1].encode().ljust(16, b"\0")
    sock.setsockopt(TCP, so.TCP_CONGESTION, b"cubic\0")
    assert sock.getsockopt(TCP, so.TCP_CONGESTION) == "cubic"
    unknown = errno.ENOENT if me == "linux-6" else errno.ESRCH
    fails(unknown, sock.setsockopt, TCP, so.TCP_CONGESTION, "bbr")


@pytest.mark.parametrize(("me", "states"), [("freebsd-10", (0, 4, 9)), ("linux-6", (7, 1, 5))])
def test_tcp_info(me: str, states: tuple[int, int, int]):
    both = pair(me=me)
    assert both.me.socket().getsockopt(TCP, so.TCP_INFO).tcpi_state == states[0]
    client, conn = both.connect()
    client.send(bytes(5000))
    conn.recv(5000)
    both.net.run(for_="1s")
    info = client.getsockopt(TCP, so.TCP_INFO)
    assert info.tcpi_state == states[1]
    assert info.tcpi_snd_mss == 1448
    assert 9_900 <= info.tcpi_rtt < 20_000
    assert info.tcpi_rto >= 200_000
    assert info.tcpi_unacked == 0
    assert info.tcpi_snd_wscale == 6
    assert info.tcpi_last_data_sent in range(1000, 1010)
    assert len(client.getsockopt(TCP, so.TCP_INFO, 1000)) == 4 * len(fields(TcpInfo))
    client.shutdown(std.SHUT_WR)
    both.net.run(for_="1s")
    assert client.getsockopt(TCP, so.TCP_INFO).tcpi_state == states[2]


@pytest.mark.parametrize(("seconds", "left"), [(-1, 0.1), (5, 5), (0, 60)])
def test_linger2_bounds_fin_wait_2_of_a_closed_socket(seconds: int, left: float):
    both = pair()
    client, _ = both.connect()
    if seconds:
        client.setsockopt(TCP, so.TCP_LINGER2, seconds)
    assert client.getsockopt(TCP, so.TCP_LINGER2) == (seconds or 60)
    client.close()
    both.net.run(until=lambda: both.me.tcp_states()["FIN_WAIT_2"] == 1 or not both.me.tcp_states())
    begin = both.net.now
    both.net.run(until=lambda: not both.me.tcp_states(), for_="100s")
    assert (both.net.now - begin) / SECOND == pytest.approx(left, abs=0.2)


def test_children_inherit_from_their_listener():
    both = pair()
    both.listener.setsockopt(TCP, so.TCP_NODELAY, 1)
    both.listener.setsockopt(SOL, so.SO_RCVBUF, 20_000)
    both.listener.setsockopt(SOL, so.SO_LINGER, (1, 7))
    both.listener.setsockopt(IP, so.IP_TTL, 11)
    _, conn = both.connect()
    assert conn.getsockopt(TCP, so.TCP_NODELAY) == 4  # TF_NODELAY
    assert conn.getsockopt(SOL, so.SO_RCVBUF) == 14 * 1460  # whole segments from there on
    assert conn.getsockopt(SOL, so.SO_LINGER) == (128, 7)
    assert conn.getsockopt(IP, so.IP_TTL) == 11


def test_reuseaddr_binds_beside_time_wait():
    both = pair()
    client, conn = both.connect()
    conn.close()
    client.close()
    both.listener.close()
    both.net.run(for_="1s")
    assert both.web.tcp_states() == {"TIME_WAIT": 1}
    again = both.web.socket()
    fails(errno.EADDRINUSE, again.bind, ("", 80))
    again.setsockopt(SOL, so.SO_REUSEADDR, 1)
    again.bind(("", 80))


def test_the_urgent_octet_is_read_on_its_own():
    both = pair()
    client, conn = both.connect()
    seen: list[tuple[bool, int]] = []
    both.link.backward.wire.tap = lambda ns, packet, reason: seen.append(
        (bool(packet.flags & 32), packet.urg)
    )
    fails(errno.EINVAL, conn.recv, 1, MSG_OOB)
    assert client.send(b"abc!", MSG_OOB) == 4
    assert seen == [(True, 4)]
    assert client.send(b"def") == 3
    both.net.run(for_="1s")
    assert conn.recv(1, MSG_OOB | MSG_PEEK) == b"!"
    assert conn.recv(1, MSG_OOB) == b"!"
    fails(errno.EINVAL, conn.recv, 1, MSG_OOB)
    assert conn.recv(10, MSG_PEEK) == b"abc"
    assert conn.recv(2) == b"ab"
    assert conn.recv(10) == b"c"  # a read stops where the urgent octet was
    assert conn.recv(10) == b"def"


def test_the_urgent_octet_stays_in_the_stream_where_that_is_asked_for():
    both = pair()
    client, conn = both.connect()
    conn.setsockopt(SOL, so.SO_OOBINLINE, 1)
    assert client.send(b"abc!", MSG_OOB) == 4
    assert conn.recv(10) == b"abc"
    assert conn.recv(10) == b"!"
    fails(errno.EINVAL, conn.recv, 1, MSG_OOB)


def test_urgent_data_that_is_announced_and_not_here():
    """The first segment is lost; the second announces an octet that follows it."""
    both = pair()
    client, conn = both.connect()
    client.setsockopt(so.IPPROTO_TCP, so.TCP_NODELAY, 1)
    both.link.backward.loss = 1.0
    assert client.send(b"ab!", MSG_OOB) == 3
    both.net.run(for_="1ms")
    both.link.backward.loss = 0
    assert client.send(b"cd") == 2
    both.net.run(for_="8ms")  # it has arrived, and its answer not yet
    fails(errno.EINVAL, conn.recv, 1, MSG_OOB)  # the pointer was in the segment that was lost
    both.net.run(for_="5s")
    assert conn.recv(1, MSG_OOB) == b"!"
    assert conn.recv(10) == b"ab"
    assert conn.recv(10) == b"cd"


def test_one_urgent_octet_alone():
    both = pair()
    client, conn = both.connect()
    assert client.send(b"!", MSG_OOB) == 1
    both.net.run(for_="1s")
    conn.setblocking(False)
    fails(errno.EAGAIN, conn.recv, 10)
    assert conn.recv(1, MSG_OOB) == b"!"
    both.net.run(for_="1s")
    assert client.send(b"x") == 1
    both.net.run(for_="1s")
    assert conn.recv(10) == b"x"


def test_quickack_sends_what_is_owed_and_delays_no_more():
    both = pair(web="linux-6")
    client, conn = both.connect()
    acks: list[int] = []
    both.link.forward.wire.tap = lambda ns, packet, reason: acks.append(ns)
    conn.setsockopt(so.IPPROTO_TCP, so.TCP_QUICKACK, 0)
    client.send(b"x")
    both.net.run(for_="12ms")
    assert not acks, "it is delayed"
    assert conn.recv(10) == b"x"
    assert not acks, "the answer may carry it"
    conn.setsockopt(so.IPPROTO_TCP, so.TCP_QUICKACK, 1)
    both.net.run(for_="0s")
    assert len(acks) == 1, "it is not"
    assert conn.getsockopt(so.IPPROTO_TCP, so.TCP_QUICKACK)


# --- options of Linux that TCP itself knows little of -----------------------------------------------


def test_what_a_socket_keeps_its_children_have():
    both = pair(web="linux-6", me="linux-6")
    priority = linux_options.NUMBERS["SO_PRIORITY"]
    both.listener.setsockopt(SOL, priority, 3)
    client = both.me.socket()
    client.connect(SERVER)
    conn, _ = both.listener.accept()
    assert conn.getsockopt(SOL, priority) == 3
    conn.setsockopt(SOL, priority, 5)
    assert both.listener.getsockopt(SOL, priority) == 3


def test_options_of_linux_are_unknown_elsewhere():
    sock = pair(me="freebsd-14").me.socket()
    for level, name in ((IP, "IP_MTU_DISCOVER"), (TCP, "TCP_SAVE_SYN"), (SOL, "SO_PRIORITY")):
        number = linux_options.NUMBERS[name]
        fails(errno.ENOPROTOOPT, sock.setsockopt, level, number, 1)
        fails(errno.ENOPROTOOPT, sock.getsockopt, level, number)
