"""May a segment be taken: the first four steps of RFC 9293 section 3.10.7.4, with RFC 7323, 5961 and 1337.

    acceptable       by the order of the machine's system (policy `acceptance`)
      check_bsd      cut to the window: the ACK of an old segment counts, its octets do not
      check_linux    outside of the window is answered and dropped, ACK and all
    cut_linux        what is left of the text once the ACK was taken

Sources: FreeBSD netinet/tcp_input.c; Linux tcp_input.c and tcp_minisocks.c, observed on a running 6.18.
Functions answer 0 or the drop reason (consts.Drop) of the segment, and have sent whatever answer it deserves.
"""

import cython

from pystack._fast.consts import (
    ACCEPTANCE_LINUX,
    ACK,
    BANDLIM_RST_OPEN,
    CLOSE_WAIT,
    CLOSING,
    ESTABLISHED,
    FIN,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    MS,
    PAWS_IDLE,
    PSH,
    RST,
    RST_FLUSHES_DATA,
    SACK_REPORT_BSD,
    SECOND,
    SYN,
    SYN_RECEIVED,
    URG,
    Drop,
    Err,
    Note,
)
from pystack._fast.seq import add, after, before, before_eq, between, dist, sub
from pystack._fast.tcb import (
    SS_CANTRCVMORE,
    SS_INQUEUE,
    SS_NOFDREF,
    TF_ACKNOW,
    TF_DSACK,
    TF_PASSIVE,
    TF_RCVD_TS,
    TF_SACK_PERMIT,
    Tcb,  # noqa: F401
)
from pystack._fast.tcp_close import close, drop
from pystack._fast.tcp_delack import QUICK, quick_mode
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_reply import answer_invalid, challenge, reset_for, reset_of
from pystack._fast.tcp_text import note_duplicate
from pystack._fast.tcp_window import accepted_window

TCP_WINDOW = int(Drop.TCP_WINDOW)
TCP_PAWS = int(Drop.TCP_PAWS)
TCP_NO_TIMESTAMP = int(Drop.TCP_NO_TIMESTAMP)
TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
TCP_NO_ACK = int(Drop.TCP_NO_ACK)
DATA_AFTER_CLOSE = int(Note.DATA_AFTER_CLOSE)
TCP_AFTER_CLOSE = int(Drop.TCP_AFTER_CLOSE)
ECONNREFUSED = int(Err.ECONNREFUSED)
ECONNRESET = int(Err.ECONNRESET)
EPIPE = int(Err.EPIPE)
HELD = 60 * SECOND
BEFORE_5961 = 2
"""A value of `tcp_insecure_syn`: the SYN of a system that knows nothing of RFC 5961."""


def acceptable(s, t, p):
    """May the segment be taken? 0: go on with what is left of it."""
    if t.fo_row and p.flags & (SYN | RST | ACK) == SYN and p.seq == t.irs:
        s.repeat_syn_ack(t.fo_row, p)  # the SYN of a Fast Open connection again
        return TCP_BAD_SYN
    if s.cfg.policy_acceptance == ACCEPTANCE_LINUX:
        return check_linux(s, t, p)
    return check_bsd(s, t, p)


def stale(s, t, p):
    """Is the segment's timestamp older than the last one (PAWS, RFC 7323 section 5.3), the last not being too old?"""
    if not p.opt_ts or t.ts_recent == 0 or not before(p.ts_val, t.ts_recent):
        return False
    if s.now - t.ts_recent_age < PAWS_IDLE:
        return True
    t.ts_recent = 0
    return False


def answer_now(s, t):
    """An ACK at once, with whatever else may be sent; not limited (FreeBSD dropafterack)."""
    t.t_flags |= TF_ACKNOW
    return tcp_output(s, t)


