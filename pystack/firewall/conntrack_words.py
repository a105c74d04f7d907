"""The command line of `conntrack`: which words it knows, what it makes of them, and what it says to wrong ones.

Source: conntrack(8) of conntrack-tools 1.4.7, asked in a namespace of its own: each command with each option, and
each value that may be wrong (`python -m tests.kernel.conntrack_words` asks it again). Numbers are read as the C
library reads them: as far as there are digits. `--top`, `--limit` and `-o json` are pystack's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from pystack._fast.consts import PROTO_GRE, PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE
from pystack._fast.ct_states import STATE_NAMES
from pystack._fast.nf_consts import IPS_ASSURED, IPS_EXPECTED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY

HEAD = "conntrack v1.4.7 (conntrack-tools): "
HINT = "Try `conntrack -h' or 'conntrack --help' for more information.\n"
NO_LABELS = "nfct_labelmap_new: No such file or directory\n"
"""There is no file with names of labels."""
Owner = Literal["src", "dst", "sport", "dport", "rule"]
OWNERS: tuple[Owner, ...] = ("src", "dst", "sport", "dport", "rule")
ANY = (0, 0)
"""Any address and port."""


class ToolError(ValueError):
    """The tool printed this on its standard error, and ended with `status`."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text.rstrip("\n"))
        self.status = status
        self.notes = ""
        """What was said before."""


def wrong(text: str) -> ToolError:
    """A parameter problem."""
    return ToolError(f"{HEAD}{text}\n{HINT}", 2)


def failed(text: str) -> ToolError:
    """The kernel refuses."""
    return ToolError(f"{HEAD}Operation failed: {text}\n", 1)


# --- what there is -----------------------------------------------------------------------------------

COMMANDS = {
    "L": ("dump",),
    "I": ("create",),
    "D": ("delete",),
    "U": ("update",),
    "G": ("get",),
    "F": ("flush",),
    "E": ("event",),
    "C": ("count", "counter"),
    "S": ("stats",),
    "A": ("add",),
    "h": ("help",),
    "V": ("version",),
}
OPTIONS = {
    "src": ("s", "src", "orig-src"),
    "dst": ("d", "dst", "orig-dst"),
    "reply-src": ("r", "reply-src"),
    "reply-dst": ("q", "reply-dst"),
    "protonum": ("p", "protonum"),
    "timeout": ("t", "timeout"),
    "status": ("u", "status"),
    "zero": ("z", "zero"),
    "event-mask": ("e", "event-mask"),
    "tuple-src": ("", "tuple-src"),
    "tuple-dst": ("", "tuple-dst"),
    "mask-src": ("", "mask-src"),
    "mask-dst": ("", "mask-dst"),
    "mark": ("m", "mark"),
    "id": ("i", "id"),
    "family": ("f", "family"),
    "src-nat": ("n", "src-nat"),
    "dst-nat": ("g", "dst-nat"),
    "output": ("o", "output"),
    "secmark": ("c", "secmark"),
    "buffer-size": ("b", "buffer-size"),
    "any-nat": ("j", "any-nat"),
    "zone": ("w", "zone"),
    "orig-zone": ("", "orig-zone"),
    "reply-zone": ("", "reply-zone"),
    "label": ("l", "label"),
    "label-add": ("", "label-add"),
    "label-del": ("", "label-del"),
    "nat-range": ("a", "nat-range"),
    "top": ("", "top"),
    "limit": ("", "limit"),
}
"""By the name that messages use, in the order in which they are objected to: short and long spellings."""
FLAGS = {"zero"}
OPTIONAL = {"src-nat", "dst-nat", "any-nat"}
OURS = {"top", "limit"}

_FILTERS = "src dst reply-src reply-dst protonum status mark src-nat dst-nat family zone orig-zone reply-zone label"
ALLOWED = {
    "L": f"{_FILTERS} zero mask-src mask-dst output secmark any-nat",
    "D": f"{_FILTERS} timeout mask-src mask-dst id output",
    "U": "src dst reply-src reply-dst protonum timeout status mark mask-src mask-dst id family src-nat dst-nat "
    "output label label-add label-del",
    "I": "src dst reply-src reply-dst protonum timeout status mark src-nat dst-nat zone orig-zone reply-zone label-add",
    "G": "src dst reply-src reply-dst protonum id output",
    "E": "src dst reply-src reply-dst protonum event-mask mask-src mask-dst mark family src-nat dst-nat output secmark "
    "buffer-size any-nat zone orig-zone reply-zone label",
    "F": "family",
    "L expect": "family output",
    "E expect": "event-mask family output buffer-size",
    "F expect": "family",
}
ALLOWED["A"] = ALLOWED["I"]
REQUIRED = {"I": ("protonum", "timeout"), "A": ("protonum", "timeout"), "G": ("protonum",)}

