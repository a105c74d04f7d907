"""NewReno's window in octets: RFC 5681 slow start and avoidance, byte counting of RFC 3465 (FreeBSD netinet/cc/cc.c).

`on_ack` grows, `after_loss`, `after_mark` and `after_timeout` are the new ssthresh.
"""

import cython

from pystack._fast.seq import dist
from pystack._fast.tcb import Stack, Tcb  # noqa: F401


def slow_start(s, t, acked):
    """One acknowledgment in slow start: by what it acknowledges, at most L segments, one after a timeout (RFC 3465
    section 2.3): then SND.NXT was taken back.
    """
    limit: cython.uint = t.maxseg
    more: cython.uint = acked
    if s.cfg.tcp_abc == 0:
        return limit
    if t.snd_nxt == t.snd_max:
        limit = s.cfg.tcp_abc_l_var * limit
    return more if more < limit else limit


def may_grow(s, t):
    """Is it the congestion window that holds the sender back, and not the peer's? With net.inet.tcp.newcwv it must be
    half in use besides (RFC 7661).
    """
    if t.cwnd > t.snd_wnd:
        return False
    return s.cfg.tcp_newcwv == 0 or t.cwnd < 2 * cython.cast(
        cython.uint, dist(t.snd_una, t.snd_max)
    )


def on_ack(s, t, acked):
    """`acked` new octets were acknowledged outside of recovery."""
    mss: cython.uint = t.maxseg
    if t.cwnd > t.ssthresh:
        t.bytes_acked += acked
        if t.bytes_acked >= cython.cast(cython.int, t.cwnd):
            t.bytes_acked -= t.cwnd
            if may_grow(s, t):
                t.cwnd += mss
        elif s.cfg.tcp_abc == 0 and may_grow(s, t):
            t.cwnd += mss * mss // t.cwnd if t.cwnd < mss * mss else 1
        return
    t.bytes_acked = 0
    if may_grow(s, t):
        t.cwnd += slow_start(s, t, acked)


def reduced(t, percent):
    """So much of the window, in whole segments, two at least."""
    octets: cython.longlong = t.cwnd
    segments: cython.uint = octets * percent // (100 * t.maxseg)
    return (segments if segments > 2 else 2) * t.maxseg


def after_loss(s, t):
    """Half the window (RFC 5681 section 3.1, equation 4)."""
    return reduced(t, s.cfg.tcp_newreno_beta)


def after_mark(s, t):
    """A mark costs less than a loss with net.inet.tcp.cc.abe (RFC 8511)."""
    return reduced(t, s.cfg.tcp_newreno_beta_ecn if s.cfg.tcp_abe else s.cfg.tcp_newreno_beta)


def lost_too(s, t):
    """Ssthresh when a loss follows a mark in the same window: what the mark has cost less is made good, if the operator
    wants (net.inet.tcp.cc.abe_frlossreduce).
    """
    octets: cython.longlong = t.ssthresh
    if s.cfg.tcp_abe and s.cfg.tcp_abe_frlossreduce:
        octets = octets * s.cfg.tcp_newreno_beta // s.cfg.tcp_newreno_beta_ecn
    return octets


def after_timeout(t):
    """The same of what was in use: no more than the peer's window."""
    used: cython.uint = t.snd_wnd if t.snd_wnd < t.cwnd else t.cwnd
    used = used // (2 * t.maxseg)
    return (used if used > 2 else 2) * t.maxseg