def reset_by_peer(s, t):
    """The peer's RST was believed: the connection ends with the error of its state."""
    err: cython.int = ECONNRESET
    if t.state == SYN_RECEIVED and s.cfg.policy_acceptance != ACCEPTANCE_LINUX:
        err = ECONNREFUSED
    elif t.state == CLOSE_WAIT and s.cfg.policy_acceptance == ACCEPTANCE_LINUX:
        err = EPIPE
    if t.fo_row and not t.so_state & SS_INQUEUE and t.listener.state == LISTEN:
        # perhaps an attacker's: its place stays taken for a minute (RFC 7413 section 5.1)
        if t.listener.fo_held is None:
            t.listener.fo_held = []
        t.listener.fo_held.append(s.now + HELD)
        t.listener.fo_pending += 1
    drop(s, t, err, False)
    if s.cfg.policy_rst_flush == RST_FLUSHES_DATA:
        t.rcvq.flush()  # RFC 9293 section 3.10.7.4: "All segment queues should be flushed"
    return 0


# --- FreeBSD's order --------------------------------------------------------------------------------------------


def check_bsd(s, t, p):
    """RST, SYN, timestamp; then the segment is cut on both sides; then it must have an ACK, a good one."""
    cfg = s.cfg
    stamped: cython.bint = t.t_flags & TF_RCVD_TS != 0
    if stamped and not p.opt_ts and not cfg.tcp_tolerate_missing_ts and p.flags & RST == 0:
        return TCP_NO_TIMESTAMP
    t.rcv_wnd = accepted_window(s, t)
    if p.flags & RST:
        return reset_bsd(s, t, p)
    if t.state == SYN_RECEIVED:
        if (p.flags & ACK and (before_eq(p.ack, t.iss) or after(p.ack, t.snd_max))) or (
            before(p.seq, t.irs) and not (stamped and stale(s, t, p))
        ):
            if s.bandlim(BANDLIM_RST_OPEN):
                reset_of(s, t, p)
            return TCP_BAD_ACK
    elif p.flags & SYN and syn_bsd(s, t, p):
        return TCP_BAD_SYN
    if stamped and stale(s, t, p):
        s.stat.pawsdrop += 1
        if p.length > 0:
            answer_now(s, t)
        return TCP_PAWS
    if trim_left(s, t, p):
        return TCP_AFTER_CLOSE
    if trim_right(s, t, p):
        answer_now(s, t)
        return TCP_WINDOW
    if (
        p.opt_ts
        and stamped
        and before_eq(p.seq, t.last_ack_sent)
        and before_eq(t.last_ack_sent, add(p.seq, p.length + (1 if p.flags & (SYN | FIN) else 0)))
    ):
        t.ts_recent = p.ts_val
        t.ts_recent_age = s.now
    if p.flags & ACK == 0:
        if t.state == SYN_RECEIVED and p.seq == add(t.irs, 1) and t.t_flags & TF_ACKNOW:
            t.snd_nxt = t.snd_una  # the peer's SYN again: our SYN-ACK again
            tcp_output(s, t)
        elif t.t_flags & TF_ACKNOW:
            tcp_output(s, t)
        return TCP_NO_ACK
    if p.flags & SYN:
        return TCP_BAD_SYN
    if after(p.ack, t.snd_max):
        s.stat.rcvacktoomuch += 1
        answer_now(s, t)
        return TCP_BAD_ACK
    if not cfg.tcp_insecure_ack and before(p.ack, t.snd_una) and before(p.ack, oldest_ack(t)):
        challenge(s, t)
        return TCP_BAD_ACK
    return 0


def oldest_ack(t):
    """The least acknowledgment that can be honest: within the largest window (RFC 5961 section 5.2), and of something
    that was sent, until so much was sent that this says nothing more.
    """
    least: cython.uint = sub(t.snd_una, t.max_sndwnd)
    first: cython.uint = add(t.iss, 1)
    most: cython.longlong = 65535
    if sub(t.snd_una, t.iss) < most << t.snd_scale and after(first, least):
        return first
    return least


def reset_bsd(s, t, p):
    """RST (RFC 5961 section 3), measured from the last ACK that was sent, for the peer knows no other."""
    if not between(p.seq, t.last_ack_sent, add(t.last_ack_sent, t.rcv_wnd)) and not (
        t.rcv_wnd == 0 and p.seq == t.last_ack_sent
    ):
        return TCP_BAD_RST
    if p.seq != t.last_ack_sent and not s.cfg.tcp_insecure_rst:
        s.stat.badrst += 1
        challenge(s, t)
        return TCP_BAD_RST
    return reset_by_peer(s, t)


