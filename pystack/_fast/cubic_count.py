"""CUBIC (RFC 9438) in whole segments: after how many acknowledged segments the window grows by one.

This is how Linux computes it (net/ipv4/tcp_cubic.c): time in 1/1024 s, C = 410/1024 = 0.4, beta = 717/1024 = 0.7, and
HyStart, which ends slow start when a train of acknowledgments is as long as half a round trip or the round trip has
grown by an eighth (within 4 and 16 ms).
"""

import cython

from pystack._fast.consts import MS
from pystack._fast.cubic import cube_root
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.seq import after
from pystack._fast.tcb import Stack, Tcb  # noqa: F401

BETA = 717
CUBE_FACTOR = 2681735677
"""2**40 / 410: K**3 for one segment, in (1/1024 s)**3."""

HYSTART_WINDOW = 16
HYSTART_MIN_SAMPLES = 8


def update(s, f, window, acked):
    """`acked` segments arrived with a window of so many: how many acknowledge one more segment of window?"""
    ms: cython.longlong = s.now // MS
    at: cython.longlong
    off: cython.longlong
    delta: cython.longlong
    target: cython.longlong
    count: cython.int
    more: cython.int
    f.cubic_acked += acked
    if f.cubic_last == window and ms - f.cubic_at <= 31:
        return f.cubic_cnt
    if f.cubic_epoch == 0 or ms != f.cubic_at:
        f.cubic_last = window
        f.cubic_at = ms
        if f.cubic_epoch == 0:
            f.cubic_epoch = ms if ms > 0 else 1
            f.cubic_acked = acked
            f.cubic_reno = window
            if f.cubic_last_max <= window:
                f.cubic_k = 0
                f.cubic_origin = window
            else:
                f.cubic_k = cube_root(CUBE_FACTOR * (f.cubic_last_max - window))
                f.cubic_origin = f.cubic_last_max
        at = ((ms - f.cubic_epoch + f.delay_min // MS) << 10) // 1000
        off = f.cubic_k - at if at < f.cubic_k else at - f.cubic_k
        if off > 200000:
            off = 200000
        delta = (off * off * off * 410) >> 40
        target = f.cubic_origin - delta if at < f.cubic_k else f.cubic_origin + delta
        f.cubic_cnt = (
            window // cython.cast(cython.int, target - window)
            if target > window
            else (100 * window)
        )
        if f.cubic_last_max == 0 and f.cubic_cnt > 20:
            f.cubic_cnt = 20
    count = f.cubic_cnt
    # as fast as Reno would be (RFC 9438 section 4.3)
    more = (window * 15) >> 3
    while more > 0 and f.cubic_acked > more:
        f.cubic_acked -= more
        f.cubic_reno += 1
    if f.cubic_reno > window:
        more = window // (f.cubic_reno - window)
        if count > more:
            count = more
    f.cubic_cnt = count if count > 2 else 2
    return f.cubic_cnt


def reduced(f, window):
    """A loss or a mark: the new ssthresh in segments; the plateau is remembered, lower when capacity shrinks."""
    f.cubic_epoch = 0
    if window < f.cubic_last_max:
        f.cubic_last_max = window * (1024 + BETA) // 2048
    else:
        f.cubic_last_max = window
    window = window * BETA // 1024
    return window if window > 2 else 2


def reset(f):
    """A timeout: nothing is known of the path any more."""
    f.cubic_cnt = f.cubic_last_max = f.cubic_last = f.cubic_origin = 0
    f.cubic_acked = f.cubic_reno = 0
    f.cubic_k = f.cubic_epoch = f.cubic_at = f.delay_min = 0
    f.hystart_found = False


def new_round(s, t, f):
    """HyStart: a round begins."""
    f.hystart_start = f.hystart_ack = s.now
    f.hystart_end = t.snd_max
    f.hystart_rtt = 0
    f.hystart_samples = 0


def round_trip(s, t, f, rtt):
    """A round trip took `rtt` ns: is slow start to end?"""
    slack: cython.longlong
    rate: cython.longlong
    if f.cubic_epoch and s.now // MS - f.cubic_epoch < 1000:
        return
    if f.delay_min == 0 or rtt < f.delay_min:
        f.delay_min = rtt
    if f.hystart_found or t.cwnd >= t.ssthresh or not s.cfg.tcp_hystart:
        return
    if after(t.snd_una, f.hystart_end) or f.hystart_start == 0:
        new_round(s, t, f)
    if t.cwnd < cython.cast(cython.uint, HYSTART_WINDOW * t.maxseg):
        return
    if s.now - f.hystart_ack <= 2 * MS:
        f.hystart_ack = s.now
        slack = MS
        if t.srtt > 0:
            # four super-segments of 64 KiB at the rate of slow start, two windows a round trip
            rate = 2 * cython.cast(cython.longlong, t.cwnd)
            rate = 262144 * t.srtt // rate
            if rate < slack:
                slack = rate
        if s.now - f.hystart_start > (f.delay_min + slack) >> 1:
            f.hystart_found = True
            t.ssthresh = t.cwnd
            s.stat.hystart_train += 1
            s.stat.hystart_train_cwnd += t.cwnd // t.maxseg
    if f.hystart_rtt == 0 or rtt < f.hystart_rtt:
        f.hystart_rtt = rtt
    if f.hystart_samples < HYSTART_MIN_SAMPLES:
        f.hystart_samples += 1
        return
    slack = f.delay_min >> 3
    if slack < 4 * MS:
        slack = 4 * MS
    if slack > 16 * MS:
        slack = 16 * MS
    if f.hystart_rtt > f.delay_min + slack:
        f.hystart_found = True
        t.ssthresh = t.cwnd
        s.stat.hystart_delay += 1
        s.stat.hystart_delay_cwnd += t.cwnd // t.maxseg
