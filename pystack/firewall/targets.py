"""The targets of iptables as text: `-j NAME` and its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pystack._fast import consts, nf_hook, nf_target
from pystack._fast.nf_hook import NatRange
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
from pystack.firewall.matches import TCP, UDP, dscp_class, tos
from pystack.firewall.matches import TOS_NAMES as NAMED_TOS

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
    verdict = consts.RETURN


REJECTS = {
    "icmp-net-unreachable": ("net-unreach", 0),
    "icmp-host-unreachable": ("host-unreach", 1),
    "icmp-proto-unreachable": ("proto-unreach", 2),
    "icmp-port-unreachable": ("port-unreach", 3),
    "icmp-net-prohibited": ("net-prohib", 9),
    "icmp-host-prohibited": ("host-prohib", 10),
    "tcp-reset": ("tcp-rst", consts.REJECT_RESET),
    "icmp-admin-prohibited": ("admin-prohib", 13),
}


def reject_kind(_e: Extension, _o: Option, args: Sequence[str]) -> str:
    """A kind by its name, its beginning, or its alias."""
    for name, (alias, _) in REJECTS.items():
        if args[0] and (name.startswith(args[0].lower()) or alias.startswith(args[0].lower())):
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


class LogText(TargetText):
    name = "LOG"
    options = (
        Option("log-level", log_level),
        Option("log-prefix", text(29, 1)),
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


# --- NAT ------------------------------------------------------------------------------------------------------

WITH_PORTS = (TCP, UDP, 132, 33, 136)


def need_ports(e: Extension) -> None:
    """Ports may be named only where the protocol has them."""
    if e.proto not in WITH_PORTS:
        raise RefusedError("Need TCP, UDP, SCTP or DCCP with port specification")


def nat_ports(word: str) -> tuple[int, int]:
    """`a` or `a-b`."""
    low_text, dash, high_text = word.partition("-")
    low = words.number(low_text, 0, 65535)
    if low is None:
        low = words.SERVICES.get(low_text)
    if low is None:
        raise RefusedError(f"Port `{low_text}' not valid")
    high = words.number(high_text, 0, 65535) if dash else low
    if high is None:
        raise RefusedError(f"Port `{high_text}' not valid")
    if high < low:
        raise RefusedError(f"Port range `{high_text}' funky")
    return low, high


def nat_place(e: Extension, o: Option, args: Sequence[str]) -> dict[str, Any]:
    """`[a[-b]][:port[-port][/base]]`."""
    place, colon, port_text = args[0].partition(":")
    out: dict[str, Any] = {"addresses": None, "ports": None, "base": 0}
    if colon:
        need_ports(e)
        span_text, slash, base = port_text.partition("/")
        out["ports"] = nat_ports(span_text)
        if slash:
            if o.name != "to-destination":
                raise RefusedError(f"Port `{port_text}' not valid")
            out["base"] = nat_ports(base)[0]
    if place:
        low_text, dash, high_text = place.partition("-")
        low = words.address(low_text)
        if low is None:
            raise RefusedError(f'Bad IP address "{low_text}"')
        high = words.address(high_text) if dash else low
        if high is None:
            raise RefusedError(f'Bad IP address "{high_text}"')
        out["addresses"] = (low, high)
    return out


def port_span(ports: tuple[int, int]) -> str:
    """`a` or `a-b`."""
    return words.span_text(ports[0], ports[1], "-")


class NatText(TargetText):
    """What SNAT and DNAT have in common."""

    only = "nat"
    tracks = True
    to: ClassVar[str]

    def place(self) -> str:
        """`a-b:p-q`."""
        where = self.given[self.to]
        out = ""
        if where["addresses"]:
            low, high = where["addresses"]
            out = words.dotted(low) + (f"-{words.dotted(high)}" if high != low else "")
        if where["ports"]:
            out += ":" + port_span(where["ports"])
            if where["base"]:
                out += f"/{where['base']}"
        return out

    def manners(self) -> list[str]:
        return [n for n in ("random", "random-fully", "persistent") if n in self.given]

    def save(self) -> str:
        return f" --{self.to} {self.place()}" + "".join(f" --{n}" for n in self.manners())

    def show(self, numeric: bool) -> str:
        return " ".join([f"to:{self.place()}", *self.manners()])

    def wanted(self) -> NatRange:
        where = self.given[self.to]
        low, high = where["addresses"] or (0, 0)
        port_low, port_high = where["ports"] or (0, 0)
        return NatRange(
            low,
            high,
            port_low,
            port_high,
            random="random" in self.given,
            random_fully="random-fully" in self.given,
            persistent="persistent" in self.given,
            port_base=where["base"],
        )


class SnatText(NatText):
    name = "SNAT"
    to = "to-source"
    hooks = frozenset(("POSTROUTING", "INPUT"))
    options = (
        Option("to-source", nat_place, required=True),
        Option("random", flag, words=0),
        Option("random-fully", flag, words=0),
        Option("persistent", flag, words=0),
    )

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.NatTarget(self.wanted(), True)


class DnatText(NatText):
    name = "DNAT"
    to = "to-destination"
    hooks = frozenset(("PREROUTING", "OUTPUT"))
    options = (
        Option("to-destination", nat_place, required=True),
        Option("random", flag, words=0),
        Option("persistent", flag, words=0),
    )

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.NatTarget(self.wanted(), False)


def to_ports(e: Extension, _o: Option, args: Sequence[str]) -> tuple[int, int]:
    """`a` or `a-b`."""
    need_ports(e)
    return nat_ports(args[0])


class PortNatText(TargetText):
    """What MASQUERADE and REDIRECT have in common."""

    only = "nat"
    tracks = True
    shown: ClassVar[str]

    def manners(self) -> list[str]:
        return [n for n in ("random", "random-fully") if n in self.given]

    def save(self) -> str:
        out = ""
        if "to-ports" in self.given:
            out = f" --to-ports {port_span(self.given['to-ports'])}"
        return out + "".join(f" --{n}" for n in self.manners())

    def show(self, numeric: bool) -> str:
        out = []
        if "to-ports" in self.given:
            out = [f"{self.shown} {port_span(self.given['to-ports'])}"]
        return " ".join(out + self.manners())

    def wanted(self) -> NatRange:
        low, high = self.given.get("to-ports", (0, 0))
        return NatRange(
            0,
            0,
            low,
            high,
            random="random" in self.given,
            random_fully="random-fully" in self.given,
        )


class MasqueradeText(PortNatText):
    name = "MASQUERADE"
    shown = "masq ports:"
    hooks = frozenset(("POSTROUTING",))
    options = (
        Option("to-ports", to_ports),
        Option("random", flag, words=0),
        Option("random-fully", flag, words=0),
    )

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Masquerade(self.wanted())


class RedirectText(PortNatText):
    name = "REDIRECT"
    shown = "redir ports"
    hooks = frozenset(("PREROUTING", "OUTPUT"))
    options = (Option("to-ports", to_ports), Option("random", flag, words=0))

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.Redirect(self.wanted())


def nat_network(_e: Extension, _o: Option, args: Sequence[str]) -> tuple[int, int]:
    """A network with a mask of ones."""
    return words.network(args[0])


class NetmapText(TargetText):
    name = "NETMAP"
    only = "nat"
    tracks = True
    hooks = frozenset(("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"))
    options = (Option("to", nat_network, required=True),)

    def save(self) -> str:
        return f" --to {words.masked(*self.given['to'], slash_32=True)}"

    def show(self, numeric: bool) -> str:
        return f"to:{words.masked(*self.given['to'], slash_32=True)}"

    def build(self, shared: Shared) -> nf_target.Target:
        addr, bits = self.given["to"]
        return nf_target.Netmap(NatRange(addr, addr | (bits ^ words.ALL_ONES), netmap=True))


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
    value: int | None = -1 if args[0] == "mark" else words.number(args[0], 0, 65535)
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


class CtText(TargetText):
    """CT. Helpers, timeout policies, event masks and zones of one direction are refused, as a kernel without them does:
    none of them would have an effect here.
    """

    name = "CT"
    only = "raw"
    tracks = True
    options = (
        Option("notrack", flag, words=0),
        Option("helper", text(15)),
        Option("timeout", text(31)),
        Option("ctevents", ct_events),
        Option("expevents", text(63)),
        Option("zone", zone, without="zone-orig zone-reply"),
        Option("zone-orig", zone, without="zone zone-reply"),
        Option("zone-reply", zone, without="zone zone-orig"),
    )

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        if self.given.keys() & {"helper", "timeout"}:
            return "No such file or directory"
        if self.given.keys() & {"ctevents", "expevents", "zone-orig", "zone-reply"}:
            return "Operation not supported"
        return super().kernel_check(spec, table)

    def zone_words(self, lead: str) -> str:
        if "zone" not in self.given:
            return ""
        return f" {lead}zone {'mark' if self.given['zone'] < 0 else self.given['zone']}"

    def save(self) -> str:
        return (" --notrack" if "notrack" in self.given else "") + self.zone_words("--")

    def show(self, numeric: bool) -> str:
        return "CT" + (" notrack" if "notrack" in self.given else "") + self.zone_words("")

    def build(self, shared: Shared) -> nf_target.Target:
        if "notrack" in self.given:
            return nf_target.NoTrack()
        if "zone" in self.given:
            return nf_target.Zone(self.given["zone"])
        return nf_target.Target()


def mark_bits(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """What a mark option does: (mark, mask) for `(m & ~mask) ^ mark`."""
    if o.name in ("set-mark", "set-xmark"):
        pair = mark(e, o, args)
        return (pair[0], pair[0] | pair[1]) if o.name == "set-mark" else pair
    value = words.number(args[0])
    if value is None:
        raise RefusedError(
            f'{e.name}: bad value for option "--{o.name}", or out of range (0-4294967295).\n'
        )
    return {
        "and-mark": (0, value ^ words.ALL_ONES),
        "or-mark": (value, value),
        "xor-mark": (value, 0),
    }[o.name]


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


class MarkText(TargetText):
    name = "MARK"
    options = tuple(Option(n, mark_bits, without=others(n, MARK_NAMES)) for n in MARK_NAMES)

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError(
                "MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required"
            )

    @property
    def bits(self) -> tuple[int, int]:
        found: tuple[int, int] = next(iter(self.given.values()))
        return found

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
        Option("ctmask", mask),
        Option("nfmask", mask),
        Option("mask", mask, without="ctmask nfmask"),
    )

    def check(self, spec: Spec) -> None:
        if not self.given.keys() & set(CONNMARK_NAMES):
            raise RefusedError("CONNMARK target: No operation specified")

    def bits(self) -> tuple[int, int] | None:
        """(mark, mask) if it sets."""
        return next((self.given[name] for name in MARK_NAMES if name in self.given), None)

    def masks(self) -> tuple[int, int]:
        """Of the packet's mark and of the flow's."""
        both = self.given.get("mask", words.ALL_ONES)
        return self.given.get("nfmask", both), self.given.get("ctmask", both)

    def save(self) -> str:
        bits = self.bits()
        if bits:
            return f" --set-xmark {bits[0]:#x}/{bits[1]:#x}"
        name = "save-mark" if "save-mark" in self.given else "restore-mark"
        packet, flow = self.masks()
        return f" --{name} --nfmask {packet:#x} --ctmask {flow:#x}"

    def show(self, numeric: bool) -> str:
        bits = self.bits()
        if bits:
            return f"CONNMARK {mark_action(*bits)}"
        packet, flow = self.masks()
        saves = "save-mark" in self.given
        out = "CONNMARK save" if saves else "CONNMARK restore"
        if packet == flow == words.ALL_ONES:
            return out
        if packet == flow:
            return f"{out} mask {packet:#x}"
        if saves:
            return f"{out} nfmask {packet:#x} ctmask ~{flow:#x}"
        return f"{out} ctmask {flow:#x} nfmask ~{packet:#x}"

    def build(self, shared: Shared) -> nf_target.Target:
        bits = self.bits()
        if bits:
            return nf_target.ConnMark(consts.MARK_SET, bits[0], bits[1], 0)
        packet, flow = self.masks()
        saves = "save-mark" in self.given
        action = consts.MARK_SAVE if saves else consts.MARK_RESTORE
        return nf_target.ConnMark(action, 0, flow, packet)


# --- headers --------------------------------------------------------------------------------------------------


def tos_bits(e: Extension, o: Option, args: Sequence[str]) -> tuple[int, int]:
    """What a TOS option does: (value, mask) for `(tos & ~mask) ^ value`."""
    if o.name == "set-tos":
        found: tuple[int, int] = tos()(e, o, args)
        return found
    value = words.number(args[0], 0, 255)
    if value is None:
        raise RefusedError(
            f'{e.name}: bad value for option "--{o.name}", or out of range (0-255).\n'
        )
    return {"and-tos": (0, value ^ 0xFF), "or-tos": (value, value), "xor-tos": (value, 0)}[o.name]


TOS_NAMES = ("set-tos", "and-tos", "or-tos", "xor-tos")


class TosText(TargetText):
    name = "TOS"
    only = "mangle"
    options = tuple(Option(n, tos_bits, without=others(n, TOS_NAMES)) for n in TOS_NAMES)

    def check(self, spec: Spec) -> None:
        if not self.given:
            raise RefusedError("TOS: An action is required")

    @property
    def bits(self) -> tuple[int, int]:
        found: tuple[int, int] = next(iter(self.given.values()))
        return found

    def save(self) -> str:
        return f" --set-tos 0x{self.bits[0]:02x}/0x{self.bits[1]:02x}"

    def show(self, numeric: bool) -> str:
        value, bits = self.bits
        names = [name for name, number in NAMED_TOS.items() if number == value]
        if not numeric and bits == 0x3F and names:
            return f" TOS set{names[0]}"  # the blank stands where the tool has it
        if not numeric and value == bits:
            return f"TOS or 0x{value:02x}"
        if not numeric and bits == 0:
            return f"TOS xor 0x{value:02x}"
        if not numeric and value == 0:
            return f"TOS and 0x{bits ^ 0xFF:02x}"
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
        "ttl-set": ("set to", consts.TTL_SET),
        "ttl-dec": ("decrement by", consts.TTL_DEC),
        "ttl-inc": ("increment by", consts.TTL_INC),
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

    def hooks_wanted(self) -> frozenset[str]:
        if "clamp-mss-to-pmtu" in self.given:  # there the way is known
            return frozenset(("FORWARD", "OUTPUT", "POSTROUTING"))
        return frozenset()

    def kernel_check(self, spec: Spec, table: str) -> str | None:
        if spec.proto != TCP or spec.proto_not or len(self.given) > 1:
            return "Invalid argument"
        return super().kernel_check(spec, table)

    def save(self) -> str:
        if "set-mss" in self.given:
            return f" --set-mss {self.given['set-mss']}"
        return " --clamp-mss-to-pmtu"

    def show(self, numeric: bool) -> str:
        if "set-mss" in self.given:
            return f"TCPMSS set {self.given['set-mss']}"
        return "TCPMSS clamp to PMTU"

    def build(self, shared: Shared) -> nf_target.Target:
        return nf_target.TcpMss(self.given.get("set-mss", -1))


TARGETS: tuple[type[TargetText], ...] = (
    AcceptText,
    DropText,
    ReturnText,
    RejectText,
    LogText,
    SnatText,
    DnatText,
    MasqueradeText,
    RedirectText,
    NetmapText,
    NotrackText,
    CtText,
    MarkText,
    ConnmarkText,
    TosText,
    DscpText,
    TtlText,
    TcpmssText,
)
