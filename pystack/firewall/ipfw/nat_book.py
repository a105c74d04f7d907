"""The NAT instances of a machine, and how a configuration becomes links (ip_fw_nat.c)."""

from __future__ import annotations

from typing import Any

from pystack._fast.ipfw_kinds import (
    LINK_ADDR,
    M_DENY_IN,
    M_LOG,
    M_PROXY_ONLY,
    M_RESET,
    M_REVERSE,
    M_SAME_PORTS,
    M_SKIP_GLOBAL,
    M_UNREG_CGN,
    M_UNREG_ONLY,
    NO_PORT,
)
from pystack._fast.ipfw_nat import NatInstance, Nats
from pystack._fast.rng import Rng
from pystack.firewall.ipfw.errors import EX_DATAERR, Refusal
from pystack.firewall.ipfw.nat_config import NatConfig, Redirect

_MODES = {
    "log": M_LOG,
    "deny_in": M_DENY_IN,
    "same_ports": M_SAME_PORTS,
    "skip_global": M_SKIP_GLOBAL,
    "unreg_only": M_UNREG_ONLY,
    "unreg_cgn": M_UNREG_CGN,
    "reset": M_RESET,
    "reverse": M_REVERSE,
    "proxy_only": M_PROXY_ONLY,
}
_EX_FAILED = 1
_NUMBERS = 65534


class NatBook:
    """What carries out `nat` for a machine (`nat_command.Instances`). `core` translates."""

    def __init__(self, core: Nats, interfaces: list[Any], rng: Rng):
        self.core: Any = core
        self._interfaces = interfaces
        self._rng = rng
        self._configs: dict[int, NatConfig] = {}
        self._links: dict[int, list[int]] = {}

    def config(self, config: NatConfig) -> None:
        """A new instance, or another configuration of one, whose links stay but for those of its redirections.

        Raises Refusal, and changes nothing, where it can have no address.
        """
        number, name = config.number, config.interface
        if not 0 < number <= _NUMBERS:
            raise Refusal(EX_DATAERR, f"illegal nat id: {number}")
        iface = next((each for each in self._interfaces if each.name == name), None)
        if name and iface is None:
            raise Refusal(_EX_FAILED, f"unknown interface name {name}")
        if not name and not config.addr:
            raise Refusal(EX_DATAERR, "ip address not set")
        nat: Any = self.core.by_number.get(number)
        if nat is None:
            nat = self.core.by_number[number] = NatInstance(number, self._rng)
        for row in self._links.pop(number, []):
            nat.links.remove(row)
        self._configs[number] = config
        nat.configure(sum(_MODES[flag] for flag in config.flags), iface, config.addr)
        nat.links.draw_from(*config.ports)
        self._links[number] = [
            row for redirect in config.redirects for row in _links(nat.links, redirect)
        ]

    def configs(self) -> list[NatConfig]:
        """All instances by number."""
        return [self._configs[number] for number in sorted(self._configs)]

    def counts(self, number: int) -> dict[str, int]:
        """Links of an instance by kind."""
        counted: dict[str, int] = self.core.by_number[number].links.counts()
        return counted

    def delete(self, number: int) -> bool:
        """An instance goes, with its links; False: there is none."""
        self._links.pop(number, None)
        self.core.by_number.pop(number, None)
        return self._configs.pop(number, None) is not None


def _links(links: Any, to: Redirect) -> list[int]:
    """The links that stand for a redirection."""
    servers = to.local if len(to.local) > 1 else ()
    local, local_port = (0, 0) if servers else to.local[0]
    if to.kind == "addr":
        rows = [links.add(local, 0, to.public, 0, 0, 0, LINK_ADDR)]
    elif to.kind == "proto":
        rows = [links.add(local, to.remote, to.public, NO_PORT, NO_PORT, 0, to.proto)]
    else:
        rows = []
        for n in range(to.count):
            remote_port = to.remote_port + (n if to.remote_count > 1 else 0)
            ports = local_port + n, remote_port, to.port + n
            rows.append(links.add(local, to.remote, to.public, *ports, to.proto))
    for row in rows:
        links.keep(row, servers)
    return rows
