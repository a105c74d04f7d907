"""The one interface behind which the congestion controls stand. A connection names its own by number (`Tcb.cc`)."""

import cython

from pystack._fast import cubic, newreno
from pystack._fast.consts import CC_CUBIC
from pystack._fast.tcb import Stack, Tcb  # noqa: F401


def on_ack(s, t, acked):
    """`acked` new octets were acknowledged outside of recovery: grow the window, never past what scaling can say."""
    if t.cc == CC_CUBIC:
        cubic.on_ack(s, t, acked)
    else:
        newreno.on_ack(s, t, acked)
    most: cython.uint = 65535
    most = most << t.snd_scale
    if t.cwnd > most:
        t.cwnd = most


def after_loss(s, t, flight):
    """The new ssthresh, octets; the algorithm notes what it needs to remember of the moment."""
    if t.cc == CC_CUBIC:
        return cubic.after_loss(s, t, flight)
    return newreno.after_loss(s, t, flight)


def initial_window(s, t):
    """RFC 6928 with the knob's number of segments, RFC 3390 with 0; one segment when the SYN was lost (RFC 5681)."""
    mss: cython.uint = t.maxseg
    segments: cython.uint = s.cfg.tcp_initcwnd_segments
    if t.syn_rexmits > 0:
        return mss
    if segments == 0:
        return min(4 * mss, max(2 * mss, 4380))
    return min(segments * mss, max(2 * mss, segments * 1460))


def restart_window(s, t):
    """After an idle time of one RTO: no more than the initial window (RFC 5681 section 4.1)."""
    initial: cython.uint = initial_window(s, t)
    return initial if initial < t.cwnd else t.cwnd
