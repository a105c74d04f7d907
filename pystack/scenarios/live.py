"""A scenario's watched machine on a TUN device: real time, real clients, the same limits."""

from __future__ import annotations

from pystack.host import Host
from pystack.scenarios.model import Scenario
from pystack.scenarios.world import machines, service
from pystack.server import Server


class NotAlone(ValueError):
    """The watched machine cannot stand alone on a device."""


def on_a_device(scenario: Scenario, tun: str) -> Server:
    """The watched machine with its knobs, rules and services, ready to `run`; other machines and faults stay behind.

    Raises NotAlone, and what `Server` raises.
    """
    name = scenario.watch.host
    table = scenario.hosts[name]
    if len(table.addresses) != 1:
        raise NotAlone(f"{name} has {len(table.addresses)} interfaces, and a TUN device is one")
    mine = [one for one in scenario.services.values() if one.host == name]
    for one in mine:
        if one.backends:
            raise NotAlone(f"{name} is a proxy for machines that are not on the device")
    if not mine:
        raise NotAlone(f"{name} serves nothing: there is nobody to connect to")
    (host,) = machines(name, table.model_copy(update={"machines": 1}), Host)
    services = [service(one, lambda end: ("", 0)) for one in mine]
    return Server(host, tun, services=services, control=True)
