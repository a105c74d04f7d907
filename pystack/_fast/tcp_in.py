"""What a segment does: RFC 9293 section 3.10.7, in the order of its steps, with RFC 7323, 5961, 1337 and 6191.

    tcp_input        whose segment is it: a connection's, a waiting row's, a listener's, nobody's
    segment_arrives  a connection's segment, step by step:
                       acceptable      first to fourth: sequence number, timestamp, RST, SYN (tcp_check.py)
                       acknowledge     fifth, ACK (tcp_ack.py)
                       text            sixth to eighth: URG, the data, FIN (tcp_text.py)

Functions answer 0 or the drop reason (consts.Drop) of the segment; nothing that arrives can raise.
"""

import cython

from pystack._fast import congestion, rtt
from pystack._fast.consts import (
    ACCEPTANCE_LINUX,
    ACK,
    CLOSING,
    CWR,
    ECE,
    FIN,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    MS,
    NEVER,
    PAWS_IDLE,
    PAWS_MSL,
    RST,
    SYN,
    SYN_RECEIVED,
    SYN_SENT,
    TIMEWAIT_LINUX,
    Drop,
    Err,
)
from pystack._fast.seq import add, after, before, before_eq, dist, maximum
from pystack._fast.tcb import (
    SS_CANTSENDMORE,
    SS_INQUEUE,
    SS_NOFDREF,
    TF_ACKNOW,
    TF_DSACK,
    TF_ECN,
    TF_ECN_SND_ECE,
    TF_FASTRECOVERY,
    TF_RCVD_TS,
    Tcb,
)
from pystack._fast.tcp_ack import acknowledge, ecn_congestion
from pystack._fast.tcp_check import (
    acceptable,
    cut_linux,
    orphan_input,
    trim_right,
)
from pystack._fast.tcp_close import arm_timewait, drop, remove_timewait
from pystack._fast.tcp_halfopen import half_open_input
from pystack._fast.tcp_handshake import established, peer_options, set_mss
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_reply import reset_for, timewait_ack
from pystack._fast.tcp_text import text
from pystack._fast.tcp_window import accepted_window, first_window

TCP_NO_PORT = int(Drop.TCP_NO_PORT)
TCP_BLACKHOLE = int(Drop.TCP_BLACKHOLE)
TCP_NO_TIMESTAMP = int(Drop.TCP_NO_TIMESTAMP)
TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
TCP_TIME_WAIT = int(Drop.TCP_TIME_WAIT)
TCP_LISTEN_STATE = int(Drop.TCP_LISTEN_STATE)
TCP_SYNFIN = int(Drop.TCP_SYNFIN)
TCP_FROM_SELF = int(Drop.TCP_FROM_SELF)
ECONNREFUSED = int(Err.ECONNREFUSED)
SYN_AGAIN = 8 * MS
"""Linux: two ticks of its clock (TCP_TIMEOUT_MIN)."""


def tcp_input(s, listeners, p):
    """A valid segment for one of this machine's addresses. The caller releases the packet afterwards."""
    s.stat.rcvtotal += 1
    synfin: cython.bint = s.cfg.tcp_drop_synfin and p.flags & (SYN | FIN) == (SYN | FIN)
    row: cython.int = s.demux.find(p.dst, p.dport, p.src, p.sport)
    if row != 0:
        if synfin:
            return TCP_SYNFIN
        t: Tcb = s.tcbs[row]
        if t.state == SYN_SENT:
            return syn_sent_input(s, t, p)
        return segment_arrives(s, t, p)
    if s.timewait.used:
        row = s.timewait.find(p.dst, p.dport, p.src, p.sport)
        if row != 0:
            return TCP_SYNFIN if synfin else timewait_input(s, listeners, row, p)
    row = s.demux.find_listener(p.dst, p.dport)
    if row != 0:
        return TCP_SYNFIN if synfin else listen_input(s, listeners, s.tcbs[row], p)
    return closed_input(s, p)


def closed_input(s, p):
    """Nobody's segment (RFC 9293 section 3.10.7.1)."""
    blackhole: cython.longlong = s.cfg.tcp_blackhole
    if blackhole >= 2 or (blackhole == 1 and p.flags & SYN):
        return TCP_BLACKHOLE
    if p.flags & RST == 0 and s.icmp_limit_rst():
        reset_for(s, p)
    return TCP_NO_PORT


