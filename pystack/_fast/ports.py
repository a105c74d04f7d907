"""Which local port a connection gets (RFC 6056), by each system's rule (policy `connect_port`).

    unused   FreeBSD until 12: a port that no socket uses at all; random start, then upwards
    tuple    FreeBSD 13 on: a port whose 4-tuple is free
    linux    a keyed start for each destination, first ports of the range's first parity, then the other

Sources: facts: freebsd-tcp 3.2, conntrack 9.5.
"""

import cython

from pystack._fast.consts import (
    CONNECT_PORT_LINUX,
    CONNECT_PORT_UNUSED,
)
from pystack._fast.hashing import sip2
from pystack._fast.tcb import Stack, Tcb  # noqa: F401


def tuple_free(s, laddr, lport, faddr, fport):
    """May a connection of these four be made: none exists, and none waits (unless Linux may reuse the wait)."""
    cfg = s.cfg
    tw = s.timewait
    if s.demux.find(laddr, lport, faddr, fport):
        return False
    row: cython.int = tw.find(laddr, lport, faddr, fport)
    if row == 0:
        return True
    if cfg.policy_connect_port != CONNECT_PORT_LINUX or not tw.has_ts[row] or tw.substate[row]:
        return False
    reuse: cython.longlong = cfg.tcp_tw_reuse
    if reuse == 0 or (reuse == 2 and faddr >> 24 != 127):
        return False
    return s.now - tw.ts_stamp[row] > cfg.tcp_tw_reuse_delay


def usable(s, laddr, port, faddr, fport, connecting):
    """Is the port one that the policy allows here?"""
    if not connecting or (
        s.cfg.policy_connect_port == CONNECT_PORT_UNUSED or s.cfg.tcp_require_unique_port
    ):
        return s.demux.port_use[port] == 0
    if s.demux.port_use[port] == 0:
        return True
    if s.demux.find_listener(laddr, port):
        return False
    return tuple_free(s, laddr, port, faddr, fport)


def choose_port(s, laddr, faddr, fport, connecting):
    """A local port for a connection to faddr:fport, or for a bind to port 0; 0 when there is none."""
    cfg = s.cfg
    first: cython.int = cfg.port_first
    last: cython.int = cfg.port_last
    count: cython.int
    start: cython.int
    i: cython.int
    port: cython.int
    if first > last:
        first = cfg.port_last
        last = cfg.port_first
    count = last - first + 1
    if cfg.policy_connect_port == CONNECT_PORT_LINUX:
        a: cython.ulonglong = laddr
        b: cython.ulonglong = faddr
        c: cython.ulonglong = fport
        keyed: cython.ulonglong = sip2(s.isn_k0, s.isn_k1, (a << 32) | b, c)
        start = (keyed & 0xFFFFFF) % count + s.port_step
        parity: cython.int = 0 if connecting else 1
        for _half in range(2):
            i = (start + count) & ~1
            while i < ((start + count) & ~1) + count:
                port = first + (i + parity) % count
                if (port - first) & 1 == parity and usable(
                    s, laddr, port, faddr, fport, connecting
                ):
                    s.port_step = (s.port_step + 2 + 2 * (s.rng.below(8))) % count
                    return port
                i += 1
            parity = 1 - parity
        return 0
    if cfg.port_randomized:
        start = s.rng.below(count)
    else:
        start = s.port_step % count
    for i in range(count):
        port = first + (start + i) % count
        if usable(s, laddr, port, faddr, fport, connecting):
            s.port_step = (start + i + 1) % count
            return port
    return 0
