"""Small requirements of RFC 9293 and its neighbours that no bigger trace shows; docs/sources.md names each."""

import socket as std
import struct

import pytest
from fuzz import octets
from tcp.peer import PROFILES, THEM, US, Machine, opened

import pystack
from pystack._fast import consts, opening
from pystack._fast.consts import Err


def full(profile, segments=10, **knobs):
    """A connection that has sent `segments` of 1460 octets, none acknowledged."""
    m, p, t = opened(profile, win=65535, rtt=0.1, **knobs)
    m.write(t, segments * 1460)
    for i in range(segments):
        p.expect(
            f"{'P.' if i == segments - 1 else '.'} {1 + i * 1460}:{1461 + i * 1460}(1460) ack 1"
        )
    return m, p, t


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_inside_of_a_shrunken_window_is_sent_again(profile):
    """SHLD-16, SHLD-15: SND.UNA to SND.UNA + SND.WND on a timeout, nothing beyond."""
    _m, p, _t = full(profile)
    p.send(". 1:1(0) ack 1 win 1460")
    p.expect(". 1:1461(1460) ack 1", within=4)
    p.send(". 1:1(0) ack 1461 win 1460", wait=0.1)
    p.expect(". 1461:2921(1460) ack 1")
    p.quiet(0.01)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_window_that_shrinks_to_zero_is_probed(profile):
    """MUST-35: with data beyond it outstanding, which is sent again once it opens."""
    m, p, t = full(profile)
    p.send(". 1:1(0) ack 1461 win 0", wait=0.1)
    for _ in range(4):
        s = p.next(70)
        assert len(s.payload) <= 1460
        p.send(". 1:1(0) ack 1461 win 0")
    assert t.row
    p.inbox.clear()
    p.send(". 1:1(0) ack 1461 win 65535", wait=1)
    acked = 1461
    for _ in range(40):
        m.run(5, stop=lambda: bool(p.inbox))
        while p.inbox:
            s = p.inbox.popleft()
            if p.theirs(s.seq) <= acked:
                acked = max(acked, p.theirs(s.seq) + len(s.payload))
        p.send(f". 1:1(0) ack {acked} win 65535", wait=0.1)
        if acked == 14601:
            break
    assert acked == 14601
    assert t.snd_una == t.snd_max


@pytest.mark.parametrize("profile", PROFILES)
def test_a_shut_receiver_still_hears_acks_urgent_pointers_and_resets(profile):
    """MUST-66. Linux drops a segment that does not fit with its ACK, since 6.17."""
    m, p, t = opened(profile, tcp_recvbuf_auto=0)
    at = p.fill(t)
    m.run(0.3)
    assert p.inbox[-1].win == 0
    m.write(t, 100)
    p.send(f". {at}:{at}(0) ack 101 win 65535")
    assert t.snd_una == t.snd_max, "the ACK counted"
    m.write(t, 100)
    if profile == "linux-6":  # nothing beyond the window is looked at while data waits to be read
        p.send(f"PU. {at}:{at + 1}(1) ack 201 win 65535 urg 50")
        assert t.snd_una != t.snd_max
        p.send(f"U. {at}:{at}(0) ack 201 win 65535 urg 50")
    else:
        p.send(f"PU. {at}:{at + 1}(1) ack 201 win 65535 urg 50")
    assert t.snd_una == t.snd_max, "also that of a probe whose octet is not taken"
    assert p.mine(t.rcv_nxt) == at
    p.send(f"R {at}:{at}(0)")
    assert t.so_error == Err.ECONNRESET


def network(profile="freebsd-14", **settings):
    net = pystack.Network(seed=3)
    web = net.host("web", "192.0.2.1/24", profile=profile)
    tap = net.tap("192.0.2.2/24")
    net.link(web, tap, **settings)
    return net, web, tap


def connected():
    """A socket of a machine, connected to a tap that answers its SYN: (net, socket, tap)."""
    net, web, tap = network()
    sock = web.socket()
    sock.setblocking(False)
    sock.connect_ex(("192.0.2.2", 80))
    net.run(for_="1ms")
    syn = tap.received[-1][1]
    port, _, seq = struct.unpack_from(">HHI", syn, 20)
    answer = octets.tcp(
        sport=80, dport=port, seq=1000, ack=(seq + 1) & 0xFFFFFFFF, flags=0x12, src=THEM, dst=US
    )
    tap.send(octets.ip(answer, octets.TCP, src=THEM, dst=US))
    net.run(for_="1ms")
    tap.received.clear()
    return net, sock, tap


def test_the_urgent_pointer_is_the_octet_after_the_urgent_data():
    """MUST-62."""
    net, sock, tap = connected()
    assert sock.send(b"abc", std.MSG_OOB) == 3
    net.run(for_="1ms")
    data = tap.received[-1][1]
    assert data[33] & 0x20, "URG"
    assert struct.unpack_from(">H", data, 38) == (3,)
    assert data[-3:] == b"abc"


