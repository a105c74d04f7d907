"""What a segment does: RFC 9293 section 3.10.7, in the order of its steps, with RFC 7323, 5961, 1337 and 6191.

    tcp_input        whose segment is it: a connection's (in SYN_SENT: tcp_synsent.py), a waiting row's, a listener's,
                     nobody's
    segment_arrives  a connection's segment, step by step:
                       acceptable      first to fourth: sequence number, timestamp, RST, SYN (tcp_check.py)
                       acknowledge     fifth, ACK (tcp_ack.py)
                       text            sixth to eighth: URG, the data, FIN (tcp_text.py)

Functions answer 0 or the drop reason (consts.Drop) of the segment; nothing that arrives can raise.
"""

import cython

from pystack._fast import congestion, ecn
from pystack._fast.consts import (
    ACCEPTANCE_LINUX,
    ACK,
    BANDLIM_RST_CLOSED,
    CLOSING,
    CWR,
    FIN,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    NEVER,
    PAWS_IDLE,
    PAWS_MSL,
    RST,
    SYN,
    SYN_SENT,
    TIME_WAIT,
    TIMEWAIT_LINUX,
    WINDOW_LINUX,
    Drop,
    Note,
)
from pystack._fast.seq import add, after, before, dist
from pystack._fast.tcb import (
    SS_CONNECTED,
    SS_NOFDREF,
    TF_ACKNOW,
    TF_DELACK,
    TF_DSACK,
    TF_ECN,
    TF_ECN_SND_ECE,
    TF_FASTRECOVERY,
    Tcb,
)
from pystack._fast.tcp_ack import acknowledge, ecn_congestion
from pystack._fast.tcp_check import (
    acceptable,
    cut_linux,
    trim_right,
)
from pystack._fast.tcp_close import arm_timewait, remove_timewait
from pystack._fast.tcp_halfopen import listen_segment
from pystack._fast.tcp_handshake import (
    begin_transfer,
    join_queue,
    set_mss,
)
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_reply import reset_for, timewait_ack
from pystack._fast.tcp_synsent import syn_sent_input
from pystack._fast.tcp_text import text
from pystack._fast.tcp_window import settle_buffers

TCP_AFTER_CLOSE = int(Drop.TCP_AFTER_CLOSE)
TCP_NO_PORT = int(Drop.TCP_NO_PORT)
TCP_MIN_TTL = int(Drop.TCP_MIN_TTL)
TCP_OLD = int(Drop.TCP_OLD)
TCP_BLACKHOLE = int(Drop.TCP_BLACKHOLE)
TCP_NO_TIMESTAMP = int(Drop.TCP_NO_TIMESTAMP)
TCP_TIME_WAIT = int(Drop.TCP_TIME_WAIT)
TCP_SIGNATURE = int(Drop.TCP_SIGNATURE)
TCP_SYNFIN = int(Drop.TCP_SYNFIN)
TCP_WINDOW = int(Drop.TCP_WINDOW)
IN_VAIN = int(Note.IN_VAIN)


def tcp_input(s, listeners, p):
    """A valid segment for one of this machine's addresses. The caller releases the packet afterwards."""
    s.stat.rcvtotal += 1
    row: cython.int = s.demux.find(p.dst, p.dport, p.src, p.sport)
    if row != 0:
        if synfin(s, p):
            return TCP_SYNFIN
        t: Tcb = s.tcbs[row]
        if p.ttl < t.min_ttl:
            return too_far(s)
        if signed(s, p):
            return unexpected(s)
        if t.state == SYN_SENT:
            return syn_sent_input(s, t, p)
        return segment_arrives(s, t, p)
    if s.timewait.used:
        row = s.timewait.find(p.dst, p.dport, p.src, p.sport)
        if row != 0:
            return TCP_SYNFIN if synfin(s, p) else timewait_input(s, listeners, row, p)
    row = listener_for(s, p)
    return to_listener(s, listeners, row, p) if row != 0 else closed_input(s, p)


def listener_for(s, p):
    """The row of the listener of a segment; of one that a firewall has sent to a socket here (`nexthop`, and `ct_hash`
    for the port), that of the listener there.
    """
    if p.nexthop == 0:
        return s.demux.find_listener(p.dst, p.dport)
    return s.demux.find_listener(p.nexthop, p.ct_hash if p.ct_hash != 0 else p.dport)


