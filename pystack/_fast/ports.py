"""Which local port a socket gets that names none (RFC 6056), by each system's rule (policy `connect_port`).

    unused   FreeBSD until 12: a port that no socket uses at all
    tuple    FreeBSD 13 on: a port whose 4-tuple is free
    linux    a keyed start for each destination, first ports of the range's first parity, then the other; a port that
             connections share was chosen by the machine for all of them

FreeBSD goes on from the port that it gave last in that range, or begins anywhere (portrange.randomized). A socket may
ask for another range than the usual one (IP_PORTRANGE). The bits of `portmap` spare both searches the ports that they
would refuse anyway; the port that they find is the same.

Sources: facts: freebsd-tcp 3.2, conntrack 9.5; FreeBSD in_pcb.c (in_pcb_lport); ip_autobind_reuse: ip-sysctl.txt, 6.18.
"""

import cython

from pystack._fast.consts import (
    CONNECT_PORT_LINUX,
    CONNECT_PORT_UNUSED,
    LISTEN,
    SECOND,
    TIME_WAIT,
)
from pystack._fast.hashing import sip2
from pystack._fast.portmap import IN_USE
from pystack._fast.tcb import (
    SO_PORT_HIGH,
    SO_PORT_LOW,
    SO_REUSEADDR,
    SO_REUSEPORT,
    Stack,  # noqa: F401
    Tcb,
)

_U32 = cython.declare(cython.longlong, 0xFFFFFFFF)


def port_range(s, options):
    """First and last port of the range that a socket with these options gets its port from; the first may be larger."""
    cfg = s.cfg
    if options & SO_PORT_HIGH:
        return cfg.port_hifirst, cfg.port_hilast
    if options & SO_PORT_LOW:
        return cfg.port_lowfirst, cfg.port_lowlast
    return cfg.port_first, cfg.port_last


def tuple_free(s, laddr, lport, faddr, fport, chosen):
    """May a connection of these four be made: none exists, and none waits, unless Linux may reuse the wait. `chosen`:
    the machine looks for a port itself, and takes less than an application that names one.
    """
    cfg = s.cfg
    tw = s.timewait
    reuse: cython.longlong = cfg.tcp_tw_reuse
    if s.demux.find(laddr, lport, faddr, fport):
        if chosen:
            s.demux.map.mark(laddr, lport, faddr, fport)
        return False
    row: cython.int = tw.find(laddr, lport, faddr, fport)
    if row == 0:
        return True
    if cfg.policy_connect_port != CONNECT_PORT_LINUX or not tw.has_ts[row]:
        if chosen:
            s.demux.map.mark(laddr, lport, faddr, fport)
        return False
    if not chosen:
        return True
    if reuse == 0 or (reuse == 2 and faddr >> 24 != 127):
        s.demux.map.mark(laddr, lport, faddr, fport)
        return False
    if tw.state[row] != TIME_WAIT:
        return False
    return s.now - tw.ts_stamp[row] > cfg.tcp_tw_reuse_delay


def usable(s, laddr, port, faddr, fport):
    """May a connection be made from this port, as the policy sees it?"""
    used: cython.int = s.demux.port_use[port]
    if used == 0:
        return True
    if s.cfg.policy_connect_port == CONNECT_PORT_UNUSED or s.cfg.tcp_require_unique_port:
        return False
    if s.cfg.policy_connect_port == CONNECT_PORT_LINUX:
        if used != s.demux.port_chosen[port]:
            return False  # somebody asked for this port by its number
    elif s.demux.find_listener(laddr, port):
        return False
    return tuple_free(s, laddr, port, faddr, fport, True)