def test_ttl_and_type_of_service_are_the_applications():
    """MUST-49, MUST-48, SHLD-21 (also later), SHLD-22."""
    net, sock, tap = connected()
    for ttl, tos in ((9, 0x28), (200, 0xB8)):
        sock.setsockopt(std.IPPROTO_IP, std.IP_TTL, ttl)
        sock.setsockopt(std.IPPROTO_IP, std.IP_TOS, tos)
        sock.setsockopt(std.IPPROTO_TCP, std.TCP_NODELAY, 1)
        sock.send(b"x")
        net.run(for_="1ms")
        data = tap.received[-1][1]
        assert (data[8], data[1]) == (ttl, tos)


def test_keep_alive_times_are_the_applications():
    """MUST-24, MUST-27."""
    net, sock, tap = connected()
    sock.setsockopt(std.SOL_SOCKET, std.SO_KEEPALIVE, 1)
    for name, value in ((std.TCP_KEEPIDLE, 10), (std.TCP_KEEPINTVL, 3), (std.TCP_KEEPCNT, 2)):
        sock.setsockopt(std.IPPROTO_TCP, name, value)
    begin = net.now
    net.run(for_="60s")
    seconds = [round((ns - begin) / 1e9) for ns, data in tap.received if not data[33] & 4]
    assert seconds == [10, 13]
    with pytest.raises(TimeoutError):
        sock.recv(1)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_connection_to_addresses_that_are_no_host(profile):
    """MUST-46."""
    for address in (0xFFFFFFFF, 0xC00002FF, 0xE0000001, 0xF0000001):
        m = Machine(profile)
        t = m.socket()
        answer = m.call(opening.tcp_connect, t, address, 80)
        assert answer in (-Err.EACCES, -Err.EAFNOSUPPORT, -Err.ENETUNREACH)
        assert not m.other
        assert t.state == consts.CLOSED


@pytest.mark.parametrize("profile", PROFILES)
def test_a_listener_leaves_connections_alone(profile):
    """MUST-41: neither one that listens later on the same port nor one that closes."""
    m, p, t = opened(profile)
    other = m.listen(8080)
    q = m.peer(5000, 8080)
    u = q.passive(other)
    m.close(other)
    for peer, sock in ((p, t), (q, u)):
        m.write(sock, 10)
        peer.expect("P. 1:11(10) ack 1")
        assert sock.state == consts.ESTABLISHED


@pytest.mark.parametrize("profile", PROFILES)
def test_a_reset_may_carry_data(profile):
    """SHLD-2: which is not read."""
    _m, p, t = opened(profile)
    p.send("R 1:21(20)")
    assert t.so_error == Err.ECONNRESET
    assert t.rcvq.cc == 0


def test_the_isn_is_keyed():
    """SHLD-1, MUST-9: other addresses or another key, other numbers; the same again, the clock apart."""
    core = Machine("freebsd-14", seed=1).core
    numbers = {core.new_isn(US, 1025, THEM, port) for port in range(1, 2000)}
    assert len(numbers) > 1990
    steps = {
        (core.new_isn(US, 1025, THEM, p + 1) - core.new_isn(US, 1025, THEM, p)) % 2**32
        for p in range(1, 500)
    }
    assert len(steps) > 490, "no pattern between neighbours"
    assert core.new_isn(US, 1025, THEM, 7) == core.new_isn(US, 1025, THEM, 7)
    assert core.new_isn(US, 1025, THEM, 7) != Machine("freebsd-14", seed=2).core.new_isn(
        US, 1025, THEM, 7
    )


def test_the_timestamp_clock_is_milliseconds_from_a_keyed_start():
    """RFC 7323 section 5.4."""
    m, _p, t = opened("freebsd-14", "ts")
    before = m.core.ts_clock(t)
    m.run(12.5)
    m.core.settle(m.now)
    assert (m.core.ts_clock(t) - before) % 2**32 in (12_499, 12_500, 12_501)
    assert m.core.new_ts_offset(US, THEM) != m.core.new_ts_offset(US, THEM + 1)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_window_that_is_not_used_does_not_grow(profile):
    """RFC 7661: an application that sends little at a time proves nothing about the way."""
    m, p, t = opened(profile, rtt=0.05, tcp_newcwv=1)
    cwnd = t.cwnd
    at = 1
    for _ in range(50):
        m.write(t, 100)
        p.expect(f"P. {at}:{at + 100}(100) ack 1")
        at += 100
        p.send(f". 1:1(0) ack {at} win 65535", wait=0.05)
    assert t.cwnd <= cwnd


