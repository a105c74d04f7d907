"""CUBIC's window (RFC 9438), in integers: milliseconds and octets, C = 0.4, beta = 0.7."""

import cython

from pystack._fast import newreno
from pystack._fast.tcb import Stack, Tcb  # noqa: F401

CUBE_TO_MS = 2_500_000_000
"""1/C segments in ms cubed: K[ms]**3 = segments * CUBE_TO_MS."""


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


def window_at(ms, k, w_max, mss):
    """W_cubic in octets, `ms` after the epoch began (RFC 9438 section 4.2)."""
    d: cython.longlong = ms - k
    if d > 100000:
        d = 100000
    if d < -100000:
        d = -100000
    if d >= 0:
        return w_max + d * d * d * 4 // 10000 * mss // 1000000
    d = -d
    return w_max - d * d * d * 4 // 10000 * mss // 1000000


def begin_epoch(s, t):
    """Congestion avoidance begins: where the curve's plateau is and how far away in time."""
    t.epoch_start = s.now
    t.cwnd_epoch = t.cwnd
    t.w_est = t.cwnd
    t.w_est_acked = 0
    t.bytes_acked = 0
    below: cython.longlong = t.w_max
    below -= t.cwnd
    if below > 0:
        t.cubic_k = cube_root(below * CUBE_TO_MS // t.maxseg)
    else:
        t.cubic_k = 0
        t.w_max = t.cwnd


def on_ack(s, t, acked):
    """`acked` new octets were acknowledged outside of recovery (RFC 9438 sections 4.2 to 4.5)."""
    if t.cwnd < t.ssthresh:
        newreno.on_ack(s, t, acked)
        return
    mss: cython.longlong = t.maxseg
    cwnd: cython.longlong = t.cwnd
    if t.epoch_start == 0:
        begin_epoch(s, t)
    ms: cython.longlong = (s.now - t.epoch_start + t.srtt) // 1000000
    target: cython.longlong = window_at(ms, t.cubic_k, t.w_max, mss)
    if target < cwnd:
        target = cwnd
    elif target > cwnd + cwnd // 2:
        target = cwnd + cwnd // 2
    # Reno-friendly estimate: alpha is 9/17 (3(1-b)/(1+b)) until it reaches the window before the loss, then 1
    t.w_est_acked += acked
    step: cython.longlong = cwnd if t.w_est >= t.w_last_max else cwnd * 17 // 9
    if t.w_est_acked >= step:
        t.w_est_acked -= step
        t.w_est += mss
    if target > cwnd:
        if t.bytes_acked < 0x3FFFFFFF - acked:
            t.bytes_acked += acked
        step = cwnd * mss // (target - cwnd)
        if step < 1:
            step = 1
        while t.bytes_acked >= step and cwnd < target:
            t.bytes_acked -= step
            cwnd += mss
    if t.w_est > cwnd:
        cwnd = t.w_est
    t.cwnd = cwnd


def after_loss(s, t, flight):
    """Ssthresh after a loss or an ECN mark; notes the plateau, lower when capacity is shrinking (section 4.7)."""
    cwnd: cython.longlong = t.cwnd
    t.w_last_max = t.cwnd
    if cwnd < t.w_max:
        t.w_max = cwnd * 17 // 20
    else:
        t.w_max = cwnd
    t.epoch_start = 0
    base: cython.longlong = flight if flight < t.cwnd else cwnd
    reduced: cython.longlong = base * 7 // 10
    floor: cython.longlong = 2 * t.maxseg
    return reduced if reduced > floor else floor
