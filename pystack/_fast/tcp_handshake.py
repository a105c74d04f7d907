"""What both ways into ESTABLISHED share: the peer's options, the effective MSS, the first moments of a connection.

RFC 9293 sections 3.7.1 (MSS) and 3.10.7.3, RFC 7323 section 1.3, RFC 2018 section 2.
"""

import cython

from pystack._fast import accept_filter, mtu_probe
from pystack._fast.consts import (
    ESTABLISHED,
    EV_ACCEPT,
    EV_CONNECT,
    EV_READ,
    EV_WRITE,
    MS,
    NAGLE_LINUX,
    NEVER,
    PERSIST_LINUX,
    SOCKBUF_LINUX,
    SYN_SENT,
    Err,
)
from pystack._fast.host_memory import begin_linux, threshold_bsd
from pystack._fast.source_routes import room
from pystack._fast.tcb import (
    FO_QUEUED,
    SO_KEEPALIVE,
    SO_ROUTED,
    SS_CONNECTED,
    SS_CONNECTING,
    SS_INQUEUE,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_PASSIVE,
    TF_RCVD_SCALE,
    TF_RCVD_TS,
    TF_SACK_PERMIT,
    TF_SND_AUTO_OFF,
    Tcb,
)
from pystack._fast.tcp_close import drop
from pystack._fast.tcp_window import grow_send_buffer, settle_buffers

ECONNABORTED = int(Err.ECONNABORTED)


def peer_options(s, t, p):
    """What the peer's SYN or SYN-ACK offers, as far as we offered it too."""
    if p.opt_wscale >= 0 and s.cfg.tcp_window_scaling and not t.t_flags & TF_NO_SCALE:
        t.t_flags |= TF_RCVD_SCALE
        t.snd_scale = p.opt_wscale
        t.rcv_scale = t.request_r_scale
    if p.opt_ts and s.cfg.tcp_timestamps and not t.t_flags & TF_NO_TS:
        t.t_flags |= TF_RCVD_TS
        t.ts_recent = p.ts_val
        t.ts_recent_age = s.now
    if p.opt_sack_ok and s.cfg.tcp_sack and not t.t_flags & TF_NO_SACK:
        t.t_flags |= TF_SACK_PERMIT
    t.mss_peer = p.opt_mss if p.opt_mss >= 0 else s.cfg.tcp_mssdflt
    return set_mss(s, t)


def set_mss(s, t):
    """The effective MSS: what the peer takes, what the way carries, less the options of every segment (MUST-16)."""
    mtu: cython.int = s.mtu_to(t.faddr)
    mss: cython.int = mtu - 40 if mtu > 0 else s.cfg.tcp_mssdflt
    if t.pmtu > 0 and t.pmtu - 40 < mss:
        mss = t.pmtu - 40
    if t.bh_mss > 0 and t.bh_mss < mss:
        mss = t.bh_mss
    if t.search is not None and t.search.low - 40 < mss:
        mss = t.search.low - 40
    if t.mss_peer > 0 and t.mss_peer < mss:
        mss = t.mss_peer
    t.advmss = mtu - 40 if mtu > 0 else s.cfg.tcp_mssdflt
    if 0 < t.user_mss < t.advmss:
        t.advmss = t.user_mss
    if t.user_mss > 0 and t.user_mss < mss:
        mss = t.user_mss
    if t.so_options & SO_ROUTED:
        mss -= room(s, t)
    if mss < s.cfg.tcp_minmss:
        mss = s.cfg.tcp_minmss
    if t.t_flags & TF_RCVD_TS:
        mss -= 12
        t.advmss -= 12
    if s.cfg.policy_nagle == NAGLE_LINUX and t.state >= SYN_SENT and t.max_sndwnd > 0:
        # half of the largest window, or a peer with a small one would wait for the rest of a segment
        half: cython.int = t.max_sndwnd >> 1 if t.max_sndwnd > 536 else t.max_sndwnd
        if mss > half:
            mss = half if half > 28 else 28
    if t.flight is not None and mss != t.maxseg:
        # the window is so many segments, whatever they measure
        t.cwnd = t.cwnd // t.maxseg * mss
        if t.ssthresh < 0x40000000:
            t.ssthresh = t.ssthresh // t.maxseg * mss
    t.maxseg = mss
    return 0


def established(s, t):
    """The handshake is done."""
    s.stat.connects += 1
    s.set_state(t, ESTABLISHED)
    t.so_state &= ~SS_CONNECTING
    t.so_state |= SS_CONNECTED
    t.starttime = s.now
    known: cython.bint = not t.fo & FO_QUEUED and begin_transfer(s, t)
    t.at_keep = NEVER
    if (
        s.cfg.tcp_always_keepalive
        or t.so_options & SO_KEEPALIVE
        or s.cfg.policy_persist != PERSIST_LINUX  # who asks for it later finds the timer running
    ):
        t.at_keep = s.now + t.keepidle * MS
    t.keep_probes = 0
    if t.rto_since:
        t.rto_time += s.now - t.rto_since
        t.rto_since = 0
    if t.srtt == 0 and s.cfg.tcp_rexmit_fallback > 0 and not known:
        t.rxtcur = s.cfg.tcp_rexmit_fallback
    if t.t_flags & TF_PASSIVE and not t.fo & FO_QUEUED:
        join_queue(s, t)
    s.wakeup(t, EV_CONNECT | EV_WRITE)
    return 0


def begin_transfer(s, t):
    """All is known of the peer: segments, buffers and windows are what they will be. Called once. 1: earlier
    connections have told the first timeout.
    """
    t.sndq.pushed = t.snd_una
    set_mss(s, t)
    if s.cfg.tcp_mtu_search:
        mtu_probe.begin(s, t, mtu_probe.header_of(t))
    settle_buffers(s, t)
    if s.cfg.policy_sockbuf == SOCKBUF_LINUX:
        if s.cfg.tcp_sendbuf_auto and not t.t_flags & TF_SND_AUTO_OFF:
            grow_send_buffer(s, t)
    if s.hosts is not None:
        threshold_bsd(s, t)
    return begin_linux(s, t) if s.metrics is not None else 0


def join_queue(s, t):
    """The connection waits to be accepted."""
    listener = t.listener
    if listener is None:
        return 0
    if listener.accept_filter and not accept_filter.passes(t):
        accept_filter.wait(t)
        while len(listener.books.filtered) > listener.backlog + 1:
            oldest: Tcb = listener.books.filtered[0]
            drop(s, oldest, ECONNABORTED, True)
        return 0
    s.stat.accepts += 1
    t.so_state |= SS_INQUEUE
    t.accept_next = None
    if listener.accept_last is None:
        listener.accept_first = t
    else:
        listener.accept_last.accept_next = t
    listener.accept_last = t
    listener.qlen += 1
    if listener.qlen > listener.books.qlen_high:
        listener.books.qlen_high = listener.qlen
    s.wakeup(listener, EV_ACCEPT | EV_READ)
    return 0


def let_pass(s, t):
    """More has come of a connection that the listener's filter holds back: can it be accepted now?"""
    if accept_filter.passes(t):
        accept_filter.leave(t)
        join_queue(s, t)
    return 0
