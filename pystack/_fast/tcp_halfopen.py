"""What a segment does to a half-open connection, and how that becomes a connection.

    listen_segment     a segment for a listener: to the row that it concerns, to a cookie, or nobody's
    request_segment    a row of Linux: as for a connection in SYN-RECEIVED, challenge ACKs and all
    syncache_segment   a row of FreeBSD: RST, ACK, SYN, nothing else
    complete           the third segment was right: the accept queue has room, or not
    fast_child         Fast Open: the SYN itself makes the connection, in SYN-RECEIVED

Sources: RFC 9293 section 3.10.7.2, RFC 5961 section 3, RFC 7413 section 4.2.2; FreeBSD netinet/tcp_input.c,
tcp_syncache.c (facts: freebsd-tcp 3.3); Linux 6.18 as measured, segment by segment.
"""

import cython

from pystack._fast import ecn
from pystack._fast.consts import (
    ACK,
    BANDLIM_RST_OPEN,
    COOKIES_LINUX,
    FIN,
    HALF_OPEN_REQUEST,
    HALF_OPEN_SYNCACHE,
    PAWS_MSL,
    RST,
    SECOND,
    SOURCE_ROUTES_LINUX,
    SYN,
    SYN_RECEIVED,
    Drop,
    Note,
)
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.seq import add, after, before, between, dist, sub
from pystack._fast.source_routes import forget, learn
from pystack._fast.syncache import SC_ACE, SC_ACKED, SC_ECN, SC_SACK, SC_SCALE, SC_TS
from pystack._fast.syncookies import COOKIE_MSS, COOKIE_SCALE, TS_ECN, TS_NO_SCALE, TS_SACK
from pystack._fast.tcb import (
    FO_QUEUED,
    FO_TAKEN,
    SO_ROUTED,
    SS_BOUND,
    SS_NOFDREF,
    TF_NODELAY,
    TF_NOPUSH,
    TF_PASSIVE,
    TF_RCV_AUTO_OFF,
    TF_RCVD_SCALE,
    TF_RCVD_TS,
    TF_SACK_PERMIT,
    TF_SND_AUTO_OFF,
    Tcb,
)
from pystack._fast.tcp_build import our_mss
from pystack._fast.tcp_listen import Listener, reflected  # noqa: F401
from pystack._fast.tcp_reply import reset_for
from pystack._fast.tcp_window import first_window

SOCKET_LIMIT = int(Note.SOCKET_LIMIT)
SPURIOUS_ACK = int(Note.SPURIOUS_ACK)
COOKIE_FAILED = int(Note.COOKIE_FAILED)
SOCKET_FAILED = int(Note.SOCKET_FAILED)
SYNCACHE_REFUSED = int(Note.SYNCACHE_REFUSED)
TCP_LISTEN_OVERFLOW = int(Drop.TCP_LISTEN_OVERFLOW)
TCP_LISTEN_STATE = int(Drop.TCP_LISTEN_STATE)
TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
TCP_FROM_SELF = int(Drop.TCP_FROM_SELF)
TCP_NO_ACK = int(Drop.TCP_NO_ACK)
TCP_NO_TIMESTAMP = int(Drop.TCP_NO_TIMESTAMP)
TCP_PAWS = int(Drop.TCP_PAWS)
TCP_SYNFIN = int(Drop.TCP_SYNFIN)
TCP_WINDOW = int(Drop.TCP_WINDOW)
COOKIE_LIFE = 15 * SECOND
LINUX_COOKIE_LIFE = 120 * SECOND


def listen_segment(listeners, s, t, p):
    """A segment for the listener `t`. Answers the connection that it makes, which has yet to process it; or None with
    p.drop set, 0 when the segment did its work.
    """
    row: cython.int = listeners.cache.find(p.dst, p.dport, p.src, p.sport)
    p.drop = 0
    if row != 0 and listeners.cache.listener[row] != t.row:
        listeners.forget(s, row)
        row = 0
    if p.ip_len > 20 and (row == 0 or s.cfg.policy_source_routes != SOURCE_ROUTES_LINUX):
        return routed_segment(listeners, s, t, p, row)
    return segment_of(listeners, s, t, p, row)


