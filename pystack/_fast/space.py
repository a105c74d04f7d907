"""The room in a connection's buffers, and the memory behind it.

    recv_space, send_space   octets that may still arrive, or be written
    writable                 is that enough to tell a writer of it?

FreeBSD counts twice: octets against the size of the buffer, and the memory that they lie in (mbcnt) against a multiple
of it (kern.ipc.sockbuf_waste_factor), at most kern.ipc.maxsockbuf. What binds first is the room: sbspace(9). Linux
counts memory alone: `tcp_mem`.

Sources: FreeBSD uipc_sockbuf.c; facts: freebsd-tcp 2.4.
"""

import cython

from pystack._fast.consts import SOCKBUF_LINUX
from pystack._fast.tcb import Stack, Tcb  # noqa: F401  (the types in the .pxd)
from pystack._fast.tcp_mem import send_room, sent_memory


def memory_allowed(cfg, hiwat):
    """FreeBSD: octets of memory that a buffer for `hiwat` octets may take (mbmax)."""
    most: cython.longlong = hiwat
    most *= cfg.sb_efficiency
    return most if most < cfg.sb_max else cfg.sb_max


def recv_space(s, t):
    """Octets that may still arrive. FreeBSD's sbspace: neither more than the buffer is for, nor more memory than that
    may take, whatever binds first.
    """
    q = t.rcvq
    space: cython.longlong = q.space()
    left: cython.longlong
    if not q.account:
        left = memory_allowed(s.cfg, q.hiwat) - q.mbcnt
        if left < space:
            space = left if left > 0 else 0
    return space


def send_space(s, t):
    """Octets that may be written; 0 and below: none."""
    q = t.sndq
    space: cython.longlong = q.hiwat - q.cc
    left: cython.longlong
    if s.cfg.policy_sockbuf == SOCKBUF_LINUX:
        return send_room(t)
    left = memory_allowed(s.cfg, q.hiwat) - q.mbcnt
    return space if space < left else left


def writable(s, t):
    """Is there enough room to tell a writer of it?"""
    space: cython.longlong
    least: cython.longlong = t.sndq.lowat
    if s.cfg.policy_sockbuf == SOCKBUF_LINUX:
        # a third of the buffer, so that a writer is called seldom (sk_stream_is_writeable)
        least = sent_memory(t)
        space = t.sndq.hiwat - least
        least >>= 1
    else:
        space = send_space(s, t)
    return space > 0 and space >= least
