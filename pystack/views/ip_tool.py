"""`ip tcp_metrics`: what a Linux machine remembers of other hosts, in the words of iproute2 6.1.

    ip tcp_metrics [ show | list | flush ] [ [ address ] PREFIX ] [ source ADDRESS ]
    ip tcp_metrics delete [ address ] ADDRESS [ source ADDRESS ]

Words may be shortened as the tool's may. Other objects of `ip` are told to be unknown. Format, order of what is shown,
messages and exit status are those of the tool on a 6.18 kernel; the kernel lists by its hash, so here, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pystack.addresses import dotted, parse_network

if TYPE_CHECKING:
    from pystack.host import Host

JIFFY = 4_000_000
NAMES = ("ssthresh", "cwnd", "reordering")
"""Metrics that are plain numbers, in the order in which they are shown; the times come after them."""
USAGE = """Usage:	ip tcp_metrics/tcpmetrics { COMMAND | help }
	ip tcp_metrics { show | flush } SELECTOR
	ip tcp_metrics delete [ address ] ADDRESS
SELECTOR := [ [ address ] PREFIX ]
"""
NONE = "RTNETLINK answers: No such process\n"


class _Wrong(ValueError):
    """The tool says this and ends so."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class _Asked:
    """Whom a command is about: a network and its prefix, and the address of ours that spoke with it."""

    network: int = 0
    prefix: int = 0
    source: int | None = None
    all: bool = True

    def fits(self, entry: Any) -> bool:
        """Is it about this entry?"""
        if self.source is not None and entry.laddr != self.source:
            return False
        return bool(entry.faddr >> (32 - self.prefix) == self.network >> (32 - self.prefix))


def changes(words: list[str]) -> bool:
    """Would this command line change the machine?"""
    rest = [word for word in words if not word.startswith("-")]
    return len(rest) > 1 and any(_short(rest[1], name) for name in ("delete", "flush"))


def run(host: Host, words: list[str], wants_json: bool) -> tuple[int, str, str]:
    """What `ip words` prints: exit status, standard output, standard error. `wants_json`: as values for pystack."""
    try:
        return 0, _run(host, words, wants_json), ""
    except _Wrong as wrong:
        return wrong.status, "", str(wrong)


def _run(host: Host, words: list[str], wants_json: bool) -> str:
    options = [word for word in words if word.startswith("-")]
    rest = [word for word in words if not word.startswith("-")]
    for option in options:
        if option not in ("-4", "-s", "-d", "-j", "-json"):
            raise _Wrong(f'Option "{option}" is unknown, try "ip -help".\n', 255)
    if not rest:
        raise _Wrong("Usage: ip [ -4 | -s | -d | -j ] tcp_metrics { COMMAND | help }\n", 255)
    metrics: Any = host.core.metrics
    if not any(
        len(rest[0]) > 2 and name.startswith(rest[0]) for name in ("tcp_metrics", "tcpmetrics")
    ):
        raise _Wrong(f'Object "{rest[0]}" is unknown, try "ip help".\n', 1)
    command = rest[1] if len(rest) > 1 else "show"
    entries = metrics.entries() if metrics is not None else []
    if _short(command, "help"):
        raise _Wrong(USAGE, 255)
    if any(_short(command, name) for name in ("show", "list", "lst")):
        asked = _selector(rest[2:])
        found = [entry for entry in entries if asked.fits(entry)]
        if asked.prefix == 32 and not found:
            raise _Wrong(NONE, 2)
        rows = [_row(entry, host.now) for entry in found]
        if wants_json:
            return json.dumps(rows, indent=2) + "\n"
        if "-j" in options or "-json" in options:
            return json.dumps(rows, separators=(",", ":")) + "\n"
        return "".join(f"{_line(entry, host.now)}\n" for entry in found)
    if _short(command, "flush"):
        asked = _selector(rest[2:])
        gone = [entry for entry in entries if asked.fits(entry)]
        if not gone and not asked.all:
            return "Nothing to flush.\n"
    elif _short(command, "delete"):
        asked = _address(rest[2:])
        gone = [entry for entry in entries if asked.fits(entry)]
        if not gone:
            raise _Wrong(NONE, 2)
    else:
        raise _Wrong(f'Command "{command}" is unknown, try "ip tcp_metrics help".\n', 255)
    for entry in gone:
        metrics.remove(entry)
    return ""


def _short(word: str, name: str) -> bool:
    return word != "" and name.startswith(word)


def _selector(words: list[str]) -> _Asked:
    """[ [ address ] PREFIX ] [ source ADDRESS ]; "all" and "any" are everybody."""
    asked = _Asked()
    waiting = iter(words)
    for word in waiting:
        if word in ("source", "src"):
            asked.source = _prefix(_next(waiting))[0]
            asked.all = False
            continue
        word = _next(waiting) if word == "address" else word
        if word in ("all", "any", "default"):
            continue
        asked.network, asked.prefix = _prefix(word)
        asked.all = False
    return asked


def _address(words: list[str]) -> _Asked:
    """What delete takes: one address."""
    asked = _selector(words)
    if asked.prefix == 32:
        return asked
    if not words or asked.all:
        raise _Wrong('Error: argument "address" is required\n', 255)
    raise _Wrong(f'Error: a specific IP address is expected rather than "{words[-1]}"\n', 1)


def _next(waiting: Any) -> str:
    word: str = next(waiting, "")
    if not word:
        raise _Wrong('Command line is not complete. Try option "help"\n', 255)
    return word


def _prefix(word: str) -> tuple[int, int]:
    try:
        return parse_network(word if "/" in word else f"{word}/32")
    except ValueError:
        raise _Wrong(f'Error: any valid prefix is expected rather than "{word}".\n', 1) from None


def _row(entry: Any, now: int) -> dict[str, object]:
    """One entry as the tool's JSON has it: seconds, six digits at most."""
    row: dict[str, object] = {
        "dst": dotted(entry.faddr),
        "age": _seconds(_age(entry, now) * 1_000_000),
    }
    row |= {name: getattr(entry, name) for name in NAMES if getattr(entry, name)}
    row |= {name: _seconds(ns) for name, ns in _times(entry) if ns}
    return row | {"source": dotted(entry.laddr)}


def _line(entry: Any, now: int) -> str:
    """One entry as text."""
    age = _age(entry, now)
    words = [dotted(entry.faddr), f"age {age // 1000}.{age % 1000:03}sec"]
    words += [f"{name} {getattr(entry, name)}" for name in NAMES if getattr(entry, name)]
    words += [f"{name} {ns // 1000}us" for name, ns in _times(entry) if ns]
    return " ".join([*words, f"source {dotted(entry.laddr)}"])


def _times(entry: Any) -> tuple[tuple[str, int], ...]:
    return ("rtt", entry.rtt // 1000 * 1000), ("rttvar", entry.rttvar // 1000 * 1000)


def _age(entry: Any, now: int) -> int:
    """How many ms ago it was told something, by a clock of 4 ms."""
    return int((now - entry.stamp) // JIFFY * 4)


def _seconds(ns: int) -> float:
    return float(f"{ns / 1e9:.6g}")
