"""What happens when time passes: retransmission, window probes, keep-alive, the end of FIN_WAIT_2, delayed ACKs.

A connection has one row in the wheel; `fire` runs when it comes up and does what is due by then. A timer that was moved
to a later time since comes up early: then nothing is due and the row is armed anew.

Sources: RFC 6298 section 5, RFC 9293 sections 3.8.3, 3.8.4, 3.8.6.1; FreeBSD netinet/tcp_timer.c;
facts: freebsd-tcp 3.7.
"""

import cython

from pystack._fast import congestion, rtt
from pystack._fast.consts import (
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_2,
    FW2_END_RST,
    FW2_KEEPALIVE,
    FW2_ORPHAN,
    FW2_RECEIVE_SHUT,
    MS,
    NEVER,
    PERSIST_BSD,
    PERSIST_LINUX,
    RTO_LINUX,
    SYN_GIVE_UP_MODEL,
    SYN_RECEIVED,
    SYN_SENT,
    WAIT_REO,
    WAIT_TLP,
    Err,
)
from pystack._fast.loss_timers import enter_loss, reordering_over, send_probe
from pystack._fast.persist import set_persist
from pystack._fast.recovery import send_again
from pystack._fast.seq import dist, sub
from pystack._fast.tcb import (
    FO_ASK,
    SO_KEEPALIVE,
    SS_NOFDREF,
    SS_ORPHAN,
    TF_ACKNOW,
    TF_CONGRECOVERY,
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_FASTRECOVERY,
    TF_FORCE,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_WAS_CONG,
    TF_WAS_FAST,
)
from pystack._fast.tcp_close import become_row, close, drop, fin_time, out_of_resources
from pystack._fast.tcp_delack import ack_due
from pystack._fast.tcp_handshake import set_mss
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_reply import send_ack_only
from pystack._fast.tfo import FastOpen

ETIMEDOUT = int(Err.ETIMEDOUT)


def fire(s, t):
    """The wheel says that a timer of `t` may be due."""
    t.timer_at = NEVER
    if t.at_delack <= s.now:
        if ack_due(s, t):
            tcp_output(s, t)
    if t.row != 0 and t.at_rexmt <= s.now:
        t.at_rexmt = NEVER
        retransmit(s, t)
    if t.row != 0 and t.at_persist <= s.now:
        t.at_persist = NEVER
        probe_window(s, t)
    if t.row != 0 and t.at_keep <= s.now:
        t.at_keep = NEVER
        keep_alive(s, t)
    if t.row != 0 and t.at_2msl <= s.now:
        t.at_2msl = NEVER
        wait_over(s, t)
    if t.row != 0:
        s.arm(t)
    return 0


def given_up(s, t):
    """Has the retransmission gone on long enough: by count, by the system's time, or by the user timeout (RFC 5482)?"""
    limit: cython.longlong = s.cfg.tcp_retries
    waited: cython.longlong = s.now - t.rexmt_start
    if t.state <= SYN_RECEIVED:
        limit = t.syncnt if t.syncnt > 0 else s.cfg.tcp_syn_retries
        if s.cfg.policy_syn_give_up == SYN_GIVE_UP_MODEL:
            if waited >= (t.user_timeout if t.user_timeout > 0 else doublings(s, limit)):
                return True
        elif t.user_timeout > 0:
            return waited >= t.user_timeout
        if t.state == SYN_SENT:
            limit += s.cfg.tcp_syn_linear_timeouts
        return t.rxtshift > limit
    if t.user_timeout > 0:
        return waited >= t.user_timeout
    if t.so_state & SS_NOFDREF and t.state > ESTABLISHED and s.cfg.policy_rto == RTO_LINUX:
        limit = s.cfg.tcp_orphan_retries if s.cfg.tcp_orphan_retries > 0 else 8
    return t.rxtshift > limit


