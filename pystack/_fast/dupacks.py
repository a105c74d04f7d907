"""Loss recovery without SACK: each duplicate acknowledgment stands for a segment that has arrived (RFC 6582).

The counts are those of SACK, so that the same recovery serves both; what is missing is which segment it was.
"""

import cython

from pystack._fast import seq
from pystack._fast.consts import CA_RECOVERY, SEG_LOST
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.tcb import Stack, Tcb  # noqa: F401


def check(s, f, more):
    """No more can have arrived than are out, less the hole: if it seems so, duplicates mean less than assumed."""
    holes: cython.int = f.lost_out if f.lost_out > 1 else 1
    if holes > f.packets_out:
        holes = f.packets_out
    if f.sacked_out + holes > f.packets_out:
        f.sacked_out = f.packets_out - holes
        f.reordering = f.packets_out + more
        if f.reordering > s.cfg.tcp_max_reordering:
            f.reordering = s.cfg.tcp_max_reordering
        f.reord_seen += 1
        s.stat.reno_reorder += 1


def add(s, f, n):
    """`n` duplicates came."""
    prior: cython.int = f.sacked_out
    if n > 0:
        f.sacked_out += n
        check(s, f, 0)
        if f.sacked_out > prior:
            f.delivered += f.sacked_out - prior


def remove(s, f, acked):
    """`acked` segments were acknowledged: one of them filled the hole, the others had been counted."""
    if acked > 0:
        f.delivered += acked - f.sacked_out if acked - f.sacked_out > 1 else 1
        if acked - 1 >= f.sacked_out:
            f.sacked_out = 0
        else:
            f.sacked_out -= acked - 1
    check(s, f, acked)


def reset(f):
    """Nothing is known to have arrived out of order."""
    f.sacked_out = 0


def mark_first(s, t, f, advanced):
    """Enough duplicates, or a partial acknowledgment in recovery: the first segment is lost."""
    table = s.segments
    if f.first == 0:
        return 0
    if (f.ca_state < CA_RECOVERY and f.sacked_out >= f.reordering) or (
        f.ca_state == CA_RECOVERY and advanced
    ):
        if table.mark[f.first] & SEG_LOST:
            return 0
        if table.count[f.first] > 1:
            table.split(f, f.first, f.start, seq.add(f.start, t.maxseg), t.maxseg)
        table.mark_lost(f, f.first)
    return 0
