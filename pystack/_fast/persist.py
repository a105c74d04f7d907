"""The peer's window is shut: probes of it, and when they begin (RFC 9293 section 3.8.6.1).

set_persist      the persist timer runs
begin            the same, unless a timer runs that will send anyway
shut, shrank     the two ways in which a window stops what is queued
force            the timer fired: one octet goes, whatever the window says
"""

import cython

from pystack._fast import rtt
from pystack._fast.consts import ESTABLISHED, FIN, MS, NEVER, PERSIST_BSD, PERSIST_LINUX
from pystack._fast.draft import Draft  # noqa: F401
from pystack._fast.seq import before
from pystack._fast.tcb import TF_FORCE


def set_persist(s, t):
    """The peer's window is shut: probe it after one timeout, then with backoff (SHLD-29, SHLD-30)."""
    wait: cython.longlong = 0
    left: cython.longlong
    if s.cfg.policy_persist == PERSIST_LINUX:
        wait = rtt.probe_wait(s, t, t.rxtshift)
        if t.rxtshift == 0:
            t.rexmt_start = s.now
        elif t.user_timeout > 0:
            left = t.rexmt_start + t.user_timeout - s.now
            if wait > left:
                wait = left if left > 8 * MS else 8 * MS
    else:
        if t.srtt == 0:
            wait = 2 * s.cfg.tcp_rexmit_initial
        else:
            wait = 4 * t.srtt + 8 * t.rttvar
        wait <<= t.rxtshift if t.rxtshift < 9 else 9
        wait += s.cfg.tcp_rexmit_slop
    if wait < s.cfg.tcp_persmin and (s.cfg.policy_persist == PERSIST_BSD or t.user_timeout == 0):
        wait = s.cfg.tcp_persmin
    if wait > s.cfg.tcp_persmax:
        wait = s.cfg.tcp_persmax
    t.at_persist = s.now + wait
    if t.rxtshift < s.cfg.tcp_retries:
        t.rxtshift += 1


def begin(s, t):
    """Nothing can be sent now: see that something asks for the window, if no timer does."""
    if t.at_rexmt != NEVER or t.at_persist != NEVER:
        return
    if s.cfg.policy_persist == PERSIST_LINUX:
        # the timeout as it is; how often it was doubled counts again from the first probe on
        t.rexmt_start = s.now
        t.at_persist = s.now + rtt.probe_wait(s, t, 0)
        t.rxtshift += 1
        return
    t.rxtshift = 0
    set_persist(s, t)


def shut(s, t, d):
    """The window is 0 and octets wait: they are probed for, unless this is a probe or only the FIN is left."""
    if t.state < ESTABLISHED or t.t_flags & TF_FORCE or (d.flags & FIN and d.off >= d.queued):
        return
    begin(s, t)


def shrank(s, t, d):
    """The window ends left of what was sent: nothing goes (SHLD-15); if it ends at SND.UNA, begin again there, by
    probes (MUST-35).
    """
    d.length = 0
    if t.snd_wnd == 0 and d.off > 0 and before(t.snd_nxt, t.snd_max):
        t.at_rexmt = NEVER
        t.rxtshift = 0
        t.snd_nxt = t.snd_una
        d.off = 0
        if t.at_persist == NEVER:
            set_persist(s, t)


def force(t, d):
    """The persist timer fired: an octet goes into a shut window; an open one needs no probe."""
    if d.win == 0:
        if d.off < d.queued:
            d.flags &= ~FIN
        d.win = 1
    else:
        t.at_persist = NEVER
        t.rxtshift = 0