def listen_input(s, listeners, t, p):
    """A listener's segment (RFC 9293 section 3.10.7.2)."""
    linux: cython.bint = s.cfg.policy_acceptance == ACCEPTANCE_LINUX
    half: cython.int
    if linux:
        half = listeners.cache.find(p.dst, p.dport, p.src, p.sport)
        if half != 0:
            reason: cython.int = half_open_input(s, listeners, t, half, p)
            if reason >= 0:
                return reason
    if p.flags & RST:
        return listeners.on_rst(s, t, p)
    if p.flags & SYN and p.flags & ACK == 0:
        if linux and p.flags & FIN:
            return TCP_SYNFIN
        if p.src == p.dst and p.sport == p.dport:
            s.stat.badsyn += 1
            return TCP_FROM_SELF
        return listeners.on_syn(s, t, p)
    if p.flags & ACK:
        if p.flags & SYN:
            half = listeners.cache.find(p.dst, p.dport, p.src, p.sport)
            if half != 0:  # FreeBSD forgets the half-open connection
                s.stat.sc_badack += 1
                listeners.forget(s, half)
            if s.icmp_limit_rst():
                reset_for(s, p)
            return TCP_BAD_ACK
        child = listeners.on_ack(s, t, p)
        if child is None:
            return p.drop
        set_mss(s, child)
        child.cwnd = congestion.initial_window(s, child)
        child.ssthresh = 0x40000000
        return segment_arrives(s, child, p)
    return TCP_LISTEN_STATE


def timewait_input(s, listeners, row, p):
    """A segment for a waiting row: RFC 9293 section 3.10.7.4 for TIME-WAIT, RFC 1337, RFC 6191."""
    tw = s.timewait
    rcv_nxt: cython.uint = tw.rcv_nxt[row]
    if s.cfg.policy_timewait == TIMEWAIT_LINUX:
        return timewait_linux(s, listeners, row, p)
    if p.flags & RST:
        return TCP_TIME_WAIT
    if p.flags & (SYN | ACK) == SYN and after(p.seq, rcv_nxt):
        remove_timewait(s, row)
        arm_timewait(s)
        s.stat.tw_reused += 1
        return tcp_input_again(s, listeners, p)
    if p.flags & ACK == 0:
        return TCP_TIME_WAIT
    if tw.has_ts[row] and not p.opt_ts and not s.cfg.tcp_tolerate_missing_ts:
        return TCP_NO_TIMESTAMP
    if p.flags & FIN and add(p.seq, p.length + (2 if p.flags & SYN else 1)) == rcv_nxt:
        tw.restart(row, s.now + s.cfg.tcp_timewait)
        arm_timewait(s)
    if p.flags != ACK or p.length > 0 or p.seq != rcv_nxt or p.ack != tw.snd_nxt[row]:
        timewait_ack(s, row)
    return TCP_TIME_WAIT


def tcp_input_again(s, listeners, p):
    """The TIME_WAIT row of this SYN has gone: to the listener with it, or to nobody."""
    row: cython.int = s.demux.find_listener(p.dst, p.dport)
    if row != 0:
        return listen_input(s, listeners, s.tcbs[row], p)
    return closed_input(s, p)


def timewait_linux(s, listeners, row, p):
    """The same by the rules of Linux (facts: conntrack 9.2): a RST may end the wait, a timestamp may say that a SYN
    is new, and answers are limited.
    """
    tw = s.timewait
    rcv_nxt: cython.uint = tw.rcv_nxt[row]
    paws_bad: cython.bint = (
        p.opt_ts
        and tw.has_ts[row]
        and tw.ts_recent[row] != 0
        and before(p.ts_val, tw.ts_recent[row])
        and s.now - tw.ts_stamp[row] < (PAWS_MSL if p.flags & RST else PAWS_IDLE)
    )
    if not paws_bad and p.seq == rcv_nxt and p.flags & SYN == 0:
        if p.flags & RST:
            if s.cfg.tcp_rfc1337:
                return TCP_TIME_WAIT
            remove_timewait(s, row)
            return 0
        if p.length == 0 and p.flags & FIN == 0:
            if p.opt_ts and tw.has_ts[row]:
                tw.ts_recent[row] = p.ts_val
                tw.ts_stamp[row] = s.now
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
            return 0
    if (
        p.flags & (SYN | RST | ACK) == SYN
        and not paws_bad
        and (
            after(p.seq, rcv_nxt)
            or (p.opt_ts and tw.has_ts[row] and after(p.ts_val, tw.ts_recent[row]))
        )
    ):
        listener: cython.int = s.demux.find_listener(p.dst, p.dport)
        if listener != 0:
            remove_timewait(s, row)
            arm_timewait(s)
            s.stat.tw_reused += 1
            return listen_input(s, listeners, s.tcbs[listener], p)
    if p.flags & RST:
        return TCP_TIME_WAIT
    if paws_bad or p.flags & ACK:
        tw.restart(row, s.now + s.cfg.tcp_timewait)
        arm_timewait(s)
    if p.length == 0 and p.flags & FIN == 0:
        # two ends that disagree would answer each other for ever
        if s.now - tw.answered[row] < s.cfg.tcp_invalid_ratelimit:
            s.stat.challenge_suppressed += 1
            return TCP_TIME_WAIT
        tw.answered[row] = s.now
    timewait_ack(s, row)
    return TCP_TIME_WAIT