_PORTS: dict[str, tuple[str, ...]] = {
    "sport": ("sport", "orig-port-src"),
    "dport": ("dport", "orig-port-dst"),
    "reply_sport": ("reply-port-src",),
    "reply_dport": ("reply-port-dst",),
}
_ICMP: dict[str, tuple[str, ...]] = {
    "icmp_type": ("icmp-type",),
    "icmp_code": ("icmp-code",),
    "icmp_id": ("icmp-id",),
}
_KEYS: dict[str, tuple[str, ...]] = {
    "sport": ("srckey",),
    "dport": ("dstkey",),
    "reply_sport": ("reply-key-src",),
    "reply_dport": ("reply-key-dst",),
}
OF_PROTOCOL: dict[int, dict[str, tuple[str, ...]]] = {
    PROTO_TCP: _PORTS | {"state": ("state",)},
    PROTO_UDP: _PORTS,
    PROTO_UDPLITE: _PORTS,
    PROTO_ICMP: _ICMP,
    PROTO_GRE: _KEYS,
}
"""Options that a protocol brings once it is named, by the attribute that they set."""
PROTOCOLS = {
    "ip": 0, "icmp": PROTO_ICMP, "igmp": 2, "ipencap": 4, "tcp": PROTO_TCP, "egp": 8, "udp": PROTO_UDP, "dccp": 33,
    "ipv6": 41, "rsvp": 46, "gre": PROTO_GRE, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58, "ospf": 89,
    "ipip": 94, "pim": 103, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": PROTO_UDPLITE,
}  # fmt: skip
OUTPUTS = ("xml", "extended", "timestamp", "id", "ktimestamp", "labels", "save", "userspace")
STATUS = {
    "ASSURED": IPS_ASSURED,
    "SEEN_REPLY": IPS_SEEN_REPLY,
    "UNSET": 0,
    "FIXED_TIMEOUT": IPS_FIXED_TIMEOUT,
    "EXPECTED": IPS_EXPECTED,
    "OFFLOAD": 0,
    "HW_OFFLOAD": 0,
    "UNREPLIED": -1,
    "SRC_NAT": -2,
    "DST_NAT": -2,
}
EVENTS = ("ALL", "NEW", "UPDATES", "DESTROY")
FAMILIES = ("ipv4", "ipv6")
TABLES = ("conntrack", "expect", "dying", "unconfirmed")


@dataclass(slots=True)
class Asked:
    """A command line as it is understood. None: not asked for."""

    command: str = ""
    table: str = "conntrack"
    given: set[str] = field(default_factory=set)
    """Options by the name that messages use."""
    src: tuple[int, int] | None = None
    dst: tuple[int, int] | None = None
    reply_src: tuple[int, int] | None = None
    reply_dst: tuple[int, int] | None = None
    """Address and mask."""
    proto: int | None = None
    sport: int | None = None
    dport: int | None = None
    reply_sport: int | None = None
    reply_dport: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    state: str | None = None
    timeout: int | None = None
    status: tuple[int, bool] | None = None
    """Bits, and whether nothing may have come back."""
    mark: tuple[int, int] | None = None
    zone: int | None = None
    orig_zone: int | None = None
    reply_zone: int | None = None
    secmark: int = 0
    ident: int | None = None
    buffer: int = 0
    """Octets that a kernel would set aside for events."""
    src_nat: tuple[int, int] | None = None
    dst_nat: tuple[int, int] | None = None
    any_nat: tuple[int, int] | None = None
    """Address (0: any) and port (0: any)."""
    family: str = ""
    events: set[str] = field(default_factory=set)
    output: set[str] = field(default_factory=set)
    top: Owner | None = None
    limit: int = 10
    notes: str = ""
    """What is said on standard error before anything is done."""


# --- values ------------------------------------------------------------------------------------------


