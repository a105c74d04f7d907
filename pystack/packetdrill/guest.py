"""A script as a guest of a network: played against one of its machines, among all that goes on there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pystack.addresses import dotted
from pystack.packetdrill.bench import NetworkBench
from pystack.packetdrill.parse import parse, parse_file
from pystack.packetdrill.play import play
from pystack.packetdrill.settings import Given
from pystack.packetdrill.verdict import Verdict

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.network import Network

REMOTE = "192.0.2.1"
"""The script's peer, unless --remote_ip says another."""


class NotPassed(AssertionError):
    """A script failed or was skipped; `verdict` has all of it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


def play_in(
    net: Network,
    script: str | os.PathLike[str],
    host: Host | str,
    options: Given,
    defines: Mapping[str, str],
    check: bool,
) -> Verdict:
    """See `Network.play`."""
    machine = net.hosts.get(host) if isinstance(host, str) else host
    if machine is None or net.hosts.get(machine.name) is not machine:
        raise ValueError(f"{host} is no machine of this network")
    profile = machine.profile.name
    if isinstance(script, str):
        found = parse(script, profile=profile, defines=defines)
    else:
        found = parse_file(script, profile=profile, defines=defines)
    said = {option.name: option.value for option in found.options} | dict(options)
    bench = NetworkBench(net, machine, str(said.get("remote_ip", REMOTE)))
    own = {"local_ip": dotted(machine.interfaces[0].addr)}
    verdict = play(found, profile=machine.profile, options={**options, **own}, bench=bench)
    if check and not verdict.passed:
        raise NotPassed(verdict)
    return verdict
