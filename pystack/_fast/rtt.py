"""Round-trip time and retransmission timeout: RFC 6298, with each system's floor.

`srtt` and `rttvar` are plain nanoseconds (the systems keep them in scaled ticks). FreeBSD applies the floor
`rexmit_min` and then adds `rexmit_slop` (200 ms) to every timeout; Linux instead never lets the variance term
fall below its `tcp_rto_min` (200 ms), and smooths that term in its own way.
"""

import cython

from pystack._fast.consts import RTO_LINUX
from pystack._fast.seq import after
from pystack._fast.tcb import Stack, Tcb  # noqa: F401


def sample(s, t, rtt):
    """A round trip took `rtt` ns (RFC 6298 section 2)."""
    if rtt < 1:
        rtt = 1
    s.stat.rttupdated += 1
    if t.rtt_updates < 255:
        t.rtt_updates += 1
    if s.cfg.policy_rto == RTO_LINUX:
        smooth(t, rtt)
    elif t.srtt == 0 or t.rxtshift > s.cfg.tcp_retries1:
        # after so many timeouts the way may be another (RFC 9293 section 3.8.3, R1): what was measured is of no use
        t.srtt = rtt
        t.rttvar = rtt // 2
    else:
        delta: cython.longlong = rtt - t.srtt
        # shifts round the same way at both speeds; a division of a negative number does not
        t.rttvar += ((delta if delta >= 0 else -delta) - t.rttvar) >> 2
        t.srtt += delta >> 3
        if t.srtt < 1:
            t.srtt = 1
    if t.rtt_min_window == 0 or rtt < t.rtt_min_window:
        t.rtt_min_window = rtt
    t.rxtshift = 0
    t.rxtcur = rto(s, t)


def smooth(t, rtt):
    """Linux's averages (tcp_rtt_estimator): the variance rises at once and falls once in a round trip, slowly when the
    round trip gets shorter; its part of the timeout has the floor.
    """
    delta: cython.longlong = rtt - t.srtt
    if t.srtt == 0:
        t.srtt = rtt
        t.mdev = 2 * rtt
        t.mdev_max = t.mdev if t.mdev > t.rttmin else t.rttmin
        t.rto_var = t.mdev_max
        t.rtt_round = t.snd_nxt
    else:
        t.srtt += delta >> 3
        if t.srtt < 1:
            t.srtt = 1
        if delta < 0:
            delta = -delta - (t.mdev >> 2)
            if delta > 0:
                delta = delta >> 3
        else:
            delta -= t.mdev >> 2
        t.mdev += delta
        if t.mdev > t.mdev_max:
            t.mdev_max = t.mdev
            if t.mdev_max > t.rto_var:
                t.rto_var = t.mdev_max
        if after(t.snd_una, t.rtt_round):
            if t.mdev_max < t.rto_var:
                t.rto_var -= (t.rto_var - t.mdev_max) >> 2
            t.rtt_round = t.snd_nxt
            t.mdev_max = t.rttmin
    t.rttvar = t.mdev >> 2


def floored(t):
    """FreeBSD's TCP_REXMTVAL: what is doubled with each timeout has the floor, not what comes of it."""
    value: cython.longlong = t.srtt + 4 * t.rttvar
    return value if value > t.rttmin else t.rttmin


def rto(s, t):
    """The timeout of a first transmission, ns."""
    value: cython.longlong
    if t.srtt == 0:
        return s.cfg.tcp_rexmit_initial
    if s.cfg.policy_rto == RTO_LINUX:
        value = t.srtt + t.rto_var
    else:
        value = floored(t) + s.cfg.tcp_rexmit_slop
    if value > s.cfg.tcp_rexmit_max:
        value = s.cfg.tcp_rexmit_max
    return value


def probe_wait(s, t, shift):
    """Linux: how long after the probe of a shut window number `shift` the next one goes: the timeout of now, which may
    have been doubled already, doubled for each.
    """
    value: cython.longlong = t.rxtcur
    if value < s.cfg.tcp_persmin and t.user_timeout == 0:
        value = s.cfg.tcp_persmin
    value <<= shift if shift < 10 else 10
    return value if value < s.cfg.tcp_persmax else s.cfg.tcp_persmax


def backoff(s, t, shift):
    """The timeout after `shift` retransmissions of the same octet: doubled each time (5.5), on FreeBSD up to 512 times
    the first, on Linux up to the largest.
    """
    most: cython.int = 20 if s.cfg.policy_rto == RTO_LINUX else 9
    value: cython.longlong
    if shift > most:
        shift = most
    if t.srtt == 0:
        value = s.cfg.tcp_rexmit_initial << shift
        if shift > 0:
            value += s.cfg.tcp_rexmit_slop
    elif s.cfg.policy_rto == RTO_LINUX:
        value = rto(s, t) << shift
    else:
        value = (floored(t) << shift) + s.cfg.tcp_rexmit_slop
    if value > s.cfg.tcp_rexmit_max:
        value = s.cfg.tcp_rexmit_max
    return value
