"""The operator's commands by name: which tool a system has, what its options show, and how it ends.

`show` is for Python and raises; `run` is for the command line and answers what the tool prints and its exit
status: 0, 1 for what the tool itself calls a failure, 2 for what cannot be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pystack import firewall
from pystack.addresses import dotted
from pystack.firewall import conntrack_tool, flows, iptstate
from pystack.views import (
    freebsd,
    freebsd_logs,
    freebsd_net,
    freebsd_stats,
    ip_tool,
    linux,
    linux_net,
    linux_stats,
    sysctl,
)
from pystack.views.era import era_of
from pystack.views.ss_filter import FilterError

if TYPE_CHECKING:
    from pystack.host import Host

Shown = tuple[str, Any]
"""A view as text, and as plain values."""
JSON = "--json"
WIDTH = "--columns="
EVENTS = "conntrack-events"
"""The machine's side of a `conntrack -E` that waits."""


class UsageError(ValueError):
    """The tool has no such option, or this system no such tool."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command printed, and how it ended."""

    status: int = 0
    out: str = ""
    err: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A command of one system: the letters of its options, those that take a word, and what it shows."""

    letters: str
    view: Callable[..., Shown]
    valued: str = ""
    """Options with a word behind them; the only ones here are a protocol (-p) and a family (-f)."""
    words: bool = False
    """It takes words that are no options, and `view` gets them as a list."""


def show(host: Host, tool: str, arguments: str) -> str:
    """What `tool arguments` prints on this machine; with --json its values. Raises UsageError."""
    words = arguments.split()
    found = tools_of(host).get(tool)
    if found is None:
        raise UsageError(_no_tool(host, tool))
    options, others = _options(tool, found, [word for word in words if word != JSON])
    host.core.settle(host.now)
    text, values = found.view(host, options, *([others] if found.words else []))
    return as_json(values) if JSON in words else text


def run(host: Host, tool: str, words: list[str]) -> Outcome:
    """Do what the command line `tool words` does on this machine."""
    host.core.settle(host.now)
    wants_json = JSON in words
    words = [word for word in words if word != JSON]
    special = COMMANDS.get(tool)
    try:
        if special is not None:
            return special(host, words, wants_json)
        return Outcome(0, show(host, tool, " ".join([*words, JSON] if wants_json else words)))
    except (UsageError, FilterError) as error:
        return Outcome(2, err=f"{error}\n")


def changes(host: Host, tool: str, words: list[str]) -> bool:
    """Would this command line change the machine?"""
    if tool == EVENTS:
        return True  # short, and a child would not go on listening
    if tool == "conntrack":
        return conntrack_tool.changes(words)
    if tool == "iptables":
        return (
            not {"-L", "--list", "-S", "--list-rules", "-C", "--check"}.intersection(words)
            or "-Z" in words
        )
    if tool == "ipfw":
        return not {"list", "show", "l"}.intersection(words)
    if tool == "ip":
        return ip_tool.changes(words)
    return tool == "sysctl" and sysctl.changes(host, words)


def tools_of(host: Host) -> dict[str, Tool]:
    """The tools that only look, of this machine's system."""
    return LINUX if host.profile.system == "linux" else FREEBSD


def as_json(values: Any) -> str:
    """Values as a program gets them."""
    return json.dumps(values, indent=2) + "\n"


def names_of(host: Host) -> list[str]:
    """Every command that this machine can be given."""
    return sorted([*tools_of(host), *OF_SYSTEM[host.system]])


def _no_tool(host: Host, tool: str) -> str:
    return f"{host.profile.title} has no {tool} here: it has {', '.join(names_of(host))}"


def _options(name: str, tool: Tool, words: list[str]) -> tuple[str, list[str]]:
    """The letters that were given, each as often as it was, and the words that are no options. Raises UsageError."""
    letters, others = [], []
    waiting = iter(words)
    for word in waiting:
        if not word.startswith("-") or word == "-":
            if tool.words:
                others.append(word)
                continue
            raise UsageError(
                f"{name}: {word}: this takes options only (known here: {tool.letters})"
            )
        for at, letter in enumerate(word[1:], 1):
            if letter in tool.valued:
                letters.append(_valued(name, letter, word[at + 1 :] or next(waiting, "")))
                break
            if letter not in tool.letters:
                known = f"{tool.letters}{tool.valued}"
                raise UsageError(f"{name}: illegal option -- {letter} (known here: {known})")
            letters.append(letter)
    return "".join(letters), others


