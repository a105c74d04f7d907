"""One rule of iptables as it was written: what `-S` and `-L` print, and what the core's `Rule` is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pystack._fast.nf_consts import GOTO, JUMP
from pystack._fast.nf_rules import Face, Rule
from pystack._fast.nf_target import Target
from pystack.firewall import words
from pystack.firewall.extension import MatchText, TargetText
from pystack.firewall.mangle_targets import MANGLE_TARGETS
from pystack.firewall.matches import MATCHES
from pystack.firewall.nat_targets import NAT_TARGETS
from pystack.firewall.protocols import PROTOCOLS, PortText
from pystack.firewall.rates import RATES
from pystack.firewall.targets import TARGETS

if TYPE_CHECKING:
    from pystack.firewall.tables import Shared

MATCH_NAMES: dict[str, type[MatchText]] = {m.name: m for m in (*PROTOCOLS, *MATCHES, *RATES)}
TARGET_NAMES: dict[str, type[TargetText]] = {
    t.name: t for t in (*TARGETS, *MANGLE_TARGETS, *NAT_TARGETS)
}


@dataclass
class Spec:
    """What a rule says. `chain`: where a jump or goto leads; `target`: what else it does; neither: it only counts."""

    src: int = 0
    src_mask: int = 0
    src_not: bool = False
    dst: int = 0
    dst_mask: int = 0
    dst_not: bool = False
    face_in: str = ""
    face_in_not: bool = False
    face_out: str = ""
    face_out_not: bool = False
    proto: int = 0
    proto_not: bool = False
    fragment: int = 0
    matches: list[MatchText] = field(default_factory=list)
    target: TargetText | None = None
    chain: str = ""
    goes: bool = False
    line: int = 0

    def join(self) -> None:
        """Put matches together that the kernel's form has together."""
        kept: list[MatchText] = []
        for match in self.matches:
            if not any(isinstance(m, PortText) and m.takes_in(match) for m in kept):
                kept.append(match)
        self.matches = kept

    def save(self, counters: str = "") -> str:
        """The words after `-A CHAIN`, each with a space before it; `counters` stand before the target."""
        out = ""
        for name, addr, mask, no in (
            ("-s", self.src, self.src_mask, self.src_not),
            ("-d", self.dst, self.dst_mask, self.dst_not),
        ):
            if mask or no:
                out += f"{' !' if no else ''} {name} {words.masked(addr, mask, slash_32=True)}"
        for name, face, no in (
            ("-i", self.face_in, self.face_in_not),
            ("-o", self.face_out, self.face_out_not),
        ):
            if face and (face != "+" or no):
                out += f"{' !' if no else ''} {name} {face}"
        if self.proto:
            out += f"{' !' if self.proto_not else ''} -p {words.protocol_text(self.proto)}"
        if self.fragment:
            out += " -f" if self.fragment == 1 else " ! -f"
        for match in self.matches:
            said = match.save()
            if said or not match.unsaid:
                out += f" -m {match.name}{said}"
        out += counters
        if self.chain:
            out += f" {'-g' if self.goes else '-j'} {self.chain}"
        elif self.target is not None:
            out += f" -j {self.target.name}{self.target.save()}"
        return out

    def equals(self, other: Spec) -> bool:
        """Do both say the same?"""
        return self.save() == other.save()

    def renamed(self, old: str, new: str) -> Spec:
        """The same after a chain was renamed."""
        return replace(self, chain=new) if self.chain == old else self

    @property
    def tracks(self) -> bool:
        """Does it need conntrack?"""
        return any(m.tracks for m in self.matches) or (
            self.target is not None and self.target.tracks
        )

    def may_stand(self, base: str, *, straight: bool) -> bool:
        """May a packet of this built-in chain meet the rule? `straight`: the rule stands in that chain itself."""
        for part in (*self.matches, self.target):
            wanted = part.hooks_wanted() if part is not None and straight else None
            allowed = part.hooks if isinstance(part, TargetText) else None
            if (wanted and base not in wanted) or (allowed and base not in allowed):
                return False
        return True

    def build(self, shared: Shared) -> Rule:
        """The rule for the core. Where a jump leads is set when its table is complete."""
        rule = Rule(self)
        rule.src, rule.src_mask, rule.src_not = self.src, self.src_mask, self.src_not
        rule.dst, rule.dst_mask, rule.dst_not = self.dst, self.dst_mask, self.dst_not
        rule.proto, rule.proto_not = self.proto, self.proto_not
        rule.fragment = self.fragment
        if self.face_in and (self.face_in != "+" or self.face_in_not):
            rule.face_in = Face(self.face_in, self.face_in_not)
        if self.face_out and (self.face_out != "+" or self.face_out_not):
            rule.face_out = Face(self.face_out, self.face_out_not)
        rule.link([match.build(shared) for match in self.matches])
        if self.chain:
            rule.target = Target(GOTO if self.goes else JUMP)
        elif self.target is not None:
            rule.target = self.target.build(shared)
        return rule
