"""SYN-SENT: what comes back to a SYN (RFC 9293 section 3.10.7.3, RFC 7413 section 4.2, RFC 3168 section 6.1.1).

syn_sent_input   a segment for a connection that has sent its SYN
no_answer        why it is none
answered         the peer's SYN-ACK: established
crossed          the peer's SYN: both open at once (MUST-10)
"""

import cython

from pystack._fast import congestion, ecn, rtt
from pystack._fast.consts import (
    ACCEPTANCE_LINUX,
    ACK,
    CWR,
    ECE,
    FIN,
    FIN_WAIT_1,
    MS,
    NEVER,
    RST,
    SIMULTANEOUS_BSD_14,
    SIMULTANEOUS_LINUX,
    SYN,
    SYN_RECEIVED,
    Drop,
    Err,
)
from pystack._fast.host_memory import round_trip_bsd
from pystack._fast.seq import add, after, before_eq, dist
from pystack._fast.tcb import (
    FO_ASK,
    FO_DATA,
    FO_TAKEN,
    SS_CANTSENDMORE,
    TF_ACKNOW,
    TF_ECN,
    TF_NO_TS,
    TF_RCVD_TS,
)
from pystack._fast.tcp_check import trim_right
from pystack._fast.tcp_close import drop
from pystack._fast.tcp_handshake import established, peer_options
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_reply import reset_for
from pystack._fast.tcp_text import text
from pystack._fast.tcp_window import accepted_window, first_window
from pystack._fast.tfo import FastOpen

ECONNREFUSED = int(Err.ECONNREFUSED)
TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
TCP_PAWS = int(Drop.TCP_PAWS)


def syn_sent_input(s, t, p):
    """A segment for a connection in SYN-SENT. Answers 0, or its drop reason."""
    reason: cython.int = no_answer(s, t, p)
    if reason != 0:
        return reason
    if p.flags & RST:
        drop(s, t, ECONNREFUSED, False)
        return 0
    t.rcvtime = s.now
    t.irs = p.seq
    t.rcv_nxt = add(p.seq, 1)
    t.rcv_up = t.rcv_nxt
    t.rcv_adv = add(t.rcv_nxt, first_window(s, t, t.advmss))
    t.last_ack_sent = t.rcv_nxt
    peer_options(s, t, p)
    t.snd_wl1 = p.seq
    t.snd_wl2 = t.iss
    t.snd_wnd = p.win
    t.max_sndwnd = p.win
    t.at_rexmt = NEVER
    t.t_flags |= TF_ACKNOW
    if p.flags & ACK == 0:
        crossed(s, t, p)
        tcp_output(s, t)
        return 0
    answered(s, t, p)
    p.seq = add(p.seq, 1)
    if p.length > 0 or p.flags & FIN:
        t.rcv_wnd = accepted_window(s, t)
        trim_right(s, t, p)
        text(s, t, p)
    tcp_output(s, t)
    return 0


def no_answer(s, t, p):
    """Why the segment neither answers the SYN nor refuses it: its drop reason; 0 for one that does."""
    ticks: cython.longlong
    if p.flags & ACK and (before_eq(p.ack, t.iss) or after(p.ack, t.snd_max)):
        if s.cfg.tcp_syn_again and t.rxtshift == 0:
            # an old connection of the peer's: our SYN follows the RST
            t.at_rexmt = s.now + s.cfg.tcp_syn_again
            s.arm(t)
        reset_for(s, p)
        return TCP_BAD_ACK
    if s.cfg.policy_acceptance == ACCEPTANCE_LINUX and p.flags & ACK and p.opt_ts and p.ts_ecr:
        # an echo of what this clock did not say while the SYN was out
        clock: cython.uint = s.ts_clock(t)
        ticks = (s.now - t.rexmt_start) // MS + 1000
        if not t.t_flags & TF_NO_TS and (after(p.ts_ecr, clock) or dist(p.ts_ecr, clock) > ticks):
            if p.flags & RST == 0:
                reset_for(s, p)
            return TCP_PAWS
    if p.flags & RST:
        return 0 if p.flags & ACK else TCP_BAD_RST
    return 0 if p.flags & SYN else TCP_BAD_SYN


def answered(s, t, p):
    """The peer's SYN-ACK."""
    ticks: cython.longlong
    marked: cython.bint = False
    if s.cfg.policy_acceptance != ACCEPTANCE_LINUX:
        marked = ecn.answered(s, t, p)
    elif p.flags & ECE and p.flags & CWR == 0 and s.cfg.tcp_ecn == 1:
        t.t_flags |= TF_ECN
        s.stat.ecn_shs += 1
    if s.hosts is not None:
        round_trip_bsd(s, t)
    if t.rxtshift == 0 and t.rtt_time != 0:
        rtt.sample(s, t, s.now - t.rtt_time)
    elif t.t_flags & TF_RCVD_TS and p.ts_ecr != 0:
        ticks = dist(p.ts_ecr, s.ts_clock(t))
        rtt.sample(s, t, ticks * MS)
    t.syn_rexmits = t.rxtshift
    t.rxtshift = 0
    t.rxtcur = rtt.rto(s, t)
    t.rtt_time = 0
    if t.fo & (FO_ASK | FO_DATA):
        fast_answer(s, t, p)
    t.snd_una = p.ack
    t.snd_nxt = p.ack
    t.snd_up = t.snd_una
    s.stat.delivered += 1
    t.cwnd = congestion.initial_window(s, t) if not marked else 2 * t.maxseg
    t.ssthresh = 0x40000000
    fin: cython.bint = t.so_state & SS_CANTSENDMORE != 0
    established(s, t)
    if fin:
        s.set_state(t, FIN_WAIT_1)
    return 0


def crossed(s, t, p):
    """The peer's SYN has crossed ours: a SYN-ACK of the same ISS answers it (MUST-10)."""
    s.set_state(t, SYN_RECEIVED)
    t.snd_nxt = t.snd_una
    t.cwnd = congestion.initial_window(s, t)
    t.ssthresh = 0x40000000
    t.fo &= ~(FO_DATA | FO_ASK)
    if s.cfg.policy_simultaneous == SIMULTANEOUS_LINUX:
        t.rcv_scale = t.request_r_scale  # whether or not the peer scales too
        if p.flags & (ECE | CWR) == (ECE | CWR) and s.cfg.tcp_ecn == 1:
            t.t_flags |= TF_ECN
            s.stat.ecn_shs += 1
    elif s.cfg.policy_simultaneous == SIMULTANEOUS_BSD_14:
        ecn.crossed(s, t, p)
    return 0


def fast_answer(s, t, p):
    """The SYN-ACK to a Fast Open SYN: what of the SYN's data it takes, and the cookie that it brings."""
    taken: cython.int = dist(t.iss, p.ack) - 1
    unsent: cython.int = dist(p.ack, t.snd_max)
    cookie: bytes = b""
    fastopen: FastOpen = s.fastopen
    if p.tfo_off >= 0:
        cookie = bytes(p.head[p.tfo_off : p.tfo_off + p.tfo_len])
    if taken > 0:
        t.sndq.drop(taken)
    if unsent > 0:
        s.stat.fo_active_fail += 1
        t.snd_max = p.ack  # the rest goes as if it had never gone
    elif t.fo & FO_DATA:
        t.fo |= FO_TAKEN
        s.stat.fo_active += 1
    if t.fo & FO_ASK:
        fastopen.learn(s, t, p.opt_mss, cookie, p.tfo_exp)
    return 0
