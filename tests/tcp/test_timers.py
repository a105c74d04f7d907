"""Timers: retransmission, giving up, keep-alive, user timeout (RFC 6298, RFC 9293 sections 3.8.1 to 3.8.4)."""

import pytest
from tcp.peer import PROFILES, Machine, opened

from pystack._fast import consts
from pystack._fast.consts import MS, SECOND, Err
from pystack._fast.tcb import SO_KEEPALIVE

BSD = ("freebsd-10", "freebsd-14")


def times_of(m, p, t, limit=20000):
    """Times of all segments until the connection is gone."""
    start = m.now
    seen = []
    while t.row:
        m.run(limit, stop=lambda: bool(p.inbox) or t.row == 0)
        while p.inbox:
            seen.append(round((p.next().time - start) / 1e9, 3))
        if m.now - start >= limit * 1e9:
            raise AssertionError("it never ends")
    return seen, round((m.now - start) / 1e9, 3)


@pytest.mark.parametrize("profile", PROFILES)
def test_retransmission_schedule(profile):
    """srtt 100 ms: the first timeout, doubling, the ceiling, and when it is given up (facts: freebsd-tcp 3.7)."""
    m, p, t = opened(profile, "all", rtt=0.1, tcp_early_retrans=0)
    m.write(t, 100)
    p.next()
    first = t.rxtcur / 1e9
    assert first == pytest.approx({"linux-6": 0.3}.get(profile, 0.5), abs=0.002)
    seen, end = times_of(m, p, t)
    expected, wait, at = [], first, 0.0
    ceiling = 120 if profile == "linux-6" else 64
    slop = 0 if profile == "linux-6" else 0.2  # added once to each
    retries = 15 if profile == "linux-6" else 12
    for _ in range(retries):
        at += min(wait, ceiling)
        wait = (wait - slop) * 2 + slop
        expected.append(at)
    data = [x for x in seen if x < end]
    assert data == pytest.approx(expected, abs=0.01)
    assert end == pytest.approx(at + min(wait, ceiling), abs=0.01)
    assert t.so_error == Err.ETIMEDOUT
    m.close(t)
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_rto_follows_the_round_trip(profile):
    m, p, t = opened(profile, "all", rtt=0.1)
    at = 1
    for _ in range(40):
        m.write(t, 100)
        p.expect(f"P. {at}:{at + 100}(100) ack 1")
        at += 100
        p.send(f". 1:1(0) ack {at} win 512", wait=0.1)
    assert t.srtt == pytest.approx(100 * MS, rel=0.02)
    assert t.rxtcur == pytest.approx(300 * MS, rel=0.05)
    for _ in range(60):
        m.write(t, 100)
        p.next()
        at += 100
        p.send(f". 1:1(0) ack {at} win 512", wait=0.25)
    assert t.srtt == pytest.approx(250 * MS, rel=0.05)


@pytest.mark.parametrize("profile", PROFILES)
def test_karn(profile):
    """MUST-18: no sample from an octet that was sent twice, without timestamps; the backed-off timeout stays."""
    m, p, t = opened(profile, "plain", rtt=0.1)
    m.write(t, 100)
    p.next()
    p.send(". 1:1(0) ack 101 win 65535", wait=0.1)
    srtt = t.srtt
    assert srtt == pytest.approx(100 * MS, rel=0.02)
    m.write(t, 100)
    p.next()
    p.expect("P. 101:201(100) ack 1", within=2)
    p.send(". 1:1(0) ack 201 win 65535", wait=0.9)
    assert t.srtt == srtt


@pytest.mark.parametrize("profile", PROFILES)
def test_retransmission_restarts_with_progress(profile):
    """RFC 6298 5.3: an ACK of new data restarts the timer; 5.2: all acknowledged stops it."""
    m, p, t = opened(profile, "plain", rtt=0.1)
    m.write(t, 2920)
    p.next()
    p.next()
    p.send(". 1:1(0) ack 1461 win 65535", wait=0.1)
    rto = t.rxtcur / 1e9
    p.expect("P. 1461:2921(1460) ack 1", after=rto)
    p.send(". 1:1(0) ack 2921 win 65535", wait=0.1)
    assert t.at_rexmt == consts.NEVER
    p.quiet(100)


@pytest.mark.parametrize("profile", PROFILES)
def test_user_timeout(profile):
    """RFC 5482: the application's own patience (MUST-21)."""
    m, p, t = opened(profile, "all", rtt=0.1, tcp_early_retrans=0)
    t.user_timeout = 10 * SECOND
    m.write(t, 100)
    p.next()
    _, end = times_of(m, p, t)
    # Linux counts from the first retransmission; FreeBSD looks when the timer comes up
    assert 10 <= end < (10.31 if profile == "linux-6" else 17)
    assert t.so_error == Err.ETIMEDOUT