def routed_segment(listeners, s, t, p, row):
    """One that may have come by a source route, which is then the way back: Linux takes the first, FreeBSD the last."""
    learned: cython.bint = learn(s, p)
    child: Tcb = segment_of(listeners, s, t, p, row)
    if learned and child is None:
        if listeners.cache.find(p.dst, p.dport, p.src, p.sport) == 0:
            forget(s, p.dst, p.dport, p.src, p.sport)
    return child


def segment_of(listeners, s, t, p, row):
    """A segment for the listener `t`, and its row, or 0."""
    if s.cfg.policy_half_open == HALF_OPEN_REQUEST:
        if row != 0:
            return request_segment(listeners, s, t, p, row)
        if p.flags & (RST | ACK) == ACK:
            return from_cookie(listeners, s, t, p)
        if p.flags & (RST | SYN) != SYN:
            p.drop = TCP_LISTEN_STATE
            return None
        if p.flags & FIN:
            p.drop = TCP_SYNFIN
            return None
    else:
        return syncache_segment(listeners, s, t, p, row)
    return new_syn(listeners, s, t, p)


def new_syn(listeners, s, t, p):
    """A SYN of which nothing is known yet."""
    reason: cython.int
    if p.src == p.dst and p.sport == p.dport:
        s.stat.badsyn += 1
        p.drop = TCP_FROM_SELF
        return None
    if s.cfg.tcp_tw_recycle and p.opt_ts and older_clock(s, p):
        s.stat.paws_passive += 1
        p.drop = TCP_PAWS
        return None
    reason = listeners.on_syn(s, t, p)
    if reason < 0:
        return fast_child(listeners, s, t, p)
    p.drop = reason
    return None


def older_clock(s, p):
    """Linux until 4.11 with tcp_tw_recycle: does the SYN's clock stand before the last that this address showed in the
    last minute? So it does for nearly everybody who shares an address (facts: conntrack 9.4).
    """
    known = s.peers.get(p.src)
    if known is None:
        return False
    last: cython.uint = known[0]
    age: cython.longlong = known[1]
    return s.now - age < PAWS_MSL and dist(p.ts_val, last) > 1


# --- Linux ---------------------------------------------------------------------------------------------------------


def request_segment(listeners, s, t, p, row):
    """A segment for a request: the steps of RFC 9293 section 3.10.7.4, the ACK before the sequence number."""
    cache = listeners.cache
    cfg = s.cfg
    irs: cython.uint = cache.irs[row]
    nxt: cython.uint = add(irs, 1)
    edge: cython.uint = add(nxt, listeners.announced(s, t, row))
    end: cython.uint = add(p.seq, p.length)
    control: cython.int = p.flags & (SYN | RST | ACK)
    stale: cython.bint = False
    inside: cython.bint
    if p.flags & SYN:
        end = add(end, 1)
    if p.flags & FIN:
        end = add(end, 1)
    if p.opt_ts and cache.flags[row] & SC_TS:
        stale = before(p.ts_val, cache.ts_recent[row])
        if (
            p.flags & ACK
            and p.ts_ecr != 0
            and (before(p.ts_ecr, cache.ts_first[row]) or after(p.ts_ecr, cache.ts_last[row]))
        ):
            stale = True  # an echo of a clock that never said so
    if control == SYN and p.seq == irs and not stale:
        p.drop = listeners.duplicate(s, row, p)
        return None
    if control & (ACK | RST) == ACK and p.ack != add(cache.iss[row], 1):
        s.stat.sc_badack += 1
        p.drop = TCP_BAD_ACK
        reset_for(s, p)
        return None
    inside = (
        p.seq == nxt or (after(end, nxt) and before(p.seq, edge)) or (p.seq == edge and end == edge)
    )
    if stale or not inside:
        p.drop = TCP_PAWS if stale else TCP_WINDOW
        if p.flags & RST:
            return None
        if p.length == 0 or p.flags & SYN:
            if s.now - cache.answered[row] < cfg.tcp_invalid_ratelimit:
                s.stat.challenge_suppressed += 1
                s.stat.skipped_syn_recv += 1
                return None
            cache.answered[row] = s.now
        listeners.say_ack(s, row)
        return None
    if p.opt_ts and cache.flags[row] & SC_TS and not after(p.seq, nxt):
        cache.ts_recent[row] = p.ts_val
    if p.flags & RST:
        if p.seq == nxt:
            s.stat.sc_reset += 1
            s.stat.embryonic_rsts += 1
            listeners.forget(s, row)
        else:
            s.stat.badrst += 1
            s.stat.challenge_acks += 1
            p.drop = TCP_BAD_RST
            listeners.say_ack(s, row)
        return None
    if p.flags & SYN and p.seq != irs:
        # a SYN in the window: the peer has begun anew
        s.stat.sc_reset += 1
        s.stat.embryonic_rsts += 1
        p.drop = TCP_BAD_SYN
        reset_for(s, p)
        listeners.forget(s, row)
        return None
    if p.flags & ACK == 0:
        p.drop = TCP_NO_ACK
        return None
    if t.defer_accept > 0 and cache.rexmits[row] < t.defer_accept and end == nxt:
        s.stat.defer_drop += 1
        cache.flags[row] |= SC_ACKED  # TCP_DEFER_ACCEPT: nobody is told before there is data
        return None
    return complete(listeners, s, t, p, row)


