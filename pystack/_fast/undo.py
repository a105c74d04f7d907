"""Taking a reduction of the window back when it proves needless, and the state that follows.

Two proofs: the peer's echo of a timestamp from before the first retransmission (Eifel detection, RFC 3522), and DSACKs
for all that was sent again (RFC 3708). `start` notes the point from which on a reduction may be undone. Every function
follows Linux's order of events (net/ipv4/tcp_input.c), which decides what a trace shows.
"""

import cython

from pystack._fast import prr
from pystack._fast.consts import (
    CA_DISORDER,
    CA_LOSS,
    CA_OPEN,
    CA_RECOVERY,
    SEG_EVER,
)
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.seq import before, dist
from pystack._fast.tcb import (  # noqa: F401
    TF_ECN_SND_CWR,
    TF_FASTRECOVERY,
    TF_RTO_RECOVERY,
    TF_SACK_PERMIT,
    Stack,
    Tcb,
)

RACK_PERSIST = 16
"""Recoveries for which a widened reordering window stays (RFC 8985 section 6.2 step 4)."""


def set_ca_state(t, f, state):
    """The only place that changes the state of congestion."""
    f.ca_state = state
    t.t_flags &= ~(TF_FASTRECOVERY | TF_RTO_RECOVERY)
    if state == CA_RECOVERY:
        t.t_flags |= TF_FASTRECOVERY
    elif state == CA_LOSS:
        t.t_flags |= TF_RTO_RECOVERY


def any_retransmitted(s, f):
    """Is a retransmission out, or was the first segment ever sent again?"""
    if f.retrans_out:
        return True
    return f.first != 0 and s.segments.mark[f.first] & SEG_EVER != 0


def keep_open(s, t, f):
    """The state without a reduction: OPEN, or DISORDER while something is missing."""
    state: cython.int = CA_OPEN
    if f.left_out() or any_retransmitted(s, f):
        state = CA_DISORDER
    if f.ca_state != state:
        set_ca_state(t, f, state)
        f.high_seq = t.snd_max


def start(t, f):
    """From SND.UNA on, a reduction that begins now may be undone."""
    f.undo = True
    f.undo_marker = t.snd_una
    # a retransmission that is still out may cause a DSACK later, and so may a loss probe
    f.undo_retrans = f.retrans_out
    if f.tlp and f.tlp_retrans:
        f.undo_retrans += 1
    if f.undo_retrans == 0:
        f.undo_retrans = -1


def delayed(s, t, f):
    """Does the echoed timestamp say that the peer answers what was sent before the first retransmission?"""
    if f.retrans_at == 0:
        return (
            t.t_flags & TF_SACK_PERMIT != 0
        )  # nothing was sent again; without SACK it may be forgotten
    table = s.segments
    return table.ts_ecr != 0 and before(table.ts_ecr, f.retrans_ts)


def possible(s, t, f):
    """May the reduction be undone?"""
    return f.undo and (f.undo_retrans == 0 or delayed(s, t, f))


def reduction(s, t, f, unmark):
    """Undo: the window and ssthresh are what they were; `unmark`: nothing is lost."""
    window: cython.int
    if unmark:
        s.segments.forget_lost(f)
    if f.prior_ssthresh:
        window = prr.window_of(t)
        prr.set_window(t, f.prior_cwnd if f.prior_cwnd > window else window)
        if f.prior_ssthresh > t.ssthresh:
            t.ssthresh = f.prior_ssthresh
            t.t_flags &= ~TF_ECN_SND_CWR
    f.cwnd_stamp = s.now
    f.undo = False
    f.rack_advanced = True  # losses are looked at anew


def keeps_state(s, t, f):
    """Without SACK, duplicates that follow a recovery look like a new loss: the state stays until more is acknowledged
    than was sent when it began (RFC 6582 section 3.2).
    """
    if t.snd_una == f.high_seq and t.t_flags & TF_SACK_PERMIT == 0:
        if not any_retransmitted(s, f):
            f.retrans_at = 0
        return True
    return False


def after_recovery(s, t, f):
    """All that was out when the episode began is acknowledged. True: the state stays for now."""
    if possible(s, t, f):
        if f.ca_state == CA_LOSS:
            s.stat.loss_undo += 1
        else:
            s.stat.full_undo += 1
        reduction(s, t, f, False)
    elif f.reo_persist:
        f.reo_persist -= 1
    if keeps_state(s, t, f):
        return True
    set_ca_state(t, f, CA_OPEN)
    f.reneging = False
    return False


def by_dsack(s, t, f):
    """DSACKs reported every retransmission."""
    if f.undo and f.undo_retrans == 0:
        f.reo_persist = f.reo_persist + 1 if f.reo_persist < RACK_PERSIST else RACK_PERSIST
        reduction(s, t, f, False)
        s.stat.dsack_undo += 1
        return True
    return False


def partial(s, t, f, prior_una):
    """A partial acknowledgment by a segment that was late, not lost. True: wait for the retransmissions first."""
    if f.undo and delayed(s, t, f):
        if note_reordering(s, t, f, prior_una):
            s.stat.ts_reorder += 1
        if f.retrans_out:
            return True
        if not any_retransmitted(s, f):
            f.retrans_at = 0
        reduction(s, t, f, True)
        s.stat.partial_undo += 1
        keep_open(s, t, f)
    return False


def after_loss(s, t, f, spurious):
    """After a timeout: it was needless. `spurious`: F-RTO says so (RFC 5682)."""
    if not spurious and not possible(s, t, f):
        return False
    reduction(s, t, f, True)
    s.stat.loss_undo += 1
    if spurious:
        s.stat.spurious_rtos += 1
    f.retransmits = 0
    if keeps_state(s, t, f):
        return True
    if spurious or t.t_flags & TF_SACK_PERMIT:
        set_ca_state(t, f, CA_OPEN)
        f.reneging = False
    return True


def note_reordering(s, t, f, low):
    """An octet at `low` was delivered after higher ones, sent once: does the network reorder (RFC 4653's measure)?"""
    mss: cython.int = t.maxseg
    metric: cython.int
    if not before(low, f.high_sack):
        return False
    metric = (dist(low, f.high_sack) + mss - 1) // mss
    if metric > f.reordering:
        f.reordering = metric
        if metric > s.cfg.tcp_max_reordering:
            f.reordering = s.cfg.tcp_max_reordering
    f.reord_seen += 1
    return True
