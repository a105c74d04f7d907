"""Signals from the network: ECN (RFC 3168), ICMP errors (RFC 1122 section 4.2.3.9), path MTU (RFC 1191)."""

import struct

import pytest
from fuzz import octets
from tcp.peer import PROFILES, THEM, US, Machine, opened, pattern

from pystack._fast.consts import CLOSED, NEVER, Err

CWR, ECE = 128, 64


def icmp(m, p, kind, code, seq, rest=0, src=THEM):
    """An ICMP error about the machine's segment at script number `seq`."""
    inner = octets.tcp(
        sport=p.local, dport=p.port, seq=(seq + (p.their_isn or 0)) & 0xFFFFFFFF, src=US, dst=THEM
    )
    quoted = octets.ip(inner, octets.TCP, src=US, dst=THEM, total=1500)[:28]
    m.inject(octets.ip(octets.icmp(kind, code, rest, quoted), octets.ICMP, src=src, dst=US))


@pytest.mark.parametrize("profile", PROFILES)
def test_ecn_is_agreed_when_asked_for(profile):
    """ecn.enable 2: the answer has ECE alone."""
    m = Machine(profile)
    listener = m.listen()
    p = m.peer()
    p.send("SEW 0:0(0) win 65535 <mss 1460>")
    p.expect("SE. 0:0(0) ack 1")
    p.send(". 1:1(0) ack 1 win 65535")
    t = m.accept(listener)
    m.write(t, 100)
    p.expect("P. 1:101(100) ack 1", tos=2)
    p.send("P. 1:101(100) ack 101 win 65535", tos=3)
    p.expect("E. 101:101(0) ack 101", within=0.2, tos=0)
    p.send("P. 101:201(100) ack 101 win 65535", tos=2)
    s = p.next(0.2)
    assert s.flags & ECE, "until CWR comes"
    p.send("PW. 201:301(100) ack 101 win 65535", tos=2)
    p.send("P. 301:401(100) ack 101 win 65535", tos=2)
    m.run(0.3)
    assert not p.inbox[-1].flags & ECE


