"""CUBIC: the curve of RFC 9438, against floating point, in both ways of computing it."""

import pytest
from tcp.peer import Machine, opened

from pystack._fast import cubic, cubic_count
from pystack._fast.consts import CC_CUBIC, MS, SECOND

C = 0.4
LOSS_SEEN = 1


def connection(profile: str = "freebsd-14"):
    m = Machine(profile)
    t = m.socket()
    t.maxseg = 1000
    t.cc = CC_CUBIC
    t.snd_wnd = 1 << 30
    t.snd_scale = 14
    return m.core, t


def curve(seconds: float, w_max: float, cwnd: float) -> float:
    """W_cubic of RFC 9438 section 4.2, in segments."""
    k = ((w_max - cwnd) / C) ** (1 / 3)
    return C * (seconds - k) ** 3 + w_max


@pytest.mark.parametrize("x", [0, 1, 7, 8, 9, 26, 27, 10**6, 10**9 - 1, 10**9, 2**62 - 1])
def test_cube_root(x):
    r = cubic.cube_root(x)
    assert r**3 <= x < (r + 1) ** 3


@pytest.mark.parametrize("ms", [0, 100, 1000, 4000, 8000, 20000, 99000])
def test_the_curve(ms):
    """W_cubic(t) = C (t - K)^3 + W_max."""
    mss, w_max = 1000, 100_000
    k = cubic.plateau_in(w_max, mss)
    assert k / 256 == pytest.approx((30 / 0.4) ** (1 / 3), rel=0.01)
    real = curve(ms / 1000, 100, 70) * mss
    assert cubic.window_at(ms * 1000, k, w_max, mss) == pytest.approx(real, rel=0.02, abs=mss)


def steps(s, t, seconds: float, rtt: int, ack):
    """(seconds, window in segments) for each round trip, a window acknowledged in each."""
    begin = now = SECOND
    out = []
    while now - begin < seconds * SECOND:
        now += rtt
        s.now = now
        for _ in range(t.cwnd // t.maxseg):
            ack(t.maxseg)
        out.append(((now - begin) / SECOND, t.cwnd / t.maxseg))
    return out


def measured(t, rtt: int) -> None:
    """The round trip has been measured often enough to be believed."""
    t.srtt = rtt
    t.rtt_updates = 100
    t.cubic_mean_rtt = rtt // 1000


def test_octets_follow_the_formula():
    """After a second loss at 100 segments: concave up to the old window, flat there, then convex."""
    s, t = connection()
    rtt = 100 * MS
    measured(t, rtt)
    s.now = SECOND
    t.cubic_flags = LOSS_SEEN
    t.cwnd = 100_000
    t.ssthresh = cubic.after_loss(s, t)
    t.cwnd = t.ssthresh + 1
    assert t.ssthresh == 100_000 * 179 >> 8
    for at, window in steps(s, t, 12, rtt, lambda n: cubic.on_ack(s, t, n)):
        # the window is that of a round trip ahead (section 4.4)
        assert window == pytest.approx(curve(at + 0.1, 100, 70), rel=0.03), at


def test_segments_follow_the_formula():
    """The same as Linux counts it: one segment more after so many acknowledged ones."""
    m, p, t = opened("linux-6", "all", rtt=0.1, win=65535)
    m.write(t, 1448)
    f = t.flight
    s = m.core
    rtt = 100 * MS
    t.cwnd = 100 * t.maxseg
    s.now = SECOND
    assert cubic_count.reduced(f, 100) == 70
    f.delay_min = rtt
    window, count, now, seen = 70, 0, SECOND, []
    for _ in range(120):
        now += rtt
        s.now = now
        for _ in range(window):
            every = cubic_count.update(s, f, window, 1)
            count += 1
            if count >= every:
                count = 0
                window += 1
        seen.append(((now - SECOND) / SECOND, window))
    for at, got in seen:
        assert got == pytest.approx(curve(at, 100, 70), rel=0.06), at
    assert p is not None


def test_fast_convergence():
    """RFC 9438 section 4.7: a second loss below the plateau gives room to others."""
    s, t = connection()
    t.cubic_flags = LOSS_SEEN
    t.cwnd = 100_000
    cubic.after_loss(s, t)
    assert t.w_max == 100_000
    t.cwnd = 80_000
    cubic.after_loss(s, t)
    assert t.w_max == pytest.approx(80_000 * 0.85, rel=0.01)
    m, _p, t = opened("linux-6", "all", rtt=0.1)
    m.write(t, 1448)
    assert cubic_count.reduced(t.flight, 100) == 70
    assert cubic_count.reduced(t.flight, 80) == 56
    assert t.flight.cubic_last_max == 80 * 1741 // 2048


def test_friendly_region():
    """Section 4.3: with a short round trip it grows at least as Reno would."""
    s, t = connection()
    measured(t, MS)
    t.cubic_flags = LOSS_SEEN
    s.now = SECOND
    t.cwnd = 10_000
    t.ssthresh = cubic.after_loss(s, t)
    t.cwnd = t.ssthresh + 1
    seen = steps(s, t, 0.2, MS, lambda n: cubic.on_ack(s, t, n))
    assert seen[-1][1] > 100, "some 0.53 segments each of 200 round trips"


def test_the_first_loss_is_the_end_of_slow_start():
    s, t = connection()
    t.cwnd = 100_000
    assert cubic.after_loss(s, t) == 50_000
    assert t.w_max == 100_000 * 179 >> 8


def test_slow_start_until_the_round_trip_is_known():
    s, t = connection()
    t.cwnd, t.ssthresh = 20_000, 10_000
    cubic.on_ack(s, t, 2000)
    assert t.cwnd == 22_000


def test_a_needless_timeout_is_forgotten():
    s, t = connection()
    t.cwnd = 100_000
    cubic.after_loss(s, t)
    kept = (t.w_max, t.cubic_k, t.epoch_start)
    t.rxtshift = 1
    t.cwnd = 60_000
    assert cubic.after_timeout(t) == 60_000 * 179 >> 8
    t.w_max = t.cubic_k = 0
    cubic.undo_timeout(t)
    assert (t.w_max, t.cubic_k, t.epoch_start) == kept