def number(text: str, base: int = 10) -> int:
    """As strtoul reads it: digits as far as there are some, else 0."""
    found = re.match(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)", text)
    if found is None:
        return 0
    digits = found[2]
    if digits[:2] in ("0x", "0X"):
        value = int(digits, 16) if base == 0 else 0
    elif base == 0 and digits[0] == "0":
        value = int(re.match(r"0[0-7]*", digits)[0], 8)  # type: ignore[index]
    else:
        value = int(digits)
    return -value if found[1] == "-" else value


def address(text: str) -> int | None:
    """As inet_aton reads an address: one to four numbers, the last of which fills the rest. None: it is none."""
    parts = text.split(".")
    if not 1 <= len(parts) <= 4 or not all(
        re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", part) for part in parts
    ):
        return None
    values = [number(part, 0) for part in parts]
    last = values.pop()
    if any(value > 255 for value in values) or last >= 1 << 8 * (4 - len(values)):
        return None
    for place, value in enumerate(values):
        last |= value << 24 - 8 * place
    return last


def one_of(text: str, names: tuple[str, ...]) -> list[str]:
    """Names that stand between commas, each spelt as far as one likes, in any case."""
    found = []
    for word in text.split(","):
        name = next((n for n in names if word and n.lower().startswith(word.lower())), None)
        if name is None:
            raise wrong(f"Bad parameter `{word}'")
        found.append(name)
    return found