def syn_sent_input(s, t, p):
    """SYN-SENT (RFC 9293 section 3.10.7.3)."""
    if p.flags & ACK and (before_eq(p.ack, t.iss) or after(p.ack, t.snd_max)):
        if s.cfg.policy_acceptance == ACCEPTANCE_LINUX and t.rxtshift == 0:
            t.at_rexmt = (
                s.now + SYN_AGAIN
            )  # an old connection of the peer's: our SYN follows the RST
            s.arm(t)
        reset_for(s, p)
        return TCP_BAD_ACK
    if p.flags & RST:
        if p.flags & ACK:
            drop(s, t, ECONNREFUSED, False)
            return 0
        return TCP_BAD_RST
    if p.flags & SYN == 0:
        return TCP_BAD_SYN
    t.rcvtime = s.now
    t.irs = p.seq
    t.rcv_nxt = add(p.seq, 1)
    t.rcv_up = t.rcv_nxt
    t.rcv_adv = add(t.rcv_nxt, first_window(s, t, t.maxseg))
    t.last_ack_sent = t.rcv_nxt
    peer_options(s, t, p)
    t.snd_wl1 = p.seq
    t.snd_wl2 = t.iss
    if p.flags & ACK:
        if p.flags & ECE and p.flags & CWR == 0 and s.cfg.tcp_ecn == 1:
            t.t_flags |= TF_ECN
            s.stat.ecn_shs += 1
        t.snd_wnd = p.win
        t.max_sndwnd = p.win
        if t.rxtshift == 0 and t.rtt_time != 0:
            rtt.sample(s, t, s.now - t.rtt_time)
        elif t.t_flags & TF_RCVD_TS and p.ts_ecr != 0:
            ticks: cython.longlong = dist(p.ts_ecr, s.ts_clock(t))
            rtt.sample(s, t, ticks * MS)
        t.syn_rexmits = t.rxtshift
        t.rxtshift = 0
        t.rxtcur = rtt.rto(s, t)
        t.rtt_time = 0
        t.snd_una = p.ack
        t.snd_nxt = maximum(t.snd_nxt, p.ack)
        t.snd_up = t.snd_una
        t.at_rexmt = NEVER
        t.cwnd = congestion.initial_window(s, t)
        t.ssthresh = 0x40000000
        t.t_flags |= TF_ACKNOW
        fin: cython.bint = t.so_state & SS_CANTSENDMORE != 0
        established(s, t)
        if fin:
            s.set_state(t, FIN_WAIT_1)
    else:
        # simultaneous open (MUST-10): answer the SYN with a SYN-ACK of the same ISS
        s.set_state(t, SYN_RECEIVED)
        t.snd_nxt = t.snd_una
        t.t_flags |= TF_ACKNOW
        t.at_rexmt = NEVER
        t.snd_wnd = p.win
        t.max_sndwnd = p.win
        t.cwnd = congestion.initial_window(s, t)
        t.ssthresh = 0x40000000
        tcp_output(s, t)
        return 0
    p.seq = add(p.seq, 1)
    if p.length > 0 or p.flags & FIN:
        t.rcv_wnd = accepted_window(s, t)
        trim_right(s, t, p)
        text(s, t, p)
    tcp_output(s, t)
    return 0


def segment_arrives(s, t, p):
    """A segment of a connection that is past SYN-SENT."""
    reason: cython.int
    linux: cython.bint = s.cfg.policy_acceptance == ACCEPTANCE_LINUX
    if p.flags & RST == 0 or not linux:
        t.rcvtime = s.now
        if t.keep_probes:
            t.keep_probes = 0
    if linux and t.state == FIN_WAIT_2 and t.so_state & SS_NOFDREF and not t.so_state & SS_INQUEUE:
        reason = orphan_input(s, t, p)
        if reason == 0:
            text(s, t, p)
        return reason
    reason = acceptable(s, t, p)
    if reason or t.row == 0:
        return reason
    if t.t_flags & TF_ECN:
        if p.flags & CWR:
            t.t_flags &= ~TF_ECN_SND_ECE
        if p.tos & 3 == 3:
            s.stat.ecn_ce += 1
            t.t_flags |= TF_ECN_SND_ECE | TF_ACKNOW
        if p.flags & ECE:
            ecn_congestion(s, t)
    reason = acknowledge(s, t, p)
    if reason or t.row == 0:
        return reason
    if linux:
        reason = cut_linux(s, t, p)
        if t.row == 0:
            return reason
    if reason == 0:
        text(s, t, p)
    if t.row == 0:
        return 0
    if t.reass is not None or t.t_flags & (TF_FASTRECOVERY | TF_DSACK) or t.snd_nxt != t.snd_max:
        tcp_output(s, t)  # the peer counts these answers: one for each segment
    elif (
        t.t_flags & TF_ACKNOW
        or t.sndq.cc > dist(t.snd_una, t.snd_max)
        or t.state == FIN_WAIT_1
        or t.state == LAST_ACK
        or t.state == CLOSING
    ):
        s.defer(t)
    else:
        s.arm(t)
    return reason
