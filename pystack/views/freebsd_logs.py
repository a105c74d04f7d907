"""What a FreeBSD machine's syslogd wrote: /var/log/security, where ipfw's lines about packets are (facts: ipfw 5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pystack.host import Host

Entry = tuple[int, str]
"""When (ns of the machine's clock), and what was said."""
SECOND = 10**9


def security(host: Host) -> list[Entry]:
    """What went to the facility `security`, oldest first; nothing where no ipfw is loaded."""
    ipfw = host.__dict__.get("ipfw")
    return [] if ipfw is None else list(ipfw.security)


def everything(host: Host) -> list[Entry]:
    """The message buffer as `dmesg -a` shows it: the kernel's own lines, and those of other facilities."""
    return list(merge(host.log.entries, security(host), key=itemgetter(0)))


def _dated(host: Host, entries: Iterable[Entry]) -> tuple[str, Any]:
    """As syslogd writes lines of the kernel."""
    out = ""
    for moment, text in entries:
        date = time.asctime(time.gmtime((host.epoch + moment) // SECOND))
        out += f"{date[4:19]} {host.name} kernel: {text}\n"
    return out, [{"ns": moment, "text": text} for moment, text in entries]


LOGS: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "/var/log/security": lambda host: _dated(host, security(host)),
}
"""Files of syslogd by their names."""
