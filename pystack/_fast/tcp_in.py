"""What a segment does: RFC 9293 section 3.10.7, in the order of its steps, with RFC 7323, 5961, 1337 and 6191.

    tcp_input        whose segment is it: a connection's, a waiting row's, a listener's, nobody's
    segment_arrives  a connection's segment, step by step:
                       reset_input     second, RST (RFC 5961 section 3)
                       trim            first, the sequence number: cut to what is in the window
                       acknowledge     fifth, ACK (tcp_ack.py)
                       text            sixth to eighth: URG, the data, FIN (tcp_text.py)

Functions answer 0 or the drop reason (consts.Drop) of the segment; nothing that arrives can raise.
"""

import cython

from pystack._fast import congestion, rtt
from pystack._fast.consts import (
    ACK,
    CLOSE_WAIT,
    CLOSING,
    CWR,
    ECE,
    ESTABLISHED,
    FIN,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    MS,
    NEVER,
    PSH,
    RST,
    SECOND,
    SHUT_RD_LINUX,
    SYN,
    SYN_RECEIVED,
    SYN_SENT,
    TIMEWAIT_LINUX,
    URG,
    Drop,
    Err,
)
from pystack._fast.seq import add, after, after_eq, before, before_eq, between, dist, maximum, sub
from pystack._fast.tcb import (
    SS_CANTRCVMORE,
    SS_CANTSENDMORE,
    SS_INQUEUE,
    SS_NOFDREF,
    TF_ACKNOW,
    TF_DSACK,
    TF_ECN,
    TF_ECN_SND_ECE,
    TF_FASTRECOVERY,
    TF_RCVD_TS,
    TF_SACK_PERMIT,
    Tcb,
)
from pystack._fast.tcp_ack import acknowledge, ecn_congestion
from pystack._fast.tcp_close import arm_timewait, close, drop, remove_timewait
from pystack._fast.tcp_handshake import established, peer_options, set_mss
from pystack._fast.tcp_out import receive_window, syn_window, tcp_output
from pystack._fast.tcp_reply import (
    answer_invalid,
    challenge,
    reset_for,
    respond,
    send_ack_only,
    timewait_ack,
)
from pystack._fast.tcp_text import note_dsack, text

TCP_NO_PORT = int(Drop.TCP_NO_PORT)
TCP_BLACKHOLE = int(Drop.TCP_BLACKHOLE)
TCP_WINDOW = int(Drop.TCP_WINDOW)
TCP_OLD = int(Drop.TCP_OLD)
TCP_PAWS = int(Drop.TCP_PAWS)
TCP_NO_TIMESTAMP = int(Drop.TCP_NO_TIMESTAMP)
TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
TCP_NO_ACK = int(Drop.TCP_NO_ACK)
TCP_AFTER_CLOSE = int(Drop.TCP_AFTER_CLOSE)
TCP_TIME_WAIT = int(Drop.TCP_TIME_WAIT)
TCP_LISTEN_STATE = int(Drop.TCP_LISTEN_STATE)
TCP_SYNFIN = int(Drop.TCP_SYNFIN)
TCP_FROM_SELF = int(Drop.TCP_FROM_SELF)
ECONNREFUSED = int(Err.ECONNREFUSED)
ECONNRESET = int(Err.ECONNRESET)
PAWS_IDLE = 24 * 24 * 60 * 60 * SECOND
"""A timestamp older than this says nothing any more (RFC 7323 section 5.5)."""


