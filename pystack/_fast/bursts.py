"""How much goes at once: a full segment, a super-segment, a burst.

Without offload a segment has at most the MSS. With it, as many whole segments as a GSO packet holds. Linux makes its
packets when it sends them, of as many octets as leave in one go: their ends are where PSH stands and where a short
segment may end.
"""

import cython

from pystack._fast import prr
from pystack._fast.consts import CA_RECOVERY, FIN, GSO_MAX, MS, PUSH_LINUX
from pystack._fast.draft import Draft  # noqa: F401
from pystack._fast.nagle import short_waits
from pystack._fast.seq import add, after, dist
from pystack._fast.tcb import TF_FORCE, TF_RCVD_TS, TF_SACK_PERMIT

MOST_DEFERRED = 3
"""Segments of windows that are used at once where there is no divisor."""


def current_mss(s, t):
    """Octets of a full segment: Linux leaves room for the SACK blocks that it reports with it."""
    n: cython.int
    if s.cfg.policy_push != PUSH_LINUX or t.sacks is None or not t.t_flags & TF_SACK_PERMIT:
        return t.maxseg
    n = t.sacks.n + (1 if t.sacks.dup else 0)
    if n == 0:
        return t.maxseg
    if n > 3:
        n = 3 if t.t_flags & TF_RCVD_TS else 4
    return t.maxseg - 4 - 8 * n


def cut(s, t, d):
    """More than one segment could go: no more than leaves at once."""
    mss: cython.int = d.mss
    if s.cfg.policy_push == PUSH_LINUX and t.snd_nxt == t.snd_max and not t.t_flags & TF_FORCE:
        if dist(t.snd_nxt, t.burst_end) < mss or after(t.burst_end, add(t.snd_nxt, d.length)):
            one_burst(s, t, d.length, mss)
        if dist(t.snd_nxt, t.burst_end) < d.length:
            d.length = dist(t.snd_nxt, t.burst_end)
            d.more = True
    if d.length <= mss:
        return
    if not s.cfg.tcp_tso or t.t_flags & TF_FORCE or blocks_forbid(s, t):
        d.length = mss
        d.more = True
    elif d.length > GSO_MAX:
        d.length = GSO_MAX - GSO_MAX % mss
        d.more = True
    elif d.off + d.length < d.queued:
        d.more = True
        if s.cfg.policy_push != PUSH_LINUX or add(t.snd_nxt, d.length) != t.burst_end:
            d.length -= d.length % mss


def blocks_forbid(s, t):
    """FreeBSD makes no super-segment while it has SACK blocks to report."""
    return s.cfg.policy_push != PUSH_LINUX and t.sacks is not None and t.sacks.n > 0


def one_burst(s, t, room, mss):
    """Linux: new data, at most `room` of it: as many octets as leave in one go."""
    most: cython.int = burst(s, t, mss)
    piece: cython.int = t.sndq.next_mark(t.snd_nxt)
    if s.draft.writing and 0 < piece < room and piece % mss == 0:
        room = piece
    if room > most:
        room = most
    elif room > mss and room % mss and short_waits(t):
        room -= room % mss
    t.burst_end = add(t.snd_nxt, room)
    t.burst_long = room > mss


def defers(s, t, d):
    """Linux: would a burst that begins now be so small that the next acknowledgment is worth waiting for? It is where
    the windows leave less than a burst and less than a third of them (tcp_tso_win_divisor), something has just been
    sent, and the acknowledgment is due within a millisecond.
    """
    f = t.flight
    waiting: cython.int = d.queued - d.off
    piece: cython.int = t.sndq.next_mark(t.snd_nxt)
    peer: cython.int = cython.cast(cython.int, t.snd_wnd) - d.off
    ours: cython.int = (prr.window_of(t) - f.in_flight()) * t.maxseg
    limit: cython.int = peer if peer < ours else ours
    share: cython.int = t.snd_wnd if t.snd_wnd < t.cwnd else t.cwnd
    if dist(t.snd_nxt, t.burst_end) >= d.mss and not after(t.burst_end, add(t.snd_nxt, d.length)):
        return False  # one is under way
    if piece <= 0 or piece > waiting:
        piece = waiting
    if piece <= d.mss or f.first == 0 or f.ca_state >= CA_RECOVERY:
        return False
    if s.now - t.last_sent > MS or (d.writing and piece < waiting):
        return False
    if limit >= pace(s, t, d.mss) or (piece < waiting and limit >= piece):
        return False
    if s.cfg.tcp_tso_win_divisor > 0:
        if limit >= share // s.cfg.tcp_tso_win_divisor:
            return False
    elif limit > MOST_DEFERRED * t.maxseg:
        return False
    if s.now - s.segments.sent_at[f.first] < t.srtt - min(t.srtt // 2, MS):
        return False  # the acknowledgment is still far
    if limit <= piece:
        d.limited = ours < peer
        return True
    return not (piece == waiting and d.flags & FIN) and not (d.record and d.length == piece)


def pace(s, t, mss):
    """Linux: octets that leave in one go: a millisecond's worth at the pace of the window, more when the round trip is
    short, two segments at least.
    """
    cfg = s.cfg
    size: cython.longlong = 65215
    shift: cython.longlong
    if t.srtt > 0:
        size = max(cython.cast(cython.int, t.cwnd), dist(t.snd_una, t.snd_max))
        size *= cfg.tcp_pacing_ss_ratio if t.cwnd < t.ssthresh // 2 else cfg.tcp_pacing_ca_ratio
        size = size * 10 * MS // t.srtt >> 10
        if cfg.tcp_tso_rtt_log:
            shift = t.rtt_min_window if t.flight is None else t.flight.min_rtt
            shift = shift // 1000 >> cfg.tcp_tso_rtt_log
            if shift < 32:
                size += 65215 >> shift
        if size > 65215:
            size = 65215
    size -= size % mss
    if size < cfg.tcp_min_tso_segs * mss:
        size = cfg.tcp_min_tso_segs * mss
    return size


def burst(s, t, mss):
    """Linux: octets of the next burst. The last segment of more than one carries PSH."""
    size: cython.longlong = pace(s, t, mss)
    quota: cython.longlong
    # what is written is kept in pieces of half the largest window at most
    goal: cython.longlong = t.max_sndwnd >> 1 if t.max_sndwnd > 536 else t.max_sndwnd
    goal = goal // mss * mss if goal > mss else mss
    if s.draft.writing and size > goal:
        size = goal
    quota = t.cwnd // t.maxseg // 2 * mss
    if quota < mss:
        quota = mss
    return size if size < quota else quota
