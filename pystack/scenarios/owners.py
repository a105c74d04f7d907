"""Who owns the entries of a limit: by rule, by source, by state. Top lists, most first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import CLOSED, LISTEN, STATE_NAMES
from pystack.addresses import dotted
from pystack.views.linux import NETSTAT_STATES
from pystack.views.table import tcp_sockets

if TYPE_CHECKING:
    from pystack.host import Host

MOST = 8
Owners = dict[str, list[tuple[str, int]]]


def owners(host: Host, limit: str) -> Owners:
    """The top lists of this limit's entries."""
    for begins, find in _FINDERS.items():
        if limit.startswith(begins):
            return {name: count.most_common(MOST) for name, count in find(host).items() if count}
    return {name: count.most_common(MOST) for name, count in _connections(host).items() if count}


def _ipfw(host: Host) -> dict[str, Counter[str]]:
    """Dynamic rules: by the rule that made them, who began them, and what became of their connection here."""
    states = {each["peer"]: each["state"] for each in connections(host)}
    rules: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    lines = {row.split()[0].lstrip("0"): row for row in host.ipfw("list").splitlines()}
    own = {face.addr for face in host.interfaces}
    for number, kind, _, source, sport, target, *_ in host.ipfw.states():
        if kind == "P":
            continue
        rules[lines.get(str(number), str(number))] += 1
        sources[dotted(source)] += 1
        if own.isdisjoint((source, target)):
            ends["of other machines"] += 1
        else:
            ends[states.get(f"{dotted(source)}:{sport}", "no connection any more")] += 1
    return {"rule": rules, "source": sources, "state of its connection": ends}


def _conntrack(host: Host) -> dict[str, Counter[str]]:
    """Flows: by state, by who began them, by where to."""
    sources, targets = host.conntrack.ends()
    return {"state": host.conntrack.by_state(), "source": sources, "destination": targets}


def _buffers(host: Host) -> dict[str, Counter[str]]:
    """Octets that wait in buffers: by state, and for whom."""
    states: Counter[str] = Counter()
    peers: Counter[str] = Counter()
    for each in connections(host):
        waits = each["send"] + each["receive"]
        if waits:
            states[f"octets of connections in {each['state']}"] += waits
            peers[each["peer"].rpartition(":")[0]] += waits
    return {"state": states, "peer": peers}


def _connections(host: Host) -> dict[str, Counter[str]]:
    """Sockets: by state, by peer, by local port."""
    states: Counter[str] = Counter()
    peers: Counter[str] = Counter()
    ports: Counter[str] = Counter()
    for each in connections(host):
        states[each["state"]] += 1
        peers[each["peer"].rpartition(":")[0]] += 1
        ports[each["service"]] += 1
    return {"state": states, "peer": peers, "service": ports}


def connections(host: Host) -> list[dict[str, Any]]:
    """All connections as {"peer": "192.0.2.2:1026", "service": port, "state", "send", "receive"}."""
    names = state_names(host)
    rows = tcp_sockets(host.core, host.now)
    listens = {row.lport for row in rows if row.state == LISTEN}
    return [
        {
            "peer": f"{dotted(row.faddr)}:{row.fport}",
            "service": f"port {row.lport} here" if row.lport in listens else f"to port {row.fport}",
            "state": names[row.state],
            "send": row.send_q,
            "receive": row.recv_q,
        }
        for row in rows
        if row.state not in (LISTEN, CLOSED)
    ]


def state_names(host: Host) -> tuple[str, ...]:
    """By state, as the system's netstat has them."""
    own = NETSTAT_STATES if host.system == "linux" else {}
    return tuple(own.get(state, name) for state, name in enumerate(STATE_NAMES))


_FINDERS: dict[str, Callable[[Host], dict[str, Counter[str]]]] = {
    "ipfw": _ipfw,
    "conntrack": _conntrack,
    "NAT ports": _conntrack,
    "mbuf": _buffers,
    "TCP memory": _buffers,
}


def chains(host: Host, limit: str) -> list[int]:
    """How many chains of the table behind this limit have 0, 1, 2 … entries; empty where it is no table."""
    if limit.startswith(("conntrack", "NAT")):
        return host.conntrack.chain_lengths()
    core: Any = host.core
    if limit.startswith("ipfw"):
        return list(host.ipfw.engine.table.chain.lengths())
    if limit.startswith("TIME_WAIT"):
        return list(core.timewait.chain_lengths())
    return list(core.demux.chain_lengths())