class _Reader:
    """Words one after the other, as getopt_long takes them."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.at = 0
        self.asked = Asked()
        self.options: dict[str, str] = {}
        for name, (short, *long) in OPTIONS.items():
            if short:
                self.options[f"-{short}"] = name
            self.options.update((f"--{spelt}", name) for spelt in long)
        for letter, spellings in COMMANDS.items():
            self.options[f"-{letter}"] = f"-{letter}"
            self.options.update((f"--{spelt}", f"-{letter}") for spelt in spellings)
        self.special: dict[str, str] = {}
        """Of the protocol: spelling -> attribute."""
        self.masks: dict[str, int] = {}
        """--mask-src and --mask-dst."""

    def next(self, name: str) -> str:
        """The value of an option."""
        if self.at >= len(self.words):
            raise wrong(f"option `{name}' requires an argument")
        self.at += 1
        return self.words[self.at - 1]

    def further(self) -> str | None:
        """A word that may belong to what stood before, if it is no option."""
        if self.at < len(self.words) and not self.words[self.at].startswith("-"):
            self.at += 1
            return self.words[self.at - 1]
        return None

    def full(self, word: str) -> str:
        """The option that a long spelling, perhaps cut short, means."""
        known = [*self.options, *(f"--{spelt}" for spelt in self.special)]
        if word in known:
            return word
        fits = [name for name in known if name.startswith(word)]
        meant = {self.options.get(name) or self.special.get(name[2:]) for name in fits}
        if len(meant) != 1:
            raise wrong(f"unknown option `{word}'")
        return fits[0]

    def read(self) -> Asked:
        """All of them."""
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            if word == "--":
                break
            if word.startswith("--"):
                spelt, equals, value = word.partition("=")
                spelt = self.full(spelt)
                if equals:
                    self.words.insert(self.at, value)
                self.take(spelt)
            elif word.startswith("-") and len(word) > 1:
                self.cluster(word)
        return self.asked

    def cluster(self, word: str) -> None:
        """Short options in one word; what is behind one that has a value is this value."""
        for place in range(1, len(word)):
            spelt = f"-{word[place]}"
            name = self.options.get(spelt)
            if name is None:
                raise wrong(f"unknown option `{spelt}'")
            rest = word[place + 1 :]
            if name not in FLAGS and not name.startswith("-") and rest:
                self.words.insert(self.at, rest)
                self.take(spelt)
                return
            self.take(spelt, more=bool(rest))

    def take(self, spelt: str, *, more: bool = False) -> None:
        """One option, and its value if it has one."""
        if spelt[2:] in self.special:
            self.of_protocol(self.special[spelt[2:]], self.next(spelt))
            return
        name = self.options[spelt]
        if name.startswith("-"):
            if self.asked.command:
                raise wrong("Invalid commands combination")
            self.asked.command = name[1:]
            table = None if more else self.further()
            if table is not None:
                if table not in TABLES:
                    raise wrong(f"unknown type `{table}'")
                self.asked.table = table
                if table in TABLES[2:] and name != "-L":
                    raise wrong("Can't do that command with tables `dying' and `unconfirmed'")
            return
        if name in FLAGS:
            self.asked.given.add(name)
        elif name in OPTIONAL:
            self.asked.given.add(name)
            self.translated(name, self.further())
        else:
            self.value(name, self.next(spelt))

    # --- what an option says -------------------------------------------------------------------------

    def value(self, name: str, text: str) -> None:
        """An option and its value."""
        a = self.asked
        if name not in OURS and not (name == "output" and text == "json"):
            a.given.add(name)
        match name:
            case "src" | "dst" | "reply-src" | "reply-dst":
                self.end(name, text)
            case "mask-src" | "mask-dst" | "tuple-src" | "tuple-dst":
                mask = address(text)
                if mask is None:
                    raise wrong(f"Invalid IP address `{text}'")
                self.mask(name, mask)
            case "protonum":
                self.protocol(text)
            case "timeout":
                a.timeout = min(number(text) & 0xFFFFFFFF, 8589934)
            case "status":
                self.status(text)
            case "event-mask":
                a.events.update(one_of(text, EVENTS))
            case "mark":
                value, slash, mask_text = text.partition("/")
                a.mark = (
                    number(value, 0) & 0xFFFFFFFF,
                    number(mask_text, 0) & 0xFFFFFFFF if slash else 0xFFFFFFFF,
                )
            case "zone":
                a.zone = number(text, 0) & 0xFFFF
            case "orig-zone":
                a.orig_zone = number(text, 0) & 0xFFFF
            case "reply-zone":
                a.reply_zone = number(text, 0) & 0xFFFF
            case "secmark":
                a.secmark = number(text)
            case "family":
                if text not in FAMILIES:
                    raise wrong(f"`{text}' unsupported protocol")
                self.of_family(text)
            case "output":
                a.output.update(["json"] if text == "json" else one_of(text, OUTPUTS))
                if "labels" in a.output and NO_LABELS not in a.notes:
                    a.notes += NO_LABELS
            case "label" | "label-add" | "label-del":
                a.notes += NO_LABELS
                raise wrong(f"unknown label '{text}'")
            case "buffer-size":
                a.buffer = 2 * number(text)
            case "nat-range":
                a.given.discard(name)
                a.notes += "WARNING: ignoring -a, deprecated option.\n"
            case "id":
                a.ident = number(text)
            case "top":
                a.top = next((owner for owner in OWNERS if owner == text), None)
                if a.top is None:
                    raise wrong(f"Bad parameter `{text}'")
            case "limit":
                a.limit = number(text)

    def of_family(self, family: str) -> None:
        """Addresses are of one family."""
        if self.asked.family and self.asked.family != family:
            raise wrong("mismatched address family")
        self.asked.family = family

    def end(self, name: str, text: str) -> None:
        """An address, perhaps with the length of its mask."""
        host, _, prefix = text.partition("/")
        value = self.host(host)
        length = 32
        if prefix and name.startswith("reply"):
            raise wrong(f"CIDR notation unavailable for `--{name}'")
        if prefix:
            if not prefix.isdecimal() or int(prefix) > 32:
                raise wrong("Invalid netmask")
            length = int(prefix)
        mask = 0xFFFFFFFF << 32 - length & 0xFFFFFFFF
        if length < 32 and name in ("src", "dst"):
            self.asked.given.add(f"mask-{name}")
        setattr(self.asked, name.replace("-", "_"), (value & mask, mask))

    def host(self, text: str) -> int:
        """An address alone. One of IPv6 is fine, and no flow here has it."""
        value = address(text)
        if value is None and re.fullmatch(r"[0-9a-fA-F:]*:[0-9a-fA-F:.]*", text):
            self.of_family("ipv6")
            return 0
        if value is None:
            raise wrong(f"Invalid IP address `{text}'")
        self.of_family("ipv4")
        return value

    def mask(self, name: str, mask: int) -> None:
        """--mask-src and --mask-dst belong to an address that was given before or comes later."""
        if name.startswith("mask-"):
            self.masks[name.removeprefix("mask-")] = mask

    def protocol(self, text: str) -> None:
        """A protocol by name or number, and its options from now on."""
        proto = PROTOCOLS.get(text.lower())
        if proto is None:
            if not text.isdecimal() or int(text) > 255:
                raise wrong(f"`{text}' unsupported protocol")
            proto = int(text)
        self.asked.proto = proto
        self.special = {
            spelt: name
            for name, spellings in OF_PROTOCOL.get(proto, {}).items()
            for spelt in spellings
        }

    def of_protocol(self, name: str, text: str) -> None:
        """An option that the protocol has brought."""
        if name == "state":
            if text not in (*STATE_NAMES, "LISTEN"):
                raise wrong(f"unknown TCP state `{text}'")
            self.asked.state = "SYN_SENT2" if text == "LISTEN" else text
            return
        most = 0xFF if name in ("icmp_type", "icmp_code") else 0xFFFF
        setattr(self.asked, name, number(text, 0 if self.asked.proto == PROTO_GRE else 10) & most)

    def status(self, text: str) -> None:
        """Bits that are to be set, by name."""
        bits, unreplied = self.asked.status or (0, False)
        nothing = False
        for word in one_of(text, tuple(STATUS)):
            value = STATUS[word]
            if value == -2:
                self.asked.notes += (
                    f"WARNING: ignoring {word}, use --{word.lower().replace('_', '-')} instead\n"
                )
            if value == -1:
                unreplied = True
            nothing = nothing or value in (-2, 0)
            bits |= max(value, 0)
        self.asked.status = (bits, unreplied)
        if nothing and not bits and not unreplied:
            self.asked.given.add("no status")

    def translated(self, name: str, text: str | None) -> None:
        """--src-nat, --dst-nat, --any-nat: translated at all, or to an address, or to an address and port."""
        place = name.replace("-", "_")
        if text is None:
            setattr(self.asked, place, ANY)
            return
        if "/" in text:
            raise wrong(f"CIDR notation unavailable for `--{name}'")
        host, colon, port = text.partition(":")
        if text.count(":") > 1:
            host, colon = text, ""
        value = self.host(host)
        if colon and (not port.isdecimal() or int(port) > 65535):
            raise wrong(f"Invalid port `{port}'")
        setattr(self.asked, place, (value, int(port) if colon else 0))


def parse(words: list[str]) -> Asked:
    """What was asked for. Raises `ToolError` with what the tool says to it."""
    reader = _Reader([*words])
    try:
        asked = reader.read()
        _check(asked, reader)
    except ToolError as error:
        error.notes = reader.asked.notes
        raise
    return asked


def _check(asked: Asked, reader: _Reader) -> None:
    """Is everything there that has to be, and nothing else?"""
    given = asked.given
    if asked.top is not None and not asked.command:
        return  # filters as those of -L
    place = f"{asked.command} expect" if asked.table == "expect" else asked.command
    for name in REQUIRED.get(place, ()):
        if name not in given:
            raise wrong(f"You need to supply the `--{name}' option for this command")
    for end, mask in reader.masks.items():
        old = getattr(asked, end)
        if old is not None:
            setattr(asked, end, (old[0] & mask, old[1] & mask))
    if place in ("I", "A", "G"):
        _complete(asked, given)
    allowed = ALLOWED.get(place, "").split()
    for name in OPTIONS:
        if name in given and name not in allowed:
            raise wrong(f"Illegal option `--{name}' with this command")
    for end in ("src", "dst"):
        if f"mask-{end}" in given and end not in given and asked.table == "conntrack":
            raise wrong(f"Can't use --mask-{end} without --{end}")
    if "zero" in given and given - {"zero", "output", "family"}:
        raise wrong("Can't use -z with filtering parameters")


def _complete(asked: Asked, given: set[str]) -> None:
    """Who makes or asks for one flow has to say all of it."""
    if not ({"src", "dst"} <= given or {"reply-src", "reply-dst"} <= given):
        raise wrong("you have to specify `--src' and `--dst'")
    back = not {"src", "dst"} <= given
    if asked.proto in (PROTO_TCP, PROTO_UDP, PROTO_UDPLITE, PROTO_GRE):
        names = ("reply_sport", "reply_dport") if back else ("sport", "dport")
        if any(getattr(asked, name) is None for name in names):
            first, second = ("srckey", "dstkey") if asked.proto == PROTO_GRE else ("sport", "dport")
            raise wrong(f"you have to specify `--{first}' and `--{second}'")
    if asked.proto == PROTO_ICMP:
        for name in ("icmp_type", "icmp_code"):
            if getattr(asked, name) is None:
                option = name.replace("_", "-")
                raise wrong(f"You need to supply the `--{option}' option for this command")
    if asked.proto == PROTO_TCP and asked.command != "G" and asked.state is None:
        raise wrong("You need to supply the `--state' option for this command")