def to_listener(s, listeners, row, p):
    """The segment is for the listener in this row, if that takes segments like it."""
    t: Tcb = s.tcbs[row]
    if p.ttl < t.min_ttl:
        return too_far(s)
    if signed(s, p):
        return unexpected(s)
    return TCP_SYNFIN if synfin(s, p) else listen_input(s, listeners, t, p)


def synfin(s, p):
    """SYN and FIN in one segment, where such are not taken (drop_synfin)?"""
    return s.cfg.tcp_drop_synfin and p.flags & (SYN | FIN) == (SYN | FIN)


def signed(s, p):
    """Has it a signature (RFC 2385)? No socket here has a key for one, and what cannot be checked Linux does not take
    (tcp_inbound_md5_hash).
    """
    return p.opt_md5 and s.cfg.policy_acceptance == ACCEPTANCE_LINUX


def unexpected(s):
    """A signature that nobody asked for."""
    s.stat.md5_unexpected += 1
    return TCP_SIGNATURE


def too_far(s):
    """The segment has come a longer way than the socket allows (IP_MINTTL, RFC 5082)."""
    s.stat.min_ttl_drop += 1
    return TCP_MIN_TTL


def closed_input(s, p):
    """Nobody's segment (RFC 9293 section 3.10.7.1)."""
    blackhole: cython.longlong = s.cfg.tcp_blackhole
    vain: cython.longlong = s.cfg.tcp_log_in_vain
    if vain == 2 or (vain == 1 and p.flags & SYN):
        s.vain = (p.src, p.sport, p.dst, p.dport, p.flags)
        s.say(IN_VAIN, None, 0, 0)
    if blackhole >= 2 or (blackhole == 1 and p.flags & SYN):
        if s.cfg.tcp_blackhole_local or not s.is_local(p.src):
            return TCP_BLACKHOLE
    if signed(s, p):
        return TCP_NO_PORT  # a RST would have to be signed (tcp_v4_send_reset)
    if p.flags & RST == 0 and s.bandlim(BANDLIM_RST_CLOSED):
        reset_for(s, p)
    return TCP_NO_PORT


def listen_input(s, listeners, t, p):
    """A listener's segment (RFC 9293 section 3.10.7.2)."""
    child = listen_segment(listeners, s, t, p)
    if child is None:
        return p.drop
    set_mss(s, child)
    if s.cfg.policy_window != WINDOW_LINUX:
        settle_buffers(s, child)  # before what the third segment brings is cut to them
    child.cwnd = congestion.initial_window(s, child)
    child.ssthresh = 0x40000000
    if child.fo_row:
        return fast_input(s, listeners, child, p)
    return segment_arrives(s, child, p)


def fast_input(s, listeners, t, p):
    """A Fast Open SYN: its data are taken before the handshake is over (RFC 7413 section 4.2.2)."""
    t.so_state |= SS_CONNECTED
    t.so_state &= ~SS_NOFDREF
    begin_transfer(s, t)
    p.seq = add(p.seq, 1)
    p.flags &= ~(SYN | FIN)
    if p.length > 0:
        trim_right(s, t, p)
        text(s, t, p)
        t.t_flags &= ~(TF_ACKNOW | TF_DELACK)
        t.at_delack = NEVER
        t.ack_pending = 0
    t.rcv_adv = add(t.rcv_nxt, t.rcv_wnd)
    t.last_ack_sent = t.rcv_nxt
    listeners.answer(s, t.fo_row)
    join_queue(s, t)
    s.arm(t)
    return 0


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
    row: cython.int = listener_for(s, p)
    return to_listener(s, listeners, row, p) if row != 0 else closed_input(s, p)


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
    if tw.state[row] == FIN_WAIT_2:
        return finwait2_row(s, row, p, paws_bad)
    if not paws_bad and p.seq == rcv_nxt and p.flags & SYN == 0:
        if p.flags & RST:
            if s.cfg.tcp_rfc1337:
                return TCP_TIME_WAIT
            remove_timewait(s, row)
            arm_timewait(s)
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
        listener: cython.int = listener_for(s, p)
        if listener != 0:
            remove_timewait(s, row)
            arm_timewait(s)
            s.stat.tw_reused += 1
            return to_listener(s, listeners, listener, p)
    if p.flags & RST:
        return TCP_TIME_WAIT
    if paws_bad or p.flags & ACK:
        tw.restart(row, s.now + s.cfg.tcp_timewait)
        arm_timewait(s)
    answer_row(s, row, p)
    return TCP_TIME_WAIT


