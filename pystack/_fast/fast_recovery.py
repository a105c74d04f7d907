"""Fast retransmit and fast recovery in octets, with the scoreboard: FreeBSD's (netinet/tcp_input.c, tcp_sack.c).

note_sack        SACK blocks into the scoreboard (RFC 2018, RFC 2883); lost_again: lost retransmissions
duplicate_ack    limited_transmit (RFC 3042); three: enter_recovery (RFC 5681 section 3.2, RFC 6675 section 5)
advancing_ack    partial_ack (RFC 6582 section 3.2) or sack_partial_ack; the end: post_recovery
"""

import cython

from pystack._fast import congestion, prr
from pystack._fast.consts import FIN, NEVER
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.scoreboard import Scoreboard
from pystack._fast.seq import after, after_eq, before, before_eq, dist, maximum, sub
from pystack._fast.tcb import (  # noqa: F401
    TF_ACKNOW,
    TF_CONGRECOVERY,
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_FASTRECOVERY,
    TF_SACK_PERMIT,
    TF_SENTFIN,
    Stack,
    Tcb,
)
from pystack._fast.tcp_out import tcp_output

SACK_NOTHING = 0
SACK_CHANGE = 1
SACK_NEW_LOSS = 2
"""What a segment told the scoreboard: nothing, something, of another loss."""


def board_of(s, t):
    """The scoreboard, which is there from the first SACK or the first recovery on."""
    if t.board is None:
        t.board = Scoreboard(s.cfg.tcp_sack_maxholes)
        t.board.high_rxt = t.board.acked = t.snd_una
    return t.board


def sack_recovery(t, p):
    """Does the scoreboard know, or does this segment say, what has arrived?"""
    if t.t_flags & TF_SACK_PERMIT == 0:
        return False
    return p.sack_n > 0 or (t.board is not None and (t.board.n > 0 or t.board.rescued > 0))


def note_sack(s, t, p):
    """The segment into the scoreboard (RFC 6675 section 3; RFC 2883 for duplicates): SACK_NOTHING, SACK_CHANGE, or
    SACK_NEW_LOSS when another hole shows.
    """
    i: cython.int
    left: cython.uint
    right: cython.uint
    news: cython.int = 0
    had: cython.int
    rescue: cython.bint
    if not sack_recovery(t, p):
        if t.board is not None:
            t.board.delivered = 0
        return SACK_NOTHING
    board = board_of(s, t)
    board.split = False
    board.delivered = 0
    rescue = board.rescued > 0
    if after(p.ack, t.snd_una) and board.n > 0:
        # all up to the acknowledgment has arrived: what of it is news?
        had = board.sacked
        board.advance(p.ack)
        board.delivered = dist(t.snd_una, p.ack) - (had - board.sacked)
        if board.n == 1 and board.first() == p.ack:
            board.clear()  # no hole is left, and nothing remembers what lay behind it
    elif after(p.ack, t.snd_una) and rescue:
        board.delivered = dist(t.snd_una, p.ack)
    board.acked = maximum(board.acked, p.ack)
    if before(board.high_rxt, p.ack):
        board.high_rxt = p.ack
    for i in range(p.sack_n):
        left = p.sack[2 * i]
        right = p.sack[2 * i + 1]
        s.stat.sack_rcv_blocks += 1
        if not before(left, right) or after(right, t.snd_max):
            continue
        if before_eq(right, p.ack):
            s.stat.dsack_rcv += 1
            continue
        if before_eq(left, t.snd_una) or before_eq(left, p.ack):
            continue
        board.full = s.sack_holes + board.n - board.counted >= s.cfg.tcp_sack_globalmaxholes
        news += board.add_block(left, right)
    s.count_holes(t, board.n)
    board.delivered += news
    if rescue and (news > 0 or after_eq(p.ack, board.rescue_right)):
        board.no_rescue()
        board.split = board.split or news > 0
    if p.sack_n == 0 or (news == 0 and board.delivered == 0):
        return SACK_NOTHING
    return SACK_NEW_LOSS if board.split else SACK_CHANGE


def lost_again(s, t):
    """The peer has what was sent after the holes were sent again, and not the first of them: that is lost too, and the
    window pays once more (net.inet.tcp.sack.lrd).
    """
    board = t.board
    if (
        not s.cfg.tcp_sack_lrd
        or t.t_flags & TF_FASTRECOVERY == 0
        or not board.first_hole_sent(t.snd_una)
        or before_eq(board.highest(), t.recover)
        or before_eq(board.highest(), board.resent_max)
    ):
        return
    board.high_rxt = t.snd_una
    t.cwnd = t.ssthresh
    t.t_flags &= ~(TF_FASTRECOVERY | TF_CONGRECOVERY)
    congestion_signal(s, t)
    t.cwnd = t.maxseg
    board.recover_fs = dist(t.snd_una, t.snd_max) - board.recover_fs
    if board.recover_fs < 1:
        board.recover_fs = 1