@pytest.mark.parametrize("profile", PROFILES)
def test_keep_alive_kills_a_dead_peer(profile):
    """MUST-26 to MUST-29, SHLD-12: after two hours, empty, one before the window, at an interval, to an end."""
    m, p, t = opened(profile)
    t.so_options |= SO_KEEPALIVE
    if profile == "linux-6":  # the face arms it when the option is set
        t.at_keep = m.now + t.keepidle * MS
        m.core.arm(t)
    count = 9 if profile == "linux-6" else 8
    seen, end = times_of(m, p, t)
    assert seen[:count] == [7200 + 75 * i for i in range(count)]
    assert end == 7200 + 75 * count
    assert t.so_error == Err.ETIMEDOUT


@pytest.mark.parametrize("profile", PROFILES)
def test_keep_alive_keeps_a_living_peer(profile):
    m, p, t = opened(profile, tcp_always_keepalive=1)
    for _ in range(5):
        p.expect(". 0:0(0) ack 1", after=7200)
        p.send(". 1:1(0) ack 1 win 65535")
    assert t.state == consts.ESTABLISHED
    p.send("P. 1:11(10) ack 1 win 65535", wait=100)
    m.run(1)
    p.inbox.clear()
    p.quiet(7198)
    p.expect(". 0:0(0) ack 11", within=2)


def test_no_keep_alive_unless_asked_on_linux():
    """MUST-25."""
    _m, p, t = opened("linux-6")
    p.quiet(10 * 24 * 3600)
    assert t.state == consts.ESTABLISHED


def test_freebsd_always_keeps_alive():
    _m, p, _t = opened("freebsd-14")
    p.expect(". 0:0(0) ack 1", after=7200)


def test_keep_alive_to_a_rebooted_peer():
    _m, p, t = opened("freebsd-14")
    p.expect(". 0:0(0) ack 1", after=7200)
    p.send("R 1:1(0)")
    assert t.so_error == Err.ECONNRESET


@pytest.mark.parametrize("profile", BSD)
def test_persisting_after_close_ends(profile):
    """Facts: freebsd-tcp 2.5: closed by the user and a shut window: dropped after 60 s of silence."""
    m, p, t = opened(profile, win=1000)
    m.write(t, 3000)
    p.expect(". 1:1001(1000) ack 1", within=6)
    p.send(". 1:1(0) ack 1001 win 0")
    m.close(t)
    _, end = times_of(m, p, t)
    assert 60 <= end <= 125
    m.assert_clean()


@pytest.mark.parametrize("profile", PROFILES)
def test_persisting_to_a_dead_peer_ends(profile):
    m, p, t = opened(profile, win=1460, rtt=0.1)
    m.write(t, 3000)
    p.next()
    p.send(". 1:1(0) ack 1461 win 0", wait=0.1)
    _, end = times_of(m, p, t)
    assert 300 < end < 8000
    assert t.so_error == Err.ETIMEDOUT


@pytest.mark.parametrize("profile", PROFILES)
def test_orphan_gives_up(profile):
    """A FIN that is never acknowledged: the machine is clean in the end."""
    m, p, t = opened(profile, "all", rtt=0.1)
    m.close(t)
    _, end = times_of(m, p, t)
    assert end < 1000
    m.assert_clean()


@pytest.mark.parametrize("profile", BSD)
def test_spurious_timeout_is_undone(profile):
    """The answer came too soon to be one to the retransmission: the window is what it was."""
    m, p, t = opened(profile, "all", rtt=0.2)
    m.write(t, 14480)
    for _ in range(10):
        p.next()
    cwnd = t.cwnd
    echo = p.their_ts
    s = p.next(2)
    assert p.theirs(s.seq) == 1
    assert t.cwnd == 1448
    p.send(f". 1:1(0) ack 14481 win 512 <nop,nop,TS val 1000000 ecr {echo}>", wait=0.01)
    assert t.cwnd >= cwnd


def test_wheel_holds_nothing_after_the_end():
    m = Machine()
    listener = m.listen()
    for i in range(50):
        p = m.peer(4000 + i)
        t = p.passive(listener)
        m.close(t)
        p.next()
        p.send("F. 1:1(0) ack 2 win 65535")
    m.run(61)
    m.assert_clean()
    m.close(listener)
    assert m.core.next_deadline() == consts.NEVER
