"""Is a segment worth sending now: Nagle, the sender's silly windows, corks (RFC 9293 sections 3.7.4, 3.8.6.2.1).

FreeBSD asks once, `worth_sending`. Linux first asks whether a short segment waits (`holds_back`): one that does is not
sent, but the ACK that is owed may go.
"""

import cython

from pystack._fast.consts import ESTABLISHED, FIN, NAGLE_LINUX, SYN, WINDOW_LINUX
from pystack._fast.draft import Draft  # noqa: F401
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.seq import add, after, before
from pystack._fast.tcb import (
    TF_ACKNOW,
    TF_CORK_FLUSH,
    TF_FORCE,
    TF_MORETOCOME,
    TF_NODELAY,
    TF_NOPUSH,
    TF_SENTFIN,
)
from pystack._fast.tcp_window import worth_an_update


def worth_sending(s, t, d, idle):
    """Is the segment that could be sent worth it: Nagle, sender's silly window avoidance (MUST-38), window updates."""
    if d.length > 0:
        if d.length >= d.mss or t.t_flags & TF_FORCE or before(t.snd_nxt, t.snd_max):
            return True
        if s.cfg.policy_nagle == NAGLE_LINUX or short_worth(t, d, idle):
            return True  # on Linux holds_back has let it
    if t.t_flags & TF_ACKNOW:
        return True
    if d.flags & SYN:
        return True
    if t.state >= ESTABLISHED and s.cfg.policy_window != WINDOW_LINUX and worth_an_update(s, t):
        return True
    if after(t.snd_up, t.snd_una):
        return True
    return d.flags & FIN != 0 and (t.t_flags & TF_SENTFIN == 0 or t.snd_nxt == t.snd_una)


def short_worth(t, d, idle):
    """FreeBSD: does a short segment go? The last one when nothing is out, half of the largest window always."""
    if d.off + d.length >= d.queued and t.t_flags & TF_MORETOCOME == 0:
        if t.t_flags & TF_NOPUSH and not t.t_flags & TF_CORK_FLUSH and d.flags & FIN == 0:
            pass
        elif idle or t.t_flags & TF_NODELAY or d.flags & FIN:
            return True
    return t.max_sndwnd > 0 and d.length >= cython.cast(cython.int, t.max_sndwnd // 2)


def holds_back(t, d):
    """Linux: does this short segment of new data wait? Not what ends the write, unless that waits; not what the window
    cuts off a burst; nor what ends a record that others follow.
    """
    if t.t_flags & TF_FORCE or t.snd_nxt != t.snd_max or d.record:
        return False
    if t.flight is not None and t.flight.probe:
        return False
    if d.off + d.length >= d.queued and (
        d.flags & FIN or after(t.snd_up, t.snd_una) or not short_waits(t)
    ):
        return False
    return not (t.burst_long and add(t.snd_nxt, d.length) == t.burst_end)


def short_waits(t):
    """Linux: does a short segment wait? While corked, or while one before it is not acknowledged (Minshall). Nothing
    does that a loss probe takes along.
    """
    if t.t_flags & TF_CORK_FLUSH or (t.flight is not None and t.flight.probe):
        return False
    if t.t_flags & (TF_NOPUSH | TF_MORETOCOME):
        return True
    if t.t_flags & TF_NODELAY or t.snd_max == t.snd_una:
        return False
    return after(t.snd_small, t.snd_una) and not after(t.snd_small, t.snd_max)
