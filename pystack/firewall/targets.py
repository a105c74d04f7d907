"""The targets of iptables as text: `-j NAME` and its options. Those of NAT are in `nat_targets`."""

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
    mark,
    mask,
    text,
    whole,
)
from pystack.firewall.matches import TOS_NAMES as NAMED_TOS
from pystack.firewall.matches import dscp_class, tos
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
    name: 1 << bit
    for name, bit in {
        "new": 0,
        "related": 1,
        "destroy": 2,
        "reply": 3,
        "assured": 4,
        "protoinfo": 5,
        "helper": 6,
        "mark": 7,
        "natseqinfo": 8,
        "secmark": 9,
    }.items()
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
    """CT. Helpers, timeout policies and event masks are refused, as a kernel without them does: none of them would have
    an effect here. Beside --notrack they have none in the kernel either.
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
        if self.given.keys() & {"ctevents", "expevents"}:
            return "Operation not supported"
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
        if self.zone:
            name, number = self.zone
            return nf_target.Zone(number, ZONES[name])
        return nf_target.Target()


def changed_bits(e: Extension, o: Option, args: Sequence[str], widest: int) -> tuple[int, int]:
    """What `--and-…`, `--or-…` and `--xor-…` do, as (value, mask) for `(x & ~mask) ^ value`."""
    value = words.number(args[0], 0, widest)
    if value is None:
        raise RefusedError(
            f'{e.name}: bad value for option "--{o.name}", or out of range (0-{widest}).\n'
        )
    return {"and": (0, value ^ widest), "or": (value, value), "xor": (value, 0)}[
        o.name.partition("-")[0]
    ]


class BitsText(TargetText):
    """What MARK and TOS have in common: one option, which changes some bits."""

    @property
    def bits(self) -> tuple[int, int]:
        """(value, mask) for `(x & ~mask) ^ value`."""
        found: tuple[int, int] = next(iter(self.given.values()))
        return found


def mark_bits(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """What a mark option does."""
    if o.name in ("set-mark", "set-xmark"):
        pair = mark(e, o, args)
        return (pair[0], pair[0] | pair[1]) if o.name == "set-mark" else pair
    return changed_bits(e, o, args, words.ALL_ONES)


MARK_NAMES = ("set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark")


def others(name: str, names: tuple[str, ...]) -> str:
    """All but one."""
    return " ".join(n for n in names if n != name)


def mark_action(value: int, bits: int) -> str:
    """What MARK does, as `iptables -L` says it."""
    if value == 0:
        return f"and {bits ^ words.ALL_ONES:#x}"
    if value == bits:
        return f"or {value:#x}"
    if bits == 0:
        return f"xor {value:#x}"
    if bits == words.ALL_ONES:
        return f"set {value:#x}"
    return f"xset {value:#x}/{bits:#x}"


class MarkText(BitsText):
    name = "MARK"
    options = tuple(Option(n, mark_bits, without=others(n, MARK_NAMES)) for n in MARK_NAMES)

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError(
                "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required"
            )

    def save(self) -> str:
        return f" --set-xmark {self.bits[0]:#x}/{self.bits[1]:#x}"

    def show(self, numeric: bool) -> str:
        return f"MARK {mark_action(*self.bits)}"

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Mark(*self.bits)


CONNMARK_NAMES = (*MARK_NAMES, "restore-mark", "save-mark")


class ConnmarkText(TargetText):
    name = "CONNMARK"
    tracks = True
    options = (
        *(
            Option(n, mark_bits, without=others(n, CONNMARK_NAMES))
            for n in ("set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark")
        ),
        Option("save-mark", flag, words=0, without=others("save-mark", CONNMARK_NAMES)),
        Option("restore-mark", flag, words=0, without=others("restore-mark", CONNMARK_NAMES)),
        Option("ctmask", mask, without="mask"),
        Option("nfmask", mask, without="mask"),
        Option("left-shift-mark", whole(0, 32)),
        Option("right-shift-mark", whole(0, 32)),
        Option("mask", mask),
    )

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        return super().kernel_check(spec, table) or (
            "Invalid argument" if self.shift > 31 else None
        )

    @property
    def shift(self) -> int:
        """Places by which the new bits are shifted; the last that was said counts."""
        said = [name for name in self.given if name.endswith("-shift-mark")]
        return int(self.given[said[-1]]) if said else 0

    @property
    def turn(self) -> int:
        """The same for the core: to the right where it is negative."""
        said = [name for name in self.given if name.endswith("-shift-mark")]
        return -self.shift if said and said[-1].startswith("right") else self.shift

    def shift_words(self, lead: str) -> str:
        said = [name for name in self.given if name.endswith("-shift-mark")]
        return f" {lead}{said[-1]} {self.shift}" if self.shift else ""

    def check(self, spec: Spec) -> None:
        if not self.given.keys() & set(CONNMARK_NAMES):
            raise RefusedError("CONNMARK target: No operation specified")

    def bits(self) -> tuple[int, int] | None:
        """(mark, mask) if it sets."""
        bits = next((self.given[name] for name in MARK_NAMES if name in self.given), None)
        masks = [self.given[name] for name in ("mask", "ctmask") if name in self.given]
        return (bits[0], masks[0]) if bits and masks else bits

    def masks(self) -> tuple[int, int]:
        """Of the packet's mark and of the flow's."""
        both = self.given.get("mask", words.ALL_ONES)
        return self.given.get("nfmask", both), self.given.get("ctmask", both)

    def save(self) -> str:
        bits = self.bits()
        if bits:
            return f" --set-xmark {bits[0]:#x}/{bits[1]:#x}" + self.shift_words("--")
        name = "save-mark" if "save-mark" in self.given else "restore-mark"
        packet, flow = self.masks()
        return f" --{name} --nfmask {packet:#x} --ctmask {flow:#x}" + self.shift_words("--")

    def show(self, numeric: bool) -> str:
        bits = self.bits()
        if bits:
            return f"CONNMARK {mark_action(*bits)}" + self.shift_words("")
        packet, flow = self.masks()
        saves = "save-mark" in self.given
        out = "CONNMARK save" if saves else "CONNMARK restore"
        if packet != flow:
            first, second = (("nfmask", packet), ("ctmask", flow))[:: 1 if saves else -1]
            out += f" {first[0]} {first[1]:#x} {second[0]} ~{second[1]:#x}"
        elif packet != words.ALL_ONES:
            out += f" mask {packet:#x}"
        return out + self.shift_words("")

    def build(self, shared: Shared) -> nf_target.Target:
        bits = self.bits()
        if bits:
            return nf_target.ConnMark(nf_consts.MARK_SET, bits[0], bits[1], 0, self.turn)
        packet, flow = self.masks()
        saves = "save-mark" in self.given
        action = nf_consts.MARK_SAVE if saves else nf_consts.MARK_RESTORE
        return nf_target.ConnMark(action, 0, flow, packet, self.turn)


# --- headers --------------------------------------------------------------------------------------------------


def tos_bits(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """What a TOS option does."""
    if o.name == "set-tos":
        found: tuple[int, int] = tos()(e, o, args)
        return found
    return changed_bits(e, o, args, 0xFF)


TOS_NAMES = ("set-tos", "and-tos", "or-tos", "xor-tos")


class TosText(BitsText):
    name = "TOS"
    only = "mangle"
    options = tuple(Option(n, tos_bits, without=others(n, TOS_NAMES)) for n in TOS_NAMES)

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("TOS: An action is required")

    def save(self) -> str:
        return f" --set-tos 0x{self.bits[0]:02x}/0x{self.bits[1]:02x}"

    def show(self, numeric: bool) -> str:
        value, bits = self.bits
        names = [name for name, number in NAMED_TOS.items() if number == value]
        if not numeric and bits == 0x3F and names:
            return f" TOS set{names[0]}"  # the blank stands where the tool has it
        if not numeric and value == 0:
            return f"TOS and 0x{bits ^ 0xFF:02x}"
        if not numeric and value == bits:
            return f"TOS or 0x{value:02x}"
        if not numeric and bits == 0:
            return f"TOS xor 0x{value:02x}"
        return f"TOS set 0x{value:02x}/0x{bits:02x}"

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.SetTos(*self.bits)


class DscpText(TargetText):
    name = "DSCP"
    only = "mangle"
    options = (
        Option("set-dscp", whole(0, 63), without="set-dscp-class"),
        Option("set-dscp-class", dscp_class, without="set-dscp"),
    )

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("DSCP target: Parameter --set-dscp is required")

    @property
    def value(self) -> int:
        return int(next(iter(self.given.values())))

    def save(self) -> str:
        return f" --set-dscp 0x{self.value:02x}"

    def show(self, numeric: bool) -> str:
        return f"DSCP set 0x{self.value:02x}"

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.SetTos(self.value << 2, 0xFC)


class TtlText(TargetText):
    name = "TTL"
    only = "mangle"
    options = (
        Option("ttl-set", whole(0, 255), without="ttl-inc ttl-dec"),
        Option("ttl-dec", whole(1, 255), without="ttl-inc ttl-set"),
        Option("ttl-inc", whole(1, 255), without="ttl-dec ttl-set"),
    )
    acts: ClassVar[dict[str, tuple[str, int]]] = {
        "ttl-set": ("set to", nf_consts.TTL_SET),
        "ttl-dec": ("decrement by", nf_consts.TTL_DEC),
        "ttl-inc": ("increment by", nf_consts.TTL_INC),
    }

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("TTL: You must specify an action")

    def save(self) -> str:
        name, value = next(iter(self.given.items()))
        return f" --{name} {value}"

    def show(self, numeric: bool) -> str:
        name, value = next(iter(self.given.items()))
        return f"TTL {self.acts[name][0]} {value}"

    def build(self, shared: Shared) -> nf_target.Target:
        name, value = next(iter(self.given.items()))
        return nf_target.SetTtl(self.acts[name][1], value)


class TcpmssText(TargetText):
    name = "TCPMSS"
    options = (
        Option("set-mss", whole(0, 65515)),
        Option("clamp-mss-to-pmtu", flag, words=0),
    )

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("TCPMSS target: At least one parameter is required")

    @property
    def mss(self) -> int:
        """-1: that of the way. The last that was said counts."""
        return int(self.given["set-mss"]) if list(self.given)[-1] == "set-mss" else -1

    def hooks_wanted(self) -> frozenset[str]:
        if self.mss < 0:  # there the way is known
            return frozenset(("FORWARD", "OUTPUT", "POSTROUTING"))
        return frozenset()

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        if spec.proto != TCP or spec.proto_not:
            return "Invalid argument"
        return super().kernel_check(spec, table)

    def save(self) -> str:
        return " --clamp-mss-to-pmtu" if self.mss < 0 else f" --set-mss {self.mss}"

    def show(self, numeric: bool) -> str:
        return "TCPMSS clamp to PMTU" if self.mss < 0 else f"TCPMSS set {self.mss}"

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.TcpMss(self.mss)


TARGETS: tuple[type[TargetText], ...] = (
    AcceptText,
    DropText,
    ReturnText,
    RejectText,
    LogText,
    NotrackText,
    CtText,
    MarkText,
    ConnmarkText,
    TosText,
    DscpText,
    TtlText,
    TcpmssText,
)
