"""The sockets of a machine as rows: TCP's connections, listeners, half-open ones and what only waits; UDP's.

Every tool that lists sockets (`netstat`, `ss`, `sockstat`) renders these; what one system counts in a
queue and the other does not is told by both numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pystack._fast import consts
from pystack._fast.consts import NEVER, STATE_NAMES
from pystack._fast.tcb import SS_BOUND, SS_INQUEUE, SS_NOFDREF


@dataclass(frozen=True, slots=True)
class SocketRow:
    """One socket. Addresses are numbers, 0 for any; queues are octets; times are ns."""

    state: int
    laddr: int
    lport: int
    faddr: int = 0
    fport: int = 0
    recv_q: int = 0
    """Octets received and not read."""
    send_q: int = 0
    """Octets written and not acknowledged."""
    peer_fin: bool = False
    """The peer has said FIN."""
    own_fin: bool = False
    """A FIN is queued or out, and not acknowledged."""
    timer: str = ""
    """What it waits for: on (retransmission), persist, keepalive, timewait; "" for nothing."""
    left: int = 0
    """Until then."""
    tries: int = 0
    """How often that was tried already."""
    qlen: int = 0
    incqlen: int = 0
    backlog: int = 0
    half_open: int = 0
    """Of a listener: connections that wait to be accepted, the limit, SYNs that were answered."""
    orphan: bool = False
    """No application holds it."""
    uid: int = 0
    owner: Any = None
    """The process that holds it."""
    fd: int = -1
    row: int = 0
    """Its number; 0 for what is not a whole socket."""
    proto: str = "tcp"
    whole: Any = None
    """The socket itself, where it is a whole one."""

    @property
    def state_name(self) -> str:
        """FreeBSD's name of the state."""
        return STATE_NAMES[self.state]


def tcp_sockets(core: Any, now: int) -> list[SocketRow]:
    """All TCP sockets of the machine that netstat would see at `now`: by number, then half-open, then waiting ones."""
    return [*_whole(core, now), *_half_open(core, now), *_waiting(core, now)]


def udp_sockets(core: Any) -> list[SocketRow]:
    """All UDP sockets that have a port, by port. Those that are connected are ESTABLISHED, the others CLOSED."""
    found = []
    for port in sorted(core.udp):
        d = core.udp[port]
        while d is not None:
            found.append(
                SocketRow(
                    state=consts.ESTABLISHED if d.faddr else consts.CLOSED,
                    laddr=d.laddr,
                    lport=d.lport,
                    faddr=d.faddr,
                    fport=d.fport,
                    recv_q=d.cc,
                    orphan=d.owner is None,
                    uid=d.owner.uid if d.owner is not None else 0,
                    owner=d.owner,
                    fd=d.fd,
                    row=1,
                    proto="udp",
                    whole=d,
                )
            )
            d = d.next
    return found


def _whole(core: Any, now: int) -> Iterator[SocketRow]:
    for t in core.tcbs:
        if t is None or (t.state == consts.CLOSED and not t.so_state & SS_BOUND):
            continue
        timer, left, tries = _timer(t, now)
        yield SocketRow(
            state=t.state,
            laddr=t.laddr,
            lport=t.lport,
            faddr=t.faddr,
            fport=t.fport,
            recv_q=t.rcvq.cc,
            send_q=t.sndq.cc,
            peer_fin=t.state
            in (consts.CLOSE_WAIT, consts.CLOSING, consts.LAST_ACK, consts.TIME_WAIT),
            own_fin=t.state in (consts.FIN_WAIT_1, consts.CLOSING, consts.LAST_ACK),
            timer=timer,
            left=left,
            tries=tries,
            qlen=t.qlen,
            incqlen=len(t.books.filtered) if t.books else 0,
            backlog=t.backlog,
            half_open=t.synqlen,
            orphan=_orphan(t),
            uid=t.uid,
            owner=t.owner,
            fd=t.fd,
            row=t.row,
            whole=t,
        )


def _orphan(t: Any) -> bool:
    return bool(t.so_state & SS_NOFDREF) and not t.so_state & SS_INQUEUE


def _timer(t: Any, now: int) -> tuple[str, int, int]:
    """The timer that `ss` would show: the first of these that runs."""
    for name, at, tries in (
        ("on", t.at_rexmt, t.rxtshift),
        ("persist", t.at_persist, t.rxtshift),
        ("keepalive", t.at_2msl, 0),
        ("keepalive", t.at_keep, t.keep_probes),
    ):
        if at != NEVER:
            return name, max(0, at - now), tries
    return "", 0, 0


def _half_open(core: Any, now: int) -> Iterator[SocketRow]:
    for row in core.listeners.cache.rows():
        yield SocketRow(
            state=consts.SYN_RECEIVED,
            laddr=row["laddr"],
            lport=row["lport"],
            faddr=row["faddr"],
            fport=row["fport"],
            timer="on",
            left=max(0, core.wheel.deadline(row["timer"]) - now),
            tries=row["rexmits"],
        )


def _waiting(core: Any, now: int) -> Iterator[SocketRow]:
    for row in core.timewait.rows():
        yield SocketRow(
            state=row["state"],
            laddr=row["laddr"],
            lport=row["lport"],
            faddr=row["faddr"],
            fport=row["fport"],
            timer="timewait",
            left=max(0, row["expires"] - now),
            orphan=True,
        )