def congestion_signal(s, t):
    """A loss was found by duplicates (FreeBSD cc_cong_signal, CC_NDUPACK)."""
    if t.t_flags & TF_FASTRECOVERY:
        return
    t.recover = t.snd_max
    if t.t_flags & TF_ECN:
        t.t_flags |= TF_ECN_SND_CWR
    if t.t_flags & TF_CONGRECOVERY == 0:
        t.ssthresh = congestion.after_loss(s, t)
    else:
        t.ssthresh = congestion.lost_too(s, t)
    t.t_flags |= TF_FASTRECOVERY | TF_CONGRECOVERY


def duplicate_ack(s, t, p, news):
    """An ACK that acknowledges nothing new: is it one of the three (RFC 5681 section 2)? True: that was all."""
    win: cython.uint = p.win
    sack: cython.bint = sack_recovery(t, p)
    permitted: cython.bint = t.t_flags & TF_SACK_PERMIT != 0
    win = win << t.snd_scale
    if news != SACK_NOTHING:
        lost_again(s, t)
    if p.length > 0 or not ((permitted and s.cfg.tcp_sack_revised) or win == t.snd_wnd):
        return False
    if p.flags & FIN:
        t.dupacks = 0
        return False
    s.stat.rcvdupack += 1
    if p.ack != t.snd_una or (sack and news == SACK_NOTHING and s.cfg.tcp_sack_revised):
        return False
    if t.at_rexmt == NEVER or t.snd_una == t.snd_max:
        t.dupacks = 0
        return False
    t.dupacks += 1
    if t.dupacks > 3 or t.t_flags & TF_FASTRECOVERY:
        if t.t_flags & TF_FASTRECOVERY and permitted and s.cfg.tcp_prr:
            board_of(s, t)
            prr.reduce_octets(s, t, p.ack, sack, news == SACK_NEW_LOSS)
        elif t.t_flags & TF_FASTRECOVERY and sack:
            if prr.octets_out(s, t, t.snd_una, p.ack) < cython.cast(cython.int, t.ssthresh):
                t.cwnd = minimum_u(t.cwnd + t.maxseg, t.ssthresh)
        else:
            t.cwnd += t.maxseg
        tcp_output(s, t)
        return True
    if t.dupacks == 3 or (
        permitted
        and s.cfg.tcp_sack_revised
        and t.board is not None
        and t.board.sacked > 2 * t.maxseg
    ):
        return enter_recovery(s, t, p, sack)
    if s.cfg.tcp_rfc3042:
        limited_transmit(s, t)
        return True
    return False


def limited_transmit(s, t):
    """A new segment for each of the first two duplicates (RFC 3042)."""
    window: cython.uint = t.cwnd
    most: cython.uint = t.snd_max
    sent: cython.int
    if t.dupacks == 1:
        t.limited = 0
    t.cwnd = dist(t.snd_una, t.snd_nxt) + (t.dupacks - t.limited) * t.maxseg
    if t.t_flags & TF_ACKNOW or t.sndq.cc >= dist(t.snd_una, t.snd_nxt):
        tcp_output(s, t)
    sent = dist(most, t.snd_max)
    if sent > t.maxseg:
        t.limited = 2
    elif sent > 0:
        t.limited += 1
    t.cwnd = window
    return 0


def enter_recovery(s, t, p, sack):
    """Three duplicates: fast retransmit and fast recovery (RFC 5681 section 3.2, RFC 6675 section 5)."""
    keep: cython.uint = t.snd_nxt
    octets: cython.int
    if s.cfg.tcp_prr or t.t_flags & TF_SACK_PERMIT:
        if t.t_flags & TF_FASTRECOVERY:
            t.dupacks = 0
            return False
    elif before_eq(p.ack, t.recover):
        # RFC 6582 section 3.2 step 1: these duplicates are answers to our own retransmissions
        t.dupacks = 0
        return False
    t.dupacks = 3
    congestion_signal(s, t)
    t.at_rexmt = NEVER
    t.rtt_time = 0
    board = board_of(s, t)
    board.no_rescue()
    if s.cfg.tcp_prr:
        board.prr_delivered = t.maxseg
        board.prr_out = 0
        if not sack:
            octets = dist(t.snd_una, t.snd_max)
            board.prr_delivered = octets if octets < 3 * t.maxseg else 3 * t.maxseg
        board.recover_fs = dist(t.snd_una, t.snd_nxt)
        if board.recover_fs < 1:
            board.recover_fs = 1
    if sack:
        s.stat.sack_recovery_episode += 1
        t.recover = t.snd_nxt
        board.high_rxt = p.ack
        t.cwnd = t.maxseg
        tcp_output(s, t)
        return True
    t.snd_nxt = p.ack
    t.cwnd = t.maxseg
    tcp_output(s, t)
    t.cwnd = t.ssthresh + t.maxseg * (t.dupacks - t.limited)
    if after(keep, t.snd_nxt):
        t.snd_nxt = keep
    return True