# --- FreeBSD -------------------------------------------------------------------------------------------------------


def syncache_segment(listeners, s, t, p, row):
    """A segment for FreeBSD's listener, and the row of the syncache that it has, or 0."""
    cache = listeners.cache
    if p.flags & (RST | SYN | ACK) == ACK:
        if row == 0:
            return from_cookie(listeners, s, t, p)
        return syncache_expand(listeners, s, t, p, row)
    if p.flags & RST:
        p.drop = TCP_LISTEN_STATE
        if row != 0:
            p.drop = syncache_reset(listeners, s, t, p, row)
        return None
    if p.flags & SYN == 0:
        s.stat.badsyn += 1
        p.drop = TCP_LISTEN_STATE
        return None
    if p.flags & ACK:
        s.stat.badsyn += 1
        if row != 0:  # syncache_badack
            s.stat.sc_badack += 1
            listeners.forget(s, row)
        p.drop = TCP_BAD_ACK
        if s.bandlim(BANDLIM_RST_OPEN):
            reset_for(s, p)
        return None
    if row == 0:
        return new_syn(listeners, s, t, p)
    if s.cfg.policy_half_open == HALF_OPEN_SYNCACHE and cache.irs[row] != p.seq:
        listeners.forget(s, row)
        return new_syn(listeners, s, t, p)
    p.drop = listeners.duplicate(s, row, p)
    return None


def syncache_reset(listeners, s, t, p, row):
    """A RST for a half-open connection: exactly IRS+1 ends it (RFC 5961 section 3)."""
    cache = listeners.cache
    nxt: cython.uint = add(cache.irs[row], 1)
    if p.seq == nxt or (
        s.cfg.tcp_insecure_rst and between(p.seq, nxt, add(nxt, listeners.announced(s, t, row)))
    ):
        s.stat.sc_reset += 1
        if s.cfg.tcp_log_debug:
            s.say_of(SYNCACHE_REFUSED, p, 0)
        listeners.forget(s, row)
        return 0
    if between(p.seq, nxt, add(nxt, listeners.announced(s, t, row))):
        s.stat.badrst += 1
        listeners.say_ack(s, row)
    return TCP_BAD_RST


