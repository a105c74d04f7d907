"""The operator's commands by name: which tool a system has, and what its options show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pystack.views import freebsd, freebsd_stats, linux

if TYPE_CHECKING:
    from pystack.host import Host

Shown = tuple[str, Any]
"""A view as text, and as plain values."""


class UsageError(ValueError):
    """The tool has no such option, or this system no such tool."""


def show(host: Host, tool: str, arguments: str) -> str:
    """What `tool arguments` prints on this machine; with --json its values. Raises UsageError."""
    words = arguments.split()
    wants_json = "--json" in words
    options = "".join(word[1:] for word in words if word.startswith("-") and word != "--json")
    system = LINUX if host.profile.system == "linux" else FREEBSD
    if tool not in system:
        have = ", ".join(sorted(system))
        raise UsageError(f"{host.profile.title} has no {tool} here: it has {have}")
    allowed, view = system[tool]
    if unknown := set(options).difference(allowed):
        text = f"{tool}: illegal option -- {min(unknown)} (known here: {allowed})"
        raise UsageError(text)
    host.core.settle(host.now)
    text, values = view(host, options)
    return json.dumps(values, indent=2) + "\n" if wants_json else text


def _bsd_netstat(host: Host, options: str) -> Shown:
    if "m" in options:
        return freebsd.mbufs(host)
    if "s" in options:
        return freebsd_stats.tcp(host)
    if "L" in options:
        return freebsd.listen_queues(host)
    return freebsd.connections(host, options)


def _vmstat(host: Host, options: str) -> Shown:
    if "z" not in options:
        raise UsageError("vmstat: only -z is about the network")
    return freebsd.zones(host)


FREEBSD: dict[str, tuple[str, Callable[[Any, str], Shown]]] = {
    "netstat": ("anLms", _bsd_netstat),
    "vmstat": ("z", _vmstat),
    "sockstat": ("4cls", freebsd.sockstat),
}
LINUX: dict[str, tuple[str, Callable[[Any, str], Shown]]] = {
    "ss": ("tanlos", linux.ss),
    "netstat": ("tanl", linux.netstat),
    "nstat": ("az", lambda host, _: linux.nstat(host)),
}
"""Tool -> the letters of its options, and what it shows."""
