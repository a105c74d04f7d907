"""A connection begins with what earlier ones knew of the host, and leaves what it has learnt.

FreeBSD (netinet/tcp_subr.c, tcp_discardcb; tcp_input.c, cc_conn_init):
    learn_bsd        every connection that measured four round trips, when it is discarded
    round_trip_bsd   the next one, before it has measured anything
    threshold_bsd    and its slow start threshold

Linux (net/ipv4/tcp_metrics.c):
    learn_linux      a connection that ends in order: TIME_WAIT, FIN_WAIT_2 without an application, LAST_ACK
    begin_linux      the next one: the threshold, how much the network reorders, and a longer first timeout

Knobs: net.inet.tcp.hostcache.*; net.ipv4.tcp_no_metrics_save, tcp_no_ssthresh_metrics_save.
"""

import cython

from pystack._fast import prr
from pystack._fast.consts import CA_OPEN
from pystack._fast.hostcache import HostEntry, averaged
from pystack._fast.peer_metrics import PeerMetric
from pystack._fast.tcb import Stack, Tcb  # noqa: F401

ENOUGH = 4
"""Samples after which FreeBSD trusts the smoothed round trip."""
INFINITE = 0x40000000


def learn_bsd(s, t):
    """The connection is discarded."""
    threshold: cython.longlong = 0
    segments: cython.longlong
    if s.hosts is None or t.rtt_updates < ENOUGH:
        return 0
    e: HostEntry = s.hosts.told(t.faddr, s.now)
    count(s)
    if e is None:
        return 0
    if 0 < t.ssthresh < cython.cast(cython.uint, t.sndq.hiwat // 2):
        segments = (t.ssthresh + t.maxseg // 2) // t.maxseg
        threshold = (segments if segments > 2 else 2) * (t.maxseg + 40)
    e.rtt = averaged(e.rtt, t.srtt)
    e.rttvar = averaged(e.rttvar, t.rttvar)
    e.ssthresh = averaged(e.ssthresh, threshold)
    e.cwnd = averaged(e.cwnd, t.cwnd)
    if t.srtt:
        s.stat.cachedrtt += 1
    if t.rttvar:
        s.stat.cachedrttvar += 1
    if threshold:
        s.stat.cachedssthresh += 1
    return 0


def count(s):
    """The cache counts, and `netstat -s` tells."""
    s.stat.hc_added = s.hosts.added
    s.stat.hc_overflow = s.hosts.overflows


def round_trip_bsd(s, t):
    """The handshake is done, and its round trip not looked at yet."""
    wait: cython.longlong
    if s.hosts is None or t.srtt != 0:
        return 0
    e: HostEntry = s.hosts.find(t.faddr, s.now)
    if e is None or e.rtt == 0:
        return 0
    t.srtt = e.rtt
    t.rttvar = e.rttvar if e.rttvar else e.rtt
    s.stat.usedrtt += 1
    if e.rttvar:
        s.stat.usedrttvar += 1
    wait = (
        4 * t.srtt + 8 * t.rttvar
    )  # ((t_srtt >> 2) + t_rttvar) >> 1, of a time when they had fewer bits
    if wait < t.rttmin:
        wait = t.rttmin
    t.rxtcur = wait if wait < s.cfg.tcp_rexmit_max else s.cfg.tcp_rexmit_max
    return 0


def threshold_bsd(s, t):
    """Slow start ends where losses of earlier connections have taught it to, two segments at least."""
    if s.hosts is None:
        return 0
    e: HostEntry = s.hosts.find(t.faddr, s.now)
    if e is None or e.ssthresh == 0:
        return 0
    t.ssthresh = e.ssthresh
    if t.ssthresh < cython.cast(cython.uint, 2 * t.maxseg):
        t.ssthresh = 2 * t.maxseg
    s.stat.usedssthresh += 1
    return 0


def learn_linux(s, t):
    """The connection ends in order. A longer round trip is believed at once, a shorter one by an eighth."""
    m: PeerMetric
    window: cython.int
    threshold: cython.int
    off: cython.longlong
    keep: cython.bint = not s.cfg.tcp_no_ssthresh_metrics_save
    f = t.flight
    if s.metrics is None or s.cfg.tcp_no_metrics_save:
        return 0
    if t.rxtshift or t.srtt == 0:
        m = s.metrics.find(t.laddr, t.faddr, s.now)
        if m is not None:
            m.rtt = 0
        return 0
    m = s.metrics.told(t.laddr, t.faddr, s.now)
    off = m.rtt - t.srtt
    m.rtt = t.srtt if off <= 0 else m.rtt - (off >> 3)
    if off < 0:
        off = -off
    if off < t.rttvar:
        off = t.rttvar
    m.rttvar = off if off >= m.rttvar else m.rttvar - ((m.rttvar - off) >> 2)
    window = prr.window_of(t)
    threshold = t.ssthresh // t.maxseg
    if t.ssthresh >= cython.cast(cython.uint, INFINITE):
        if keep and m.ssthresh and window >> 1 > m.ssthresh:
            m.ssthresh = window >> 1
        if window > m.cwnd:
            m.cwnd = window
    elif window >= threshold and (f is None or f.ca_state == CA_OPEN):
        if keep:
            m.ssthresh = window >> 1 if window >> 1 > threshold else threshold
        m.cwnd = (m.cwnd + window) >> 1
    else:
        m.cwnd = (m.cwnd + threshold) >> 1
        if keep and m.ssthresh and threshold > m.ssthresh:
            m.ssthresh = threshold
        if f is not None and m.reordering < f.reordering and f.reordering != s.cfg.tcp_reordering:
            m.reordering = f.reordering
    m.stamp = s.now
    return 0


def proven(s, laddr, faddr):
    """Linux: has a connection with this host ended in order?"""
    if s.metrics is None:
        return False
    m: PeerMetric = s.metrics.find(laddr, faddr, s.now)
    return m is not None and m.rtt != 0


def begin_linux(s, t):
    """Data can be sent. 1: a round trip known to be longer than that of the handshake gives the first timeout."""
    m: PeerMetric
    if s.metrics is None:
        return 0
    m = s.metrics.find(t.laddr, t.faddr, s.now)
    if m is None:
        return 0
    if m.ssthresh and not s.cfg.tcp_no_ssthresh_metrics_save:
        t.ssthresh = m.ssthresh * t.maxseg
    t.known_reordering = m.reordering
    if m.rtt <= t.srtt:
        return 0
    t.rxtcur = m.rtt + (2 * m.rtt if 2 * m.rtt > t.rttmin else t.rttmin)
    return 1
