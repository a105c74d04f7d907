"""`iptables -L` and `iptables -S`: tables as text."""

from __future__ import annotations

from pystack._fast import nf_hook
from pystack.addresses import dotted
from pystack.firewall import words
from pystack.firewall.spec import Spec
from pystack.firewall.tables import Draft, Entry

POLICY_NAMES = {nf_hook.NF_ACCEPT: "ACCEPT", nf_hook.NF_DROP: "DROP"}


def count_text(value: int, exact: bool) -> str:
    """A counter in five places, or with `exact` in eight."""
    if exact:
        return f"{value:8d}"
    if value <= 99999:
        return f"{value:5d}"
    for letter in "KMGT":
        value = (value + 500) % (1 << 64) // 1000
        if value <= 9999 or letter == "T":
            return f"{value:4d}{letter}"
    raise AssertionError


def address_text(addr: int, mask: int, inverted: bool, numeric: bool) -> str:
    """An address in its column, its sign before it."""
    sign = "!" if inverted else " "
    if not mask and not inverted:
        said = "0.0.0.0/0" if numeric else "anywhere"
    else:
        said = words.masked(addr, mask, slash_32=False)
        if not numeric:
            said = said.replace(dotted(addr), words.named(addr), 1)
    return f"{sign}{said:<19} "


def face_text(name: str, inverted: bool, numeric: bool) -> str:
    """An interface in its column."""
    if not name or (name == "+" and not inverted):
        return "*" if numeric else "any"
    return ("!" if inverted else "") + name


def rule_line(spec: Spec, entry: Entry, number: int, given: list[str]) -> str:
    """One rule of a listing."""
    numeric, verbose, exact = "n" in given, "v" in given, "x" in given
    out = f"{number:<4d} " if "0" in given else ""
    if verbose:
        out += f"{count_text(entry.packets, exact)} {count_text(entry.octets, exact)} "
    name = spec.chain or (spec.target.listed_as if spec.target else "")
    proto = str(spec.proto) if numeric else words.protocol_text(spec.proto) if spec.proto else "all"
    out += name + " " * (9 - len(name.encode())) + f" {'!' if spec.proto_not else ' '}{proto:<4} "
    out += FRAGMENTS[spec.fragment] + " "
    if verbose:
        faces = (
            face_text(spec.face_in, spec.face_in_not, numeric),
            face_text(spec.face_out, spec.face_out_not, numeric),
        )
        out += "".join(" " + face + " " * (6 - len(face.encode())) for face in faces) + " "
    out += address_text(spec.src, spec.src_mask, spec.src_not, numeric)
    out += address_text(spec.dst, spec.dst_mask, spec.dst_not, numeric)
    if spec.goes:
        out += "[goto] "
    return out + _shown(spec, numeric)


def rule_words(spec: Spec) -> str:
    """One rule as -v repeats it."""
    name = spec.chain or (spec.target.listed_as if spec.target else "")
    proto = words.protocol_text(spec.proto) if spec.proto else "all"
    faces = (
        face_text(spec.face_in, spec.face_in_not, True),
        face_text(spec.face_out, spec.face_out_not, True),
    )
    ends = []
    for addr, mask, no in (
        (spec.src, spec.src_mask, spec.src_not),
        (spec.dst, spec.dst_mask, spec.dst_not),
    ):
        said = words.masked(addr, mask, slash_32=False) if mask or no else "0.0.0.0/0"
        ends.append(("!" if no else " ", said))
    out = f"{name} {'!' if spec.proto_not else ' '}{proto} opt {FRAGMENTS[spec.fragment]} "
    out += f"in {faces[0]} out {faces[1]} {''.join(ends[0])} {ends[1][0]}-> {ends[1][1]}  "
    return out + ("[goto] " if spec.goes else "") + _shown(spec, True)


FRAGMENTS = {0: "--", 1: "-f", 2: "!f"}


def _shown(spec: Spec, numeric: bool) -> str:
    """What its matches and its target say, each with a blank before it."""
    shown = [match.show(numeric) for match in spec.matches if match.save() or not match.unsaid]
    if spec.target is not None:
        shown.append(spec.target.show(numeric))
    return "".join(f" {part}" for part in shown if part)


def header(draft: Draft, name: str, given: list[str]) -> str:
    """The two lines above the rules of a chain."""
    exact, verbose = "x" in given, "v" in given
    chain = draft.chains[name]
    if draft.standing(name):
        policy = f"policy {POLICY_NAMES[chain.policy]}"
        if verbose:
            counts = [count_text(n, exact).strip() for n in (chain.packets, chain.octets)]
            policy += f" {counts[0]} packets, {counts[1]} bytes"
    else:
        policy = f"{draft.references(name)} references"
    line = "num  " if "0" in given else ""
    if verbose:
        line += "    pkts      bytes " if exact else " pkts bytes "
    line += "target     prot opt "
    if verbose:
        line += "in     out     "
    return f"Chain {name} ({policy})\n{line}source               destination         "


def listed(draft: Draft, chain: str, number: int, given: list[str]) -> str:
    """`iptables -L [CHAIN [NUMBER]]`."""
    if number:
        entries = draft.chain(chain).entries
        if number > len(entries):
            return ""
        return rule_line(entries[number - 1].spec, entries[number - 1], number, given) + "\n"
    blocks = []
    for name in [chain] if chain else draft.ordered():
        lines = [header(draft, name, given)]
        entries = draft.chains[name].entries
        lines += [rule_line(e.spec, e, n, given) for n, e in enumerate(entries, 1)]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def rules_listed(draft: Draft, chain: str, number: int, given: list[str]) -> str:
    """`iptables -S [CHAIN [NUMBER]]`."""
    verbose = "v" in given
    names = [chain] if chain else draft.ordered()
    lines = []
    if not number:
        for name in names:
            one = draft.chains[name]
            if draft.standing(name):
                counts = f" -c {one.packets} {one.octets}" if verbose else ""
                lines.append(f"-P {name} {POLICY_NAMES[one.policy]}{counts}")
            else:
                lines.append(f"-N {name}")
    for name in names:
        for n, entry in enumerate(draft.chains[name].entries, 1):
            if number in (0, n):
                counts = f" -c {entry.packets} {entry.octets}" if verbose else ""
                lines.append(f"-A {name}{entry.spec.save(counts)}")
    return "".join(f"{line}\n" for line in lines)
