"""What an ICMP error says to a connection.

`too_big`: the way carries no packets larger than this (RFC 1191). On Linux every error that can be believed says
something of its own: `error_of` is the errno of a message (net/ipv4/icmp.c, icmp_err_convert; net/ipv4/tcp_ipv4.c,
tcp_v4_err); `revert_backoff` takes a doubling of the timeout back, when the way was down and not the peer slow (RFC
6069).
"""

import cython

from pystack._fast import rtt
from pystack._fast.consts import (
    ESTABLISHED,
    EV_ERROR,
    ICMP_PARAM_PROBLEM,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACH,
    ICMP_UNREACH_HOST,
    ICMP_UNREACH_NET,
    SYN_RECEIVED,
    SYN_SENT,
    WAIT_RTO,
    Err,
)
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.mtu_probe import resegment
from pystack._fast.recovery import send_lost
from pystack._fast.tcb import FO_QUEUED, SO_ERRORS_NOW, Stack, Tcb  # noqa: F401
from pystack._fast.tcp_close import drop
from pystack._fast.tcp_handshake import set_mss
from pystack._fast.tcp_out import tcp_output

EPROTO = int(Err.EPROTO)
EHOSTUNREACH = int(Err.EHOSTUNREACH)

_OF_CODES = cython.declare(
    list,
    [
        int(Err.ENETUNREACH),
        int(Err.EHOSTUNREACH),
        int(Err.ENOPROTOOPT),
        int(Err.ECONNREFUSED),
        int(Err.EMSGSIZE),
        int(Err.EOPNOTSUPP),
        int(Err.ENETUNREACH),
        int(Err.EHOSTDOWN),
        int(Err.ENONET),
        int(Err.ENETUNREACH),
        int(Err.EHOSTUNREACH),
        int(Err.ENETUNREACH),
        int(Err.EHOSTUNREACH),
        int(Err.EHOSTUNREACH),
        int(Err.EHOSTUNREACH),
        int(Err.EHOSTUNREACH),
    ],
)
"""By the code of "destination unreachable", in the order of RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1."""


def too_big(s, t, mtu):
    """Packets of more than `mtu` octets do not get there: smaller segments from now on, and at once."""
    old: cython.int = t.maxseg
    t.pmtu = mtu
    if t.search is not None and mtu < t.search.high:
        t.search.high = mtu
    set_mss(s, t)
    if t.maxseg >= old:
        return 0
    s.stat.mturesent += 1
    if t.state >= ESTABLISHED:
        if t.flight is not None:
            resegment(s, t, t.flight, True)
            send_lost(s, t, t.flight)
        else:
            t.snd_nxt = t.snd_una
        tcp_output(s, t)
    return 0


def error_of(kind, code):
    """The error (consts.Err) of an ICMP message about one of our segments; 0: it says nothing."""
    if kind == ICMP_UNREACH:
        return cython.cast(cython.int, _OF_CODES[code]) if 0 <= code < 16 else 0
    if kind == ICMP_TIME_EXCEEDED:
        return EHOSTUNREACH if code == 0 else 0
    if kind == ICMP_PARAM_PROBLEM:
        return EPROTO
    return 0


def told_of(s, t, kind, code, seq):
    """An ICMP error about the segment of `t` that begins at `seq`: it ends a handshake that we began, and is remembered
    otherwise (RFC 1122 section 4.2.3.9).
    """
    error: cython.int
    if kind == ICMP_UNREACH and (code == ICMP_UNREACH_NET or code == ICMP_UNREACH_HOST):
        revert_backoff(s, t, seq)
    error = error_of(kind, code)
    if error == 0:
        return 0
    if t.state == SYN_SENT or (t.state == SYN_RECEIVED and not t.fo & FO_QUEUED):
        return drop(s, t, error, False)
    if t.so_options & SO_ERRORS_NOW:
        t.so_error = error
        s.wakeup(t, EV_ERROR)
        return 0
    t.soft_error = error
    return 0


def revert_backoff(s, t, seq):
    """The segment that was sent again cannot be delivered now: the timer ran out for another reason than congestion."""
    f = t.flight
    if f is None or f.first == 0 or f.retransmits == 0 or t.rxtshift == 0:
        return 0
    if seq != t.snd_una or f.pending != WAIT_RTO:
        return 0
    t.rxtshift -= 1
    t.rxtcur = rtt.backoff(s, t, t.rxtshift)
    t.at_rexmt = s.segments.sent_at[f.first] + t.rxtcur
    if t.at_rexmt <= s.now:
        t.at_rexmt = s.now
    s.arm(t)
    return 0
