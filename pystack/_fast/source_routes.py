"""IP source routes (RFC 791 section 3.1): those that arrive, and those that the segments of a connection take.

A stop of a route is an address; the pointer of the option says which is next, and the header's destination is where the
packet goes now. `Stack.ways` has the route of each connection that takes one (RFC 9293 section 3.9.2.1), by its two
addresses and ports: the first stop, 0 if there is none, and the options as they are sent.
"""

import cython

from pystack._fast.consts import (
    BAD_ADDRESS,
    GO_ON,
    ONE_STOP,
    REFUSE,
    ROUTE_STRICT,
    SOURCE_ROUTES_LINUX,
    STOP,
)
from pystack._fast.ip4 import sum_header
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.tcb import SO_ROUTED
from pystack._fast.wirebytes import be32, put32

FIRST_POINTER = 4


def judge(s, p):
    """What a packet with IP options from outside is to meet: GO_ON, STOP, REFUSE, BAD_ADDRESS or ONE_STOP."""
    at: cython.int = p.route_at()
    if at == 0:
        return GO_ON
    linux: cython.bint = s.cfg.policy_source_routes == SOURCE_ROUTES_LINUX
    strict: cython.bint = p.head[at] == ROUTE_STRICT
    if linux and not s.cfg.ip_accept_source_route:
        return STOP
    if not s.is_local(p.dst):
        if strict:
            return BAD_ADDRESS if linux else REFUSE
        return GO_ON if linux or s.cfg.ip_source_route else REFUSE
    if linux:
        return judge_linux(s, p, at)
    if p.head[at + 2] + 3 > p.head[at + 1]:
        return GO_ON if s.cfg.ip_accept_source_route else REFUSE
    if not s.cfg.ip_source_route:
        return REFUSE if s.cfg.ip_forwarding else STOP
    return ONE_STOP


def judge_linux(s, p, at):
    """Linux takes stops that are its own addresses at once, and moves the pointer only to hand it on."""
    stop: cython.int = at + p.head[at + 2] - 1
    end: cython.int = at + p.head[at + 1]
    while stop < end:
        if stop + 4 > end:
            return STOP
        if not s.is_local(be32(p.head, stop)):
            p.head[at + 2] = stop - at + 1
            return ONE_STOP if s.cfg.ip_forwarding else STOP
        p.dst = be32(p.head, stop)
        put32(p.head, 16, p.dst)
        sum_header(p)
        stop += 4
    return GO_ON


def next_stop(p):
    """The address that a packet goes to next (ONE_STOP)."""
    at: cython.int = p.route_at()
    return be32(p.head, at + p.head[at + 2] - 1)


def step(p, here):
    """The packet goes to its next stop, and `here`, the address that it leaves from, is noted in its place."""
    at: cython.int = p.route_at()
    stop: cython.int = at + p.head[at + 2] - 1
    p.dst = be32(p.head, stop)
    put32(p.head, 16, p.dst)
    put32(p.head, stop, here)
    p.head[at + 2] += 4
    sum_header(p)
    return 0


# --- connections -----------------------------------------------------------------------------------------------------


def lay(s, p):
    """A segment of this machine takes the way of its connection, if that has one. Its TCP header is not built yet."""
    way = s.ways.get((p.src, p.sport, p.dst, p.dport))
    if way is None:
        return 0
    first: cython.uint = way[0]
    octets: bytes = way[1]
    i: cython.int
    for i in range(len(octets)):
        p.head[20 + i] = octets[i]
    p.ip_len = 20 + len(octets)
    if first != 0:
        p.dst = first
    return 0


def room(s, t):
    """The octets of IP options in every segment of a connection."""
    way = s.ways.get((t.laddr, t.lport, t.faddr, t.fport))
    return 0 if way is None else len(way[1])


def towards(s, t, addr):
    """Whom the packets of a connection to `addr` go to first, as far as its source address asks (Linux)."""
    given = None if t.extras is None else t.extras.get("IP_OPTIONS")
    if given is None or given[0] == 0 or s.cfg.policy_source_routes != SOURCE_ROUTES_LINUX:
        return addr
    return given[0]


def adopt(s, t):
    """The application's IP options, if it has given any, are the connection's; they end what it had before.

    Linux puts the peer's address behind the last stop; on FreeBSD the application says all of it.
    """
    given = None if t.extras is None else t.extras.get("IP_OPTIONS")
    if given is None:
        return 0
    first: cython.uint = given[0]
    octets: bytes = given[1]
    t.so_options &= ~SO_ROUTED
    if not octets:
        forget(s, t.laddr, t.lport, t.faddr, t.fport)
        return 0
    last: cython.int = given[2]
    if last > 0 and s.cfg.policy_source_routes == SOURCE_ROUTES_LINUX:
        octets = octets[:last] + t.faddr.to_bytes(4, "big") + octets[last + 4 :]
    s.ways[(t.laddr, t.lport, t.faddr, t.fport)] = (first, octets)
    t.so_options |= SO_ROUTED
    return 0


def learn(s, p):
    """A segment came by a route that is complete: its connection's segments go back the same way (MUST-53). Answers
    whether it did.
    """
    at: cython.int = p.route_at()
    if at == 0:
        return False
    n: cython.int = (min(p.head[at + 2], p.head[at + 1] + 1) - FIRST_POINTER) // 4
    if n <= 0:
        return False
    stops = bytes(p.head[at + 3 : at + 3 + 4 * n])
    back = b"".join([stops[4 * i : 4 * i + 4] for i in range(n - 2, -1, -1)])
    option = bytes([p.head[at], 3 + 4 * n, FIRST_POINTER]) + back + p.src.to_bytes(4, "big")
    octets = option + b"\0" if s.cfg.policy_source_routes == SOURCE_ROUTES_LINUX else b"\1" + option
    s.ways[(p.dst, p.dport, p.src, p.sport)] = (be32(p.head, at + 3 + 4 * (n - 1)), octets)
    return True


def forget(s, laddr, lport, faddr, fport):
    """The connection goes its way no more."""
    s.ways.pop((laddr, lport, faddr, fport), None)
    return 0
