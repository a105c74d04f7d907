"""Fast Open as the calls of a client use it (RFC 7413 section 4.2.1): what may go with the SYN."""

import cython

from pystack._fast.consts import Err
from pystack._fast.internet import Internet  # noqa: F401
from pystack._fast.seq import add
from pystack._fast.tcb import FO_ASK, FO_DATA, FO_EXP, FO_WAIT, SS_ASKED
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tfo import FastOpen, Remembered

EINPROGRESS = int(Err.EINPROGRESS)


def fast_open(s, t):
    """The SYN shall ask for a cookie, or carry data if there is one: how many octets may go with it."""
    fastopen: FastOpen = s.fastopen
    if not fastopen.client_on(s, t):
        return 0
    known: Remembered = fastopen.recall(s, t)
    if known is None:
        return 0
    t.fo_cookie = b""
    if fastopen.needs_cookie(s, t):
        t.fo |= FO_ASK
        t.fo &= ~FO_EXP
        if known.exp if len(known.cookie) > 0 else known.ask_exp == 1:
            t.fo |= FO_EXP
        if len(known.cookie) == 0:
            return 0
        t.fo_cookie = known.cookie
    t.fo |= FO_DATA
    room: cython.int = s.mtu_to(t.faddr) - 40
    if known.mss > 0 and known.mss < room:
        room = known.mss
    t.fo_qlen = room - 40 if room > 40 else 0
    return t.fo_qlen


def first_write(s, t, data, off, n):
    """The write that a TCP_FASTOPEN_CONNECT waited for: it goes with the SYN."""
    if n > t.fo_qlen:
        n = t.fo_qlen
    t.fo &= ~FO_WAIT
    t.so_state |= SS_ASKED
    if n > 0:
        n = t.sndq.append(data, off, n)
        t.sndq.mark(add(t.iss, 1 + n))
    tcp_output(s, t)
    return n if n > 0 else -EINPROGRESS