def advancing_ack(s, t, p, news):
    """SND.UNA will move: a duplicate too if blocks are news, a partial acknowledgment, the end."""
    sack: cython.bint = sack_recovery(t, p)
    if news != SACK_NOTHING:
        lost_again(s, t)
    t.dupacks = 0
    if sack and news != SACK_NOTHING:
        t.dupacks = 1
        if (
            s.cfg.tcp_sack_revised
            and t.t_flags & TF_FASTRECOVERY == 0
            and t.board.sacked > 2 * t.maxseg
        ):
            enter_recovery(s, t, p, sack)
    if t.t_flags & (TF_FASTRECOVERY | TF_CONGRECOVERY) == 0:
        return 0
    if after_eq(p.ack, t.recover):
        post_recovery(s, t, p)
        return 0
    if t.t_flags & TF_FASTRECOVERY == 0:
        if s.cfg.tcp_prr:
            board_of(s, t).delivered = dist(t.snd_una, p.ack)
            prr.reduce_octets(s, t, p.ack, False, False)
            tcp_output(s, t)
        return 0
    t.at_rexmt = NEVER
    t.rtt_time = 0
    t.t_flags |= TF_ACKNOW
    if t.t_flags & TF_SACK_PERMIT == 0:
        partial_ack(s, t, p)
    elif s.cfg.tcp_prr and p.sack_n > 0:
        prr.reduce_octets(s, t, p.ack, sack, news == SACK_NEW_LOSS)
        tcp_output(s, t)
    else:
        sack_partial_ack(s, t, p)
    return 0


def post_recovery(s, t, p):
    """All that was out when the recovery began is acknowledged."""
    octets: cython.int
    if t.t_flags & TF_FASTRECOVERY:
        octets = dist(p.ack, t.snd_max)
        if s.cfg.tcp_sack_revised:
            octets = prr.octets_out(s, t, t.snd_una, p.ack)
        t.cwnd = congestion.recovered(t, octets)
    t.bytes_acked = 0
    if t.board is not None:
        t.board.delivered = t.board.prr_delivered = t.board.prr_out = 0
        t.board.no_rescue()


def partial_ack(s, t, p):
    """The next hole begins where the acknowledgment ends: send it, deflate, one segment back (RFC 6582 section 3.2)."""
    keep: cython.uint = t.snd_nxt
    window: cython.uint = t.cwnd
    acked: cython.uint = dist(t.snd_una, p.ack)
    t.snd_nxt = p.ack
    t.cwnd = t.maxseg + acked
    tcp_output(s, t)
    t.cwnd = window
    if after(keep, t.snd_nxt):
        t.snd_nxt = keep
    t.cwnd = (t.cwnd - acked if t.cwnd > acked else 0) + t.maxseg
    return 0


def sack_partial_ack(s, t, p):
    """A partial acknowledgment without blocks: one or two segments more; the end of the flight again when nothing is
    known to be missing (RFC 6675 section 4 rule 4).
    """
    board = board_of(s, t)
    n: cython.int = 2 if dist(t.snd_una, p.ack) >= 2 * t.maxseg else 1
    end: cython.uint = t.snd_max
    window: cython.int = board.resent(p.ack) + dist(t.recover, t.snd_nxt) + n * t.maxseg
    t.cwnd = window if window > 0 else 0
    if t.cwnd > t.ssthresh:
        t.cwnd = t.ssthresh
    if s.cfg.tcp_sack_revised and board.n == 0 and board.delivered > 0:
        if t.t_flags & TF_SENTFIN:
            end = sub(end, 1)
        if after(end, t.recover):
            end = t.recover
        if before(p.ack, end):
            board.rescue_right = end
            board.rescue_left = maximum(p.ack, sub(end, t.maxseg))
            board.rescued = 0
    tcp_output(s, t)
    return 0


def minimum_u(a, b):
    """The smaller of two windows."""
    return a if a < b else b