def bindable(s, t, laddr, port, relaxed):
    """May the machine give this port to a bind to the address (0: any)? Sockets on other addresses are not in the way.
    `relaxed` (Linux's ip_autobind_reuse): nor are those that have SO_REUSEADDR as this one has, if they do not listen.
    """
    linux: cython.bint = s.cfg.policy_connect_port == CONNECT_PORT_LINUX
    reuse: cython.bint = (
        t.so_options & (SO_REUSEADDR if linux else SO_REUSEADDR | SO_REUSEPORT) != 0
    )
    at: cython.int = 0
    seen: cython.int = 0
    if s.demux.port_use[port] == 0:
        return True
    while True:
        at = s.demux.next_on_port(at, port)
        if at == 0:
            break
        seen += 1
        other: Tcb = s.tcbs[at]
        if other is None or other is t:
            continue
        if reuse and not linux:
            # in_pcblookup_local without INPLOOKUP_WILDCARD: only who is not connected, on exactly this address
            if other.faddr == 0 and other.laddr == laddr:
                return False
            continue
        if laddr and other.laddr and laddr != other.laddr:
            continue
        if relaxed and reuse and other.so_options & SO_REUSEADDR and other.state != LISTEN:
            continue
        return False
    if seen == s.demux.port_use[port] or (reuse and not linux):
        return True
    return not s.timewait.port_waits(laddr, port, relaxed and reuse)


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


def choose_port(s, t, laddr, faddr, fport):
    """A local port for the socket's connection to faddr:fport, or with 0 there for a bind to port 0; 0 when there is
    none.
    """
    linux: cython.bint = s.cfg.policy_connect_port == CONNECT_PORT_LINUX
    options: cython.int = t.so_options & (SO_PORT_HIGH | SO_PORT_LOW)
    port: cython.int
    first: cython.int
    last: cython.int
    first, last = port_range(s, options)
    if options == 0:
        s.demux.watch(first if first < last else last, last if first < last else first)
    if s.reuse_known != s.cfg.tcp_tw_reuse:
        s.reuse_known = s.cfg.tcp_tw_reuse
        s.demux.map.forget_all()
    if not linux:
        port = bsd_port(s, t, laddr, faddr, fport, first, last, options)
    elif fport:
        port = linux_connect_port(s, laddr, faddr, fport, first, last)
    else:
        port = linux_bind_port(s, t, laddr, first, last)
    if port == 0:
        s.port_failed()
    return port


# --- FreeBSD -------------------------------------------------------------------------------------------------------


def bsd_port(s, t, laddr, faddr, fport, first, last, options):
    """FreeBSD's search: upwards from the port that was given last, which chance may choose, once around."""
    which: cython.int = 1 if options & SO_PORT_HIGH else (2 if options & SO_PORT_LOW else 0)
    at: cython.int = s.port_given[which]
    orderly: cython.bint = hurried(s)
    low: cython.int = first if first < last else last
    high: cython.int = last if first < last else first
    downwards: cython.bint = first > last and s.cfg.port_downwards != 0
    port: cython.int
    if s.cfg.port_randomized and not orderly and low != high:
        port = s.rng.below(high - low)
        at = high - port if downwards else low + port
    if downwards:
        at -= 1
        if at > high or at < low:
            at = high
        port = downward(s, t, laddr, faddr, fport, at, low)
        if port == 0:
            port = downward(s, t, laddr, faddr, fport, high, at + 1)
    else:
        at += 1
        if at > high or at < low:
            at = low
        port = upward(s, t, laddr, faddr, fport, at, high)
        if port == 0:
            port = upward(s, t, laddr, faddr, fport, low, at - 1)
    if port:
        s.port_given[which] = port
    return port


def upward(s, t, laddr, faddr, fport, port, last):
    """The first port from `port` to `last` that will do, or 0."""
    map = s.demux.map
    row: cython.int
    unused: cython.bint = fport != 0 and (
        s.cfg.policy_connect_port == CONNECT_PORT_UNUSED or s.cfg.tcp_require_unique_port
    )
    if fport == 0 and laddr == 0 and t.so_options & (SO_REUSEADDR | SO_REUSEPORT) == 0:
        unused = True  # every socket on the port is in the way
    while port <= last:
        row = IN_USE if unused else map.row_of(laddr, faddr, fport)
        if row >= 0:
            port = map.next_clear(row, port, last, 1)
            if port > last:
                return 0
        if good(s, t, laddr, port, faddr, fport):
            return port
        port += 1
    return 0