@pytest.mark.parametrize("profile", PROFILES)
def test_ecn_off(profile):
    m = Machine(profile, tcp_ecn=0)
    m.listen()
    p = m.peer()
    p.send("SEW 0:0(0) win 65535 <mss 1460>")
    p.expect("S. 0:0(0) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
def test_ecn_asked_for(profile):
    m = Machine(profile, tcp_ecn=1)
    t = m.connect(80)
    p = m.peer_of(t)
    p.expect("SEW 0:0(0) win " + str(p.inbox[0].win), tos=0)
    p.send("SE. 0:0(0) ack 1 win 65535 <mss 1460>", wait=0.1)
    p.expect(". 1:1(0) ack 1")
    for i in range(10):
        m.write(t, 1460)
        p.expect(f"P. {1 + 1460 * i}:{1461 + 1460 * i}(1460) ack 1", tos=2)
    cwnd = t.cwnd
    p.send("E. 1:1(0) ack 1461 win 65535", wait=0.1)
    assert t.ssthresh < cwnd
    less = t.ssthresh
    p.send("E. 1:1(0) ack 2921 win 65535")
    assert t.ssthresh == less, "once a window (section 6.1.2)"
    p.send(". 1:1(0) ack 14601 win 65535")
    m.write(t, 1460)
    s = p.next(0)
    assert s.flags & CWR
    m.write(t, 1460)
    p.send(". 1:1(0) ack 16061 win 65535")
    assert not p.next(0).flags & CWR


@pytest.mark.parametrize("profile", PROFILES)
def test_ecn_refused_by_the_peer(profile):
    m = Machine(profile, tcp_ecn=1)
    t = m.connect(80)
    p = m.peer_of(t)
    p.next(0)
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460>")
    p.next(0)
    m.write(t, 100)
    p.expect("P. 1:101(100) ack 1", tos=0)


def test_second_syn_is_without_ecn():
    """RFC 3168 section 6.1.1.1: a path that drops such SYNs."""
    m = Machine("freebsd-14", tcp_ecn=1)
    t = m.connect(80)
    p = m.peer_of(t)
    assert p.next(0).flags == 2 | ECE | CWR
    seen = [p.next(10).flags for _ in range(4)]
    assert seen[-1] == 2


@pytest.mark.parametrize("profile", PROFILES)
def test_retransmissions_are_not_ect(profile):
    """RFC 3168 section 6.1.5."""
    m = Machine(profile)
    listener = m.listen()
    p = m.peer()
    p.send("SEW 0:0(0) win 65535 <mss 1460>")
    p.next(0)
    p.send(". 1:1(0) ack 1 win 65535", wait=0.1)
    t = m.accept(listener)
    m.write(t, 100)
    p.expect("P. 1:101(100) ack 1", tos=2)
    p.expect("P. 1:101(100) ack 1", within=4, tos=0)


@pytest.mark.parametrize("profile", PROFILES)
def test_fragmentation_needed(profile):
    """RFC 1191: the segment goes again, smaller; later ones too."""
    m, p, t = opened(profile, rtt=0.1)
    m.write(t, 2920)
    p.expect(". 1:1461(1460) ack 1")
    p.expect("P. 1461:2921(1460) ack 1")
    icmp(m, p, 3, 4, 1, 1000)
    assert t.maxseg == 960
    p.expect(". 1:961(960) ack 1")
    at = 961
    while at < 2921:
        p.send(f". 1:1(0) ack {at} win 65535", wait=0.1)
        while p.inbox:
            s = p.inbox.popleft()
            assert len(s.payload) <= 960
            at = max(at, p.theirs(s.seq) + len(s.payload))
    p.send(". 1:1(0) ack 2921 win 65535")
    p.quiet(10)


@pytest.mark.parametrize("seq", [0, 2921, 4294967000, 100000])
def test_fragmentation_needed_for_what_was_not_sent(seq):
    """The quoted sequence number must be of something on its way."""
    m, p, t = opened(rtt=0.1)
    m.write(t, 2920)
    p.inbox.clear()
    icmp(m, p, 3, 4, seq, 600)
    assert t.maxseg == 1460
    p.quiet()


@pytest.mark.parametrize("mtu", [0, 1, 68, 255])
def test_mtu_lies(mtu):
    """No MTU: the next plateau. A silly one: not below the smallest segment (net.inet.tcp.minmss)."""
    m, p, t = opened(rtt=0.1)
    m.write(t, 1460)
    p.inbox.clear()
    icmp(m, p, 3, 4, 1, mtu)
    assert t.maxseg == (1492 - 40 if mtu == 0 else 216)
    assert t.snd_una != t.snd_max


def test_mtu_above_changes_nothing():
    m, p, t = opened(rtt=0.1)
    m.write(t, 1460)
    p.inbox.clear()
    icmp(m, p, 3, 4, 1, 9000)
    assert t.maxseg == 1460
    p.quiet()


@pytest.mark.parametrize(
    ("kind", "code"), [(3, 0), (3, 1), (3, 2), (3, 3), (3, 5), (11, 0), (12, 0), (4, 0)]
)
@pytest.mark.parametrize("profile", PROFILES)
def test_no_icmp_ends_a_connection(profile, kind, code):
    """MUST-56, MUST-55."""
    m, p, t = opened(profile)
    m.write(t, 100)
    p.next(0)
    icmp(m, p, kind, code, 1)
    p.send(". 1:1(0) ack 101 win 65535")
    assert t.snd_una == t.snd_max
    assert t.so_error == 0


@pytest.mark.parametrize(("code", "error"), [(0, Err.EHOSTUNREACH), (1, Err.EHOSTUNREACH)])
def test_soft_error_is_the_reason_of_a_timeout(code, error):
    m = Machine("freebsd-14")
    t = m.connect(80)
    p = m.peer_of(t)
    p.next(0)
    p.their_isn = t.iss
    icmp(m, p, 3, code, 0)
    m.run(100)
    assert t.so_error == error


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [
        (3, 0, Err.ENETUNREACH),
        (3, 1, Err.EHOSTUNREACH),
        (3, 2, Err.ENOPROTOOPT),
        (3, 3, Err.ECONNREFUSED),
        (3, 7, Err.EHOSTDOWN),
        (3, 8, Err.ENONET),
        (3, 13, Err.EHOSTUNREACH),
        (3, 15, Err.EHOSTUNREACH),
        (3, 16, None),
        (11, 0, Err.EHOSTUNREACH),
        (12, 0, Err.EPROTO),
        (4, 0, None),
    ],
)
def test_any_error_ends_connect_on_linux(kind, code, error):
    m = Machine("linux-6")
    t = m.connect(80)
    p = m.peer_of(t)
    p.next(0)
    p.their_isn = t.iss
    icmp(m, p, kind, code, 0)
    assert t.so_error == (error or 0)
    assert (t.state == CLOSED) == (error is not None)


