"""The targets of iptables as text: `-j NAME` and its options. Those of NAT are in `nat_targets`, those
that change packets in `mangle_targets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pystack._fast import nf_consts, nf_hook, nf_target
from pystack.firewall import words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import (
    Extension,
    Option,
    TargetText,
    flag,
    text,
)
from pystack.firewall.protocols import TCP

if TYPE_CHECKING:
    from pystack.firewall.spec import Spec
    from pystack.firewall.tables import Shared


class VerdictText(TargetText):
    """ACCEPT, DROP, RETURN."""

    verdict: ClassVar[int]

    def save(self) -> str:
        return ""

    def show(self, numeric: bool) -> str:
        return ""

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Target(self.verdict)


class AcceptText(VerdictText):
    name = "ACCEPT"
    verdict = nf_hook.NF_ACCEPT


class DropText(VerdictText):
    name = "DROP"
    verdict = nf_hook.NF_DROP


class ReturnText(VerdictText):
    name = "RETURN"
    verdict = nf_consts.RETURN


REJECTS = {
    "icmp-net-unreachable": ("net-unreach", 0),
    "icmp-host-unreachable": ("host-unreach", 1),
    "icmp-proto-unreachable": ("proto-unreach", 2),
    "icmp-port-unreachable": ("port-unreach", 3),
    "icmp-net-prohibited": ("net-prohib", 9),
    "icmp-host-prohibited": ("host-prohib", 10),
    "tcp-reset": ("tcp-rst", nf_consts.REJECT_RESET),
    "icmp-admin-prohibited": ("admin-prohib", 13),
}


def reject_kind(_e: Extension, _o: Option, args: Sequence[str]) -> str:
    """A kind by its name, its beginning, or its alias."""
    for name, (alias, _) in REJECTS.items():
        if name.startswith(args[0].lower()) or alias.startswith(args[0].lower()):
            return name
    raise RefusedError(f'unknown reject type "{args[0]}"')


class RejectText(TargetText):
    name = "REJECT"
    only = "filter"
    hooks = frozenset(("INPUT", "FORWARD", "OUTPUT"))
    options = (Option("reject-with", reject_kind),)

    @property
    def kind(self) -> str:
        return str(self.given.get("reject-with", "icmp-port-unreachable"))

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        if self.kind == "tcp-reset" and (spec.proto != TCP or spec.proto_not):
            return "Invalid argument"
        return super().kernel_check(spec, table)

    def save(self) -> str:
        return f" --reject-with {self.kind}"

    def show(self, numeric: bool) -> str:
        return f"reject-with {self.kind}"

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Reject(REJECTS[self.kind][1])


LEVEL_NAMES = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
"""As they are printed; two are read by other names."""
LEVELS = {
    {"err": "error", "warn": "warning"}.get(name, name): level
    for level, name in enumerate(LEVEL_NAMES)
} | {"panic": 0}
LOG_FLAGS = {
    "log-tcp-sequence": 1,
    "log-tcp-options": 2,
    "log-ip-options": 4,
    "log-uid": 8,
    "log-macdecode": 32,
}


def log_level(_e: Extension, _o: Option, args: Sequence[str]) -> int:
    """A level by number or name."""
    value = words.number(args[0], 0, 7)
    if value is None:
        value = LEVELS.get(args[0])
    if value is None:
        raise RefusedError(f'log level "{args[0]}" unknown\n')
    return value


def log_prefix(e: Extension, o: Option, args: Sequence[str]) -> str:
    """What stands before a line, in one line."""
    prefix: str = text(29, 1)(e, o, args)
    if "\n" in args[0]:
        raise RefusedError(f"Newlines not allowed in --{o.name}")
    return prefix


class LogText(TargetText):
    name = "LOG"
    options = (
        Option("log-level", log_level),
        Option("log-prefix", log_prefix),
        *(Option(name, flag, words=0) for name in LOG_FLAGS),
    )

    @property
    def level(self) -> int:
        return int(self.given.get("log-level", 4))

    @property
    def flags(self) -> int:
        return sum(bit for name, bit in LOG_FLAGS.items() if name in self.given)

    def save(self) -> str:
        out = ""
        if "log-prefix" in self.given:
            out += f" --log-prefix {words.quoted(self.given['log-prefix'])}"
        if self.level != 4:
            out += f" --log-level {self.level}"
        return out + "".join(f" --{name}" for name in LOG_FLAGS if name in self.given)

    def show(self, numeric: bool) -> str:
        if numeric:
            out = f"LOG flags {self.flags} level {self.level}"
        else:
            name = LEVEL_NAMES[self.level]
            flags = (n.removeprefix("log-") for n in LOG_FLAGS if n in self.given)
            out = " ".join([f"LOG level {name}", *flags])
        if "log-prefix" in self.given:
            out += f' prefix "{self.given["log-prefix"]}"'
        return out

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Log(self.given.get("log-prefix", ""), self.level, self.flags)


# --- conntrack and marks --------------------------------------------------------------------------------------


class NotrackText(TargetText):
    name = "NOTRACK"
    only = "raw"
    tracks = True

    @property
    def listed_as(self) -> str:
        return "CT"  # as which the tool stores it

    def save(self) -> str:
        return ""

    def show(self, numeric: bool) -> str:
        return "NOTRACK"

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.NoTrack()


CT_EVENTS = {
    "new": nf_consts.IPCT_NEW,
    "related": nf_consts.IPCT_RELATED,
    "destroy": nf_consts.IPCT_DESTROY,
    "reply": nf_consts.IPCT_REPLY,
    "assured": nf_consts.IPCT_ASSURED,
    "protoinfo": nf_consts.IPCT_PROTOINFO,
    "helper": nf_consts.IPCT_HELPER,
    "mark": nf_consts.IPCT_MARK,
    "natseqinfo": nf_consts.IPCT_NATSEQADJ,
    "secmark": nf_consts.IPCT_SECMARK,
}


def zone(_e: Extension, _o: Option, args: Sequence[str]) -> int:
    """A zone, or -1 for that of the mark."""
    value: int | None = -1 if args[0].lower() == "mark" else words.number(args[0], 0, 65535)
    if value is None:
        raise RefusedError(f"Cannot parse {args[0]} as a zone ID")
    return value


def ct_events(_e: Extension, _o: Option, args: Sequence[str]) -> int:
    """Kinds of events."""
    value = 0
    for word in args[0].split(","):
        if word not in CT_EVENTS:
            raise RefusedError(f'Unknown event type "{word}"')
        value |= CT_EVENTS[word]
    return value


def ct_expected_events(_e: Extension, _o: Option, args: Sequence[str]) -> int:
    """Kinds of events of what is expected: there is one."""
    for word in args[0].split(","):
        if word != "new":
            raise RefusedError(f'Unknown event type "{word}"')
    return CT_EVENTS["new"]


ZONES = {
    "zone": 0,
    "zone-orig": nf_consts.ZONE_ORIGINAL,
    "zone-reply": nf_consts.ZONE_REPLY,
}
"""Option of CT -> the directions that the zone is for."""


class CtText(TargetText):
    """CT. Helpers and timeout policies are refused, as a kernel without them does: they would have no effect here. With
    --notrack they have none in the kernel either. Nothing is expected here, so --expevents leaves a flow without any
    events, unless --ctevents stands beside it.
    """

    name = "CT"
    only = "raw"
    tracks = True
    options = (
        Option("notrack", flag, words=0),
        Option("helper", text(15)),
        Option("timeout", text(31)),
        Option("ctevents", ct_events),
        Option("expevents", ct_expected_events),
        Option("zone", zone),
        Option("zone-orig", zone),
        Option("zone-reply", zone),
    )

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        refused = super().kernel_check(spec, table)
        if refused or "notrack" in self.given:
            return refused
        if self.given.get("helper"):
            return "No such file or directory"
        if self.given.get("timeout"):
            named = spec.proto != 0 and not spec.proto_not
            return "No such file or directory" if named else "Invalid argument"
        return None

    @property
    def zone(self) -> tuple[str, int] | None:
        """The option that it is printed with, and the zone: the last that was said, for the directions of all."""
        said = [name for name in self.given if name in ZONES]
        if not said or not self.given[said[-1]]:
            return None
        ways = {ZONES[name] for name in said} - {0}
        names = [name for name in ZONES if ZONES[name] in ways]
        return names[0] if len(names) == 1 else "zone", self.given[said[-1]]

    def parts(self) -> list[tuple[str, str]]:
        """Option and word, in the order in which they are printed."""
        out = [("notrack", "")] if "notrack" in self.given else []
        out += [(n, self.given[n]) for n in ("helper", "timeout") if self.given.get(n)]
        for name in ("ctevents", "expevents"):
            if name in self.given:
                events = [word for word, bit in CT_EVENTS.items() if self.given[name] & bit]
                out.append((name, ",".join(events)))
        if self.zone:
            name, number = self.zone
            out.append((name, "mark" if number < 0 else str(number)))
        return out

    def save(self) -> str:
        return "".join(f" --{name}" + (f" {word}" if word else "") for name, word in self.parts())

    def show(self, numeric: bool) -> str:
        return " ".join(["CT", *(word for part in self.parts() for word in part if word)])

    def build(self, shared: Shared) -> nf_target.Target:
        if "notrack" in self.given:
            return nf_target.NoTrack()
        name, number = self.zone or ("zone", 0)
        events = 0
        if self.given.keys() & {"ctevents", "expevents"} and shared.picks_events():
            events = nf_consts.CT_MASKED | self.given.get("ctevents", 0)
        return nf_target.Template(number, ZONES[name], events)


TARGETS: tuple[type[TargetText], ...] = (
    AcceptText,
    DropText,
    ReturnText,
    RejectText,
    LogText,
    NotrackText,
    CtText,
)
