"""`pystack bench`: how fast it is here, beside what this machine does without it.

Each group is a module with `measure(scale, repeat) -> Report`. Every figure has its reference measured in the
same run, the two interleaved (A B A B), and the target that the project set itself. Rates are the best of
`repeat` rounds and costs the least: another process on the machine can only make a round slower.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pystack.bench.report import Report, interleaved

__all__ = ["GROUPS", "Report", "Unavailable", "interleaved", "measure"]

GROUPS = {
    "tcp": "two machines on a fake network, one core",
    "tun": "real programs of this machine's kernel over a TUN device",
    "syncache": "a SYN flood against one listener, and a client that connects meanwhile",
    "parked": "an hour over connections in FIN_WAIT_2 and in TIME_WAIT, and what each takes",
    "demux": "packets a second by the size of the connection table",
    "conntrack": "packets past a connection tracker, and how large its hash should be",
    "ipfw": "packets through one rule, a thousand, and dynamic rules",
    "mbuf": "buffers taken, shared, filled and given back",
    "timers": "a million timers in the wheel",
    "hash": "what a look-up costs, by the size of the hash",
    "timeouts": "how full a table is, by the timeout of its entries: measured, and by Little's law",
}
"""Group and what it measures, in the order in which they run."""


class Unavailable(Exception):
    """A group cannot run here. The text is one line for the user."""


def measure(group: str, *, scale: float = 1.0, repeat: int = 3) -> Report:
    """Run one group. `scale` multiplies how much is done (1.0: seconds for each figure); `repeat` is rounds.

    Raises KeyError for an unknown group, Unavailable where something is missing.
    """
    if group not in GROUPS:
        raise KeyError(group)
    run: Callable[[float, int], Report] = import_module(f"pystack.bench.{group}").measure
    return run(scale, max(1, repeat))