def syn_bsd(s, t, p):
    """SYN on a connection (RFC 5961 section 4): challenged; with insecure_syn it resets, or is an old octet."""
    if s.cfg.tcp_insecure_syn == BEFORE_5961 and before(p.seq, t.rcv_nxt):
        p.seq = add(p.seq, 1)
        p.flags &= ~SYN
        t.t_flags |= TF_ACKNOW
        return 0
    if s.cfg.tcp_insecure_syn:
        if between(p.seq, t.last_ack_sent, add(t.last_ack_sent, t.rcv_wnd)):
            drop(s, t, ECONNRESET, True)
            return TCP_BAD_SYN
    challenge(s, t)
    return TCP_BAD_SYN


def trim_left(s, t, p):
    """Cut off what is known already. A reason: the connection is over, data came for nobody."""
    old: cython.int = dist(p.seq, t.rcv_nxt)
    if old > 0:
        if p.flags & SYN:
            p.flags &= ~SYN
            p.seq = add(p.seq, 1)
            old -= 1
        if old > p.length or (old == p.length and p.flags & FIN == 0):
            # nothing new; but it is acknowledged again, and its own ACK counts
            s.stat.rcvduppack += 1
            s.stat.rcvdupbyte += p.length
            p.flags &= ~FIN
            t.t_flags |= TF_ACKNOW
            old = p.length
        else:
            s.stat.rcvpartduppack += 1
            s.stat.rcvpartdupbyte += old
        if old > 0:
            cut_front(s, t, p, old)
        if p.length == 0:
            p.flags &= ~URG
    if t.so_state & SS_NOFDREF and t.state > CLOSE_WAIT and p.length > 0:
        if not t.so_state & SS_INQUEUE:
            return data_for_nobody(s, t, p, False)
    return 0


def cut_front(s, t, p, old):
    """The first `old` octets of the segment came before: off with them, and the next ACK says so (RFC 2883)."""
    note_duplicate(s, t, p.seq, add(p.seq, old))
    if t.t_flags & TF_DSACK and s.cfg.policy_sack_report == SACK_REPORT_BSD:
        t.t_flags |= TF_ACKNOW  # the next segment in order would clear the report
    if old >= p.length:
        p.drop_payload()
        p.length = 0
    else:
        p.m = p.pool.trim_front(p.m, old)
        p.length -= old
    p.seq = add(p.seq, old)
    if p.urg > old:
        p.urg -= old
    else:
        p.flags &= ~URG
        p.urg = 0
    return 0


def data_for_nobody(s, t, p, error):
    """Data after the application has closed (facts: freebsd-tcp 2.5): RST, and the connection is gone."""
    s.stat.rcvafterclose += 1
    s.stat.abort_on_data += 1
    if s.cfg.tcp_log_debug:
        s.say_of(DATA_AFTER_CLOSE, p, p.length)
    reset_for(s, p)
    if error:
        reset_by_peer(s, t)
    else:
        close(s, t)
    return TCP_AFTER_CLOSE


def trim_right(s, t, p):
    """Cut off what lies beyond the window. A reason: nothing of it is left."""
    beyond: cython.longlong = 0
    # how far it lies ahead; not signed, for a segment may lie exactly half of the circle away
    if dist(p.seq, t.rcv_nxt) <= 0:
        beyond = sub(p.seq, t.rcv_nxt)
        beyond = beyond + p.length - t.rcv_wnd  # the first is wide and signed, so all are
    if beyond <= 0:
        return 0
    s.stat.rcvpackafterwin += 1
    if beyond >= p.length:
        s.stat.rcvbyteafterwin += p.length
        if t.rcv_wnd != 0 or p.seq != t.rcv_nxt:
            return TCP_WINDOW
        s.stat.rcvwinprobe += 1
        t.t_flags |= TF_ACKNOW
        p.drop_payload()
        p.length = 0
    else:
        s.stat.rcvbyteafterwin += beyond
        p.pool.truncate(p.m, p.length - beyond)
        p.length -= beyond
    p.flags &= ~(FIN | PSH)
    return 0


