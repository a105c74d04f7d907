"""The conntrack of a host: its table as rows, columns and counts, and the switch that puts it on the way of packets.

host.conntrack("-L -p tcp --state ESTABLISHED")     text, as the conntrack tool prints it (conntrack_tool)
host.conntrack.flows()                              rows of Python
host.conntrack.chain_lengths()                      how well the hash spreads
host.conntrack.column("state")                      a NumPy view of the live table
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy

from pystack._fast.consts import PROTO_TCP
from pystack._fast.ct_states import STATE_NAMES
from pystack._fast.netfilter import Netfilter
from pystack._fast.nf_consts import (
    EVENT_DESTROY,
    EVENT_NEW,
    EVENT_UPDATE,
    H_STATUS,
    IPS_ASSURED,
    IPS_SEEN_REPLY,
    IPS_SRC_NAT,
    O_STATE,
)
from pystack._fast.nf_rules import RuleChain
from pystack.addresses import dotted
from pystack.firewall import conntrack_tool, flows, invalid
from pystack.firewall.conntrack_words import Owner
from pystack.firewall.flows import Flow

if TYPE_CHECKING:
    from pystack.host import Host

EVENT_NAMES = {EVENT_NEW: "[NEW]", EVENT_UPDATE: "[UPDATE]", EVENT_DESTROY: "[DESTROY]"}
KEPT_EVENTS = 65536
KNOBS = "net.netfilter.nf_conntrack_"


class NoNetfilter(ValueError):
    """This machine's system has no netfilter."""


