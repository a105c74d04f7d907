"""Segments that leave: what is noted of each where losses are repaired by segments, and how many more may follow.

`room` before sending, `note_segment` for each segment, `sent_segments` when `tcp_output` is done.
"""

import cython

from pystack._fast import congestion, prr, rack
from pystack._fast.consts import (
    FIN,
    MS,
    US,
    WAIT_TLP,
)
from pystack._fast.draft import Draft  # noqa: F401
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.seq import add, before_eq, dist
from pystack._fast.tcb import Stack, Tcb  # noqa: F401
from pystack._fast.tcp_mem import piece_of


def sent_segments(s, t, f, n, unsent):
    """`tcp_output` is done and has sent `n` new segments; `unsent`: there was something to send."""
    full: cython.bint = s.draft.limited or f.in_flight() >= prr.window_of(t)
    if n > 0:
        if prr.reducing(f):
            f.prr_out += n
        if f.probe == 0:
            rack.schedule_probe(s, t, f, False)
    if n > 0 or (unsent and full):
        congestion.after_sending(s, t, f, full)


def room(t, f):
    """Segments that may join those in the network; a loss probe may in any case, once."""
    n: cython.int = prr.window_of(t) - f.in_flight() if f.probe < 2 else 0
    return n if n > 0 else 1 if f.probe == 1 else 0


def first_flight(s, t):
    """The connection sends for the first time: what recovery will know of it."""
    f = Flight(t.snd_una, t.known_reordering if t.known_reordering else s.cfg.tcp_reordering)
    f.cwnd_stamp = s.now
    if t.rtt_min_window > 0:
        f.note_rtt(t.rtt_min_window, s.now, s.cfg.tcp_min_rtt_wlen)
    t.flight = f
    return f


def skip_idle(s, f):
    """CUBIC's clock stood still while nothing was out."""
    f.cubic_epoch += (s.now - f.data_sent_at) // MS
    if f.cubic_epoch > s.now // MS:
        f.cubic_epoch = s.now // MS


def note_segment(s, t, at, length, mss, flags, rexmit):
    """A segment has gone out, in pieces of `mss` octets: new text gets a row among what is in flight (RFC 8985 section
    6.1).
    """
    table = s.segments
    f = t.flight
    end: cython.uint = add(at, length)
    out: cython.int
    if flags & FIN:
        end = add(end, 1)
    if end == at:
        return 0
    if not rexmit:
        if table.latest >= s.now and (table.sent_end != at or s.draft.alone):
            table.latest += US  # Linux has looked at its clock again
        s.draft.alone = s.draft.writing and dist(at, add(t.snd_una, t.sndq.cc)) >= piece_of(t)
    table.sent_end = end
    if f is None:
        f = first_flight(s, t)
    if length > 0:
        if f.in_flight() == 0 and f.cubic_epoch and s.now > f.data_sent_at:
            skip_idle(s, f)
        f.data_sent_at = s.now
    if rexmit:
        return 0
    if f.first == 0:
        f.start = f.head = t.snd_una
    elif before_eq(end, table.end[f.last]):
        return 0
    out = f.packets_out
    if length <= mss or s.draft.probing:
        table.append(f, end, 1, length if s.draft.probing else mss, s.now)
    else:
        table.append(f, end, (length + mss - 1) // mss, mss, s.now)
    s.stat.orig_data_sent += f.packets_out - out
    if out == 0 or f.pending == WAIT_TLP:
        rack.rearm(s, t, f)
    if f.probe:
        f.probe = 2
    return 0