@pytest.mark.parametrize(("code", "earlier"), [(0, True), (1, True), (2, False), (3, False)])
def test_an_unreachable_network_takes_a_doubling_back(code, earlier):
    """RFC 6069 section 3, on Linux: the timer ran out for want of a way, not for congestion."""
    m, p, t = opened("linux-6")
    m.write(t, 100)
    p.next(0)
    p.next()
    m.run(0.1)
    waits, shift = t.rxtcur, t.rxtshift
    assert shift == 1
    icmp(m, p, 3, code, 1)
    assert (t.rxtshift, t.rxtcur) == ((0, waits // 2) if earlier else (1, waits))


@pytest.mark.parametrize("code", [2, 3])
def test_hard_error_in_syn_sent(code):
    m = Machine("freebsd-14")
    t = m.connect(80)
    p = m.peer_of(t)
    p.next(0)
    icmp(m, p, 3, code, 5)
    assert t.row, "a quoted number that was not sent"
    icmp(m, p, 3, code, 0)
    assert t.so_error == Err.ECONNREFUSED
    m.assert_clean()


def test_ping():
    m = Machine()
    body = bytes(range(200))
    m.inject(
        octets.ip(octets.icmp(8, 0, 0x12340001, body), octets.ICMP, src=THEM, dst=US, tos=0x10)
    )
    _, data = m.other.popleft()
    assert data[9] == 1
    assert data[20] == 0
    assert octets.checksum(data[20:]) == 0
    assert data[24:] == struct.pack(">I", 0x12340001) + body
    m.assert_clean()


def test_udp_port_unreachable():
    m = Machine()
    datagram = octets.ip(octets.udp(b"hello", src=THEM, dst=US), octets.UDP, src=THEM, dst=US)
    m.inject(datagram)
    _, data = m.other.popleft()
    assert (data[9], data[20], data[21]) == (1, 3, 3)
    assert data[28:56] == datagram[:28]
    m.assert_clean()


def test_no_error_about_an_error_or_a_broadcast():
    m = Machine()
    inner = octets.ip(octets.udp(b"x", src=US, dst=THEM), octets.UDP, src=US, dst=THEM)
    m.inject(octets.ip(octets.icmp(3, 3, 0, inner), octets.ICMP, src=THEM, dst=US))
    m.inject(
        octets.ip(octets.udp(b"x", src=THEM, dst=0xC00002FF), octets.UDP, src=THEM, dst=0xC00002FF)
    )
    m.inject(
        octets.ip(octets.udp(b"x", src=0xE0000001, dst=US), octets.UDP, src=0xE0000001, dst=US)
    )
    m.inject(octets.ip(b"abc", 89, src=THEM, dst=0xC00002FF))
    assert not m.other
    m.assert_clean()


def test_unknown_protocol():
    m = Machine()
    m.inject(octets.ip(b"abcdefgh", 89, src=THEM, dst=US))
    _, data = m.other.popleft()
    assert (data[20], data[21]) == (3, 2)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 0, 2, 1, 1]])
def test_segment_in_fragments(order):
    """Fragments of a segment are put together before anything is read."""
    m, p, t = opened()
    segment = octets.tcp(
        pattern(1, 2000),
        sport=p.port,
        dport=p.local,
        seq=p.isn + 1,
        ack=p.their_isn + 1,
        flags=24,
        src=THEM,
        dst=US,
    )
    pieces = [
        (0, segment[:800], True),
        (800, segment[800:1600], True),
        (1600, segment[1600:], False),
    ]
    for i in order:
        off, body, more = pieces[i]
        m.inject(octets.ip(body, octets.TCP, src=THEM, dst=US, ident=99, off=off, mf=more))
    assert m.read(t) == pattern(1, 2000)
    m.run(60)
    m.close(t)
    p.inbox.clear()
    p.send("F. 2001:2001(0) ack 2 win 65535")
    m.run(100)
    m.assert_clean()


def test_fragments_that_never_become_whole():
    """RFC 792: time exceeded in reassembly, if the first one is there; the memory comes back."""
    m = Machine()
    m.inject(octets.ip(bytes(800), octets.UDP, src=THEM, dst=US, ident=99, off=0, mf=True))
    m.inject(octets.ip(bytes(800), octets.UDP, src=THEM, dst=US, ident=98, off=800, mf=True))
    m.run(61)
    kinds = [(d[20], d[21]) for _, d in m.other]
    assert kinds == [(11, 1)]
    m.assert_clean()
    assert m.core.next_deadline() == NEVER


def test_black_hole():
    """Full segments vanish, no ICMP comes: after two timeouts smaller ones without DF (pmtud_blackhole)."""
    m, p, t = opened("freebsd-14", rtt=0.1, tcp_blackhole_detection=1)
    m.write(t, 2920)
    assert p.expect(". 1:1461(1460) ack 1").df
    p.expect("P. 1461:2921(1460) ack 1")
    p.expect(". 1:1461(1460) ack 1", within=2)
    s = p.expect(". 1:1201(1200) ack 1", within=3)
    assert not s.df
    assert m.stat("pmtud_activated") == 1
    p.send(". 1:1(0) ack 1201 win 65535")
    assert len(p.next(0).payload) <= 1200


def test_small_segments_are_no_sign_of_a_black_hole():
    m, p, t = opened("freebsd-14", rtt=0.1, tcp_blackhole_detection=1, mss=1000)
    m.write(t, 1000)
    for _ in range(4):
        assert len(p.next(20).payload) == 1000
    assert t.maxseg == 1000