PROTOCOLS = {name: letter for name, (letter, _) in freebsd_stats.PROTOCOLS.items()}


def _valued(tool: str, letter: str, value: str) -> str:
    """-p tcp and -p udp as letters of their own; -f inet says what is shown anyway."""
    if not value:
        raise UsageError(f"{tool}: option requires an argument -- {letter}")
    known: dict[str, str] = PROTOCOLS if letter == "p" else {"inet": ""}
    if value not in known:
        what = "uninstrumented protocol" if letter == "p" else "address family"
        raise UsageError(f"{tool}: {value}: unknown or {what} (known here: {', '.join(known)})")
    return known[value]


# --- tools that only look -----------------------------------------------------------------------------


def _bsd_netstat(host: Host, options: str) -> Shown:
    if "m" in options:
        return freebsd.mbufs(host)
    if "s" in options:
        return freebsd_stats.protocols(host, options)
    if "r" in options:
        return freebsd_net.routes(host)
    if "i" in options:
        return freebsd_net.interfaces(host)
    if "L" in options:
        return freebsd.listen_queues(host)
    for letter, release in (("x", 8), ("T", 9)):
        if letter in options and era_of(host) < release:
            raise UsageError(f"netstat: illegal option -- {letter} (it came with {release})")
    if "x" in options and "T" in options:
        raise UsageError("netstat: -x and -T are incompatible, try one of them")
    return freebsd.connections(host, options)


def _linux_netstat(host: Host, options: str) -> Shown:
    if "r" in options:
        return linux_net.routes(host, "n" in options)
    if "i" in options:
        return linux_net.interfaces(host)
    if "s" in options:
        return linux_stats.statistics(host, options)
    return linux.netstat(host, options)


def _vmstat(host: Host, options: str) -> Shown:
    if "z" not in options:
        raise UsageError("vmstat: only -z is about the network")
    return freebsd.zones(host)


FREEBSD: dict[str, Tool] = {
    "netstat": Tool("anLmrsixT", _bsd_netstat, "pf"),
    "vmstat": Tool("z", _vmstat),
    "sockstat": Tool("4cls", freebsd.sockstat),
}
LINUX: dict[str, Tool] = {
    "ss": Tool("tuanlosmpH", linux.ss, words=True),
    "netstat": Tool("tuanlris", _linux_netstat),
    "nstat": Tool("az", linux.nstat),
}


# --- commands that end in more than one way -----------------------------------------------------------


def _sysctl(host: Host, words: list[str], wants_json: bool) -> Outcome:
    known = sysctl.LINUX if host.profile.system == "linux" else sysctl.FREEBSD
    given = [word for word in words if word.startswith("-") and len(word) > 1]
    options = "".join(word[1:] for word in given)
    if unknown := [letter for letter in options if letter not in known]:
        raise UsageError(f"sysctl: illegal option -- {unknown[0]} (known here: {known})")
    said = sysctl.sysctl(host, options, [word for word in words if word not in given])
    out = as_json(said.values) if wants_json else _lines(said.out)
    return Outcome(said.status, out, _lines(said.err))