# --- Linux's order ----------------------------------------------------------------------------------------------


def check_linux(s, t, p):
    """An ACK must be there; then timestamp, sequence, RST, SYN; then the ACK must be a good one."""
    win: cython.longlong
    end: cython.uint
    if p.flags & (ACK | RST | SYN) == 0:
        return TCP_NO_ACK
    t.rcv_wnd = accepted_window(s, t)
    win = dist(t.rcv_nxt, t.rcv_adv)
    if win < 0:
        win = 0
    end = add(p.seq, p.length + (1 if p.flags & FIN else 0) + (1 if p.flags & SYN else 0))
    if t.t_flags & TF_RCVD_TS and p.opt_ts and stale(s, t, p) and not late_ack(s, t, p):
        if p.flags & SYN:
            s.stat.syn_challenge += 1
            challenge(s, t)
            return TCP_BAD_SYN
        if p.flags & RST == 0:
            s.stat.pawsdrop += 1
            if p.length > 0 or p.flags & FIN or not before(p.seq, t.rcv_nxt):
                answer_invalid(s, t, p, True)  # an old ACK on its own is not answered
            return TCP_PAWS
    if before(end, t.last_ack_sent) or beyond_linux(t, p, end, win):
        if p.flags & RST:
            return reset_by_peer(s, t) if before_fin(t, p) else TCP_BAD_RST
        if p.flags & SYN:
            s.stat.syn_challenge += 1
            challenge(s, t)
            return TCP_BAD_SYN
        if not before(p.seq, t.rcv_nxt):
            s.stat.rcvpackafterwin += 1
            s.stat.rcvbyteafterwin += p.length
        elif p.length > 0:
            s.stat.rcvduppack += 1
            s.stat.rcvdupbyte += p.length
            note_duplicate(s, t, p.seq, end if before(end, t.rcv_nxt) else t.rcv_nxt)
            quick_mode(s, t, QUICK)
            s.stat.delack_lost += 1
        if not before(p.seq, t.rcv_nxt) and not before(end, t.last_ack_sent):
            s.stat.beyond_window += 1
        answer_invalid(s, t, p, False)
        return TCP_WINDOW
    if p.flags & RST:
        if p.seq == t.rcv_nxt or before_fin(t, p) or at_right_edge(t, p.seq):
            return reset_by_peer(s, t)
        s.stat.badrst += 1
        challenge(s, t)
        return TCP_BAD_RST
    if p.flags & SYN:
        if (
            t.state != SYN_RECEIVED
            or p.flags & ACK == 0
            or add(p.seq, 1) != end
            or end != t.rcv_nxt
            or p.ack != t.snd_max
        ):
            s.stat.syn_challenge += 1
            challenge(s, t)
            return TCP_BAD_SYN
    return ack_linux(s, t, p)


def beyond_linux(t, p, end, win):
    """Does the segment lie to the right of the offered window? Its end may, while nothing waits to be read."""
    ahead: cython.longlong
    if before_eq(p.seq, t.rcv_nxt):
        ahead = 0
    else:
        ahead = sub(p.seq, t.rcv_nxt)
    if ahead > win:
        return True
    if t.rcvq.cc == 0 and t.state != CLOSE_WAIT and t.state != CLOSING and t.state != LAST_ACK:
        return False
    return ahead + dist(p.seq, end) > win and not before_eq(end, t.rcv_nxt)


def late_ack(s, t, p):
    """A bare duplicate ACK overtaken by others is no sign of an old connection (RFC 7323 appendix on PAWS and ACKs)."""
    win: cython.uint = p.win
    win = win << t.snd_scale
    if p.flags & ~PSH != ACK or p.length > 0 or p.seq != t.rcv_nxt or p.ack != t.snd_una:
        return False
    if after(p.seq, t.snd_wl1) or (p.seq == t.snd_wl1 and win > t.snd_wnd):
        return False
    age: cython.longlong = dist(p.ts_val, t.ts_recent)
    return age * MS * 10 <= t.rxtcur * 12