def tcp_input(s, listeners, p):
    """A valid segment for one of this machine's addresses. The caller releases the packet afterwards."""
    s.stat.rcvtotal += 1
    if s.cfg.tcp_drop_synfin and p.flags & (SYN | FIN) == (SYN | FIN):
        return TCP_SYNFIN
    row: cython.int = s.demux.find(p.dst, p.dport, p.src, p.sport)
    if row != 0:
        t: Tcb = s.tcbs[row]
        if t.state == SYN_SENT:
            return syn_sent_input(s, t, p)
        return segment_arrives(s, t, p)
    if s.timewait.used:
        row = s.timewait.find(p.dst, p.dport, p.src, p.sport)
        if row != 0:
            return timewait_input(s, listeners, row, p)
    row = s.demux.find_listener(p.dst, p.dport)
    if row != 0:
        return listen_input(s, listeners, s.tcbs[row], p)
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
    if p.flags & RST:
        return listeners.on_rst(s, t, p)
    if p.flags & SYN and p.flags & ACK == 0:
        if p.src == p.dst and p.sport == p.dport:
            s.stat.badsyn += 1
            return TCP_FROM_SELF
        return listeners.on_syn(s, t, p)
    if p.flags & ACK:
        if p.flags & SYN:
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
    linux: cython.bint = s.cfg.policy_timewait == TIMEWAIT_LINUX
    length: cython.int = p.length
    paws_bad: cython.bint = (
        p.opt_ts
        and tw.has_ts[row]
        and tw.ts_recent[row] != 0
        and before(p.ts_val, tw.ts_recent[row])
        and s.now - tw.ts_stamp[row] < PAWS_IDLE
    )
    if p.flags & RST:
        if linux and not paws_bad and p.seq == rcv_nxt and not s.cfg.tcp_rfc1337:
            remove_timewait(s, row)
            return 0
        return TCP_TIME_WAIT
    if p.flags & SYN and p.flags & ACK == 0:
        newer: cython.bint = after(p.seq, rcv_nxt) or (
            linux and p.opt_ts and tw.has_ts[row] and after(p.ts_val, tw.ts_recent[row])
        )
        listener: cython.int = s.demux.find_listener(p.dst, p.dport)
        if newer and not paws_bad and listener != 0:
            remove_timewait(s, row)
            arm_timewait(s)
            s.stat.tw_reused += 1
            return listen_input(s, listeners, s.tcbs[listener], p)
    if p.flags & ACK == 0 and not linux:
        return TCP_TIME_WAIT
    if linux:
        if not paws_bad and p.seq == rcv_nxt and length == 0 and p.flags & (SYN | FIN) == 0:
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
            return 0
        if paws_bad or p.flags & ACK:
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
    else:
        if p.flags & FIN and add(add(p.seq, length), 1) == rcv_nxt:
            tw.restart(row, s.now + s.cfg.tcp_timewait)
            arm_timewait(s)
        elif (
            length == 0
            and p.flags & (SYN | FIN) == 0
            and p.seq == rcv_nxt
            and p.ack == tw.snd_nxt[row]
        ):
            return 0
    gap: cython.longlong = s.cfg.tcp_invalid_ratelimit
    if gap > 0 and length == 0 and p.flags & FIN == 0:
        # two ends that disagree would answer each other for ever (facts: conntrack 9.2)
        if s.now - tw.answered[row] < gap:
            s.stat.challenge_suppressed += 1
            return TCP_TIME_WAIT
        tw.answered[row] = s.now
    timewait_ack(s, row)
    return TCP_TIME_WAIT


def syn_sent_input(s, t, p):
    """SYN-SENT (RFC 9293 section 3.10.7.3)."""
    if p.flags & ACK and (before_eq(p.ack, t.iss) or after(p.ack, t.snd_max)):
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
    t.rcv_adv = add(t.rcv_nxt, syn_window(s, t, t.maxseg))
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
    if t.rcv_wnd == 0:
        t.rcv_wnd = receive_window(s, t)
    p.seq = add(p.seq, 1)
    if p.length > 0 or p.flags & FIN:
        t.rcv_wnd = receive_window(s, t)
        trim(s, t, p)
        text(s, t, p)
    tcp_output(s, t)
    return 0


def reset_input(s, t, p):
    """RST (RFC 5961 section 3): exactly RCV.NXT resets, elsewhere in the window is challenged, outside is dropped."""
    inside: cython.bint = between(p.seq, t.last_ack_sent, add(t.last_ack_sent, t.rcv_wnd)) or (
        p.seq == t.last_ack_sent or p.seq == t.rcv_nxt
    )
    if not inside:
        return TCP_BAD_RST
    if p.seq != t.rcv_nxt and p.seq != t.last_ack_sent and not s.cfg.tcp_insecure_rst:
        s.stat.badrst += 1
        challenge(s, t)
        return TCP_BAD_RST
    err: cython.int = ECONNRESET
    if t.state == SYN_RECEIVED:
        err = ECONNREFUSED
    elif t.state == CLOSING or t.state == LAST_ACK:
        err = 0
    s.stat.drops += 1
    drop(s, t, err, False)
    return 0


def segment_arrives(s, t, p):
    """A segment of a connection that is past SYN-SENT."""
    reason: cython.int
    if p.flags & RST == 0:
        t.rcvtime = s.now
        if t.keep_probes:
            t.keep_probes = 0
    t.rcv_wnd = receive_window(s, t)
    if p.flags & RST:
        return reset_input(s, t, p)
    if t.t_flags & TF_RCVD_TS:
        if p.opt_ts:
            if t.ts_recent != 0 and before(p.ts_val, t.ts_recent):
                if s.now - t.ts_recent_age >= PAWS_IDLE:
                    t.ts_recent = 0
                else:
                    s.stat.pawsdrop += 1
                    if p.length > 0 or p.flags & (SYN | FIN):
                        send_ack_only(s, t, t.snd_max)
                    return TCP_PAWS
        elif not s.cfg.tcp_tolerate_missing_ts:
            return TCP_NO_TIMESTAMP
    if p.flags & SYN:
        if t.state == SYN_RECEIVED and p.seq == t.irs:
            if p.flags & ACK and p.ack == add(t.iss, 1):
                # the answer to our half of a simultaneous open: a SYN-ACK with the SYN that we know
                p.seq = add(p.seq, 1)
                p.flags &= ~SYN
            else:
                t.t_flags |= TF_ACKNOW
                t.snd_nxt = t.snd_una
                tcp_output(s, t)
                return TCP_BAD_SYN
        elif s.cfg.tcp_insecure_syn and t.state >= ESTABLISHED and before(p.seq, t.rcv_nxt):
            # before RFC 5961: an old SYN is an octet that is known already
            p.seq = add(p.seq, 1)
            p.flags &= ~SYN
            t.t_flags |= TF_ACKNOW
        elif (
            s.cfg.tcp_insecure_syn
            and t.state >= ESTABLISHED
            and between(p.seq, t.rcv_nxt, add(t.rcv_nxt, t.rcv_wnd))
        ):
            drop(s, t, ECONNRESET, True)
            return TCP_BAD_SYN
        else:
            challenge(s, t)
            return TCP_BAD_SYN
    reason = trim(s, t, p)
    if reason:
        return reason
    if t.row == 0:
        return TCP_AFTER_CLOSE
    if p.opt_ts and t.t_flags & TF_RCVD_TS and before_eq(p.seq, t.last_ack_sent):
        if after_eq(p.ts_val, t.ts_recent) or t.ts_recent == 0:
            t.ts_recent = p.ts_val
            t.ts_recent_age = s.now
    if p.flags & ACK == 0:
        return TCP_NO_ACK
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
    return 0


