"""Accept filters of FreeBSD: a connection is accepted only once its peer has said something (accept_filter(9)).

    passes   has enough come for the listener's filter?
    wait     the connection is on the incomplete queue
    leave    and is there no more

Sources: FreeBSD netinet/accf_data.c, accf_http.c, accf_dns.c (facts: freebsd-tcp 6.3).
"""

import cython

from pystack._fast.tcb import SS_CANTRCVMORE, SS_FILTERED, Tcb  # noqa: F401

DATAREADY = 1
HTTPREADY = 2
DNSREADY = 3

NAMES = ("", "dataready", "httpready", "dnsready")
"""By the number of the filter (`Tcb.accept_filter`)."""


def passes(t):
    """Is what the connection has received enough for its listener? So are an end, and a buffer that takes no more."""
    q = t.rcvq
    kind: cython.int = t.listener.accept_filter
    if kind == 0 or t.so_state & SS_CANTRCVMORE or t.so_error:
        return True
    if kind == DATAREADY:
        return q.cc >= q.lowat
    if q.cc >= q.hiwat:
        return True
    if kind == DNSREADY:
        return dns_ready(q.read_bytes(2, True), q.cc)
    return http_ready(q.read_bytes(q.cc, True))


def dns_ready(length, have):
    """A message of DNS over TCP is there, or one that is none: two octets say how long it is."""
    return len(length) == 2 and int.from_bytes(length, "big") + 2 <= have


def http_ready(octets):
    """A request of GET or HEAD is there to its empty line; all else is not for the filter to hold back."""
    for method in (b"GET ", b"HEAD "):
        if len(octets) < 2:
            return False
        if octets[: len(method)] == method[: len(octets)]:
            break
    else:
        return True
    line, end, _ = octets.partition(b"\n")
    if not end:
        return False
    if line.rstrip(b"\r").rpartition(b" ")[2] not in (b"HTTP/1.0", b"HTTP/1.1"):
        return True
    return octets.endswith((b"\n\n", b"\n\r\n"))


def wait(t):
    """The connection waits until it passes."""
    t.so_state |= SS_FILTERED
    t.listener.books.filtered.append(t)
    return 0


def leave(t):
    """It waits no more."""
    t.so_state &= ~SS_FILTERED
    if t.listener is not None and t.listener.books is not None:
        t.listener.books.filtered.remove(t)
    return 0