class Conntrack:
    """The flows of one host. Made with the host's first question or rule; packets are tracked once `track` was called,
    by a rule that needs it or by hand.
    """

    def __init__(self, host: Host) -> None:
        """Raises `NoNetfilter` for a system that has none."""
        if host.system != "linux":
            raise NoNetfilter(f"{host.profile.title} has no netfilter: its firewall is ipfw")
        self.host = host
        self.netfilter: Any = Netfilter(host.core)
        self._old = host.profile.policy["ct_expiry"].startswith("timers")
        self.table: Any = self.netfilter.conntrack
        self.events: deque[tuple[int, str, Flow, bool]] = deque(maxlen=KEPT_EVENTS)
        """(ns, kind, flow, whether its state was told), oldest first, since `listen`; the last is number `heard`."""
        self.heard = 0
        words = host.profile.policy["ct_log"]
        self.table.complain = lambda p, reason, number: host.log.write(
            invalid.line(words, p, reason, number)
        )
        sysctl = host.sysctl
        for name in sysctl.names(f"{KNOBS}*"):
            sysctl.on_change(name, lambda _: self.table.configure())
        sysctl.provide(f"{KNOBS}count", lambda: self.table.count)

    def __call__(self, arguments: str = "-L") -> str:
        """What `conntrack arguments` prints on its standard output. Raises `conntrack_tool.ToolError`."""
        outcome = conntrack_tool.run(self, arguments.split())
        if outcome.status:
            raise conntrack_tool.ToolError(outcome.err, outcome.status)
        return outcome.out

    def track(self, on: bool = True) -> None:
        """Packets are tracked from now on, or not any more."""
        self.host.core.settle(self.host.now)
        self.netfilter.track(on)
        self.host.core.hooks = self.netfilter
        self.host.after(self.host.core)  # the worker has a time now

    @property
    def tracking(self) -> bool:
        """Are packets tracked?"""
        return bool(self.netfilter.tracks)

    def __len__(self) -> int:
        """nf_conntrack_count: flows that are begun or have expired unseen included."""
        return int(self.table.count)

    def flows(self, most: int | None = None) -> list[Flow]:
        """The flows in the order in which the kernel lists them, all or the first `most`; expired ones go."""
        self.present()
        return [flows.flow(self.table, row) for row in self.table.flows()[:most]]

    def present(self) -> None:
        """The table is told the time."""
        self.table.settle(self.host.now)

    def zero(self, one: Flow) -> None:
        """The packets and octets that this flow has counted are forgotten."""
        if one.packets is not None:
            for way in (0, 1):
                self.table.packets[2 * one.row + way] = self.table.octets[2 * one.row + way] = 0

    def change(self, one: Flow, bits: int, state: int | None) -> None:
        """Status bits of a flow that are set from now on, and its state in TCP (`conntrack -U`)."""
        self.table.half[(one.row << 5) + H_STATUS] |= bits
        if state is not None and one.proto == PROTO_TCP:
            self.table.octet[(one.row << 6) + O_STATE] = state

    def age(self, one: Flow, now: int | None = None) -> int | None:
        """Seconds since a flow was confirmed, where that is known."""
        if one.since is None:
            return None
        return ((self.host.now if now is None else now) - one.since) // 1_000_000_000

    # --- how it stands -----------------------------------------------------------------------------------

    def chain_lengths(self) -> list[int]:
        """Item n: how many chains have n nodes; each flow is two."""
        return list(self.table.chain.lengths())

    def column(self, name: str) -> Any:
        """A NumPy view of one place of all rows, row 0 first: state, status, expires, mark, maxwin … No copy."""
        return self.table.column(name)

    def by_state(self) -> Counter[str]:
        """Flows by protocol and state: "tcp ESTABLISHED assured", "udp unreplied"."""
        out: Counter[str] = Counter()
        rows = self._rows()
        state, status = self.column("state")[rows], self.column("status")[rows]
        proto = self._keys()[rows, 1] >> 16 & 0xFF
        status &= IPS_ASSURED | IPS_SEEN_REPLY
        for key, count in _counted(proto << 24 | state.astype(proto.dtype) << 16 | status):
            number, seen = key >> 24, key & 0xFFFF
            mark = "assured" if seen & IPS_ASSURED else "replied" if seen else "unreplied"
            name = STATE_NAMES[key >> 16 & 0xFF] if number == PROTO_TCP else ""
            words = flows.NAMES.get(number, "unknown"), name, mark
            out[" ".join(filter(None, words))] += count
        return out

    def ends(self) -> tuple[Counter[str], Counter[str]]:
        """Flows by who began them, and by address and port that they were begun to."""
        keys = self._keys()[self._rows()]
        sources = {dotted(addr): count for addr, count in _counted(keys[:, 0] >> 32)}
        to = (keys[:, 0] & 0xFFFFFFFF) << 16 | (keys[:, 1] >> 32 & 0xFFFF)
        targets = {f"{dotted(end >> 16)}:{end & 0xFFFF}": count for end, count in _counted(to)}
        return Counter(sources), Counter(targets)

    def _rows(self) -> Any:
        """The rows of the flows, as NumPy takes them."""
        self.present()
        return numpy.array(self.table.flows(), numpy.intp)

    def _keys(self) -> Any:
        """Four words for each row: addresses and ports of its two directions. No copy."""
        return numpy.asarray(memoryview(self.table.keys)).reshape(-1, 4)

    def top(
        self, by: Owner = "src", n: int = 10, among: Iterable[Flow] | None = None
    ) -> list[tuple[str, int]]:
        """Who owns most flows (of `among`, else of all): by a part of the original direction, or by the rule that let
        the first packet pass. That is the rule of the table filter that accepted it, or the policy of its chain; where
        there is no such table, the rule that translates it.
        """
        owners: Counter[str] = Counter()
        names = self._rule_names() if by == "rule" else {}
        for one in self.flows() if among is None else among:
            if by == "rule":
                owners[self._rule(one.row, names)] += 1
                continue
            value = getattr(one.original, by)
            owners[dotted(value) if by in ("src", "dst") else str(value)] += 1
        return sorted(owners.items(), key=lambda each: (-each[1], each[0]))[:n]

    def _rule_names(self) -> dict[int, str]:
        """Rules that stand in a table, by identity, as `-S` prints them."""
        return {
            id(
                rule
            ): f"{'' if name == 'filter' else f'-t {name} '}-A {chain.name}{rule.text.save()}"
            for name, table in self.host.firewall.tables.items()
            for chain in table.chains.values()
            for rule in chain.rules
        }

    def _rule(self, row: int, names: dict[int, str]) -> str:
        """What let a flow in: a rule, one that is there no longer, a policy, or none."""
        owner = self.table.rules[row] if self.table.rules is not None else None
        if owner is None:
            return "no rule"
        if isinstance(owner, RuleChain):
            return f"-P {owner.name} ACCEPT"
        return names.get(id(owner)) or f"deleted:{owner.text.save()}"

    def nat_ports(self, n: int = 8) -> dict[tuple[int, int, int, int], int]:
        """Flows with a translated source by (address they got, peer, its port, protocol), the `n` fullest: each takes a
        port of that address towards that peer.
        """
        taken: Counter[tuple[int, int, int, int]] = Counter()
        self.present()
        status = self.column("status")
        if not (status & IPS_SRC_NAT).any():  # most machines translate nothing: do not look at each
            return {}
        for row in self.table.flows():
            if status[row] & IPS_SRC_NAT:
                one = flows.flow(self.table, row)
                taken[one.reply.dst, one.reply.src, one.reply.sport, one.proto] += 1
        return dict(taken.most_common(n))

    def counters(self) -> dict[str, int]:
        """What `conntrack -S` counts, by its names: kernels to 4.8 count their table as well, and every flow as an
        insertion; later ones what NAT found taken, and what an administrator inserted.
        """
        table = self.table
        if self._old:
            return {
                "searched": table.searched,
                "found": table.hits,
                "new": table.begun,
                "invalid": table.invalid,
                "ignore": table.ignored,
                "delete": table.ended,
                "delete_list": table.unlinked,
                "insert": table.linked,
                "insert_failed": table.insert_failed,
                "drop": table.drop,
                "early_drop": table.early_drop,
                "error": table.error,
                "search_restart": 0,
            }
        return {
            "found": table.found,
            "invalid": table.invalid,
            "insert": table.inserted,
            "insert_failed": table.insert_failed,
            "drop": table.drop,
            "early_drop": table.early_drop,
            "error": table.error,
            "search_restart": 0,
            "clash_resolve": table.clash_resolve,
            "chaintoolong": table.chaintoolong,
        }

    # --- events ------------------------------------------------------------------------------------------

    def listen(self, call: Callable[[str, Flow], object] | None = None) -> None:
        """Events are kept from now on (`events`), and told to `call(kind, flow)`."""

        def heard(event: int, row: int) -> None:
            one = flows.flow(self.table, row)
            told = event != EVENT_UPDATE or self.table.moved
            self.heard += 1
            self.events.append((int(self.table.now), EVENT_NAMES[event], one, told))
            if call is not None:
                call(EVENT_NAMES[event], one)

        if self.host.sysctl[f"{KNOBS}events"] != 0:
            self.table.listener = heard

    @property
    def listening(self) -> bool:
        """Are events kept?"""
        return self.table.listener is not None

    # --- files of /proc ----------------------------------------------------------------------------------

    def proc_stat(self) -> list[str]:
        """/proc/net/stat/nf_conntrack: a head, and a line for the one processor."""
        count = self.counters()
        if self._old:
            first = (
                "entries  searched found new invalid ignore delete delete_list insert insert_failed drop"
                " early_drop icmp_error  expect_new expect_create expect_delete search_restart"
            )
            groups = [[len(self)], [*count.values()][:-1], [0, 0, 0, 0]]
            return [first, "  ".join(" ".join(f"{n:08x}" for n in group) for group in groups)]
        first = (
            "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop"
            " early_drop icmp_error  expect_new expect_create expect_delete search_restart"
        )
        groups = [
            [len(self)],
            [
                count["clash_resolve"],
                count["found"],
                0,
                count["invalid"],
                0,
                0,
                count["chaintoolong"],
                count["insert"],
                count["insert_failed"],
                count["drop"],
                count["early_drop"],
                count["error"],
            ],
            [0, 0, 0, 0],
        ]
        return [first, "  ".join(" ".join(f"{n:08x}" for n in group) for group in groups)]


def _counted(values: Any) -> Iterator[tuple[int, int]]:
    """(value, how often) of an array."""
    found, counts = numpy.unique(values, return_counts=True)
    return zip(found.tolist(), counts.tolist(), strict=True)
