"""Which local port a connection gets (RFC 6056), by each system's rule (policy `connect_port`).

    unused   FreeBSD until 12: a port that no socket uses at all; random start, then upwards
    tuple    FreeBSD 13 on: a port whose 4-tuple is free
    linux    a keyed start for each destination, first ports of the range's first parity, then the other; a port that
             connections share was chosen by the machine for all of them

Sources: facts: freebsd-tcp 3.2, conntrack 9.5.
"""

import cython

from pystack._fast.consts import CONNECT_PORT_LINUX, CONNECT_PORT_UNUSED, SECOND, TIME_WAIT
from pystack._fast.hashing import sip2
from pystack._fast.tcb import Stack, Tcb  # noqa: F401

_U32 = cython.declare(cython.longlong, 0xFFFFFFFF)


def tuple_free(s, laddr, lport, faddr, fport, chosen):
    """May a connection of these four be made: none exists, and none waits, unless Linux may reuse the wait. `chosen`:
    the machine looks for a port itself, and takes less than an application that names one.
    """
    cfg = s.cfg
    tw = s.timewait
    if s.demux.find(laddr, lport, faddr, fport):
        return False
    row: cython.int = tw.find(laddr, lport, faddr, fport)
    if row == 0:
        return True
    if cfg.policy_connect_port != CONNECT_PORT_LINUX or not tw.has_ts[row]:
        return False
    if not chosen:
        return True
    reuse: cython.longlong = cfg.tcp_tw_reuse
    if reuse == 0 or (reuse == 2 and faddr >> 24 != 127) or tw.state[row] != TIME_WAIT:
        return False
    return s.now - tw.ts_stamp[row] > cfg.tcp_tw_reuse_delay


def usable(s, laddr, port, faddr, fport, connecting):
    """Is the port one that the policy allows here?"""
    used: cython.int = s.demux.port_use[port]
    if used == 0:
        return True
    if not connecting or (
        s.cfg.policy_connect_port == CONNECT_PORT_UNUSED or s.cfg.tcp_require_unique_port
    ):
        return False
    if s.cfg.policy_connect_port == CONNECT_PORT_LINUX and used != s.demux.port_chosen[port]:
        return False  # somebody asked for this port by its number
    if s.demux.find_listener(laddr, port):
        return False
    return tuple_free(s, laddr, port, faddr, fport, True)


def hurried(s):
    """FreeBSD: were so many ports given in a second (randomcps) that for a while (randomtime) they come in order?"""
    rate: cython.longlong = s.cfg.port_randomcps
    second: cython.longlong = s.now // SECOND
    passed: cython.longlong = second - s.port_second
    if rate <= 0:
        return False
    if passed > 0:
        if s.port_count > rate:
            s.port_stop = s.cfg.port_randomtime // SECOND
            passed -= 1
        s.port_stop -= passed if passed < s.port_stop else s.port_stop
        s.port_second = second
        s.port_count = 0
    s.port_count += 1
    return s.port_stop > 0


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
    s.demux.watch(first, last)
    if cfg.policy_connect_port == CONNECT_PORT_LINUX:
        return linux_port(s, laddr, faddr, fport, connecting, first, last)
    count = last - first + 1
    if cfg.port_randomized and not hurried(s):
        start = s.rng.below(count)
    else:
        start = s.port_step % count
    for i in range(count):
        port = first + (start + i) % count
        if usable(s, laddr, port, faddr, fport, connecting):
            s.port_step = (start + i + 1) % count
            return port
    s.port_failed()
    return 0


def linux_port(s, laddr, faddr, fport, connecting, first, last):
    """Linux's search: from a place that each destination has of its own and that moves on with each connection, over
    the ports of the first port's parity, then over the others; bind(0) begins anywhere, with the others.
    """
    size: cython.int = last - first + 1
    count: cython.int = size & ~1 if size > 1 else size
    start: cython.int
    i: cython.int
    port: cython.int
    stride: cython.int
    a: cython.ulonglong = laddr
    b: cython.ulonglong = faddr
    c: cython.ulonglong = fport
    keyed: cython.ulonglong = sip2(s.isn_k0, s.isn_k1, (a << 32) | b, c)
    place: cython.int = keyed & 0xFFFF
    moved: cython.longlong = 0
    if connecting:
        if s.perturb is None:
            s.perturb = {}
        moved = s.perturb.get(place, -1)
        if moved < 0:
            moved = s.rng.next32()
        start = (moved + (keyed >> 32)) % count
        start &= ~1
    else:
        start = s.rng.below(count) | 1
    for _half in range(2 if count > 1 else 1):
        port = first + start
        i = 0
        while i < count:
            if port > last:
                port -= count
            if usable(s, laddr, port, faddr, fport, connecting):
                if connecting:
                    stride = 2 * s.rng.below(8)
                    s.perturb[place] = (moved + (i if i > stride else stride) + 2) & _U32
                return port
            i += 2
            port += 2
        start += 1 if connecting else -1
    s.port_failed()
    return 0
