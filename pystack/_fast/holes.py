"""Recovery with a scoreboard of octets sends again what the peer is missing (RFC 6675 section 4; FreeBSD).

find_hole     what of a hole may go now; without one, how much new data
send_hole     it goes
skip_sacked   after a timeout: over what the peer has
"""

import cython

from pystack._fast.consts import FIN
from pystack._fast.draft import Draft  # noqa: F401
from pystack._fast.seq import add, after, after_eq, before, dist, maximum
from pystack._fast.tcb import TF_SACK_PERMIT, TF_SENTFIN
from pystack._fast.tcp_emit import emit
from pystack._fast.tcp_window import minimum_i


def find_hole(t, d):
    """In fast recovery. True: `d.length` octets of the hole at board.hole_left may go. False: new data may, as far as
    `d.win` goes by now.
    """
    board = t.board
    again: cython.int
    spare: cython.int
    if board is None or t.t_flags & TF_SACK_PERMIT == 0:
        return False
    again = board.resent(t.snd_una)
    if choose_hole(t):
        spare = d.win - again
        if spare > dist(board.hole_left, board.hole_right):
            spare = dist(board.hole_left, board.hole_right)
        if spare > d.mss:
            spare = d.mss
        if spare > 0:
            d.length = spare
            return True
    if again > 0:
        # all holes have been sent: new data, as far as the window goes beyond what was sent since
        spare = dist(t.recover, t.snd_nxt)
        spare = cython.cast(cython.int, t.cwnd) - (spare if spare > 0 else 0) - again
        d.win = minimum_i(t.snd_wnd, d.off + (spare if spare > 0 else 0))
    return False


def choose_hole(t):
    """In SACK recovery: the next octets to send again, board.hole_left and hole_right; not beyond what was out when the
    recovery began. False: there are none, or the window has no room.
    """
    board = t.board
    start: cython.uint = maximum(board.high_rxt, t.snd_una)
    if board.rescue_left != board.rescue_right:
        board.hole_left = add(board.rescue_left, board.rescued)
        board.hole_right = board.rescue_right
        return before(board.hole_left, board.hole_right)
    if not board.next_hole(start):
        return False
    if after(board.hole_right, t.recover):
        board.hole_right = t.recover
    return before(board.hole_left, board.hole_right)


def send_hole(s, t, d):
    """Send octets of a hole again. 1: there may be more to send."""
    board = t.board
    at: cython.uint = board.hole_left
    off: cython.int = dist(t.snd_una, at)
    length: cython.int = d.length
    flags: cython.int = d.flags
    if off + length > t.sndq.cc:  # the hole reaches over our FIN
        length = t.sndq.cc - off
    if length < 0 or (length == 0 and t.t_flags & TF_SENTFIN == 0):
        return 0
    if off + length < t.sndq.cc or before(add(at, length + 1), t.snd_max):
        flags &= ~FIN
    if board.rescue_left != board.rescue_right:
        board.rescued += length if length > 0 else 1
    else:
        board.high_rxt = add(at, length if length > 0 else 1)
        board.resent_max = t.snd_max
    s.stat.sack_rexmits += 1
    s.stat.sack_rexmit_bytes += length
    emit(s, t, at, off, length, flags, True)
    return 1


def skip_sacked(t):
    """After a timeout: SND.NXT goes over what the peer has (FreeBSD tcp_sack_adjust)."""
    board = t.board
    if board.n == 0 or after_eq(t.snd_nxt, board.highest()):
        return
    if board.next_hole(t.snd_nxt):
        t.snd_nxt = board.hole_left
    else:
        t.snd_nxt = board.highest()