def _dmesg(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """The kernel's log; FreeBSD's with -a also what it says to syslog under another name than its own."""
    everything = words == ["-a"] and host.profile.system == "freebsd"
    if words and not everything:
        raise UsageError(f"dmesg: {words[0]}: nothing but --json is known here")
    if everything:
        entries = freebsd_logs.everything(host)
        lines = [text for _, text in entries]
    else:
        entries, lines = list(host.log.entries), host.dmesg()
    if wants_json:
        return Outcome(0, as_json([{"ns": time, "text": text} for time, text in entries]))
    return Outcome(0, _lines(lines))


def _limits(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """Always as values: how wide a bar may be is known where it is shown."""
    if words:
        raise UsageError(f"limits: {words[0]}: nothing but --json is known here")
    return Outcome(0, as_json([limit.as_dict() for limit in host.limits()]))


def _cat(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """Files of /proc, or of /var/log, one after the other."""
    if not words:
        known = "/var/log/security" if host.profile.system == "freebsd" else "/proc/net/sockstat"
        raise UsageError(f"cat: which file? {known}, for example")
    out, values, err = "", {}, []
    for path in words:
        try:
            text, values[path] = file(host, path)
        except OSError as error:
            err.append(f"cat: {path}: {error.strerror}")
        else:
            out += text
    return Outcome(1 if err else 0, as_json(values) if wants_json else out, _lines(err))


def _head(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """The first lines of a file: `head -N FILE`, or `head -n N FILE`, ten if no number is given."""
    number, rest = "10", list(words)
    if rest and rest[0].startswith("-"):
        number = rest.pop(0).removeprefix("-n").removeprefix("-") or (rest.pop(0) if rest else "")
    if not number.isdigit() or len(rest) != 1 or wants_json:
        raise UsageError("head: write head -N FILE; it has no values")
    try:
        text, _ = file(host, rest[0], int(number))
    except OSError as error:
        return Outcome(1, err=f"head: cannot open '{rest[0]}' for reading: {error.strerror}\n")
    return Outcome(0, _lines(text.splitlines()[: int(number)]))


def file(host: Host, path: str, most: int | None = None) -> Shown:
    """A file of Linux's /proc, or of FreeBSD's /var/log; of a long list of flows only the first `most` need be made.
    Raises FileNotFoundError.
    """
    if host.profile.system == "freebsd":
        view = freebsd_logs.LOGS.get(path)
        if view is not None:
            return view(host)
    elif host.profile.system == "linux":
        if path.startswith("/proc/sys/"):
            name = path.removeprefix("/proc/sys/").replace("/", ".")
            if name in host.sysctl:
                return f"{host.sysctl.text(name)}\n", host.sysctl[name]
        if path in FLOWS:
            return _flows(host, FLOWS[path], most)
        view = FILES.get(path)
        if view is not None:
            host.core.settle(host.now)
            return view(host)
    raise FileNotFoundError(2, "No such file or directory", path)


def _flows(host: Host, old: bool, most: int | None) -> Shown:
    """/proc/net/nf_conntrack; the file of the old name is there where the kernel is old."""
    if host.profile.policy["ct_proc"] not in ("ip" if old else "nf", "both"):
        raise FileNotFoundError(2, "No such file or directory")
    found = host.conntrack.flows(most)
    lines = [flows.proc_line(one, host.now, old=old) for one in found]
    return _lines(lines), [flows.as_dict(one) for one in found]


def _flow_counters(host: Host, old: bool) -> Shown:
    """/proc/net/stat/nf_conntrack, or of the old name where the kernel has only that."""
    if old != (host.profile.policy["ct_proc"] == "ip"):
        raise FileNotFoundError(2, "No such file or directory")
    return _lines(host.conntrack.proc_stat()), host.conntrack.counters()


FLOWS = {"/proc/net/ip_conntrack": True, "/proc/net/nf_conntrack": False}
"""The lists of flows, and whether in the old format."""
FILES: dict[str, Callable[[Any], Shown]] = {
    "/proc/net/dev": linux_net.dev_file,
    "/proc/net/stat/ip_conntrack": lambda host: _flow_counters(host, True),
    "/proc/net/stat/nf_conntrack": lambda host: _flow_counters(host, False),
    "/proc/net/netstat": linux.netstat_file,
    "/proc/net/route": linux_net.route_file,
    "/proc/net/snmp": linux.snmp_file,
    "/proc/net/sockstat": linux.sockstat_file,
    "/proc/net/tcp": linux_net.tcp_file,
    "/proc/net/udp": linux_net.udp_file,
}
"""Files of Linux's /proc that there are; those under /proc/sys are the knobs."""


def _machine(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """Who this is: always as values."""
    return Outcome(
        0,
        as_json(
            {
                "name": host.name,
                "profile": host.profile.name,
                "title": host.profile.title,
                "addresses": [f"{dotted(i.addr)}/{i.prefix}" for i in host.interfaces],
                "tools": names_of(host),
                "states": dict(host.tcp_states()),
            }
        ),
    )


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _conntrack(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """Netfilter's command, on a machine that has it."""
    if host.system != "linux":
        raise UsageError(_no_tool(host, "conntrack"))
    done = conntrack_tool.run(host.conntrack, [*words, "-o", "json"] if wants_json else words)
    return Outcome(done.status, done.out, done.err)


def _conntrack_events(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """Events from a number on, for a `conntrack -E` that asks again and again: the number, and its words."""
    if host.system != "linux":
        raise UsageError(_no_tool(host, "conntrack"))
    since, *rest = words or [""]
    if not since.isdecimal():
        raise UsageError(f"{EVENTS}: from which number on? {since!r} is none")
    try:
        found = conntrack_tool.events_since(
            host.conntrack, [*rest, *(("-o", "json") if wants_json else ())], int(since)
        )
    except conntrack_tool.ToolError as error:
        return Outcome(error.status, err=f"{error}\n")
    return Outcome(0, as_json(found))


def _iptstate(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """Flows as a table; --columns is the width of the terminal that only the caller knows."""
    if host.system != "linux":
        raise UsageError(_no_tool(host, "iptstate"))
    columns = iptstate.COLUMNS
    for word in [word for word in words if word.startswith(WIDTH)]:
        words = [other for other in words if other != word]
        width = word.removeprefix(WIDTH)
        if not width.isdecimal():
            raise UsageError(f"iptstate: {word}: this is no width")
        columns = int(width)
    if wants_json:
        rows = [flows.as_dict(one) for one in host.conntrack.flows()]
        return Outcome(0, as_json(rows))
    return Outcome(*iptstate.run(host.conntrack, words, columns))


def _ip(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """What the machine remembers of other hosts."""
    if host.system != "linux":
        raise UsageError(_no_tool(host, "ip"))
    return Outcome(*ip_tool.run(host, words, wants_json))


def _iptables(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """The command of the rules."""
    return _ruled(host, "iptables", wants_json, lambda: firewall.iptables(host.firewall, words))


def _iptables_save(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """All rules as text."""
    return _ruled(
        host, "iptables-save", wants_json, lambda: firewall.iptables_save(host.firewall, words)
    )


def _ruled(host: Host, tool: str, wants_json: bool, run: Callable[[], str]) -> Outcome:
    """A command about rules, on a machine that has them."""
    if host.system != "linux":
        raise UsageError(_no_tool(host, tool))
    if wants_json:
        raise UsageError(f"{tool}: it has no JSON; rules are text")
    try:
        return Outcome(0, run())
    except firewall.FirewallError as error:
        return Outcome(error.status, err=f"{error}\n")


def _ipfw(host: Host, words: list[str], wants_json: bool) -> Outcome:
    """The firewall of FreeBSD; its dynamic entries as JSON."""
    if host.system != "freebsd":
        raise UsageError(_no_tool(host, "ipfw"))
    if wants_json:
        return Outcome(
            0, as_json([dict(zip(ENTRY, each, strict=True)) for each in host.ipfw.states()])
        )
    done = host.ipfw.tool.run(words)
    return Outcome(done.status, done.out, done.err)


ENTRY = (
    "rule",
    "kind",
    "protocol",
    "source",
    "sport",
    "target",
    "dport",
    "flags",
    "seconds",
    "packets",
    "octets",
    "children",
    "ack_fwd",
    "ack_rev",
    "set",
    "name",
)
"""What there is to a dynamic entry, in the order of `Engine.states`."""

OF_SYSTEM = {
    "freebsd": ("cat", "dmesg", "head", "ipfw", "limits", "sysctl"),
    "linux": (
        "cat",
        "conntrack",
        "dmesg",
        "head",
        "ip",
        "iptables",
        "iptables-save",
        "iptstate",
        "limits",
        "sysctl",
    ),
}
"""Commands that a machine of a system can be given, besides the tools that only look."""

COMMANDS: dict[str, Callable[[Any, list[str], bool], Outcome]] = {
    "cat": _cat,
    "head": _head,
    "conntrack": _conntrack,
    EVENTS: _conntrack_events,
    "ip": _ip,
    "iptables": _iptables,
    "iptables-save": _iptables_save,
    "iptstate": _iptstate,
    "dmesg": _dmesg,
    "ipfw": _ipfw,
    "limits": _limits,
    "machine": _machine,
    "sysctl": _sysctl,
}
"""Commands of every system."""
