"""Answering questions about machines in virtual time: they stand still meanwhile.

net.run(for_="10s")
pystack.control.attend(net)                 # until Ctrl-C; in another terminal: pystack netstat -an -M web
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import NEVER
from pystack.control.desk import Desk
from pystack.network import Network
from pystack.runner import Runner

if TYPE_CHECKING:
    from pystack.host import Host


class Still:
    """A machine, and a device, at which nothing happens."""

    def __init__(self) -> None:
        self.core = self
        self._ends = socket.socketpair()

    def close(self) -> None:
        for end in self._ends:
            end.close()

    def fileno(self) -> int:
        return self._ends[0].fileno()

    def dispatch(self) -> int:
        return 0

    def tick(self, now: int) -> int:
        return 0

    def next_deadline(self) -> int:
        return NEVER

    def receive(self, core: Any, iface: int, now: int, limit: int) -> int:
        return 0

    def transmit(self, core: Any, now: int) -> int:
        return 0


def attend(
    *machines: Network | Host,
    timeout: float | None = None,
    until: Callable[[], object] | None = None,
    ready: Callable[[list[str]], object] | None = None,
) -> bool:
    """Answer `pystack netstat` and its kin about these machines, each under its name, until SIGINT or SIGTERM.

    They must not live on a device: those have `Server(..., control=True)`. Ends after `timeout` seconds (False), or
    when `until()` is true (True). `ready` is told the names when they can be asked. Raises NoPlace, ValueError.
    """
    hosts = [
        host
        for each in machines
        for host in (each.hosts.values() if isinstance(each, Network) else [each])
    ]
    if not hosts:
        raise ValueError("there is no machine to ask")
    with ExitStack() as stack:
        still = Still()
        stack.callback(still.close)
        loop = stack.enter_context(Runner(still, still, spin=0))
        desks = [stack.enter_context(Desk(host, loop)) for host in hosts]
        if ready is not None:
            ready([desk.name for desk in desks])
        return loop.run(until=until, timeout=timeout)