def syncache_expand(listeners, s, t, p, row):
    """An ACK for a row of the syncache (facts: freebsd-tcp 3.3, third ACK test)."""
    cache = listeners.cache
    irs: cython.uint = cache.irs[row]
    if (
        p.ack != add(cache.iss[row], 1)
        or not after(p.seq, irs)
        or after(p.seq, add(irs, listeners.announced(s, t, row)))
    ):
        s.stat.sc_badack += 1
        p.drop = TCP_BAD_ACK
        if s.bandlim(BANDLIM_RST_OPEN):
            reset_for(s, p)
        return None
    if cache.flags[row] & SC_TS:
        if not p.opt_ts and not s.cfg.tcp_tolerate_missing_ts:
            p.drop = TCP_NO_TIMESTAMP
            return None
        if p.opt_ts and before(p.ts_val, cache.ts_recent[row]):
            p.drop = TCP_PAWS
            return None
    return complete(listeners, s, t, p, row)


# --- both ----------------------------------------------------------------------------------------------------------


def from_cookie(listeners, s, t, p):
    """An ACK that no row knows: does it answer a cookie?"""
    cfg = s.cfg
    flags: cython.int = 0
    octet: cython.int
    mss: cython.int
    scale: cython.int = -1
    hidden: cython.uint
    offset: cython.uint = s.new_ts_offset(p.dst, p.src)
    since: cython.longlong
    good: cython.bint = False
    if cfg.policy_cookies == COOKIES_LINUX:
        if (
            cfg.tcp_syncookies
            and p.flags & SYN == 0
            and s.now - t.books.last_cookie < LINUX_COOKIE_LIFE
        ):
            mss = listeners.cookies.linux_check(p, s.now)
            good = mss > 0
            if not good:
                s.stat.cookie_failed += 1
            if good and p.opt_ts:
                hidden = sub(p.ts_ecr, offset)
                flags = (
                    SC_TS
                    | (SC_SACK if hidden & TS_SACK else 0)
                    | (SC_ECN if hidden & TS_ECN and cfg.tcp_ecn else 0)
                )
                scale = hidden & TS_NO_SCALE
                if scale == TS_NO_SCALE:
                    scale = -1
                else:
                    flags |= SC_SCALE
                good = (
                    cfg.tcp_timestamps != 0
                    and (cfg.tcp_sack != 0 or flags & SC_SACK == 0)
                    and (cfg.tcp_window_scaling != 0 or flags & SC_SCALE == 0)
                )
    else:
        since = (
            s.now
            - listeners.cache.overflowed[listeners.cache.bucket_of(p.dst, p.dport, p.src, p.sport)]
        )
        if cfg.tcp_syncookies and (
            cfg.tcp_syncookies_only or since <= COOKIE_LIFE or s.now < listeners.paused_until
        ):
            octet = listeners.cookies.check(p, s.now)
            if octet < 0 and cfg.tcp_log_debug:
                s.say_of(COOKIE_FAILED, p, 0)
            if octet >= 0:
                good = True
                mss = COOKIE_MSS[(octet >> 2) & 7]
                scale = COOKIE_SCALE[octet >> 5]
                flags = (
                    (SC_TS if p.opt_ts else 0)
                    | (SC_SACK if octet & 2 else 0)
                    | (SC_SCALE if octet >> 5 else 0)
                )
        elif cfg.tcp_log_debug:
            s.say_of(SPURIOUS_ACK, p, 0)
    if not good:
        s.stat.sc_badack += 1
        p.drop = TCP_BAD_ACK
        if s.bandlim(BANDLIM_RST_OPEN):
            reset_for(s, p)
        return None
    s.stat.sc_recvcookie += 1
    if no_room(listeners, s, t, p, 0):
        return None
    child = child_of(
        s, t, p, sub(p.ack, 1), sub(p.seq, 1), mss, p.win, scale, flags, p.ts_val, offset
    )
    if child is not None and cfg.tcp_reflect_tos:
        child.tos = reflected(p.tos, 0)
    return completed(s, child, p)


