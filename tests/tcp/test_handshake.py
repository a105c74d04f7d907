"""Three-way handshakes in both roles, with every set of options, on every profile (RFC 9293 section 3.5)."""

import pytest
from tcp.peer import PROFILES, US, Machine, isn_near, pattern

from pystack._fast import consts, opening
from pystack._fast.consts import Err

# what each system answers to a SYN with everything, and to less (facts: freebsd-tcp 3.4, packetdrill-language 6)
SYN_ACK = {
    ("freebsd", "none"): "mss 1460",
    ("freebsd", "plain"): "mss 1460",
    ("freebsd", "scale"): "mss 1460,nop,wscale 6",
    ("freebsd", "sack"): "mss 1460,sackOK,eol,eol",
    ("freebsd", "ts"): "mss 1460,nop,nop,TS",
    ("freebsd", "sackscale"): "mss 1460,nop,wscale 6,sackOK,eol,eol",
    ("freebsd", "all"): "mss 1460,nop,wscale 6,sackOK,TS",
    ("linux", "none"): "mss 1460",
    ("linux", "plain"): "mss 1460",
    ("linux", "scale"): "mss 1460,nop,wscale 10",
    ("linux", "sack"): "mss 1460,nop,nop,sackOK",
    ("linux", "ts"): "mss 1460,nop,nop,TS",
    ("linux", "sackscale"): "mss 1460,nop,nop,sackOK,nop,wscale 10",
    ("linux", "all"): "mss 1460,sackOK,TS,nop,wscale 10",
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", ["none", "plain", "scale", "sack", "ts", "sackscale", "all"])
def test_passive_open(profile, kind):
    m = Machine(profile)
    listener = m.listen()
    p = m.peer()
    p.send(f"S 0:0(0) win 32000 <{p.SYN[kind]}>")
    linux = profile == "linux-6"
    want = SYN_ACK[profile.partition("-")[0], kind]
    s = p.expect(f"S. 0:0(0) ack 1 <{want}>")
    assert s.win == (64240 if "TS" not in want else 65160) if linux else s.win == 65535
    assert m.accept(listener) is None
    p.send(". 1:1(0) ack 1 win 4000")
    t = m.accept(listener)
    assert t.state == consts.ESTABLISHED
    assert t.snd_wnd == 4000 << (7 if "scale" in kind or kind == "all" else 0)
    assert m.write(t, 20) == 20
    p.expect("P. 1:21(20) ack 1")
    p.send("P. 1:11(10) ack 21 win 1000")
    p.expect(". 21:21(0) ack 11", within=0.2)
    assert t.maxseg == 1460 - 12 * ("TS" in want) if kind != "none" else t.maxseg == 536


@pytest.mark.parametrize("profile", PROFILES)
def test_active_open(profile):
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    if profile == "linux-6":
        p.expect("S 0:0(0) win 64240 <mss 1460,sackOK,TS,nop,wscale 10>")
    else:
        p.expect("S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS>")
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1400,sackOK,TS,nop,wscale 7>", wait=0.1)
    p.expect(". 1:1(0) ack 1 <nop,nop,TS>")
    assert t.state == consts.ESTABLISHED
    assert t.maxseg == 1388
    assert 99_990_000 < t.srtt < 100_010_000
    assert t.snd_wnd == 65535, "a SYN's window is never scaled"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("knob", ["tcp_sack", "tcp_timestamps", "tcp_window_scaling"])
def test_what_we_do_not_offer_is_not_used(profile, knob):
    word = {"tcp_sack": "sackOK", "tcp_timestamps": "TS", "tcp_window_scaling": "wscale"}[knob]
    m = Machine(profile, **{knob: 0})
    t = m.connect(80)
    p = m.peer_of(t)
    s = p.next()
    assert not any(o.startswith(word) for o in s.options)
    assert len(s.options) >= 3
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS,nop,wscale 7>")
    s = p.next()
    assert ("TS" in s.options) is (knob != "tcp_timestamps")
    assert t.snd_scale == (0 if knob == "tcp_window_scaling" else 7)
    listener = m.listen(90)
    q = m.peer(local=90)
    q.send("S 0:0(0) win 65535 <mss 1460,sackOK,TS,nop,wscale 7>")
    s = q.next()
    assert not any(o.startswith(word) for o in s.options)
    assert listener.state == consts.LISTEN


def test_scale_shifts_beyond_14_count_as_14():
    """RFC 7323 section 2.3."""
    m = Machine("freebsd-14")
    listener = m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460,nop,wscale 15>")
    p.next()
    p.send(". 1:1(0) ack 1 win 65535")
    t = m.accept(listener)
    assert t.snd_scale == 14
    assert t.snd_wnd == 65535 << 14


@pytest.mark.parametrize(
    ("profile", "times"),
    [
        ("freebsd-10", [3.0, 6.2, 9.4, 12.6, 15.8, 22.0, 34.2, 58.4]),
        ("freebsd-14", [1.0, 3.2, 7.4, 15.6, 31.8, 64.0]),
        ("linux-6", [1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 11.0, 19.0, 35.0, 67.0]),
    ],
)
def test_syn_times(profile, times):
    """When a SYN is said again, and when connect() gives up (facts: freebsd-tcp 3.7, conntrack 9.1)."""
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    first = p.next()
    seen = []
    while t.row:
        m.run(200, stop=lambda: bool(p.inbox) or t.row == 0)
        if p.inbox:
            s = p.next()
            assert s.options == first.options
            assert (s.seq, s.flags) == (first.seq, first.flags)
            seen.append(round(s.time / 1e9, 4))
    assert seen == times
    assert round(m.now / 1e9, 4) == (131.0 if profile == "linux-6" else 75.0)
    assert t.so_error == Err.ETIMEDOUT
    m.assert_clean()


@pytest.mark.parametrize(
    ("profile", "times", "end"),
    [
        ("freebsd-10", [3.0, 6.0, 9.0], 12.0),
        ("freebsd-14", [1.0, 3.2, 7.4], 15.6),
        ("linux-6", [1.0, 3.0, 7.0, 15.0, 31.0], 63.0),
    ],
)
def test_syn_ack_times(profile, times, end):
    """How often a SYN-ACK is said, and when the half-open connection goes (facts: freebsd-tcp 3.3, conntrack 9.1)."""
    m = Machine(profile)
    m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    first = p.next()
    seen = []
    while m.core.listeners.cache.used:
        m.run(100, stop=lambda: bool(p.inbox) or not m.core.listeners.cache.used)
        if p.inbox:
            s = p.next()
            assert (s.seq, s.ack, s.options) == (first.seq, first.ack, first.options)
            seen.append(round(s.time / 1e9, 4))
    assert seen == times
    assert round(m.now / 1e9, 4) == end
    m.assert_clean()
    p.send(". 1:1(0) ack 1 win 65535")
    p.expect("R 1:1(0)")


@pytest.mark.parametrize("profile", PROFILES)
def test_retransmitted_syn_ack_means_one_segment(profile):
    """RFC 5681 section 3.1: a lost SYN-ACK makes the initial window one segment; Linux wants two of them lost."""
    m = Machine(profile)
    listener = m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    for _ in range(3 if profile == "linux-6" else 2):
        p.next(5)
    p.send(". 1:1(0) ack 1 win 65535")
    t = m.accept(listener)
    m.write(t, 10000)
    p.expect(". 1:1461(1460) ack 1")
    p.quiet(0.01)


@pytest.mark.parametrize("profile", PROFILES)
def test_lost_syn_means_one_segment(profile):
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    for _ in range(3 if profile == "linux-6" else 2):
        p.next(5)
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460>", wait=0.05)
    p.next()
    m.write(t, 10000)
    p.expect(". 1:1461(1460) ack 1")
    p.quiet(0.01)


@pytest.mark.parametrize("profile", PROFILES)
def test_initial_window(profile):
    """RFC 6928: ten segments of 1460."""
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    p.active(t, "plain", rtt=0.05)
    m.write(t, 30000)
    for i in range(10):
        p.expect(f". {1 + 1460 * i}:{1461 + 1460 * i}(1460) ack 1")
    p.quiet(0.01)


@pytest.mark.parametrize("profile", PROFILES)
def test_connection_refused(profile):
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    p.send("R. 0:0(0) ack 1 win 0")
    assert t.so_error == Err.ECONNREFUSED
    p.quiet(200)
    m.assert_clean()


def test_a_reset_without_ack_refuses_nothing():
    m = Machine()
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    p.send("R 0:0(0)")
    assert t.state == consts.SYN_SENT


def test_a_wrong_ack_in_syn_sent_is_reset():
    """RFC 9293 section 3.10.7.3: also ours may be an old half."""
    m = Machine()
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    p.send("S. 0:0(0) ack 77 win 65535 <mss 1460>")
    p.expect("R 77:77(0)")
    p.send(". 0:0(0) ack 0 win 65535")
    p.expect("R 0:0(0)")
    p.send("R. 0:0(0) ack 77 win 0")
    p.quiet(0.5)
    assert t.state == consts.SYN_SENT


@pytest.mark.parametrize("profile", PROFILES)
def test_closed_port(profile):
    """RFC 9293 section 3.10.7.1."""
    m = Machine(profile)
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.expect("R. 0:0(0) ack 1 win 0")
    p.send("S 0:10(10) win 65535")
    p.expect("R. 0:0(0) ack 11 win 0")
    p.send("F 5:5(0)")
    p.expect("R. 0:0(0) ack 6 win 0")
    p.send(". 1:1(0) ack 99 win 65535")
    p.expect("R 99:99(0) win 0")
    p.send("S. 1:1(0) ack 99 win 65535")
    p.expect("R 99:99(0) win 0")
    p.send("R. 1:1(0) ack 99 win 65535")
    p.send("R 1:1(0)")
    p.quiet(1)


@pytest.mark.parametrize("profile", PROFILES)
def test_simultaneous_open(profile):
    """RFC 9293 figure 7 (MUST-10)."""
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    syn = p.next()
    p.send("S 0:0(0) win 65535 <mss 1460>", wait=0.1)
    s = p.expect("S. 0:0(0) ack 1")
    assert s.seq == syn.seq
    assert t.state == consts.SYN_RECEIVED
    p.send("S. 0:0(0) ack 1 win 65535 <mss 1460>", wait=0.1)
    assert t.state == consts.ESTABLISHED
    p.inbox.clear()
    m.run(0.3)
    p.inbox.clear()
    assert m.write(t, 100) == 100
    p.expect("P. 1:101(100) ack 1")
    p.send("P. 1:11(10) ack 101 win 65535")
    assert m.read(t) == pattern(1, 10)


@pytest.mark.parametrize("profile", PROFILES)
def test_simultaneous_open_with_a_plain_ack(profile):
    m = Machine(profile)
    t = m.connect(80)
    p = m.peer_of(t)
    p.next()
    p.send("S 0:0(0) win 65535 <mss 1460>", wait=0.1)
    p.expect("S. 0:0(0) ack 1")
    p.expect("S. 0:0(0) ack 1", within=4)
    p.send(". 1:1(0) ack 1 win 65535")
    assert t.state == consts.ESTABLISHED
    p.quiet(30)


@pytest.mark.parametrize("profile", PROFILES)
def test_self_connect(profile):
    """A socket that connects to its own address and port: a simultaneous open with itself."""
    m = Machine(profile)
    t = m.socket()
    assert m.call(opening.tcp_bind, t, US, 5000) == 0
    assert m.call(opening.tcp_connect, t, US, 5000) in (-Err.EINPROGRESS, 0)
    assert t.state == consts.ESTABLISHED
    assert m.write(t, 1000) == 1000
    m.run(1)
    assert m.read(t) == pattern(1, 1000)
    m.close(t)
    m.run(200)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("target", [0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFA00, 0x7FFFFFFF, 0])
def test_sequence_numbers_wrap(profile, target):
    """Both directions cross 2**32 (and 2**31) in the handshake or in the data."""
    m = Machine(profile, now=isn_near(profile, target))
    t = m.connect(80, local=1025)
    p = m.peer_of(t, isn=target)
    p.active(t, "all", rtt=0.05)
    assert p.their_isn == target
    got = 0
    mine = 1
    for _ in range(12):
        m.write(t, 4344)
        for _ in range(3):
            s = p.next(1)
            assert p.theirs(s.seq) == 1 + got
            got += len(s.payload)
        p.send(f"P. {mine}:{mine + 1000}(1000) ack {1 + got} win 1000", wait=0.02)
        mine += 1000
    m.run(1)
    assert m.read(t) == pattern(1, 12000)
    m.close(t)
    p.inbox.clear()
    p.send(f"F. {mine}:{mine}(0) ack {got + 2} win 1000")
    m.run(200)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_duplicate_syn_is_answered_again(profile):
    m = Machine(profile)
    m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    a = p.next()
    p.send("S 0:0(0) win 65535 <mss 1460>", wait=0.2)
    b = p.next()
    assert (a.seq, a.ack) == (b.seq, b.ack)
    assert m.core.listeners.cache.used == 1
    p.send("R 1:1(0)")
    assert m.core.listeners.cache.used == 0
    m.assert_clean()


def test_data_with_the_third_segment():
    m = Machine()
    listener = m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    p.send("P. 1:101(100) ack 1 win 65535")
    t = m.accept(listener)
    assert m.read(t) == pattern(1, 100)


def test_fin_with_the_third_segment():
    m = Machine()
    listener = m.listen()
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next()
    p.send("F. 1:101(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 102")
    t = m.accept(listener)
    assert t.state == consts.CLOSE_WAIT
    assert m.read(t) == pattern(1, 100)
    assert m.read(t) == b""


@pytest.mark.parametrize("port", [80, 81])
def test_bad_syns_are_silently_dropped(port):
    """MUST-57 and MUST-63: broadcast and multicast addresses; a SYN from ourselves."""
    m = Machine()
    m.listen()
    p = m.peer(port=80, local=port)
    for src in (0xC00002FF, 0xFFFFFFFF, 0xE0000001, 0, 0xC0000200, 0x7F000001, US):
        p.send("S 0:0(0) win 65535 <mss 1460>", src=src)
    for dst in (0xC00002FF, 0xFFFFFFFF, 0xE0000001, 0xC0000200):
        p.dst = dst
        p.send("S 0:0(0) win 65535 <mss 1460>")
    m.run(1)
    assert not p.inbox
    assert sum(m.drops().values()) >= 10
