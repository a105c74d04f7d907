"""Bare segments: resets, answers for nobody's segments, acknowledgments and challenges out of turn.

RFC 9293 section 3.10.7.1 (what a RST looks like), RFC 5961 section 7 (how many challenges).
"""

import cython

from pystack._fast.consts import (
    ACK,
    CHALLENGE_HOST,
    FIN,
    RST,
    SOURCE_ROUTES_LINUX,
    SYN,
    WINDOW_BSD_14,
    WINDOW_LINUX,
)
from pystack._fast.seq import add
from pystack._fast.source_routes import forget, lay, learn
from pystack._fast.space import recv_space
from pystack._fast.tcb import SO_ROUTED, TF_RCVD_TS, TF_SACK_PERMIT
from pystack._fast.tcp_build import blank, fill_sack, stamp, transmit
from pystack._fast.tcp_delack import ack_sent
from pystack._fast.tcp_window import offered, receive_window, window_field

NO_CHALLENGE_LIMIT = 2**31 - 1
"""Linux: this number of challenge ACKs in a second means any number."""


def respond(s, laddr, lport, faddr, fport, seq, ack, flags, win, ttl, tos):
    """A bare segment that belongs to no connection (or to one that is about to go)."""
    p = blank(s, laddr, lport, faddr, fport, ttl, tos)
    p.seq = seq
    p.ack = ack
    p.flags = flags
    p.win = win
    s.stat.sndctrl += 1
    return transmit(s, p)


def reset_for(s, p):
    """The RST that a segment for nobody deserves (RFC 9293 section 3.10.7.1); none for a RST."""
    if p.flags & RST:
        return 0
    s.stat.out_rsts += 1
    s.stat.sndctrl += 1
    out = unsent_reset(s, p)
    if p.ip_len > 20 and s.cfg.policy_source_routes == SOURCE_ROUTES_LINUX and learn(s, p):
        # Linux: the RST goes back by the way that the segment came, which is then forgotten
        lay(s, out)
        forget(s, p.dst, p.dport, p.src, p.sport)
    return transmit(s, out)


def unsent_reset(s, p):
    """That RST, as a packet that is not sent yet."""
    out = blank(s, p.dst, p.dport, p.src, p.sport, s.cfg.ip_ttl, 0)
    if p.flags & ACK:
        out.seq = p.ack
        out.flags = RST
    else:
        out.ack = add(p.seq, p.length + (1 if p.flags & SYN else 0) + (1 if p.flags & FIN else 0))
        out.flags = RST | ACK
    return out


def reset_of(s, t, p):
    """The RST that a segment for a half-open connection deserves, which on FreeBSD 14 has the connection's timestamp
    (tcp_respond).
    """
    if not t.t_flags & TF_RCVD_TS or not p.flags & ACK or s.cfg.policy_window != WINDOW_BSD_14:
        return reset_for(s, p)
    s.stat.sndctrl += 1
    s.stat.out_rsts += 1
    return transmit(s, bare(s, t, p.ack, RST, 0))


def bare(s, t, at, flags, win):
    """A segment of the connection without text, at sequence number `at`: acknowledgment, window, timestamp."""
    p = blank(s, t.laddr, t.lport, t.faddr, t.fport, t.ttl, t.tos)
    if t.so_options & SO_ROUTED:
        lay(s, p)
    p.flags = flags
    p.seq = at
    p.ack = t.rcv_nxt if flags & ACK else 0
    p.win = window_field(s, t, win)
    if t.t_flags & TF_RCVD_TS:
        stamp(s, p, t.ts_offset, t.ts_recent)
    return p


def send_reset_of(s, t, at):
    """The RST of a connection that ends on our side: with ACK and timestamp, and a window unless it is FreeBSD 14."""
    win: cython.int = 0
    if s.cfg.policy_window != WINDOW_BSD_14:
        win = receive_window(s, t)
    s.stat.sndctrl += 1
    s.stat.out_rsts += 1
    return transmit(s, bare(s, t, at, RST | ACK, win))


def bare_room(s, t):
    """FreeBSD: what an answer out of turn offers is the room of the buffer as it is (tcp_respond)."""
    win: cython.int = recv_space(s, t)
    return win if win > 0 else 0