def no_room(listeners, s, t, p, row):
    """Is the accept queue full? Then FreeBSD resets the peer and forgets it; Linux forgets the ACK."""
    cfg = s.cfg
    if not listeners.queue_full(s, t):
        return False
    s.stat.listendrop += 1
    p.drop = TCP_LISTEN_OVERFLOW
    if cfg.policy_half_open == HALF_OPEN_REQUEST:
        listeners.refuse(s, t)
        if row != 0:
            listeners.cache.flags[row] |= SC_ACKED
            if cfg.tcp_abort_on_overflow:
                s.stat.embryonic_rsts += 1
                listeners.forget(s, row)
                reset_for(s, p)
        return True
    listeners.overflowed(s, t)
    s.stat.sc_aborted += 1
    if cfg.tcp_log_debug:
        s.say_of(SOCKET_FAILED, p, 0)
    if row != 0:
        listeners.forget(s, row)
    if cfg.syncache_rst_on_sock_fail:
        reset_for(s, p)
    return True


def complete(listeners, s, t, p, row):
    """The third segment of a row is right: its connection, in SYN_RECEIVED still, or None when there is no room."""
    cache = listeners.cache
    if no_room(listeners, s, t, p, row):
        return None
    child = child_of(
        s, t, p, cache.iss[row], cache.irs[row], cache.mss[row], cache.win[row],
        cache.peer_scale[row], cache.all_flags(row), cache.ts_recent[row], cache.ts_offset[row],
    )  # fmt: skip
    if child is not None:
        child.syn_rexmits = cache.rexmits[row]
        if s.cfg.tcp_reflect_tos:
            child.tos = reflected(cache.tos[row], 0)
        if child.syn_rexmits > 0:
            child.rto_count = child.syn_rexmits
            child.rto_episodes = 1
            child.rto_time = s.now - cache.born[row]
        if s.cfg.policy_half_open == HALF_OPEN_REQUEST and child.syn_rexmits == 0:
            # the SYN-ACK's round trip is the first sample; FreeBSD's entries do not keep the time
            child.rtt_time = cache.born[row] if cache.born[row] > 0 else 1
    listeners.forget(s, row)
    return completed(s, child, p)


def completed(s, child, p):
    """Count the connection, or that there were sockets no more."""
    if child is not None:
        s.stat.sc_completed += 1
        return child
    s.stat.sc_aborted += 1
    if s.cfg.tcp_log_debug:
        s.say_of(SOCKET_FAILED, p, 0)
    p.drop = TCP_LISTEN_OVERFLOW
    if s.cfg.syncache_rst_on_sock_fail:
        reset_for(s, p)
    return None


