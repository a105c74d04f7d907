"""`nat N config|show|delete`: instances of in-kernel NAT, for whatever carries them out."""

from __future__ import annotations

from typing import Protocol

from pystack.firewall.ipfw import nat_config
from pystack.firewall.ipfw.cnumbers import atoi, starts_digit
from pystack.firewall.ipfw.errors import EX_UNAVAILABLE, EX_USAGE, Refusal
from pystack.firewall.ipfw.nat_config import NatConfig
from pystack.firewall.ipfw.run import Run
from pystack.firewall.ipfw.words import Words, matches


class Instances(Protocol):
    """What carries out NAT for a `Chain`."""

    def config(self, config: NatConfig) -> None:
        """A new instance, or another configuration of one."""

    def configs(self) -> list[NatConfig]:
        """All instances by number."""

    def counts(self, number: int) -> dict[str, int]:
        """Links of an instance by kind: icmp, udp, tcp, sctp, pptp, proto, frag_id, frag_ptr."""

    def delete(self, number: int) -> bool:
        """An instance goes; False: there is none."""


def nat(run: Run, words: Words) -> None:
    """`nat N config ...`, `nat N show [config]`, `nat show`, `nat delete N`."""
    rest = words.rest()
    if len(rest) > 1 and starts_digit(rest[0]):
        rest[:2] = rest[1], rest[0]
    if not rest:
        raise Refusal(EX_USAGE, "missing command")
    for name, command in _COMMANDS.items():
        if matches(rest[0], name, run.warn):
            command(run, run.words(rest[1:]))
            return
    raise Refusal(EX_USAGE, f"bad command `{rest[0]}'")


def _instances(run: Run) -> Instances:
    found: Instances | None = run.chain.nat
    if found is None:
        raise Refusal(EX_UNAVAILABLE, "nat: there is no NAT within ipfw on this machine")
    return found


def _config(run: Run, words: Words) -> None:
    config = nat_config.read(words, run.names, run.era)
    if not run.flags.test_only:
        _instances(run).config(config)
    if not run.flags.quiet:
        run.say(nat_config.text(config, run.names))


def _show(run: Run, words: Words) -> None:
    """With `config` what instances are told, without how many links of each kind they have."""
    instances = _instances(run)
    wanted = []
    configured = False
    while words:
        word = words.take()
        if starts_digit(word):
            wanted.append(atoi(word))
        elif matches(word, "config", run.warn):
            configured = True
    for config in instances.configs():
        if wanted and config.number not in wanted:
            continue
        if configured:
            run.say(nat_config.text(config, run.names))
        else:
            counts = instances.counts(config.number)
            *listed, last = (f"{kind}={count}" for kind, count in counts.items())
            run.say(f"nat {config.number}: {', '.join(listed)} {last} / tot={sum(counts.values())}")


def _delete(run: Run, words: Words) -> None:
    words.need("missing rule specification")
    instances = _instances(run)
    while starts_digit(words.peek() or ""):
        number = atoi(words.take())
        if not run.flags.test_only and not instances.delete(number):
            run.status = EX_UNAVAILABLE
            run.warn(f"rule {number} not available: Invalid argument")


_COMMANDS = {"config": _config, "show": _show, "delete": _delete}