def before_fin(t, p):
    """A RST at the octet before RCV.NXT, which was the peer's FIN: its system had forgotten that it sent one."""
    return add(p.seq, 1) == t.rcv_nxt and (
        t.state == CLOSE_WAIT or t.state == LAST_ACK or t.state == CLOSING
    )


def at_right_edge(t, at):
    """Is this the octet after all that was received, in order or not (RFC 5961 section 3 knows no SACK)?"""
    if t.reass is None or not t.t_flags & TF_SACK_PERMIT or t.reass.n == 0:
        return False
    edge: cython.uint = t.reass.right[t.reass.n - 1]
    return at == edge


def ack_linux(s, t, p):
    """The ACK field (RFC 9293 section 3.10.7.4 fifth step, RFC 5961 section 5), and with it the timestamp."""
    known: cython.uint
    if t.state == SYN_RECEIVED:
        if before(p.ack, t.snd_una) or after(p.ack, t.snd_max):
            reset_for(s, p)
            return TCP_BAD_ACK
    elif after(p.ack, t.snd_max):
        s.stat.rcvacktoomuch += 1
        challenge(s, t)
        return TCP_BAD_ACK
    elif before(p.ack, t.snd_una):
        known = sub(t.snd_una, t.iss) - (1 if t.t_flags & TF_PASSIVE else 0)
        if known > t.max_sndwnd:
            known = t.max_sndwnd
        if before(p.ack, sub(t.snd_una, known)):
            if t.state == ESTABLISHED and p.flags & ~PSH == ACK and p.length == 0:
                remember_linux(s, t, p)  # what looks like the expected ACK is believed so far
            challenge(s, t)
            return TCP_BAD_ACK
        return 0
    return remember_linux(s, t, p)


def remember_linux(s, t, p):
    """TS.Recent (RFC 7323 section 4.3), from a segment that is taken."""
    if p.opt_ts and t.t_flags & TF_RCVD_TS and before_eq(p.seq, t.last_ack_sent):
        if t.ts_recent == 0 or before_eq(t.ts_recent, p.ts_val):
            t.ts_recent = p.ts_val
            t.ts_recent_age = s.now
    return 0


def cut_linux(s, t, p):
    """The ACK was taken; what is left of the text? A reason: nothing, or data came for nobody."""
    fin: cython.int = 1 if p.flags & FIN else 0
    syn: cython.int = 1 if p.flags & SYN else 0
    end: cython.uint = add(p.seq, p.length + fin + syn)
    old: cython.int = dist(p.seq, t.rcv_nxt)
    if end == p.seq:
        return 0
    if t.state >= CLOSE_WAIT:
        if t.state != FIN_WAIT_1 and t.state != FIN_WAIT_2 and old <= 0:
            return TCP_AFTER_CLOSE  # after the peer's FIN: not even answered
        if t.so_state & SS_CANTRCVMORE and after(add(p.seq, p.length + syn), t.rcv_nxt):
            return data_for_nobody(s, t, p, True)
    if not after(end, t.rcv_nxt):
        s.stat.rcvduppack += 1
        s.stat.rcvdupbyte += p.length
        note_duplicate(s, t, p.seq, end)
        quick_mode(s, t, QUICK)
        s.stat.delack_lost += 1
        t.t_flags |= TF_ACKNOW
        p.flags &= ~(FIN | SYN | URG)
        p.seq = end
        p.drop_payload()
        p.length = 0
        return 0
    if p.length > 0 and not before(p.seq, t.rcv_adv):
        s.stat.rcvwinprobe += 1  # the offered window is shut
        s.stat.zero_window_drop += 1
        quick_mode(s, t, QUICK)
        t.t_flags |= TF_ACKNOW
        return TCP_WINDOW
    if old > 0:
        s.stat.rcvpartduppack += 1
        s.stat.rcvpartdupbyte += old
        cut_front(s, t, p, old)
    return 0
