"""When data and ACKs go out: Nagle, silly windows, delayed ACKs, window probes (RFC 9293 section 3.8.6)."""

from itertools import pairwise

import pytest
from tcp.peer import PROFILES, opened

from pystack._fast import consts
from pystack._fast.consts import Err
from pystack._fast.tcb import TF_NODELAY, TF_NOPUSH

BSD = ("freebsd-10", "freebsd-14")
DELACK = {"freebsd-10": 0.1, "freebsd-14": 0.04, "linux-6": 0.04}


def patient(t):
    """Linux: the connection is not new any more, its acknowledgments may wait."""
    t.quick_acks = 0
    t.ato = 40_000_000
    t.data_recv = 0
    t.rcv_ssthresh = 0x3FFFFFFF  # a window that grows is told at once


def full_window(p):
    """A window of 1460 octets is used, by one segment or by two."""
    at = 1
    while at < 1461:
        at += len(p.next().payload)
    assert at == 1461


@pytest.mark.parametrize("profile", PROFILES)
def test_delayed_ack(profile):
    """One small segment waits, every second full one does not (RFC 5681 section 4.2)."""
    _m, p, t = opened(profile)
    patient(t)
    p.send("P. 1:101(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 101", after=DELACK[profile])
    p.send(". 101:1561(1460) ack 1 win 65535")
    p.quiet(0.01)
    p.send(". 1561:3021(1460) ack 1 win 65535")
    p.expect(". 1:1(0) ack 3021")
    p.send("P. 3021:3121(100) ack 1 win 65535")
    p.send("P. 3121:3221(100) ack 1 win 65535", wait=0.01)
    p.expect(". 1:1(0) ack 3221", within=0.1)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_delayed_ack(profile):
    _m, p, _t = opened(profile, tcp_delayed_ack=0)
    p.send("P. 1:101(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 101")


def test_linux_acks_quickly_at_first():
    _m, p, _t = opened("linux-6")
    p.send("P. 1:101(100) ack 1 win 65535")
    p.expect(". 1:1(0) ack 101")


@pytest.mark.parametrize("profile", PROFILES)
def test_data_carries_the_ack(profile):
    m, p, t = opened(profile)
    patient(t)
    t.pingpong = 1
    p.send("P. 1:101(100) ack 1 win 65535")
    assert len(m.read(t)) == 100
    m.write(t, 10)
    p.expect("P. 1:11(10) ack 101")
    p.quiet(0.15)