def child_of(s, t, p, iss, irs, mss, win, peer_scale, flags, ts_recent, ts_offset):
    """A connection out of a half-open one, in SYN_RECEIVED with the SYN-ACK sent; None at maxsockets."""
    c = s.new_tcb()
    if c is None:
        s.say(SOCKET_LIMIT, t, 0, 0)
        return None
    s.set_state(c, SYN_RECEIVED)
    s.demux.connect(c.row, p.dst, p.dport, p.src, p.sport)
    c.laddr = p.dst
    c.lport = p.dport
    c.faddr = p.src
    c.fport = p.sport
    c.listener = t
    c.so_state = SS_BOUND | SS_NOFDREF
    c.so_options = t.so_options
    if len(s.ways) > 0 and (p.dst, p.dport, p.src, p.sport) in s.ways:
        c.so_options |= SO_ROUTED
    c.extras = t.extras
    if t.reports is not None:
        c.reports = t.reports.for_child()
    c.linger = t.linger
    c.linger2 = t.linger2
    c.tos = t.tos
    c.ttl = t.ttl
    c.min_ttl = t.min_ttl
    c.user_mss = t.user_mss
    c.user_timeout = t.user_timeout
    c.keepidle = t.keepidle
    c.keepintvl = t.keepintvl
    c.keepcnt = t.keepcnt
    c.keepinit = t.keepinit
    c.notsent_lowat = t.notsent_lowat
    c.cc = t.cc
    c.sndq.hiwat = t.sndq.hiwat
    c.sndq.lowat = t.sndq.lowat
    c.rcvq.hiwat = t.rcvq.hiwat
    c.rcvq.lowat = t.rcvq.lowat
    c.t_flags = TF_PASSIVE | (
        t.t_flags & (TF_NODELAY | TF_NOPUSH | TF_SND_AUTO_OFF | TF_RCV_AUTO_OFF)
    )
    c.iss = iss
    c.snd_una = iss
    c.snd_nxt = add(iss, 1)
    c.snd_max = c.snd_nxt
    c.recover = iss
    c.snd_up = c.snd_nxt
    c.irs = irs
    c.rcv_nxt = add(irs, 1)
    c.rcv_up = c.rcv_nxt
    c.last_ack_sent = c.rcv_nxt
    c.user_clamp = t.user_clamp
    c.rcv_wnd = first_window(s, t, our_mss(s, p.src, t.user_mss) - (12 if flags & SC_TS else 0))
    c.rcv_adv = add(c.rcv_nxt, c.rcv_wnd)
    c.snd_wnd = win
    c.max_sndwnd = win
    c.snd_wl1 = irs
    c.ts_offset = ts_offset
    c.request_r_scale = t.request_r_scale
    if flags & SC_TS:
        c.t_flags |= TF_RCVD_TS
        c.ts_recent = ts_recent
        c.ts_recent_age = s.now
    if flags & SC_SACK:
        c.t_flags |= TF_SACK_PERMIT
    ecn.child(s, c, ecn.ASKED_CLASSIC if flags & SC_ECN else flags // SC_ACE)
    if flags & SC_SCALE:
        c.t_flags |= TF_RCVD_SCALE
        c.snd_scale = peer_scale
        c.rcv_scale = t.request_r_scale
    c.mss_peer = mss
    return c


# --- Fast Open -----------------------------------------------------------------------------------------------------


def fast_child(listeners, s, t, p):
    """A SYN with a good cookie: the connection at once, in SYN_RECEIVED and in the accept queue (RFC 7413 section
    4.2.2). A row goes on repeating the SYN-ACK; the caller has it sent once the SYN's data are in.
    """
    cache = listeners.cache
    row: cython.int
    flags: cython.int = listeners.agree(s, t, p)
    if listeners.queue_full(s, t):
        s.stat.listendrop += 1
        if s.cfg.policy_half_open == HALF_OPEN_REQUEST:
            listeners.refuse(s, t)
        else:
            listeners.overflowed(s, t)
        p.drop = TCP_LISTEN_OVERFLOW
        return None
    row = listeners.new_row(s, t, p)
    if row == 0:
        p.drop = TCP_LISTEN_OVERFLOW
        return None
    listeners.fill(s, row, p, flags)
    child = child_of(
        s, t, p, cache.iss[row], p.seq, cache.mss[row], p.win,
        cache.peer_scale[row], flags, p.ts_val, cache.ts_offset[row],
    )  # fmt: skip
    if child is None:
        cache.listener[row] = 0
        listeners.forget(s, row)
        p.drop = TCP_LISTEN_OVERFLOW
        return None
    cache.listener[row] = child.row
    if s.cfg.tcp_reflect_tos:
        child.tos = reflected(p.tos, 0)
    child.fo_row = row
    child.fo = FO_QUEUED | (FO_TAKEN if p.length > 0 else 0)
    child.syncnt = t.syncnt
    child.snd_una = child.snd_nxt  # the SYN is the row's; data may follow it
    t.fo_pending += 1
    s.stat.fo_passive += 1
    s.wheel.arm(cache.timer[row], s.now + s.cfg.tcp_rexmit_initial)
    return child


def fast_established(listeners, s, t):
    """The SYN-ACK of a Fast Open connection is acknowledged: its row goes."""
    cache = listeners.cache
    row: cython.int = t.fo_row
    if cache.rexmits[row] == 0:
        t.rtt_time = cache.born[row] if cache.born[row] > 0 else 1
    t.syn_rexmits = cache.rexmits[row]
    listeners.forget(s, row)
    return 0