def out_of_patience(s, t, f):
    """Linux: has the same segment been sent again for as long as so many doubled timeouts take (tcp_retries2), or as
    the user timeout says, counted from the first time?
    """
    start: cython.longlong = f.retrans_at
    limit: cython.longlong = s.cfg.tcp_retries
    most: cython.longlong
    least: cython.longlong = t.rttmin
    doublings: cython.int = 0
    if f.retransmits == 0 or start == 0:
        return False
    if t.so_state & SS_NOFDREF:
        limit = s.cfg.tcp_orphan_retries
        if limit == 0 and t.rxtcur < s.cfg.tcp_rexmit_max:
            limit = 8
    if t.user_timeout > 0:
        return s.now - start >= t.user_timeout
    most = least
    while most * 2 <= s.cfg.tcp_rexmit_max:
        most *= 2
        doublings += 1
    if limit <= doublings:
        most = ((cython.cast(cython.longlong, 2) << cython.cast(cython.int, limit)) - 1) * least
    else:
        most = ((cython.cast(cython.longlong, 2) << doublings) - 1) * least
        most += (limit - doublings) * s.cfg.tcp_rexmit_max
    return s.now - start >= most


def segment_timer(s, t, f):
    """The timer of a connection that repairs losses by segments: one of three (consts.WAIT_*)."""
    shut: cython.bint = t.snd_wnd == 0 and t.so_state & SS_NOFDREF == 0
    alive: cython.bint
    left: cython.longlong
    if f.pending == WAIT_TLP:
        return send_probe(s, t, f)
    if f.pending == WAIT_REO:
        return reordering_over(s, t, f)
    if f.first == 0:
        return 0
    if t.so_state & SS_ORPHAN:
        alive = t.rxtcur < s.cfg.tcp_rexmit_max
        if too_many(s, t, alive or not out_of_patience(s, t, f)):
            return 0
    if shut:
        # the peer has shut the window over what is in flight: asked for as long as it answers
        left = 2 * s.cfg.tcp_rexmit_max
        if s.now - t.rcvtime > left and f.retrans_at != 0 and s.now - f.retrans_at > left:
            s.stat.timeoutdrop += 1
            return drop(s, t, ETIMEDOUT, False)
    elif out_of_patience(s, t, f):
        s.stat.timeoutdrop += 1
        return drop(s, t, ETIMEDOUT, False)
    s.stat.rexmttimeo += 1
    enter_loss(s, t, f)
    if not shut:
        f.retransmits += 1
    if send_again(s, t, f, f.first, f.start, 1, False) < 0:
        t.at_rexmt = s.now + (t.rxtcur if t.rxtcur < 500 * MS else 500 * MS)
        return 0
    if (
        s.cfg.tcp_thin_linear_timeouts
        and f.packets_out < 4
        and t.ssthresh < 0x40000000
        and f.retransmits <= 6
    ):
        t.rxtshift = 0
        t.rxtcur = rtt.rto(s, t)
    else:
        t.rxtshift += 1
        t.rxtcur *= 2
    if t.rxtcur > s.cfg.tcp_rexmit_max:
        t.rxtcur = s.cfg.tcp_rexmit_max
    left = t.rxtcur
    if t.user_timeout > 0 and f.retrans_at + t.user_timeout - s.now < left:
        left = f.retrans_at + t.user_timeout - s.now
        if left < MS:
            left = MS  # the application's patience ends before the next retransmission
    t.at_rexmt = s.now + left
    return 0


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
    if rtt.backoff(s, t, t.rxtshift) >= s.cfg.tcp_rexmit_max:
        return t.rxtshift >= limit
    return t.rcvtime <= t.rexmt_start and t.rxtshift >= (limit if limit > 0 else 8)


def doublings(s, tries):
    """How long `tries` repetitions take whose waits double from the first timeout on, and the wait after them, ns."""
    span: cython.longlong = s.cfg.tcp_rexmit_initial
    total: cython.longlong = span
    for _ in range(tries):
        span = span * 2 if span * 2 < s.cfg.tcp_rexmit_max else s.cfg.tcp_rexmit_max
        total += span
    return total


