"""The targets of iptables that change a packet or its flow, as text: marks, TOS and DSCP, TTL, the MSS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pystack._fast import nf_consts, nf_target
from pystack.firewall import words
from pystack.firewall.errors import RefusedError
from pystack.firewall.extension import (
    Extension,
    Option,
    TargetText,
    flag,
    mark,
    mask,
    whole,
)
from pystack.firewall.matches import TOS_NAMES as NAMED_TOS
from pystack.firewall.matches import dscp_class, tos
from pystack.firewall.protocols import TCP

if TYPE_CHECKING:
    from pystack.firewall.spec import Spec
    from pystack.firewall.tables import Shared


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


MANGLE_TARGETS: tuple[type[TargetText], ...] = (
    MarkText,
    ConnmarkText,
    TosText,
    DscpText,
    TtlText,
    TcpmssText,
)
"""All of them."""
