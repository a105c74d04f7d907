"""The options of the tools, from a script's head or a command line, and what they come to.

A script's own are applied first, the command line's after them, so those win. What a tool knows but this
player does not have, or nobody knows, is listed in `Settings.missing`: such a script is skipped, not played
as if the option were not there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pystack.packetdrill.parse import predefined
from pystack.packetdrill.script import Script
from pystack.packetdrill.source import ScriptError

__all__ = ["OptionError", "Settings", "check", "settings"]


class OptionError(ValueError):
    """`--name` needs something else for its value."""

    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(f"--{name}: expected {expected}, found `{'' if value is None else value}`")
        self.name, self.value, self.expected = name, value, expected


@dataclass(frozen=True, slots=True)
class Settings:
    """How one script is played. Names and defaults are the tools'."""

    tolerance_usecs: int = 4000
    tolerance_percent: float = 12.5
    """Of the time since the event before; the larger of both counts. 5 in the FreeBSD dialect."""
    ip_version: str = "ipv4"
    local_ip: str = "192.168.0.1"
    remote_ip: str = "192.0.2.1"
    gateway_ip: str = "192.168.0.2"
    netmask_ip: str = "255.255.0.0"
    bind_port: int = 8080
    connect_port: int = 8080
    mtu: int = 1500
    mss: int = 0
    """Inbound segments of more payload are one super-segment of such pieces; 0: none is."""
    tcp_ts_ecr_scaled: bool = False
    tcp_ts_tick_usecs: int = 0
    """Microseconds of a tick of the machine's timestamps; 0: outbound values are not looked at."""
    strict_segments: bool = False
    """Nothing is glued: every segment is one line. Always so in the FreeBSD dialect."""
    strict: bool = False
    """Packets behind the last line are a failure."""
    non_fatal: frozenset[str] = frozenset()
    """"packet", "syscall": mismatches of these are warnings."""
    init_scripts: tuple[str, ...] = ()
    udp_encapsulation: str = ""
    tcp_md5_secret: str = ""
    dry_run: bool = False
    missing: tuple[str, ...] = ()
    """Options as written that the player does not have."""


_HARMLESS = set("define profiles speed verbose debug send_omit_free is_anyip code_format".split())
"""They change nothing here: how loud a tool is, its threads, and its addresses on a real machine."""


def _int(low: int, high: int) -> tuple[Callable[[str], int], str]:
    def read(text: str) -> int:
        value = int(text, 0 if text.lower().startswith("0x") else 10)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return read, f"a number from {low} to {high}"


def _one_of(*names: str) -> tuple[Callable[[str], str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(text)
        return text

    return read, f"one of {', '.join(names)}"


def _percent(text: str) -> float:
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", text):
        raise ValueError(text)
    return float(text)


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _flag(text: str) -> bool:
    return {"": True, "1": True, "true": True, "0": False, "false": False}[text.lower()]


def _non_fatal(text: str) -> frozenset[str]:
    found = frozenset(text.split(","))
    if not found <= {"packet", "syscall"}:
        raise ValueError(text)
    return found


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "tolerance_usecs": _int(0, 10**12),
    "tolerance_percent": (_percent, "a percentage"),
    "ip_version": _one_of("ipv4", "ipv6", "ipv4-mapped-ipv6", "ipv4_mapped_ipv6"),
    "local_ip": (_address, "an IP address"),
    "remote_ip": (_address, "an IP address"),
    "gateway_ip": (_address, "an IP address"),
    "netmask_ip": (_address, "a netmask such as 255.255.0.0"),
    "bind_port": _int(0, 0xFFFF),
    "connect_port": _int(0, 0xFFFF),
    "mtu": _int(68, 0xFFFF),
    "mss": _int(0, 0xFFFF),
    "tcp_ts_ecr_scaled": (_flag, "nothing"),
    "tcp_ts_tick_usecs": _int(0, 10**9),
    "strict_segments": (_flag, "nothing"),
    "strict": (_flag, "nothing"),
    "non_fatal": (_non_fatal, "packet, syscall or packet,syscall"),
    "init_scripts": (lambda text: tuple(text.split(",")), "names of files"),
    "udp_encapsulation": _one_of("tcp", "sctp"),
    "tcp_md5_secret": (str, "a secret"),
    "dry_run": (_flag, "nothing"),
}
assert set(_READERS) == {field.name for field in fields(Settings)} - {"missing"}


def check(name: str, value: str | int | None) -> Any:
    """The value of a setting as its type. Raises OptionError, and KeyError for one that is no setting."""
    reader, expected = _READERS[name]
    try:
        return reader("" if value is None else str(value))
    except (ValueError, KeyError):
        raise OptionError(name, value, expected) from None


def settings(
    script: Script,
    options: Mapping[str, str | int | None] | None = None,
    *,
    profile: str = "",
) -> Settings:
    """What the script's options and then `options`, those of the command line, come to.

    The profile says the dialect, hence gluing and the default of tolerance_percent. Raises ScriptError for
    a value of the script's that makes no sense, OptionError for one of the others.
    """
    found: dict[str, Any] = {}
    missing: list[str] = []
    if "FreeBSD" in predefined(profile):
        found |= {"tolerance_percent": 5.0, "strict_segments": True}
    for option in script.options:
        if option.name in _READERS:
            try:
                found[option.name] = check(option.name, option.value)
            except OptionError as error:
                place = option.place
                text = f"--{option.name}" + _equals(option.value)
                raise ScriptError(
                    script.path, place.line, place.column, text, error.expected
                ) from None
        elif option.name not in _HARMLESS:
            missing.append(f"--{option.name}" + _equals(option.value))
    for name, value in (options or {}).items():
        if name in _READERS:
            found[name] = check(name, value)
        elif name not in _HARMLESS:
            missing.append(f"--{name}" + _equals(value))
    return Settings(**found, missing=tuple(missing))


def _equals(value: object) -> str:
    return "" if value is None else f"={value}"