def retransmit(s, t):
    """The retransmission timer (RFC 6298 section 5.4 to 5.7): back off, shrink, send the first segment again."""
    if t.fo_row:
        return 0  # first the SYN-ACK must get through, and that is repeated elsewhere (RFC 7413 section 4.2.2)
    if t.flight is not None and t.state >= ESTABLISHED:
        return segment_timer(s, t, t.flight)
    t.rxtshift += 1
    if t.rxtshift == 1 and t.rexmt_start == 0 and t.state >= ESTABLISHED:
        t.rexmt_start = s.now
    if given_up(s, t):
        t.rxtshift = s.cfg.tcp_retries
        s.stat.timeoutdrop += 1
        return drop(s, t, ETIMEDOUT, t.state >= ESTABLISHED and s.cfg.policy_rto != RTO_LINUX)
    s.stat.rexmttimeo += 1
    if t.state == SYN_SENT or t.state == SYN_RECEIVED:
        t.syn_rexmits = t.rxtshift
        syn_again(s, t)
        if t.state == SYN_SENT and s.cfg.tcp_syn_linear_timeouts >= t.rxtshift:
            t.rxtcur = s.cfg.tcp_rexmit_initial + s.cfg.tcp_rexmit_slop
        elif t.state == SYN_RECEIVED and s.cfg.policy_syn_give_up == SYN_GIVE_UP_MODEL:
            t.rxtcur *= 2  # from where the SYN's waits have led
            if t.rxtcur > s.cfg.tcp_rexmit_max:
                t.rxtcur = s.cfg.tcp_rexmit_max
        elif s.cfg.tcp_syn_linear_timeouts > 0 and t.state == SYN_SENT:
            t.rxtcur = rtt.backoff(s, t, t.rxtshift - s.cfg.tcp_syn_linear_timeouts)
        else:
            t.rxtcur = rtt.backoff(s, t, t.rxtshift)
    else:
        t.rxtcur = rtt.backoff(s, t, t.rxtshift)
        if t.rxtshift == 1:
            # remembered in case the timeout proves spurious
            t.cwnd_prev = t.cwnd
            t.ssthresh_prev = t.ssthresh
            t.recover_prev = t.recover
            t.t_flags &= ~(TF_WAS_FAST | TF_WAS_CONG)
            if t.t_flags & TF_FASTRECOVERY:
                t.t_flags |= TF_WAS_FAST
            if t.t_flags & TF_CONGRECOVERY:
                t.t_flags |= TF_WAS_CONG
            t.badrxtwin = s.now + t.srtt // 2 if t.srtt > 0 else 0
            t.badrxt_ts = s.ts_clock(t)
        else:
            t.badrxtwin = 0
        if s.cfg.tcp_blackhole_detection and t.rxtshift == 2 and t.bh_mss == 0:
            if t.maxseg > s.cfg.tcp_blackhole_mss:
                # two timeouts with full segments and DF: perhaps a router drops them in silence
                t.bh_mss = s.cfg.tcp_blackhole_mss
                s.stat.pmtud_activated += 1
                set_mss(s, t)
    if t.user_timeout > 0 and s.cfg.policy_rto == RTO_LINUX:
        left: cython.longlong = t.rexmt_start + t.user_timeout - s.now
        if left > 0 and t.rxtcur > left:
            t.rxtcur = left  # the application's patience ends before the next retransmission
    t.recover = t.snd_max
    t.snd_nxt = t.snd_una
    t.rtt_time = 0
    t.dupacks = 0
    t.bytes_acked = 0
    if t.state >= ESTABLISHED:
        t.ssthresh = congestion.after_timeout(t)
        if t.t_flags & TF_ECN:
            t.t_flags |= TF_ECN_SND_CWR
    t.cwnd = t.maxseg
    if t.board is not None:
        t.board.prr_delivered = t.board.prr_out = 0
        t.board.no_rescue()
        if t.rxtshift > 1 or not s.cfg.tcp_rto_keeps_sack:
            t.board.clear()  # RFC 2018 section 8: the peer may have dropped what it reported
        t.board.high_rxt = t.snd_una
    if t.board is None or t.board.n == 0:
        t.t_flags &= ~(TF_FASTRECOVERY | TF_CONGRECOVERY)
        t.board = None
    t.t_flags |= TF_ACKNOW
    tcp_output(s, t)
    return 0


def syn_again(s, t):
    """A SYN goes out once more: what it offered may have been the trouble."""
    fastopen: FastOpen = s.fastopen
    if s.cfg.tcp_rexmit_drop_options and t.rxtshift == 3:
        t.t_flags |= TF_NO_SCALE | TF_NO_TS | TF_NO_SACK
    if t.fo & FO_ASK and t.rxtshift == 1 and s.cfg.tcp_fastopen_path_disable > 0:
        fastopen.lost_path(s, t)
    if t.fo & FO_ASK and t.rxtshift == 3:
        fastopen.black_hole(s)


