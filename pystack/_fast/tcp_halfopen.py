"""A segment for a half-open connection by Linux's order (tcp_minisocks.c, tcp_check_req): half_open_input.

FreeBSD asks first what the segment is and finds the entry of its syncache only then (`tcp_listen.py`).
"""

import cython

from pystack._fast.consts import ACK, FIN, RST, SYN, Drop
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.seq import add, after, before, between
from pystack._fast.syncache import SC_TS
from pystack._fast.tcb import Stack, Tcb  # noqa: F401
from pystack._fast.tcp_listen import Listener  # noqa: F401
from pystack._fast.tcp_reply import reset_for

TCP_BAD_ACK = int(Drop.TCP_BAD_ACK)
TCP_BAD_RST = int(Drop.TCP_BAD_RST)
TCP_BAD_SYN = int(Drop.TCP_BAD_SYN)
TCP_NO_ACK = int(Drop.TCP_NO_ACK)
TCP_WINDOW = int(Drop.TCP_WINDOW)


def half_open_input(s, listeners, t, row, p):
    """-1: the listener goes on with it, as with a SYN that came again or the third segment; else the drop reason."""
    cache = listeners.cache
    irs: cython.uint = cache.irs[row]
    start: cython.uint = add(irs, 1)
    right: cython.uint
    end: cython.uint = add(
        p.seq, p.length + (1 if p.flags & FIN else 0) + (1 if p.flags & SYN else 0)
    )
    stale: cython.bint = (
        cache.flags[row] & SC_TS and p.opt_ts and before(p.ts_val, cache.ts_recent[row])
    )
    if p.seq == irs and p.flags & (SYN | RST | ACK) == SYN and not stale:
        return -1
    if p.flags & (ACK | RST) == ACK and p.ack != add(cache.iss[row], 1):
        s.stat.sc_badack += 1
        reset_for(s, p)
        return TCP_BAD_ACK
    right = add(start, listeners.announced(s, t, row))
    if stale or not (
        p.seq == start
        or (after(end, start) and before(p.seq, right))
        or (p.seq == right and p.seq == end)
    ):
        if p.flags & RST == 0 and s.now - cache.answered[row] >= s.cfg.tcp_invalid_ratelimit:
            cache.answered[row] = s.now
            listeners.challenge(s, t, row)
        return TCP_BAD_RST if p.flags & RST else TCP_WINDOW
    if p.opt_ts and cache.flags[row] & SC_TS and not after(p.seq, start):
        cache.ts_recent[row] = p.ts_val
    if p.flags & RST:
        if p.seq != start and between(p.seq, start, right):
            s.stat.badrst += 1
            listeners.challenge(s, t, row)
            return TCP_BAD_RST
        s.stat.sc_reset += 1
        listeners.forget(s, row)
        return 0
    if p.flags & SYN and p.seq != irs:
        reset_for(s, p)
        s.stat.sc_reset += 1
        listeners.forget(s, row)
        return TCP_BAD_SYN
    if p.flags & ACK == 0:
        return TCP_NO_ACK
    return -1