def answer_row(s, row, p):
    """An ACK for what a row cannot take; not too many, or two ends that disagree would answer each other for ever."""
    tw = s.timewait
    if p.length == 0 and p.flags & FIN == 0:
        if s.now - tw.answered[row] < s.cfg.tcp_invalid_ratelimit:
            s.stat.challenge_suppressed += 1
            if tw.state[row] == TIME_WAIT:
                s.stat.skipped_timewait += 1
            else:
                s.stat.skipped_finwait2 += 1
            return 0
        tw.answered[row] = s.now
    return timewait_ack(s, row)


def finwait2_row(s, row, p, stale):
    """Linux: a segment for FIN_WAIT_2 without an application (facts: conntrack 9.2), which waits for a FIN alone."""
    tw = s.timewait
    nxt: cython.uint = tw.rcv_nxt[row]
    right: cython.uint = add(nxt, tw.win[row])
    end: cython.uint = add(
        p.seq, p.length + (1 if p.flags & FIN else 0) + (1 if p.flags & SYN else 0)
    )
    if not stale and p.seq != nxt and not (after(end, nxt) and before(p.seq, right)):
        stale = p.seq != right or p.seq != end
    if stale:
        answer_row(s, row, p)
        return TCP_WINDOW
    if p.flags & RST:
        remove_timewait(s, row)
        arm_timewait(s)
        return TCP_AFTER_CLOSE
    if p.flags & SYN == 0 or before(p.seq, nxt):
        if p.flags & ACK == 0 or end == p.seq or not after(end, nxt):
            return TCP_OLD
        if p.flags & FIN and end == add(nxt, 1):
            # the true TIME_WAIT begins
            tw.rcv_nxt[row] = end
            if p.opt_ts:
                tw.ts_recent[row] = p.ts_val
                tw.ts_stamp[row] = s.now
            tw.state[row] = TIME_WAIT
            s.states[FIN_WAIT_2] -= 1
            s.states[TIME_WAIT] += 1
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
            return timewait_ack(s, row)
    s.stat.rcvafterclose += 1  # data that nobody will read
    reset_for(s, p)
    remove_timewait(s, row)
    arm_timewait(s)
    return TCP_AFTER_CLOSE


def segment_arrives(s, t, p):
    """A segment of a connection that is past SYN-SENT."""
    reason: cython.int
    linux: cython.bint = s.cfg.policy_acceptance == ACCEPTANCE_LINUX
    segments: cython.int = 1
    if p.gso_size > 0 and p.length > p.gso_size:
        segments = (p.length + p.gso_size - 1) // p.gso_size
    t.segs_in += segments
    if p.length > 0:
        t.data_segs_in += segments
    if p.flags & RST == 0 or not linux:
        t.rcvtime = s.now
        if t.keep_probes:
            t.keep_probes = 0
    if not linux and (t.t_flags & TF_ECN or t.ace) and ecn.arrived(s, t, p):
        ecn_congestion(s, t, p.ack)  # of any segment, before it is looked at
    reason = acceptable(s, t, p)
    if reason or t.row == 0:
        return reason
    if linux and p.flags & CWR and t.t_flags & TF_ECN:
        t.t_flags &= ~TF_ECN_SND_ECE
        if p.length > 0:
            t.t_flags |= TF_ACKNOW
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
        t.t_flags &= ~TF_DELACK
    elif (
        t.t_flags & TF_ACKNOW
        or t.sndq.cc > dist(t.snd_una, t.snd_max)
        or t.state == FIN_WAIT_1
        or t.state == LAST_ACK
        or t.state == CLOSING
    ):
        s.defer(t)
    else:
        t.t_flags &= ~TF_DELACK
        s.arm(t)
    return reason
