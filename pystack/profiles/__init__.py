"""Operating systems as data: which knobs a system has, their defaults, and how it behaves.

A profile file has a head and three tables:

    title = "FreeBSD 10"
    system = "freebsd"        # whose errno numbers, tools and texts: a key of SYSTEMS
    extends = "…"             # begin with another profile; `absent` lists knobs that are gone
    sizing = "freebsd"        # the arithmetic behind "auto", see `sizing`
    ram = "4 GiB"             # memory of the machine, unless a host is made with another
    tools = "10"              # the release whose formats netstat and its kin print

    [policy]                  # behaviour that no number says: an enumeration of _fast/consts.py
    close_unread = "fin"

    [fixed]                   # what the system has wired in, without a knob: settings of Config
    tcp_rexmit_initial = "3 s"

    [sysctl]                  # every knob of the system with its default, in the order of `sysctl -a`
    "net.inet.tcp.msl" = 30000

A table [messages] has the words of the kernel's log (`kernlog`), where the system has any for it:

    listen_overflow = "sonewconn: pcb {pcb}: Listen queue overflow: {other} already in queue …"

A table [when] may say that a knob is "boot" or "read-only" in this release where later ones can
change it at run time. Anything else is an error with file, line and column.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pystack._fast import consts
from pystack._fast.config import DEFAULTS
from pystack.kernlog import FIELDS
from pystack.profiles.sizing import FOLLOWERS, SIZINGS, Sizes
from pystack.sysctl import values as parsing
from pystack.sysctl.knob import UNITS, Knob, Value
from pystack.sysctl.near import near
from pystack.sysctl.registry import data_files, registry
from pystack.sysctl.strict_toml import Document, TomlError
from pystack.units import format_time, parse_size, parse_time

__all__ = [
    "POLICIES",
    "SYSTEMS",
    "Profile",
    "TomlError",
    "UnknownProfile",
    "behaving",
    "build",
    "compare",
    "defaults",
    "fixed_text",
    "load",
    "names",
    "read",
    "whens",
]

SYSTEMS = ("freebsd", "linux")
TOOLS: Mapping[str, str] = MappingProxyType({"freebsd": "10", "linux": "6"})
"""Whose formats the tools of a profile print that does not say it."""

POLICIES: Mapping[str, str] = MappingProxyType(
    {
        "options": "OPTIONS_",
        "close_unread": "CLOSE_UNREAD_",
        "half_open": "HALF_OPEN_",
        "backlog": "BACKLOG_",
        "overflow_log": "OVERFLOW_LOG_",
        "cookies": "COOKIES_",
        "shut_listener": "SHUT_LISTENER_",
        "dead_child": "DEAD_CHILD_",
        "calls": "CALLS_",
        "sockopt": "SOCKOPT_",
        "syn_give_up": "SYN_GIVE_UP_",
        "simultaneous": "SIMULTANEOUS_",
        "fin_wait_2": "FW2_",
        "fin_wait_2_end": "FW2_END_",
        "delack": "DELACK_",
        "window": "WINDOW_",
        "sack_report": "SACK_REPORT_",
        "push": "PUSH_",
        "nagle": "NAGLE_",
        "persist": "PERSIST_",
        "mbuf_shortage": "MBUF_SHORTAGE_",
        "files": "FILES_",
        "connect_port": "CONNECT_PORT_",
        "timewait": "TIMEWAIT_",
        "recovery": "RECOVERY_",
        "rto": "RTO_",
        "sockbuf": "SOCKBUF_",
        "challenge_ack": "CHALLENGE_",
        "hosts": "HOSTS_",
        "acceptance": "ACCEPTANCE_",
        "icmp_errors": "ICMP_ERRORS_",
        "source_routes": "SOURCE_ROUTES_",
        "shut_rd": "SHUT_RD_",
        "rst_flush": "RST_",
        "ct_hash": "CT_HASH_",
        "ct_evict": "CT_EVICT_",
        "ct_tracker": "CT_TRACKER_",
        "ct_expiry": "CT_EXPIRY_",
        "ct_proc": "CT_PROC_",
        "ct_log": "CT_LOG_",
        "nat_ports": "NAT_PORTS_",
        "ipfw": "IPFW_",
    }
)
"""Policy of a profile -> how its constants in _fast/consts.py begin."""

OF_SYSTEM: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "freebsd": frozenset({"ipfw"}),
        "linux": frozenset(
            {"ct_hash", "ct_evict", "ct_tracker", "ct_expiry", "ct_proc", "ct_log", "nat_ports"}
        ),
    }
)
"""Policies that only one system has: those of its firewall."""

_HEAD: Mapping[str, type] = MappingProxyType(
    {
        "title": str,
        "system": str,
        "doc": str,
        "source": str,
        "extends": str,
        "absent": list,
        "sizing": str,
        "ram": str,
        "policy": dict,
        "fixed": dict,
        "sysctl": dict,
        "when": dict,
        "messages": dict,
        "tools": str,
    }
)


class UnknownProfile(KeyError):
    """There is no profile of this name; the text names those that there are."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Profile:
    """One operating system, complete: nothing of what it extends is left to look up."""

    name: str
    title: str
    system: str
    doc: str
    source: str
    sizing: str
    tools: str
    """Whose formats its tools print: a release of FreeBSD, or of a Linux kernel."""
    ram: int
    """Octets."""
    policy: Mapping[str, str]
    fixed: Mapping[str, int]
    """Settings without a knob, in the units of Config."""
    values: Mapping[str, Value]
    """Name of a knob -> its default, or "auto"."""
    knobs: Mapping[str, Knob]
    """The same names -> what they are."""
    messages: Mapping[str, str]
    """What the kernel's log says of a `consts.Note`, by its name in small letters."""

    def settings(self) -> dict[str, int]:
        """What policies and fixed settings make of a Config."""
        out = {
            f"policy_{name}": constant(POLICIES[name], word) for name, word in self.policy.items()
        }
        return out | dict(self.fixed)

    def sizes(self, ram: int, given: Mapping[str, int]) -> Sizes:
        """The values behind "auto" for this much memory and what the administrator fixed."""
        return SIZINGS[self.sizing](ram, given)

    def followers(self, name: str) -> tuple[str, ...]:
        """Derived knobs that the running system derives anew when this one is written."""
        return FOLLOWERS[self.sizing].get(name, ())

    def find(self, name: str) -> str | None:
        """The name that this system prints for a knob that may be called by another of its names."""
        if name in self.knobs:
            return name
        knob = registry().get(name)
        if knob is not None:
            for known in (knob.name, *knob.aliases):
                if known in self.knobs:
                    return known
        return None

    def explain(self, name: str) -> tuple[list[str], str]:
        """For a knob of other profiles: which have it, and what stands in its place here, or ''."""
        owners = [other for other in names() if other != self.name and load(other).find(name)]
        knob = registry().get(name)
        if knob is None:
            return owners, ""
        wanted = set(knob.attributes)
        alike = [n for n, mine in self.knobs.items() if wanted.intersection(mine.attributes)]
        if alike:
            return owners, f", see {', '.join(alike)}"
        wired = [self.fixed[a] // (UNITS[knob.unit] * knob.scale) for a in wanted & set(self.fixed)]
        if wired and not knob.choices:
            return owners, f", where it is fixed at {wired[0]}{' ' if knob.unit else ''}{knob.unit}"
        return owners, ""

    def describe(self) -> dict[str, object]:
        """All of it as plain values, for tables and JSON; "auto" with what it comes to."""
        sizes = self.sizes(self.ram, {})
        shown = {
            name: parsing.text(sizes[name]) + " (auto)" if value == "auto" else value
            for name, value in self.values.items()
        }
        return {
            "name": self.name,
            "title": self.title,
            "system": self.system,
            "doc": self.doc,
            "source": self.source,
            "ram": self.ram,
            "policy": dict(self.policy),
            "fixed": dict(self.fixed),
            "sysctl": shown,
        }


def constant(prefix: str, word: str) -> int:
    """The number of consts.<PREFIX><WORD>. Raises KeyError."""
    number = getattr(consts, prefix + word.upper().replace("-", "_"), None)
    if type(number) is not int:
        raise KeyError(word)
    return number


def words(prefix: str) -> list[str]:
    """The words that a policy can be set to."""
    found = [name for name in vars(consts) if name.startswith(prefix)]
    return [name.removeprefix(prefix).lower().replace("_", "-") for name in found]


def behaving(profile: Profile, policy: Mapping[str, object]) -> Profile:
    """The same system with other policies. Raises ValueError for one that it has not, or a word that is none of it."""
    for name, word in policy.items():
        if name not in profile.policy:
            raise ValueError(f"{profile.title} has no policy {name!r}{near(name, profile.policy)}")
        known = words(POLICIES[name])
        if word not in known:
            raise ValueError(f"policy {name} is one of {', '.join(known)}, not {word!r}")
    changed = dict(profile.policy) | {name: str(word) for name, word in policy.items()}
    return dataclasses.replace(profile, policy=MappingProxyType(changed))


def names() -> list[str]:
    """The profiles that come with pystack, by name."""
    return sorted(path.stem for path in data_files("profiles"))


def load(name: str) -> Profile:
    """The profile of this name, or in a file of yours (*.toml). Raises UnknownProfile; TomlError if the file is
    wrong, OSError if it cannot be read.
    """
    return read(Path(name)) if name.endswith(".toml") else _shipped(name)


@functools.cache
def _shipped(name: str) -> Profile:
    for path in data_files("profiles"):
        if path.stem == name:
            return read(path)
    known = names()
    raise UnknownProfile(f"no profile {name!r}: there are {', '.join(known)}{near(name, known)}")


def read(path: Path) -> Profile:
    """A profile from a file; it may extend one of pystack's."""
    return build(Document.read(path), path.stem)


def build(document: Document, name: str) -> Profile:
    """The profile that a document describes, checked to the last key. Raises TomlError."""
    data = document.data
    document.only("", data, _HEAD)
    for key, kind in _HEAD.items():
        if key in data:
            document.typed("", data, key, kind)
    base = _base(document)
    head: dict[str, Any] = {}
    for key in ("title", "system", "doc", "source", "sizing", "tools"):
        kept = key in ("system", "sizing", "tools")
        inherited = getattr(base, key) if base is not None and kept else None
        if key == "tools" and inherited is None:
            inherited = TOOLS.get(data.get("system", ""), "")
        head[key] = data.get(key, inherited)
        if head[key] is None:
            raise document.error("", "", f"a profile must have {key!r}")
    if head["system"] not in SYSTEMS:
        raise document.error("", "system", f"system must be one of {', '.join(SYSTEMS)}")
    if re.fullmatch(r"\d+(\.\d+)?", head["tools"]) is None:
        text = f'tools must be a release such as "10" or "9.2", not {head["tools"]!r}'
        raise document.error("", "tools", text)
    if head["sizing"] not in SIZINGS:
        raise document.error("", "sizing", f"sizing must be one of {', '.join(SIZINGS)}")

    policy = dict(base.policy) if base else {}
    fixed = dict(base.fixed) if base else {}
    defaults = dict(base.values) if base else {}
    knobs = dict(base.knobs) if base else {}
    for gone in data.get("absent", []):
        if gone not in defaults:
            text = f"{gone} is no knob of {data.get('extends')}{near(str(gone), defaults)}"
            raise document.error("", "absent", text)
        del defaults[gone], knobs[gone]
    policy |= _policies(document, data.get("policy", {}))
    fixed |= _fixed(document, data.get("fixed", {}))
    ram = _ram(document, data["ram"]) if "ram" in data else (base.ram if base else 4 << 30)
    sizes = SIZINGS[head["sizing"]](ram, {})
    for knob_name, raw in data.get("sysctl", {}).items():
        knobs[knob_name], defaults[knob_name] = _default(document, knob_name, raw, sizes)
    messages = (dict(base.messages) if base else {}) | _messages(document)
    for knob_name, when in data.get("when", {}).items():
        if knob_name not in knobs or when not in ("run", "boot", "read-only"):
            text = f"{knob_name} = {when!r} is no knob of this profile with run, boot, read-only"
            raise document.error("when", knob_name, text)
        knobs[knob_name] = dataclasses.replace(knobs[knob_name], when=when)
    owners = {name: knob.name for knob in knobs.values() for name in knob.attributes}
    for setting in owners.keys() & fixed.keys():
        if setting in data.get("fixed", {}):
            text = f"{setting} is set by the knob {owners[setting]}"
            raise document.error("fixed", setting, text)
        del fixed[setting]  # wired in before, a knob now
    return Profile(
        name=name,
        ram=ram,
        policy=MappingProxyType(policy),
        fixed=MappingProxyType(fixed),
        values=MappingProxyType(defaults),
        knobs=MappingProxyType(knobs),
        messages=MappingProxyType({name: text for name, text in messages.items() if text}),
        **head,
    )


def _base(document: Document) -> Profile | None:
    name = document.data.get("extends")
    if name is None:
        return None
    try:
        return load(name)
    except UnknownProfile as e:
        raise document.error("", "extends", str(e)) from None


def _ram(document: Document, text: str) -> int:
    try:
        return parse_size(text, "ram")
    except ValueError as e:
        raise document.error("", "ram", str(e)) from None


def _policies(document: Document, table: Mapping[str, Any]) -> dict[str, str]:
    document.only("policy", table, POLICIES)
    for name, word in table.items():
        known = words(POLICIES[name])
        if word not in known:
            text = f"{name} is one of {', '.join(known)}, not {word!r}"
            raise document.error("policy", name, text)
    return dict(table)


def _messages(document: Document) -> dict[str, str]:
    """Name of a note -> its words; an empty text takes back what the base has."""
    notes = {note.name.lower(): FIELDS[note] for note in consts.Note}
    table = document.data.get("messages", {})
    document.only("messages", table, notes)
    for name, text in table.items():
        document.typed("messages", table, name, str)
        try:
            fields = {field for _, field, _, _ in string.Formatter().parse(text) if field}
        except ValueError as e:
            raise document.error("messages", name, f"{name}: {e}") from None
        if unknown := fields.difference(notes[name]):
            known = ", ".join(notes[name])
            text = f"{name} has {known}, not {', '.join(sorted(unknown))}"
            raise document.error("messages", name, text)
    return dict(table)


def _fixed(document: Document, table: Mapping[str, Any]) -> dict[str, int]:
    document.only("fixed", table, DEFAULTS)
    out = {}
    for name, raw in table.items():
        if type(raw) is int:
            out[name] = raw
        elif isinstance(raw, str) and type(getattr(consts, raw, None)) is int:
            out[name] = getattr(consts, raw)
        elif isinstance(raw, str):
            try:
                out[name] = parse_size(raw) if re.search("B$", raw) else parse_time(raw)
            except ValueError as e:
                raise document.error("fixed", name, f"{name}: {e}") from None
        else:
            raise document.error("fixed", name, f"{name}: {raw!r} is neither number nor text")
    return out


def _default(document: Document, name: str, raw: object, sizes: Sizes) -> tuple[Knob, Value]:
    """Knob and default of one line of [sysctl]."""
    known = registry()
    knob = known.get(name)
    if knob is None:
        raise document.error("sysctl", name, f"unknown knob {name!r}{near(name, known)}")
    if raw == "auto":
        if name not in sizes:
            raise document.error("sysctl", name, f"nothing derives {name}: give a number")
        return knob, "auto"
    try:
        if isinstance(raw, bool):
            raise ValueError("write 0 or 1")
        value = parsing.parse(knob, raw)
    except ValueError as e:
        raise document.error("sysctl", name, f"{name}: {e}") from None
    numbers = (value,) if isinstance(value, int) else value
    if knob.type == "string":
        if knob.choices and value not in knob.choices:
            raise document.error("sysctl", name, f"{name}: {value!r} is none of its choices")
    else:
        low, high = knob.range
        if not all(isinstance(n, int) and low <= n <= high for n in numbers):
            raise document.error("sysctl", name, f"{name}: {raw} is not in [{low}, {high}]")
    return knob, value


def compare(*profiles: Profile) -> list[tuple[str, str, list[str]]]:
    """What differs: (policy, fixed, sysctl or messages; its name; what it is in each profile, "-" for none).

    Sizes that follow from memory are those of the memory that each profile has.
    """
    tables: list[dict[tuple[str, str], str]] = []
    for profile in profiles:
        described = profile.describe()
        sections = {name: described[name] for name in ("policy", "sysctl")}
        sections["fixed"] = {name: fixed_text(value) for name, value in profile.fixed.items()}
        sections["messages"] = profile.messages
        table: dict[tuple[str, str], str] = {}
        for section, values in sections.items():
            assert isinstance(values, Mapping)
            for name, value in values.items():
                table[section, name] = value if isinstance(value, str) else parsing.text(value)
        tables.append(table)
    every = dict.fromkeys(key for table in tables for key in table)
    rows = [(*key, [table.get(key, "-") for table in tables]) for key in every]
    return sorted(
        (row for row in rows if len(set(row[2])) > 1), key=lambda row: SECTIONS.index(row[0])
    )


def fixed_text(value: int) -> str:
    """A wired-in setting as people write it: whole milliseconds are a time (3s), all else a number."""
    return format_time(value) if value > 0 and value % UNITS["ms"] == 0 else str(value)


SECTIONS = ("policy", "fixed", "sysctl", "messages")
"""What `compare` compares, in its order."""


def whens(name: str) -> dict[str, str]:
    """Profile -> when this knob may change there; profiles without it are left out."""
    every = map(load, names())
    return {p.name: p.knobs[found].when for p in every if (found := p.find(name)) is not None}


def defaults(name: str) -> dict[str, str]:
    """Profile -> what this knob is there when the machine boots; profiles without it are left out."""
    out = {}
    for profile in map(load, names()):
        found = profile.find(name)
        if found is not None:
            value = profile.values[found]
            value = profile.sizes(profile.ram, {})[found] if value == "auto" else value
            out[profile.name] = parsing.text(value)
    return out