@pytest.mark.parametrize("profile", PROFILES)
def test_duplicates_that_the_peer_reports_are_counted(profile):
    """RFC 2883 section 5: a block below the ACK; it starts no recovery."""
    m, p, t = opened(profile, "sack", rtt=0.1)
    m.write(t, 4 * 1460)
    for _ in range(4):
        p.next()
    p.send(". 1:1(0) ack 2921 win 65535 <nop,nop,sack 1:1461>", wait=0.1)
    assert m.stat("dsack_rcv") == 1
    assert m.stat("sndrexmitpack") == 0
    assert t.board is None or t.board.n == 0


def test_a_black_hole_gets_smaller_segments():
    """RFC 2923 section 2.1, net.inet.tcp.pmtud_blackhole_detection: after two timeouts, without DF."""
    m, p, t = opened("freebsd-14", rtt=0.1, tcp_blackhole_detection=1, tcp_blackhole_mss=1200)
    m.write(t, 2920)
    sizes = []
    for _ in range(5):
        s = p.next(10)
        sizes.append((len(s.payload), s.df))
    assert sizes[:3] == [(1460, True)] * 3
    assert sizes[3] == (1200, False)
    assert m.stat("pmtud_activated") == 1


def test_a_router_says_what_it_cannot_do():
    """RFC 792 unreachable, RFC 1191 section 4: no route; too big for the next network, with its MTU."""
    net = pystack.Network(seed=5)
    router = net.host("r", ["192.0.2.1/24", "198.51.100.1/24"], profile="linux-6", forwarding=True)
    router.core.interfaces[1].mtu = 1000
    left, right = net.tap("192.0.2.2/24"), net.tap("198.51.100.2/24")
    net.link(router, left)
    net.link(router, right)
    far = 0xC6336402

    def send(dst, size, df):
        left.received.clear()
        right.received.clear()
        datagram = octets.udp(bytes(size), src=THEM, dst=dst)
        left.send(octets.ip(datagram, octets.UDP, src=THEM, dst=dst, df=df))
        net.run(for_="1ms")
        return [data for _, data in left.received], [data for _, data in right.received]

    back, on = send(0x08080808, 10, False)
    assert [(d[20], d[21]) for d in back] == [(3, 0)]
    assert on == []
    back, on = send(far, 1100, True)
    assert [(d[20], d[21], struct.unpack_from(">H", d, 26)[0]) for d in back] == [(3, 4, 1000)]
    assert on == []
    back, on = send(far, 1100, False)
    assert back == []
    assert [len(d) <= 1000 for d in on] == [True, True]


def test_icmp_errors_are_limited_in_rate():
    """RFC 1812 section 4.3.2.8; net.inet.icmp.icmplim."""
    m = Machine("freebsd-14", icmp_icmplim=10)
    for i in range(30):
        m.inject(
            octets.ip(
                octets.udp(b"x", dport=5000 + i, src=THEM, dst=US), octets.UDP, src=THEM, dst=US
            )
        )
    assert len(m.other) == 10
    m.run(1.1)
    m.core.settle(m.now)
    m.inject(octets.ip(octets.udp(b"x", src=THEM, dst=US), octets.UDP, src=THEM, dst=US))
    assert len(m.other) == 11


def pair():
    net = pystack.Network(seed=9)
    a, b = (net.host(name, f"192.0.2.{i}/24") for i, name in enumerate("ab", 1))
    net.link(a, b, delay="1ms")
    return net, a, b


def test_the_most_exact_datagram_socket_gets_it():
    """RFC 1122 section 4.1.3.5."""
    net, a, b = pair()
    socks = [b.socket(std.SOCK_DGRAM) for _ in range(3)]
    for sock in socks:
        sock.setsockopt(std.SOL_SOCKET, std.SO_REUSEPORT, 1)
        sock.setblocking(False)
    socks[2].bind(("192.0.2.2", 53))
    socks[2].connect(("192.0.2.1", 1000))
    socks[1].bind(("192.0.2.2", 53))
    socks[0].bind(("", 53))
    friend, stranger = a.socket(std.SOCK_DGRAM), a.socket(std.SOCK_DGRAM)
    friend.bind(("", 1000))
    for sock, expected in ((friend, 2), (stranger, 1)):
        sock.sendto(b"?", ("192.0.2.2", 53))
        net.run(for_="10ms")
        assert [s.readable() for s in socks] == [i == expected for i in range(3)]
        assert socks[expected].recv(10) == b"?"


def test_port_unreachable_reaches_a_connected_datagram_socket():
    """RFC 1122 section 4.1.3.3."""
    _net, a, _b = pair()
    sock = a.socket(std.SOCK_DGRAM)
    sock.connect(("192.0.2.2", 9))
    sock.send(b"anybody?")
    with pytest.raises(ConnectionRefusedError):
        sock.recv(10)