@pytest.mark.parametrize("profile", PROFILES)
def test_nagle(profile):
    """A small segment waits while anything is unacknowledged (RFC 1122 section 4.2.3.4, SHLD-7)."""
    m, p, t = opened(profile, rtt=0.02)
    m.write(t, 10)
    p.expect("P. 1:11(10) ack 1")
    m.write(t, 10)
    m.write(t, 10)
    p.quiet(0.1)
    p.send(". 1:1(0) ack 11 win 65535")
    p.expect("P. 11:31(20) ack 1")
    m.write(t, 1470)
    p.expect(". 31:1491(1460) ack 1")
    p.quiet(0.1)
    p.send(". 1:1(0) ack 1491 win 65535")
    p.expect("P. 1491:1501(10) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
def test_nodelay(profile):
    m, p, t = opened(profile)
    t.t_flags |= TF_NODELAY
    for i in range(5):
        m.write(t, 10)
        p.expect(f"P. {1 + 10 * i}:{11 + 10 * i}(10) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
def test_cork(profile):
    """TCP_NOPUSH, TCP_CORK: only full segments, until it is taken off or the sender closes."""
    m, p, t = opened(profile)
    t.t_flags |= TF_NOPUSH
    m.write(t, 1000)
    p.quiet(0.05)
    m.write(t, 1000)
    p.expect(". 1:1461(1460) ack 1")
    m.shutdown(t)
    p.expect("FP. 1461:2001(540) ack 1")


def test_linux_cork_lasts_200_ms():
    m, p, t = opened("linux-6")
    t.t_flags |= TF_NOPUSH
    m.write(t, 1000)
    p.expect("P. 1:1001(1000) ack 1", after=0.2)


@pytest.mark.parametrize("profile", PROFILES)
def test_more_to_come(profile):
    """MSG_MORE holds a part of a segment back; the next send without it lets go."""
    m, p, t = opened(profile)
    m.write(t, 100, more=True)
    p.quiet(0.01)
    m.write(t, 100)
    p.expect("P. 1:201(200) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
def test_sender_avoids_silly_windows(profile):
    """MUST-38: no crumbs into a window that opens by crumbs."""
    m, p, t = opened(profile, win=4380, rtt=0.01)
    m.write(t, 20000)
    for i in range(3):
        p.expect(f". {1 + 1460 * i}:{1461 + 1460 * i}(1460) ack 1")
    p.send(". 1:1(0) ack 1461 win 2970")
    p.quiet(0.01)
    p.send(". 1:1(0) ack 2921 win 2920")
    p.expect(". 4381:5841(1460) ack 1")


@pytest.mark.parametrize("profile", BSD)
def test_half_of_the_largest_window_is_worth_sending(profile):
    m, p, t = opened(profile, win=1000)
    m.write(t, 3000)
    p.expect(". 1:1001(1000) ack 1", within=0.001)


def test_linux_segments_are_at_most_half_of_the_window():
    """Measured on 6.18: the MSS is bounded by half of the largest window, so that two are on their way."""
    m, p, t = opened("linux-6", win=1000)
    m.write(t, 3000)
    p.expect(". 1:501(500) ack 1")
    p.expect(". 501:1001(500) ack 1")
    p.send(". 1:1(0) ack 501 win 1000", wait=0.1)
    p.expect(". 1001:1501(500) ack 1")


@pytest.mark.parametrize("profile", BSD)
def test_zero_window_probes(profile):
    """RFC 9293 section 3.8.6.1; FreeBSD: one octet after 5 s, backed off to 60 s, for as long as it is answered."""
    m, p, t = opened(profile, win=1460)
    m.write(t, 5000)
    p.expect(". 1:1461(1460) ack 1")
    p.send(". 1:1(0) ack 1461 win 0", wait=0.1)
    waits = []
    for _ in range(11):
        s = p.next(100)
        waits.append(round((s.time - p.last) / 1e9, 1))
        p.last = s.time
        assert p.text(s).startswith(". 1461:1462(1) ack 1")
        p.send(". 1:1(0) ack 1461 win 0")
    assert waits[0] == 5.0
    assert waits == sorted(waits)
    assert waits[-3:] == [60.0] * 3
    p.quiet(10)
    p.send(". 1:1(0) ack 1461 win 65535")
    p.expect(". 1461:2921(1460) ack 1")
    p.expect(". 2921:4381(1460) ack 1")
    p.send(". 1:1(0) ack 4381 win 65535")
    p.expect("P. 4381:5001(620) ack 1")


def test_linux_probes_without_data():
    """A bare ACK one before the window, first after one RTO, doubling."""
    m, p, t = opened("linux-6", win=1460, rtt=0.1)
    m.write(t, 5000)
    p.expect(". 1:731(730) ack 1")
    p.expect(". 731:1461(730) ack 1")
    p.send(". 1:1(0) ack 1461 win 0", wait=0.1)
    waits = []
    for _ in range(12):
        s = p.next(200)
        waits.append((s.time - p.last) / 1e9)
        p.last = s.time
        assert p.text(s).startswith(". 1460:1460(0) ack 1")
        p.send(". 1:1(0) ack 1461 win 0")
    for a, b in pairwise(waits):
        assert abs(b - min(2 * a, 120)) < 0.01
    p.send(". 1:1(0) ack 1461 win 65535")
    p.expect(". 1461:2921(1460) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
def test_probe_octet_taken_by_the_peer(profile):
    """A peer may take the octet of the probe and keep the window shut."""
    m, p, t = opened(profile, win=1460, rtt=0.05)
    m.write(t, 3000)
    full_window(p)
    p.send(". 1:1(0) ack 1461 win 0", wait=0.05)
    s = p.next(10)
    n = len(s.payload)
    at = 1461 + n
    p.send(f". 1:1(0) ack {at} win 0")
    s = p.next(20)
    assert p.theirs(s.seq) == at if n else at - 1
    p.send(f". 1:1(0) ack {at + len(s.payload)} win 65535")
    at += len(s.payload)
    s = p.next(0)
    assert p.theirs(s.seq) == at
    assert len(s.payload) == 1460


@pytest.mark.parametrize("profile", PROFILES)
def test_lost_window_update_is_survived(profile):
    """The probe finds out that the window is open."""
    m, p, t = opened(profile, win=1460, rtt=0.05)
    m.write(t, 4000)
    full_window(p)
    p.send(". 1:1(0) ack 1461 win 0", wait=0.05)
    s = p.next(10)
    n = len(s.payload)
    p.send(f". 1:1(0) ack {1461 + n} win 65535")
    s = p.next(0)
    assert p.theirs(s.seq) == 1461 + n


@pytest.mark.parametrize("profile", PROFILES)
def test_window_shrinks_to_the_left(profile):
    """MUST-34: what is out stays out; what comes back into the window goes on."""
    m, p, t = opened(profile, win=14600, rtt=0.05)
    m.write(t, 14600)
    for _ in range(10):
        p.next()
    p.send(". 1:1(0) ack 1461 win 1460", wait=0.05)
    p.quiet(0.01)
    p.send(". 1:1(0) ack 14601 win 14600", wait=0.05)
    assert t.snd_una == t.snd_max
    m.write(t, 100)
    p.expect("P. 14601:14701(100) ack 1")


@pytest.mark.parametrize("profile", PROFILES)
def test_receiver_closes_and_opens_its_window(profile):
    """MUST-39: the window shuts as the buffer fills, and opens by a worthwhile step when it is read."""
    m, p, t = opened(profile, tcp_recvbuf_auto=0)
    at = p.fill(t)
    m.run(0.3)
    last = p.inbox[-1]
    assert last.win == 0, p.text(last)
    p.inbox.clear()
    # the peer probes the shut window: answered, not taken
    p.send(f". {at}:{at + 1}(1) ack 1 win 65535")
    p.expect(f". 1:1(0) ack {at} win 0")
    assert len(m.read(t, 100)) == 100
    p.quiet(0.5)
    assert len(m.read(t, 20000)) == 20000
    s = p.expect(f". 1:1(0) ack {at}", within=0)
    assert s.win >= 2920
    m.read(t)
    s = p.expect(f". 1:1(0) ack {at}")
    assert s.win > 40000


@pytest.mark.parametrize("profile", PROFILES)
def test_offered_window_is_never_taken_back(profile):
    """SHLD-14: the right edge does not move to the left."""
    m, p, t = opened(profile, "all")
    edge = 0
    at = 1
    for n in (1448, 100, 1448, 1, 7, 1448, 999, 1448, 1448, 3) * 4:
        p.send(f"P. {at}:{at + n}({n}) ack 1 win 1000")
        at += n
        m.run(0.2)
        while p.inbox:
            s = p.inbox.popleft()
            right = p.mine(s.ack) + (s.win << t.rcv_scale)
            assert right >= edge - (1 << t.rcv_scale)
            edge = right


@pytest.mark.parametrize("profile", PROFILES)
def test_urgent_pointer_of_the_peer(profile):
    """MUST-31, MUST-32: it is noticed, also without the data that it points behind."""
    m, p, t = opened(profile)
    p.send("PU. 1:11(10) ack 1 win 65535 urg 20")
    assert t.rcv_up == t.irs + 21
    assert len(m.read(t)) == 10
    p.send("U. 11:11(0) ack 1 win 65535 urg 30")
    assert t.rcv_up == t.irs + 41
    p.send("U. 11:11(0) ack 1 win 65535 urg 5")
    assert t.rcv_up == t.irs + 41


def test_super_segments_are_cut_to_whole_segments():
    """With a device that cuts (TSO), one packet carries many segments."""
    m, p, t = opened("freebsd-14", "all", rtt=0.01)
    m.cfg.tcp_tso = 1
    m.write(t, 20000)
    p.next(0)
    assert (
        t.snd_nxt - t.snd_una == min(20000, t.cwnd) // 1448 * 1448
        or t.sndq.cc == t.snd_nxt - t.snd_una
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_send_buffer_is_finite(profile):
    m, p, t = opened(profile, win=0, tcp_sendbuf_auto=0)
    total = 0
    while (n := m.write(t, 10000)) > 0:
        total += n
    assert n == -Err.EAGAIN
    # Linux asks for room when it begins a piece, and fills that whatever the buffer's size is (6.18)
    assert total == (44 * 1460 if profile == "linux-6" else t.sndq.hiwat)
    t.wanted = consts.EV_WRITE
    m.core.take_ready()
    p.send(". 1:1(0) ack 1 win 65535")
    acked = 1
    for _ in range(3 if profile == "linux-6" else 1):
        assert t not in m.core.take_ready()
        while p.inbox:
            s = p.inbox.popleft()
            acked = max(acked, p.theirs(s.seq) + len(s.payload))
        p.send(f". 1:1(0) ack {acked} win 65535")
    assert t in m.core.take_ready()
    assert m.write(t, 10000) > 0