def send_ack_only(s, t, at):
    """An ACK without data at sequence number `at`: keep-alive probes, challenge ACKs, Linux's window probes.

    FreeBSD's is no segment of the connection's output: it reports no blocks, remembers no offer, and leaves an
    acknowledgment that is due to its timer.
    """
    s.stat.sndacks += 1
    t.segs_out += 1
    if s.cfg.policy_window != WINDOW_LINUX:
        return transmit(s, bare(s, t, at, ACK, bare_room(s, t)))
    p = bare(s, t, at, ACK, receive_window(s, t))
    if t.t_flags & TF_SACK_PERMIT and t.sacks is not None:
        fill_sack(s, t, p)
    offered(s, t, receive_window(s, t))
    ack_sent(s, t, 0)
    t.last_sent = s.now
    return transmit(s, p)


def timewait_ack(s, row):
    """The acknowledgment that the connection of a TIME_WAIT row would send."""
    tw = s.timewait
    ports: cython.uint = tw.ports[row]
    p = blank(s, tw.laddr[row], ports >> 16, tw.faddr[row], ports & 0xFFFF, s.cfg.ip_ttl, 0)
    p.seq = tw.snd_nxt[row]
    p.ack = tw.rcv_nxt[row]
    p.flags = ACK
    win: cython.int = tw.win[row] >> tw.scale[row]
    p.win = win if win < 65535 else 65535
    if tw.has_ts[row]:
        stamp(s, p, tw.ts_offset[row], tw.ts_recent[row])
    s.stat.sndacks += 1
    return transmit(s, p)


def challenge(s, t):
    """A challenge ACK, within the limits (RFC 5961 sections 3.2, 4.2, 7): a least gap of the connection's bare answers
    (Linux), and a count in a time, of the connection (FreeBSD) or of the machine (Linux, where chance hides from an
    attacker how many are left).
    """
    cfg = s.cfg
    limit: cython.longlong = cfg.tcp_challenge_ack_limit
    window: cython.longlong = cfg.tcp_challenge_ack_window
    gap: cython.longlong = cfg.tcp_invalid_ratelimit
    half: cython.uint
    if gap > 0:
        if s.now - t.invalid_at < gap:
            s.stat.skipped_challenge += 1
            return suppressed(s)
        t.invalid_at = s.now
    if window > 0 and limit < NO_CHALLENGE_LIMIT:
        if cfg.policy_challenge_ack == CHALLENGE_HOST:
            if s.challenge_start < 0 or s.now // window != s.challenge_start // window:
                s.challenge_start = s.now
                half = (limit + 1) // 2
                s.challenge_left = half + (s.rng.below(limit) if limit > 0 else 0)
            if s.challenge_left <= 0:
                return suppressed(s)
            s.challenge_left -= 1
        else:
            if s.now - t.challenge_start >= window or t.challenge_count == 0:
                t.challenge_start = s.now
                t.challenge_count = 0
            if t.challenge_count >= limit:
                return suppressed(s)
            t.challenge_count += 1
            if t.challenge_count > s.challenge_high:
                s.challenge_high = t.challenge_count
    s.stat.challenge_acks += 1
    if cfg.policy_window == WINDOW_LINUX:
        return send_ack_only(s, t, t.snd_max)
    t.last_ack_sent = t.rcv_nxt
    return send_ack_only(s, t, t.snd_nxt)


def suppressed(s):
    """One more challenge would be too many."""
    s.stat.challenge_suppressed += 1
    s.challenge_failed_at = s.now
    return 0


def answer_invalid(s, t, p, stale):
    """Say where we are to a segment that cannot be taken, as its timestamp is `stale` or for its place; to one without
    data not too often, else two ends that disagree would answer each other for ever (Linux tcp_invalid_ratelimit).
    """
    gap: cython.longlong = s.cfg.tcp_invalid_ratelimit
    if gap > 0 and p.length == 0 and p.flags & FIN == 0:
        if s.now - t.invalid_at < gap:
            s.stat.challenge_suppressed += 1
            if stale:
                s.stat.skipped_paws += 1
            else:
                s.stat.skipped_seq += 1
            return 0
        t.invalid_at = s.now
    return send_ack_only(s, t, t.snd_max)
