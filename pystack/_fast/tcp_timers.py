"""What happens when time passes: retransmission, the end of FIN_WAIT_2, delayed ACKs; probes.py has the rest.

A connection has one row in the wheel; `fire` runs when it comes up and does what is due by then. A timer that was moved
to a later time since comes up early: then nothing is due and the row is armed anew.

Sources: RFC 6298 section 5, RFC 9293 section 3.8.3; FreeBSD netinet/tcp_timer.c; facts: freebsd-tcp 3.7.
"""

import cython

from pystack._fast import congestion, rtt
from pystack._fast.blackhole import try_smaller_bsd, try_smaller_linux
from pystack._fast.consts import (
    CA_DISORDER,
    CA_LOSS,
    CA_RECOVERY,
    ESTABLISHED,
    FIN_WAIT_2,
    FW2_END_RST,
    FW2_ORPHAN,
    FW2_RECEIVE_SHUT,
    MS,
    NEVER,
    RTO_LINUX,
    SYN_GIVE_UP_MODEL,
    SYN_RECEIVED,
    SYN_SENT,
    WAIT_REO,
    WAIT_TLP,
    Err,
)
from pystack._fast.loss_timers import enter_loss, reordering_over, send_probe
from pystack._fast.probes import keep_alive, probe_window, too_many
from pystack._fast.recovery import send_again
from pystack._fast.tcb import (
    FO_ASK,
    SO_THIN,
    SS_NOFDREF,
    SS_ORPHAN,
    TF_ACKNOW,
    TF_CONGRECOVERY,
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_FASTRECOVERY,
    TF_NO_SACK,
    TF_NO_SCALE,
    TF_NO_TS,
    TF_SACK_PERMIT,
    TF_WAS_CONG,
    TF_WAS_FAST,
)
from pystack._fast.tcp_close import become_row, close, drop, fin_time
from pystack._fast.tcp_delack import ack_due
from pystack._fast.tcp_out import tcp_output
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
    """Linux: has the same segment been sent again for as long as tcp_retries2, or the user timeout, says?"""
    limit: cython.longlong = s.cfg.tcp_retries
    if t.so_state & SS_NOFDREF:
        limit = s.cfg.tcp_orphan_retries
        if limit == 0 and t.rxtcur < s.cfg.tcp_rexmit_max:
            limit = 8
    if t.user_timeout > 0 and f.retransmits > 0 and f.retrans_at != 0:
        return s.now - f.retrans_at >= t.user_timeout
    return as_long_as(s, t, f, limit)


def as_long_as(s, t, f, limit):
    """Linux: has the same segment been sent again for as long as `limit` doubled timeouts take?"""
    start: cython.longlong = f.retrans_at
    most: cython.longlong
    least: cython.longlong = t.rttmin
    doublings: cython.int = 0
    if f.retransmits == 0 or start == 0:
        return False
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
    if not shut:
        s.stat.rexmttimeo += 1
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
    elif s.cfg.tcp_blackhole_detection and as_long_as(s, t, f, s.cfg.tcp_retries1):
        try_smaller_linux(s, t)
    if f.retransmits == 0 and not shut:
        count_failure(s, t, f)
    enter_loss(s, t, f)
    if not shut:
        count_timeout(s, t, f.retransmits == 0)
        f.retransmits += 1
    if send_again(s, t, f, f.first, f.start, 1, False) < 0:
        t.at_rexmt = s.now + (t.rxtcur if t.rxtcur < 500 * MS else 500 * MS)
        return 0
    if (
        (s.cfg.tcp_thin_linear_timeouts or t.so_options & SO_THIN)
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


def count_failure(s, t, f):
    """A first timeout: what was going on that has not worked (Linux)."""
    sack: cython.bint = t.t_flags & TF_SACK_PERMIT != 0
    if f.ca_state == CA_RECOVERY:
        if sack:
            s.stat.sack_recovery_fail += 1
        else:
            s.stat.reno_recovery_fail += 1
    elif f.ca_state == CA_LOSS:
        s.stat.loss_failures += 1
    elif f.ca_state == CA_DISORDER or f.sacked_out:
        if sack:
            s.stat.sack_failures += 1
        else:
            s.stat.reno_failures += 1


def count_timeout(s, t, first):
    """TCP_INFO's sums: timeouts, how often there was a first one, and since when that is not repaired. Each is a try of
    another way.
    """
    s.stat.rehashes += 1
    t.rto_count += 1
    if first:
        t.rto_episodes += 1
        t.rto_since = s.now if s.now > 0 else 1


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
        if s.cfg.policy_rto == RTO_LINUX:
            s.stat.rexmttimeo += 1
        t.rxtshift = s.cfg.tcp_retries
        s.stat.timeoutdrop += 1
        return drop(s, t, ETIMEDOUT, t.state >= ESTABLISHED and s.cfg.policy_rto != RTO_LINUX)
    s.stat.rexmttimeo += 1
    if t.state == SYN_SENT or t.state == SYN_RECEIVED:
        t.syn_rexmits = t.rxtshift
        s.stat.syn_retrans += 1
        if t.rxtshift > 1:
            s.segments.lost_again += 1
        count_timeout(s, t, t.rxtshift == 1)
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
        if s.cfg.tcp_blackhole_detection:
            try_smaller_bsd(s, t)
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
        s.count_holes(t, t.board.n)
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