def probe_window(s, t):
    """The persist timer: the window is still shut, ask again (RFC 9293 section 3.8.6.1)."""
    s.stat.persisttimeo += 1
    idle: cython.longlong = s.now - t.rcvtime
    if t.rxtshift >= s.cfg.tcp_retries and idle >= s.cfg.tcp_maxpersistidle:
        s.stat.persistdrop += 1
        return drop(s, t, ETIMEDOUT, True)
    if (
        t.user_timeout > 0
        and (idle if s.cfg.policy_persist == PERSIST_BSD else s.now - t.rexmt_start)
        >= t.user_timeout
    ):
        s.stat.persistdrop += 1
        return drop(s, t, ETIMEDOUT, True)
    if t.so_state & SS_NOFDREF and s.cfg.policy_rto != RTO_LINUX and idle >= s.cfg.tcp_persmax:
        # the application has gone and the peer does not read: not for ever (facts: freebsd-tcp 2.5)
        s.stat.persistdrop += 1
        return drop(s, t, ETIMEDOUT, True)
    if t.so_state & SS_ORPHAN and s.cfg.policy_persist == PERSIST_LINUX:
        if orphan_unheard(s, t):
            s.stat.persistdrop += 1
            return drop(s, t, ETIMEDOUT, False)
        if too_many(s, t, True):
            return 0
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


def keep_alive(s, t):
    """The keep-alive timer (RFC 9293 section 3.8.4): a probe of the octet before the window, or the end of patience."""
    idle: cython.longlong = s.now - t.rcvtime
    keepidle: cython.longlong = t.keepidle * MS
    interval: cython.longlong = t.keepintvl * MS
    if t.state < ESTABLISHED:
        s.stat.keepdrops += 1
        return drop(s, t, ETIMEDOUT, True)
    s.stat.keeptimeo += 1
    closed: cython.bint = (
        s.cfg.policy_fin_wait_2 == FW2_KEEPALIVE
        and t.state == FIN_WAIT_2
        and t.so_state & SS_NOFDREF != 0
    )
    if not closed and (
        not (s.cfg.tcp_always_keepalive or t.so_options & SO_KEEPALIVE) or t.state > CLOSING
    ):
        return 0
    if idle < keepidle and t.keep_probes == 0:
        t.at_keep = t.rcvtime + keepidle
        return 0
    if t.snd_una != t.snd_max:
        t.at_keep = s.now + interval  # MUST-26: only when nothing is outstanding
        return 0
    if t.keep_probes >= t.keepcnt:
        s.stat.keepdrops += 1
        return drop(s, t, ETIMEDOUT, True)
    t.keep_probes += 1
    s.stat.keepprobe += 1
    send_ack_only(s, t, sub(t.snd_una, 1))
    t.at_keep = s.now + interval
    return 0


def wait_over(s, t):
    """The 2MSL timer of a connection that still is one: FIN_WAIT_2 (facts: freebsd-tcp 3.6, 0.2)."""
    if t.state != FIN_WAIT_2:
        return 0
    if s.cfg.policy_fin_wait_2 == FW2_ORPHAN:
        left: cython.longlong = fin_time(s, t) - s.cfg.tcp_timewait
        if left > 0:
            return become_row(s, t, FIN_WAIT_2, left)
        return drop(s, t, 0, True)
    idle: cython.longlong = s.now - t.rcvtime
    longest: cython.longlong = t.keepcnt * t.keepintvl * MS
    look: cython.bint = s.cfg.policy_fin_wait_2 == FW2_RECEIVE_SHUT
    if (
        look and not s.cfg.tcp_fast_finwait2_recycle and idle <= longest + MS
    ):  # in ticks they are equal
        t.at_2msl = s.now + t.keepintvl * MS
        return 0
    s.stat.finwait2_drops += 1
    if s.cfg.policy_fin_wait_2_end == FW2_END_RST:
        return drop(s, t, 0, True)
    return close(s, t)