def trim(s, t, p):
    """Cut the segment to the window (RFC 9293 section 3.4, 3.10.7.4 first step). 0: go on with what is left."""
    old: cython.int = dist(p.seq, t.rcv_nxt)
    beyond: cython.longlong
    if old > 0:
        if old > p.length or (old == p.length and p.flags & FIN == 0):
            # nothing new in it; but its ACK counts, and it is acknowledged again
            if p.length > 0:
                s.stat.rcvduppack += 1
                s.stat.rcvdupbyte += p.length
                if t.t_flags & TF_SACK_PERMIT and s.cfg.tcp_dsack:
                    note_dsack(t, p.seq, add(p.seq, p.length))
            elif p.flags & FIN == 0 and old > 1 and t.state != SYN_RECEIVED:
                # an old ACK without data, or a keep-alive probe: outside of the window
                answer_invalid(s, t, p)
                return TCP_OLD
            if p.length > 0 or p.flags & FIN:
                t.t_flags |= TF_ACKNOW
            else:
                answer_invalid(s, t, p)
            if old > p.length:
                p.flags &= ~FIN
            p.drop_payload()
            p.length = 0
            p.seq = t.rcv_nxt
        else:
            s.stat.rcvpartduppack += 1
            s.stat.rcvpartdupbyte += old
            if t.t_flags & TF_SACK_PERMIT and s.cfg.tcp_dsack:
                note_dsack(t, p.seq, t.rcv_nxt)
            p.m = p.pool.trim_front(p.m, old)
            p.length -= old
            p.seq = t.rcv_nxt
            if p.urg > old:
                p.urg -= old
            else:
                p.flags &= ~URG
                p.urg = 0
    if (
        t.so_state & SS_NOFDREF
        and t.state > CLOSE_WAIT
        and p.length > 0
        and not t.so_state & SS_INQUEUE
    ):
        # data for nobody: the application has closed (facts: freebsd-tcp 2.5)
        s.stat.rcvafterclose += 1
        respond(s, t.laddr, t.lport, t.faddr, t.fport, p.ack, 0, RST, 0, t.ttl, t.tos)
        close(s, t)
        return TCP_AFTER_CLOSE
    if (
        t.so_state & SS_CANTRCVMORE
        and p.length > 0
        and (t.state == FIN_WAIT_1 or t.state == FIN_WAIT_2)
        and s.cfg.policy_shut_rd == SHUT_RD_LINUX
    ):
        # both directions are shut, though not closed (facts: conntrack 9.8)
        s.stat.rcvafterclose += 1
        respond(s, t.laddr, t.lport, t.faddr, t.fport, p.ack, 0, RST, 0, t.ttl, t.tos)
        drop(s, t, ECONNRESET, False)
        return TCP_AFTER_CLOSE
    # how far it lies ahead; not signed, for a segment may lie exactly half of the circle away
    ahead: cython.longlong = sub(p.seq, t.rcv_nxt)
    beyond = ahead + p.length + (1 if p.flags & FIN else 0) - t.rcv_wnd
    if beyond > 0 and (p.length > 0 or p.flags & FIN):
        s.stat.rcvpackafterwin += 1
        if beyond >= p.length + (1 if p.flags & FIN else 0):
            s.stat.rcvbyteafterwin += p.length
            if t.rcv_wnd == 0 and p.seq == t.rcv_nxt:
                s.stat.rcvwinprobe += 1
                t.t_flags |= TF_ACKNOW
                p.drop_payload()
                p.length = 0
                p.flags &= ~(FIN | PSH)
                return 0
            answer_invalid(s, t, p)
            return TCP_WINDOW
        s.stat.rcvbyteafterwin += beyond
        if p.flags & FIN:
            p.flags &= ~FIN
            beyond -= 1
        if beyond > 0:
            p.pool.truncate(p.m, p.length - beyond)
            p.length -= beyond
        p.flags &= ~PSH
    elif p.length == 0 and ahead > t.rcv_wnd:
        answer_invalid(s, t, p)
        return TCP_WINDOW
    return 0