def downward(s, t, laddr, faddr, fport, port, last):
    """The first port from `port` down to `last` that will do, or 0 (FreeBSD until 7; a range of some hundred ports)."""
    while port >= last:
        if good(s, t, laddr, port, faddr, fport):
            return port
        port -= 1
    return 0


def good(s, t, laddr, port, faddr, fport):
    """Will the port do, for a connection or, without a foreign port, for a bind?"""
    if fport:
        return usable(s, laddr, port, faddr, fport)
    return bindable(s, t, laddr, port, False)


# --- Linux ---------------------------------------------------------------------------------------------------------


def linux_connect_port(s, laddr, faddr, fport, first, last):
    """Linux's search for a connection: from a place that each destination has of its own and that moves on with each
    connection, over the ports of the first port's parity, then over the others.
    """
    map = s.demux.map
    size: cython.int = last - first + 1
    count: cython.int = size & ~1 if size > 1 else size
    start: cython.int
    i: cython.int
    port: cython.int
    row: cython.int
    ahead: cython.int
    stride: cython.int
    a: cython.ulonglong = laddr
    b: cython.ulonglong = faddr
    c: cython.ulonglong = fport
    keyed: cython.ulonglong = sip2(s.isn_k0, s.isn_k1, (a << 32) | b, c)
    place: cython.int = keyed & 0xFFFF
    moved: cython.longlong
    if s.perturb is None:
        s.perturb = {}
    moved = s.perturb.get(place, -1)
    if moved < 0:
        moved = s.rng.next32()
    start = (moved + (keyed >> 32)) % count
    start &= ~1
    for _half in range(2 if count > 1 else 1):
        port = first + start
        i = 0
        while i < count:
            if port > last:
                port -= count
            row = map.row_of(laddr, faddr, fport)
            if row >= 0:
                ahead = map.next_clear(row, port, last, 2) - port
                i += ahead
                port += ahead
                if port > last or i >= count:
                    continue
            if not map.is_reserved(port) and usable(s, laddr, port, faddr, fport):
                stride = 2 * s.rng.below(8)
                s.perturb[place] = (moved + (i if i > stride else stride) + 2) & _U32
                return port
            i += 2
            port += 2
        start += 1
    return 0


def linux_bind_port(s, t, laddr, first, last):
    """Linux's search for a bind: from anywhere, over the ports of the other parity, then over the first port's. With
    SO_REUSEADDR over the lower half of the range first; and once more, relaxed, where ip_autobind_reuse says so.
    """
    reuse: cython.bint = t.so_options & SO_REUSEADDR != 0
    relaxed: cython.int
    port: cython.int
    half: cython.int = first + ((last + 1 - first) >> 2 << 1)
    for relaxed in range(2 if reuse and s.cfg.tcp_autobind_reuse else 1):
        if reuse and last + 1 - first >= 4:
            port = linux_half(s, t, laddr, first, half, relaxed != 0)
            if port == 0:
                port = linux_half(s, t, laddr, half, last + 1, relaxed != 0)
        else:
            port = linux_half(s, t, laddr, first, last + 1, relaxed != 0)
        if port:
            return port
    return 0


def linux_half(s, t, laddr, first, end, relaxed):
    """A port of [first, end) that may be bound, of the odd ones counted from `first` before the even ones; or 0."""
    map = s.demux.map
    count: cython.int = end - first
    start: cython.int
    i: cython.int
    port: cython.int
    ahead: cython.int
    unused: cython.bint = laddr == 0 and not relaxed
    if count > 1:
        count &= ~1
    start = s.rng.below(count) | 1
    for _parity in range(2):
        port = first + start
        i = 0
        while i < count:
            if port >= end:
                port -= count
            if unused:
                ahead = map.next_clear(IN_USE, port, end - 1, 2) - port
                i += ahead
                port += ahead
                if port >= end or i >= count:
                    continue
            if not map.is_reserved(port) and bindable(s, t, laddr, port, relaxed):
                return port
            i += 2
            port += 2
        start -= 1
    return 0
