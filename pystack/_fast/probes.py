"""Questions to a peer that has nothing to say: is the window still shut, is anybody there?

    probe_window   the persist timer (RFC 9293 section 3.8.6.1)
    keep_alive     the keep-alive timer (RFC 9293 section 3.8.4)

Linux counts the probes that were not answered (`keep_probes`), FreeBSD the time since anything came.

Sources: FreeBSD netinet/tcp_timer.c, facts: freebsd-tcp 3.7; Linux 6.18 as measured.
"""

import cython

from pystack._fast import rtt
from pystack._fast.consts import (
    CLOSE_WAIT,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_2,
    FW2_KEEPALIVE,
    MS,
    PERSIST_LINUX,
    Err,
)
from pystack._fast.persist import set_persist
from pystack._fast.seq import dist, sub
from pystack._fast.tcb import SO_KEEPALIVE, SS_NOFDREF, SS_ORPHAN, TF_FORCE, Stack, Tcb  # noqa: F401
from pystack._fast.tcp_close import drop, out_of_resources
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_reply import send_ack_only

ETIMEDOUT = int(Err.ETIMEDOUT)
TOTAL_BACKOFF = 2559
"""FreeBSD: timeouts that all retransmissions of a segment take together (tcp_totbackoff)."""


def probe_window(s, t):
    """The window is still shut: ask again, or give up."""
    s.stat.persisttimeo += 1
    if s.cfg.policy_persist == PERSIST_LINUX:
        if hopeless_linux(s, t):
            s.stat.persistdrop += 1
            return drop(s, t, ETIMEDOUT, False)
        if t.so_state & SS_ORPHAN and too_many(s, t, True):
            return 0
        t.keep_probes += 1
    elif hopeless_bsd(s, t):
        s.stat.persistdrop += 1
        return drop(s, t, ETIMEDOUT, True)
    set_persist(s, t)
    if s.cfg.policy_persist == PERSIST_LINUX and dist(t.snd_una, t.snd_nxt) >= cython.cast(
        cython.int, t.snd_wnd
    ):
        s.stat.sndprobe += 1
        return send_ack_only(s, t, sub(t.snd_una, 1))
    t.t_flags |= TF_FORCE
    t.snd_nxt = t.snd_una
    tcp_output(s, t)
    t.t_flags &= ~TF_FORCE
    return 0


def hopeless_linux(s, t):
    """So many probes without an answer, or the application's patience; one that nobody waits for ends sooner."""
    if t.user_timeout > 0 and s.now - t.rexmt_start >= t.user_timeout:
        return True
    if t.so_state & SS_ORPHAN:
        return orphan_unheard(s, t)
    return t.keep_probes >= s.cfg.tcp_retries


def too_many(s, t, reset):
    """Linux: at each of its timers a connection without an application asks whether it may live on. One that could not
    send for long, or not at all, counts as two.
    """
    shift: cython.int = 0
    silent: cython.longlong = s.now - t.data_sent
    if silent > 2 * s.cfg.tcp_rexmit_max or not reset:
        shift += 1
    if t.soft_error:
        shift += 1
    if silent <= s.cfg.tcp_timewait or (t.snd_wnd == 0 and t.snd_una == t.snd_max):
        reset = True
    return out_of_resources(s, t, shift, reset)


def orphan_unheard(s, t):
    """Linux: has a closed connection whose peer shuts its window been asked often enough: until the waits have grown to
    the largest, or so many times without any answer?
    """
    limit: cython.longlong = s.cfg.tcp_orphan_retries
    if rtt.probe_wait(s, t, t.rxtshift) >= s.cfg.tcp_rexmit_max:
        return t.rxtshift >= limit
    return t.rcvtime <= t.rexmt_start and t.rxtshift >= (limit if limit > 0 else 8)


def hopeless_bsd(s, t):
    """Nothing has come for as long as retransmission would have taken; a minute once we have closed our side."""
    idle: cython.longlong = s.now - t.rcvtime
    timeout: cython.longlong = t.srtt + 4 * t.rttvar
    if t.srtt == 0:
        timeout = s.cfg.tcp_rexmit_initial
    if timeout < t.rttmin:
        timeout = t.rttmin
    if t.rxtshift >= s.cfg.tcp_retries:
        if idle >= s.cfg.tcp_maxpersistidle or idle >= timeout * TOTAL_BACKOFF:
            return True
    return t.state > CLOSE_WAIT and idle >= s.cfg.tcp_persmax


def keep_alive(s, t):
    """Nothing has come for long: a probe of the octet before the window, or the end of patience."""
    if s.cfg.policy_persist == PERSIST_LINUX:
        return keep_alive_linux(s, t)
    idle: cython.longlong = s.now - t.rcvtime
    keepidle: cython.longlong = t.keepidle * MS
    interval: cython.longlong = t.keepintvl * MS
    if t.state >= ESTABLISHED and idle < keepidle:
        t.at_keep = t.rcvtime + keepidle
        return 0
    s.stat.keeptimeo += 1
    if t.state < ESTABLISHED:
        s.stat.keepdrops += 1
        return drop(s, t, ETIMEDOUT, True)
    closed: cython.bint = (
        s.cfg.policy_fin_wait_2 == FW2_KEEPALIVE
        and t.state == FIN_WAIT_2
        and t.so_state & SS_NOFDREF != 0
    )
    if not closed and (
        not (s.cfg.tcp_always_keepalive or t.so_options & SO_KEEPALIVE) or t.state > CLOSING
    ):
        t.at_keep = s.now + keepidle
        return 0
    if idle >= keepidle + t.keepcnt * interval:
        s.stat.keepdrops += 1
        return drop(s, t, ETIMEDOUT, True)
    s.stat.keepprobe += 1
    send_ack_only(s, t, sub(t.snd_una, 1))
    t.at_keep = s.now + interval
    return 0


def keep_alive_linux(s, t):
    """Linux: with data out or waiting it is not the time to ask (MUST-26). TCP_USER_TIMEOUT counts instead of
    TCP_KEEPCNT once a probe was sent.
    """
    heard: cython.longlong = t.data_recv if t.data_recv > t.ack_recv else t.ack_recv
    keepidle: cython.longlong = t.keepidle * MS
    if heard < t.starttime:
        heard = t.starttime
    s.stat.keeptimeo += 1
    if not (s.cfg.tcp_always_keepalive or t.so_options & SO_KEEPALIVE):
        return 0
    if t.state == FIN_WAIT_2 and t.so_state & SS_NOFDREF:
        return 0
    if t.snd_una != t.snd_max or t.sndq.cc > 0:
        t.at_keep = s.now + keepidle
        return 0
    if s.now - heard < keepidle:
        t.at_keep = heard + keepidle
        return 0
    if t.keep_probes > 0 if t.user_timeout > 0 else t.keep_probes >= t.keepcnt:
        if t.user_timeout == 0 or s.now - heard >= t.user_timeout:
            s.stat.keepdrops += 1
            return drop(s, t, ETIMEDOUT, True)
    t.keep_probes += 1
    s.stat.keepprobe += 1
    send_ack_only(s, t, sub(t.snd_una, 1))
    t.at_keep = s.now + t.keepintvl * MS
    return 0
