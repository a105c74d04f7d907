"""After a timeout: was it needless (F-RTO, RFC 5682 section 3.1, for SACK and without)?

The first segment is sent again. If the first acknowledgment after it moves SND.UNA, new data is sent instead of old:
when the next one delivers something that was sent only once, nothing had been lost. Knob: tcp_frto (0 off).
"""

import cython

from pystack._fast import dupacks, undo
from pystack._fast.consts import (
    A_ADVANCED,
    A_ORIGINAL,
    A_SACKED,
    CA_RECOVERY,
    SEND_LOST,
    SEND_NEW,
    SEND_NOTHING,
)
from pystack._fast.flight import Flight  # noqa: F401
from pystack._fast.seq import add, after, after_eq, dist
from pystack._fast.tcb import TF_SACK_PERMIT, Stack, Tcb  # noqa: F401


def allowed(s, f):
    """At a timeout: may it be tried (no recovery is going on, or the same segment timed out again; RFC 5682 step 1)?"""
    return s.cfg.tcp_frto != 0 and (f.ca_state < CA_RECOVERY or f.retransmits > 0)


def in_loss(s, t, f, found, dups):
    """An acknowledgment in the state LOSS: what to send now."""
    recovered: cython.bint = after_eq(t.snd_una, f.high_seq)
    advanced: cython.bint = found & A_ADVANCED != 0
    if advanced and undo.after_loss(s, t, f, False):
        return SEND_NOTHING
    if f.frto:
        # step 3 b: something that was never sent again has arrived
        if found & A_ORIGINAL and undo.after_loss(s, t, f, True):
            return SEND_NOTHING
        if after(t.snd_max, f.high_seq):
            if found & A_SACKED or dups:
                f.frto = False  # step 3 a: the loss was real
        elif advanced and not recovered:
            f.high_seq = t.snd_max
            # step 2 b: new data if there is any, else the recovery goes on as ever
            if t.sndq.cc > dist(t.snd_una, t.snd_max) and after(
                add(t.snd_una, t.snd_wnd), t.snd_max
            ):
                return SEND_NEW
            f.frto = False
    if recovered:
        undo.after_recovery(s, t, f)
        return SEND_NOTHING
    if t.t_flags & TF_SACK_PERMIT == 0:
        if after(t.snd_max, f.high_seq) and dups:
            dupacks.add(s, f, dups)
        elif advanced:
            dupacks.reset(f)
    return SEND_LOST
