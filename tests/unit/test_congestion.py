"""Which window a connection begins and goes on with (RFC 6928, 3390, 5681)."""

import pytest
from tcp.peer import Machine

from pystack._fast import congestion
from pystack._fast.consts import CC_CUBIC, CC_NEWRENO


def connection(mss: int = 1460, **knobs: int):
    m = Machine("freebsd-14", **knobs)
    t = m.socket()
    t.maxseg = mss
    return m.core, t


@pytest.mark.parametrize(
    ("mss", "segments", "window"),
    [
        (1460, 10, 14600),
        (536, 10, 5360),
        (8960, 10, 17920),
        (1460, 0, 4380),
        (536, 0, 2144),
        (8960, 0, 17920),
    ],
)
def test_initial_window(mss, segments, window):
    s, t = connection(mss, tcp_initcwnd_segments=segments)
    assert congestion.initial_window(s, t) == window
    t.syn_rexmits = 1
    assert congestion.initial_window(s, t) == mss


def test_restart_is_never_larger_than_the_window():
    s, t = connection()
    t.cwnd, t.ssthresh = 100_000, 50_000
    assert congestion.restart_window(s, t) == 14600
    assert t.ssthresh == 75_000, "slow start shall not end sooner than before (RFC 2861)"
    t.cwnd = 3000
    assert congestion.restart_window(s, t) == 3000


@pytest.mark.parametrize("cc", [CC_NEWRENO, CC_CUBIC])
def test_window_stays_within_what_scaling_can_say(cc):
    s, t = connection()
    t.cc = cc
    t.cwnd, t.ssthresh, t.snd_wnd = 60_000, 1 << 30, 1 << 29
    for _ in range(100):
        congestion.on_ack(s, t, 1460)
    assert t.cwnd == 65535
    t.snd_scale = 2
    for _ in range(200):
        congestion.on_ack(s, t, 2920)
    assert t.cwnd == 65535 << 2


@pytest.mark.parametrize(("cc", "share"), [(CC_NEWRENO, 0.5), (CC_CUBIC, 179 / 256)])
def test_after_loss(cc, share):
    s, t = connection()
    t.cc = cc
    t.cubic_flags = 1  # not the first one
    t.cwnd = 100 * 1460
    assert congestion.after_loss(s, t) == int(100 * 1460 * share)
    t.cwnd = 1000
    assert congestion.after_loss(s, t) == 2 * 1460


def test_no_burst_after_a_recovery():
    """RFC 6582 section 3.2 step 3: what is in the network and one segment, at most ssthresh."""
    _s, t = connection()
    t.cc = CC_NEWRENO
    t.ssthresh = 20_000
    assert congestion.recovered(t, 0) == 2920
    assert congestion.recovered(t, 10_000) == 11_460
    assert congestion.recovered(t, 30_000) == 20_000
