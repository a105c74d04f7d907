"""sysctl.conf and loader.conf as their systems read them, with the place of each line.

FreeBSD: `name=value` or `name: value`, `#` begins a comment anywhere outside quotes (sbin/sysctl).
Linux: `name = value`, comments only as whole lines (`#` or `;`), `-` before a name means that a
failure does not matter, `/` may stand for `.` (procps). loader.conf: `name="value"`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pystack.sysctl.errors import KnobError


class ConfError(KnobError, ValueError):
    """A line of a configuration file that is no assignment."""


@dataclass(frozen=True, slots=True)
class Line:
    """One assignment of a configuration file."""

    name: str
    value: str
    where: str
    """file:line:column of the name."""
    number: int
    """The line, counted from 1."""
    forgiving: bool = False
    """Linux's leading `-`: a failure is not worth an error."""


_ASSIGNMENT = re.compile(r"(?P<name>[^=:\s]+)\s*[=:]\s*(?P<value>.*)")
_LINUX_ASSIGNMENT = re.compile(r"(?P<dash>-?)(?P<name>[^=\s]+)\s*=\s*(?P<value>.*)")
_LOADER_ASSIGNMENT = re.compile(
    r"""(?P<name>[A-Za-z0-9_.\-]+)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s"#]+))\s*(?:\#.*)?"""
)


def _before_comment(line: str) -> str:
    """What stands before a `#` that is in no quotes."""
    quote = ""
    for at, c in enumerate(line):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c == "#" and (at == 0 or line[at - 1] != "\\"):
            return line[:at]
    return line


def _unquote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _place(name: str, number: int, line: str) -> str:
    return f"{name}:{number}:{len(line) - len(line.lstrip()) + 1}"


def dotted(name: str) -> str:
    """A Linux name with `/` between its parts, as a path under /proc/sys, in dots."""
    slash, dot = name.find("/"), name.find(".")
    if slash < 0 or 0 <= dot < slash:
        return name
    return name.translate(str.maketrans("/.", "./"))


def parse_sysctl_conf(text: str, system: str, name: str = "sysctl.conf") -> list[Line]:
    """The assignments of a sysctl.conf in order. Raises ConfError at a line that is none."""
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        where = _place(name, number, line)
        if system == "linux":
            body = line.strip()
            if not body or body[0] in "#;":
                continue
            match = _LINUX_ASSIGNMENT.fullmatch(body)
        else:
            body = _before_comment(line).strip()
            if not body:
                continue
            match = _ASSIGNMENT.fullmatch(body)
        if match is None:
            raise ConfError("", f"not `name=value`: {body!r}", where)
        found = match.groupdict()
        knob = dotted(found["name"]) if system == "linux" else found["name"]
        value = _unquote(found["value"].strip())
        out.append(Line(knob, value, where, number, bool(found.get("dash"))))
    return out


def parse_loader_conf(text: str, name: str = "loader.conf") -> list[Line]:
    """The variables of a loader.conf in order. Raises ConfError at a line that sets none."""
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        body = line.strip()
        if not body or body[0] == "#":
            continue
        where = _place(name, number, line)
        match = _LOADER_ASSIGNMENT.fullmatch(body)
        if match is None:
            raise ConfError("", f'not `name="value"`: {body!r}', where)
        value = match["quoted"] if match["quoted"] is not None else match["bare"]
        out.append(Line(match["name"], value, where, number))
    return out


_ELSEWHERE = {
    "freebsd": (
        "compat. debug. dev. hw. kern. kstat. machdep. p1003_1b. security. user. vfs. vm. "
        "net.bpf. net.graph. net.inet6. net.isr. net.key. net.link. net.local. net.my_fibnum "
        "net.pf. net.raw. net.route. net.wlan. "
        "net.inet.accf. net.inet.ah. net.inet.carp. net.inet.esp. net.inet.igmp. "
        "net.inet.ip.dummynet. net.inet.ip.fw. net.inet.ip.mcast. net.inet.ipcomp. "
        "net.inet.ipip. net.inet.ipsec. net.inet.raw. net.inet.sctp. net.inet.divert."
    ),
    "linux": (
        "abi. crypto. debug. dev. fs. kernel. sunrpc. user. vm. "
        "net.bridge. net.ipv6. net.mptcp. net.sctp. net.unix. "
        "net.ipv4.cipso net.ipv4.conf. net.ipv4.fib_ net.ipv4.igmp_ net.ipv4.inet_peer_ "
        "net.ipv4.neigh. net.ipv4.nexthop net.ipv4.ping_group_range net.ipv4.raw_ "
        "net.ipv4.route. net.ipv4.xfrm4_ net.core.bpf_ net.core.busy_ net.core.dev_weight "
        "net.core.fb_tunnels net.core.gro_ net.core.rps_ net.core.xfrm_"
    ),
}
_ELSEWHERE_BUT = {"freebsd": ("kern.ipc.", "kern.maxfiles", "kern.maxusers"), "linux": ()}


def elsewhere(name: str, system: str) -> bool:
    """Does the name belong to a part of the system that pystack does not play (disks, IPv6, …)?

    Such lines of a real configuration file are accepted with a `NoEffect` warning, because nobody
    here can tell whether they are misspelt.
    """
    trees = tuple(_ELSEWHERE.get(system, "").split())
    return name.startswith(trees) and not name.startswith(_ELSEWHERE_BUT.get(system, ()))
