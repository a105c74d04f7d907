"""CUBIC in octets, as FreeBSD computes it (netinet/cc/cc_cubic.c): RFC 8312's curve with time in 1/256 s, C = 102/256,
beta = 179/256.

The window follows the larger of the curve and of what Reno would have, as functions of the time since the last loss.
Slow start goes on until eight round trips have been measured, whatever ssthresh says.
"""

import cython

from pystack._fast import newreno
from pystack._fast.consts import MS
from pystack._fast.tcb import Stack, Tcb  # noqa: F401

BETA = 179
SAMPLES = 8
"""Round trips to be measured before they count."""

# Tcb.cubic_flags
LOSS_SEEN = 1
IN_SLOW_START = 2
APP_LIMITED = 4
TIMED_OUT = 8


def cube_root(x):
    """The integer cube root, rounded down, of 0 <= x < 2**62."""
    root: cython.longlong = 0
    bit: cython.int = 20
    probe: cython.longlong
    while bit >= 0:
        probe = root + (cython.cast(cython.longlong, 1) << bit)
        if probe * probe * probe <= x:
            root = probe
        bit -= 1
    return root


def plateau_in(w_max, mss):
    """K: when the curve comes to its plateau, 1/256 s: the cube root of W_max (1 - beta) / C segments."""
    segments: cython.longlong = w_max // mss
    segments = (segments * 77 << 24) // 102
    return cube_root(segments)


def window_at(usecs, k, w_max, mss):
    """W_cubic in octets, so many microseconds after the epoch began (RFC 9438 section 4.2)."""
    d: cython.longlong = (usecs << 8) // 1000000 - k
    if d > 448845:
        return 0x3FFFFFFF
    if d < -448845:
        return 0
    d = (d * d * d * 102 >> 32) * mss + w_max
    if d > 0x3FFFFFFF:
        d = 0x3FFFFFFF
    return d if d > 0 else 0


def reno_at(usecs, rtt, w_max, mss):
    """W_est in octets: what Reno with beta 0.7 would have on the average (RFC 9438 section 4.3)."""
    rounds: cython.longlong = (231 * usecs * mss << 8) // (435 * rtt)
    rounds = (w_max * BETA + rounds) >> 8
    return rounds if rounds < 0x3FFFFFFF else 0x3FFFFFFF


def record_round_trip(t):
    """The average round trip between losses, from the smoothed one, microseconds."""
    usecs: cython.longlong = t.srtt // 1000
    if t.rtt_updates < SAMPLES:
        return
    if usecs < 1:
        usecs = 1
    if usecs < t.cubic_min_rtt or t.cubic_min_rtt == 0:
        t.cubic_min_rtt = usecs
        if usecs > t.cubic_mean_rtt:
            t.cubic_mean_rtt = usecs
    t.cubic_sum_rtt += usecs
    t.cubic_acks += 1


def on_ack(s, t, acked):
    """`acked` new octets were acknowledged outside of recovery."""
    usecs: cython.longlong
    friendly: cython.longlong
    curve: cython.longlong
    record_round_trip(t)
    if t.w_max == 0:
        t.w_max = t.cwnd
    if not newreno.may_grow(s, t):
        t.cubic_flags |= APP_LIMITED
        return
    if t.cwnd <= t.ssthresh or t.cubic_min_rtt == 0:
        t.cubic_flags |= IN_SLOW_START
        t.cwnd += newreno.slow_start(s, t, acked)
        return
    if t.cubic_flags & TIMED_OUT and t.cubic_flags & IN_SLOW_START:
        # RFC 9438 section 4.8: the curve begins where slow start has come to
        t.cubic_flags &= ~(TIMED_OUT | IN_SLOW_START)
        t.w_max = t.cwnd
        t.cubic_k = 0
        t.epoch_start = s.now
    elif t.cubic_flags & (IN_SLOW_START | APP_LIMITED):
        t.cubic_flags &= ~(IN_SLOW_START | APP_LIMITED)
        t.epoch_start = s.now
        t.cubic_k = plateau_in(t.w_max, t.maxseg)
    usecs = (s.now - t.epoch_start) // MS * 1000
    friendly = reno_at(usecs, t.cubic_mean_rtt if t.cubic_mean_rtt > 0 else 1, t.w_max, t.maxseg)
    curve = window_at(usecs + t.cubic_mean_rtt, t.cubic_k, t.w_max, t.maxseg)
    if curve < friendly:
        curve = friendly
    if t.cwnd < cython.cast(cython.uint, curve):
        t.cwnd = curve
    if t.cubic_flags & LOSS_SEEN == 0 and t.w_max < t.cwnd:
        t.w_max = t.cwnd
        t.cubic_k = plateau_in(t.w_max, t.maxseg)


def after_loss(s, t):
    """Ssthresh after a loss or a mark; the plateau is noted, lower when capacity is shrinking (section 4.7)."""
    window: cython.longlong = t.cwnd
    if t.cwnd < t.w_max:
        window = window * 217 >> 8
    t.w_max = window
    if t.cubic_flags & LOSS_SEEN:
        window = window * BETA >> 8
    else:
        # the first loss ends a slow start that has gone twice as far as it should
        t.w_max = window * BETA >> 8
        window = window >> 1
    t.cubic_flags |= LOSS_SEEN
    t.epoch_start = s.now
    t.cubic_k = plateau_in(t.w_max, t.maxseg)
    return window if window > 2 * t.maxseg else 2 * t.maxseg


def after_timeout(t):
    """A timeout; what was so far is remembered in case it was needless (section 4.8)."""
    window: cython.longlong = t.cwnd
    if t.rxtshift == 1:
        t.undo_epoch = t.epoch_start
        t.undo_k = t.cubic_k
        t.undo_w_max = t.w_max
    t.cubic_flags |= LOSS_SEEN | TIMED_OUT
    return window * BETA >> 8


def undo_timeout(t):
    """It was needless."""
    t.cubic_flags &= ~(LOSS_SEEN | TIMED_OUT)
    t.epoch_start = t.undo_epoch
    t.cubic_k = t.undo_k
    t.w_max = t.undo_w_max


def recovered(t):
    """The window after a recovery: beta of the plateau; the average of round trips begins anew."""
    window: cython.longlong = t.w_max
    if t.cubic_acks > 0 and t.cubic_sum_rtt >= t.cubic_acks:
        t.cubic_mean_rtt = t.cubic_sum_rtt // t.cubic_acks
    t.cubic_acks = 0
    t.cubic_sum_rtt = 0
    window = window * BETA >> 8
    return window if window > 2 * t.maxseg else 2 * t.maxseg


def after_idle(s, t):
    """An idle time is no time of the curve."""
    if t.cwnd > t.w_max:
        t.w_max = t.cwnd
    t.cubic_k = plateau_in(t.w_max, t.maxseg)
    t.epoch_start = s.now
