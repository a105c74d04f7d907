"""CUBIC: the curve of RFC 9438, against floating point."""

import pytest
from tcp.peer import Machine

from pystack._fast import cubic
from pystack._fast.consts import CC_CUBIC, MS


def connection():
    m = Machine("freebsd-14")
    t = m.socket()
    t.maxseg = 1000
    t.cc = CC_CUBIC
    return m.core, t


@pytest.mark.parametrize("x", [0, 1, 7, 8, 9, 26, 27, 10**6, 10**9 - 1, 10**9, 2**62 - 1])
def test_cube_root(x):
    r = cubic.cube_root(x)
    assert r**3 <= x < (r + 1) ** 3


@pytest.mark.parametrize("ms", [0, 100, 1000, 4000, 8000, 20000, 99000])
def test_the_curve(ms):
    """W_cubic(t) = C (t - K)^3 + W_max, C = 0.4 segments a second cubed."""
    mss, w_max, k = 1000, 100_000, 4217
    real = 0.4 * ((ms - k) / 1000) ** 3 * mss + w_max
    assert cubic.window_at(ms, k, w_max, mss) == pytest.approx(real, rel=0.01, abs=mss)


def test_k():
    s, t = connection()
    t.cwnd, t.w_max = 70_000, 100_000
    s.now = 5 * 10**9
    cubic.begin_epoch(s, t)
    assert t.cubic_k / 1000 == pytest.approx((30 / 0.4) ** (1 / 3), rel=0.01)
    assert cubic.window_at(0, t.cubic_k, 100_000, 1000) == pytest.approx(70_000, abs=1000)


def test_back_to_the_plateau_and_beyond():
    """After a loss at 100 segments: concave up to the old window, flat there, then convex."""
    s, t = connection()
    t.cwnd, t.ssthresh, t.srtt = 100_000, 1, 100 * MS
    t.ssthresh = cubic.after_loss(s, t, 100_000)
    assert t.ssthresh == 70_000
    t.cwnd = t.ssthresh
    now = 10**9
    seen = []
    for _ in range(120):
        now += 100 * MS
        s.now = now
        for _ in range(t.cwnd // 2000):
            cubic.on_ack(s, t, 2000)
        seen.append(t.cwnd)
    assert seen == sorted(seen)
    k = round((30 / 0.4) ** (1 / 3) * 10)
    assert seen[k] == pytest.approx(100_000, rel=0.06)
    assert seen[k + 10] - seen[k - 10] < 8000, "flat around the plateau"
    assert seen[-1] > 150_000


def test_fast_convergence():
    """RFC 9438 section 4.7: a second loss below the plateau gives room to others."""
    s, t = connection()
    t.cwnd = 100_000
    cubic.after_loss(s, t, 100_000)
    assert t.w_max == 100_000
    t.cwnd = 80_000
    cubic.after_loss(s, t, 80_000)
    assert t.w_max == pytest.approx(80_000 * 0.85, abs=1)


def test_friendly_region():
    """Section 4.3: with a short round trip it grows at least as Reno would."""
    s, t = connection()
    t.cwnd, t.srtt = 10_000, MS
    t.ssthresh = t.cwnd = cubic.after_loss(s, t, 10_000)
    now = 10**9
    for _ in range(200):
        now += MS
        s.now = now
        for _ in range(t.cwnd // 1000):
            cubic.on_ack(s, t, 1000)
    assert t.cwnd > 70_000, "some 0.53 to 1 segment each of 200 round trips"
