"""How the window gets down to ssthresh: proportional rate reduction (RFC 9937, RFC 6937), in segments and in octets.

`begin` when a loss or a congestion mark is seen, `reduce` at each acknowledgment of the episode, `end` when it is over.
The episode is one of the states CWR and RECOVERY; `Tcb.cwnd` is a whole number of segments all the time.
"""

import cython

from pystack._fast import congestion
from pystack._fast.consts import CA_CWR, CA_RECOVERY
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.scoreboard import Scoreboard  # noqa: F401
from pystack._fast.seq import dist
from pystack._fast.tcb import (  # noqa: F401
    TF_ECN,
    TF_ECN_SND_CWR,
    TF_FASTRECOVERY,
    Stack,
    Tcb,
)

INFINITE = 0x40000000
"""An ssthresh that no loss has set yet, octets."""


def window_of(t):
    """The congestion window in segments."""
    n: cython.int = t.cwnd // t.maxseg
    return n if n > 0 else 1


def set_window(t, segments):
    """The congestion window is so many segments."""
    n: cython.uint = segments if segments > 0 else 1
    t.cwnd = n * t.maxseg


def reducing(f):
    """Is the window on its way down?"""
    return f.ca_state == CA_CWR or f.ca_state == CA_RECOVERY


def current_ssthresh(t, f):
    """What ssthresh is worth, to be restored by an undo: three quarters of the window unless it was just reduced."""
    window: cython.int = window_of(t)
    window = (window >> 1) + (window >> 2)
    if reducing(f) or t.ssthresh >= cython.cast(cython.uint, window * t.maxseg):
        return t.ssthresh
    return window * t.maxseg


def begin(s, t, f):
    """The window shall come down to what the congestion control says."""
    f.high_seq = t.snd_max
    f.tlp = False
    f.cwnd_cnt = 0
    f.prior_cwnd = window_of(t)
    f.prr_delivered = 0
    f.prr_out = 0
    t.ssthresh = congestion.after_loss(s, t)
    if t.t_flags & TF_ECN:
        t.t_flags |= TF_ECN_SND_CWR


def reduce(s, t, f, delivered, lost, advanced):
    """`delivered` segments have left the network, `lost` were found lost: how many may follow (RFC 9937 section 6)?"""
    flight: cython.int = f.in_flight()
    target: cython.int = t.ssthresh // t.maxseg
    room: cython.int = target - flight
    send: cython.int
    wide: cython.longlong
    if delivered <= 0 or f.prior_cwnd == 0:
        return
    f.prr_delivered += delivered
    if room < 0:
        wide = target
        wide = (wide * f.prr_delivered + f.prior_cwnd - 1) // f.prior_cwnd
        send = cython.cast(cython.int, wide) - f.prr_out
    else:
        send = f.prr_delivered - f.prr_out
        if send < delivered:
            send = delivered
        if advanced and lost == 0:
            send += 1
        if send > room:
            send = room
    if send < 1 and f.prr_out == 0:
        send = 1  # the retransmission that begins the recovery goes out in any case
    if send < 0:
        send = 0
    set_window(t, flight + send)


def end(s, t, f):
    """The episode is over: the window is ssthresh, unless the reduction was undone meanwhile."""
    if t.ssthresh < cython.cast(cython.uint, INFINITE) and (f.ca_state == CA_CWR or f.undo):
        t.cwnd = t.ssthresh
        f.cwnd_stamp = s.now


def enter_cwr(s, t, f):
    """A congestion mark: reduce once in a round trip (RFC 3168 section 6.1.2)."""
    f.prior_ssthresh = 0
    if f.ca_state < CA_CWR:
        f.undo = False
        begin(s, t, f)
        f.ca_state = CA_CWR


# --- in octets, with the scoreboard (FreeBSD netinet/tcp_input.c, tcp_do_prr_ack) -----------------------------------


def octets_out(s, t, una, acked):
    """Octets in the network: SetPipe of RFC 6675, or all beyond the highest SACKed one where that is not wanted.
    `acked`: below it the segment at hand acknowledges, SND.UNA is still `una`.
    """
    board = t.board
    pipe: cython.int
    if board is None:
        return dist(una, t.snd_max)
    if s.cfg.tcp_sack_revised:
        pipe = board.pipe(acked, t.snd_max, board.lost_edge(acked, t.maxseg, 3))
        return pipe + dist(una, acked) + board.rescued
    if board.n == 0:
        return dist(una, t.snd_nxt) + board.resent(acked)
    return dist(board.highest(), t.snd_nxt) + board.resent(acked)


def reduce_octets(s, t, acked, sack, new_loss):
    """What may be sent for this acknowledgment in recovery (RFC 6937 section 3.1); `sack`: the scoreboard knows
    what has arrived; `new_loss`: it shows another hole.
    """
    board = t.board
    fast: cython.bint = t.t_flags & TF_FASTRECOVERY != 0
    mss: cython.int = t.maxseg
    delivered: cython.int = 0
    pipe: cython.int
    limit: cython.int
    send: cython.int
    window: cython.int
    wide: cython.longlong
    if sack or not fast:
        delivered = board.delivered
        pipe = octets_out(s, t, t.snd_una, acked)
    else:
        if board.prr_delivered < 3 * mss + dist(t.snd_una, t.recover):
            delivered = mss
        pipe = dist(t.snd_una, t.snd_max) - t.dupacks * mss
        if pipe < 0:
            pipe = 0
    board.prr_delivered += delivered
    if pipe >= cython.cast(cython.int, t.ssthresh):
        if board.recover_fs == 0:
            board.recover_fs = dist(t.snd_una, t.snd_nxt)
            if board.recover_fs < 1:
                board.recover_fs = 1
        wide = board.prr_delivered
        wide = (wide * t.ssthresh + board.recover_fs - 1) // board.recover_fs
        send = cython.cast(cython.int, wide) - board.prr_out + mss - 1
    else:
        limit = board.prr_delivered - board.prr_out
        if not new_loss and delivered > 0:
            if limit < delivered:
                limit = delivered
            limit += mss
        send = t.ssthresh - pipe
        if send > limit:
            send = limit
    send = send // mss if send > 0 else 0
    if fast and sack:
        window = dist(t.recover, t.snd_nxt) + board.resent(acked) + send * mss
    elif fast:
        window = dist(t.snd_una, t.snd_max) + send * mss
    else:
        window = pipe - delivered + send * mss
    t.cwnd = window if window > mss else mss
