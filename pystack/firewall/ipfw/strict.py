"""What ipfw can say and a machine of this kind cannot do: told when a rule is added, not when packets fail to match."""

from __future__ import annotations

from pystack._fast import ipfw_ops as ops
from pystack.firewall.ipfw.errors import EX_UNAVAILABLE, Refusal
from pystack.firewall.ipfw.insn import Rule

_ABSENT = {
    ops.O_DIVERT: "divert: there are no divert sockets",
    ops.O_TEE: "tee: there are no divert sockets",
    ops.O_DIVERTED: "diverted: there are no divert sockets",
    ops.O_NETGRAPH: "netgraph: there is no netgraph",
    ops.O_NGTEE: "ngtee: there is no netgraph",
    ops.O_UID: "uid: sockets have no owners",
    ops.O_GID: "gid: sockets have no owners",
    ops.O_JAIL: "jail: there are no jails",
    ops.O_SOCKARG: "sockarg: sockets have no cookies",
    ops.O_SETFIB: "setfib: there is one routing table",
    ops.O_FIB: "fib: there is one routing table",
    ops.O_LAYER2: "layer2: frames do not pass ipfw",
    ops.O_MACADDR2: "mac: frames do not pass ipfw",
    ops.O_MAC_TYPE: "mac-type: frames do not pass ipfw",
    ops.O_ALTQ: "altq: there are no such queues",
    ops.O_IPSEC: "ipsec: there is no IPsec",
}
"""What is missing, by the instruction that would need it."""


def refuse_what_is_absent(rule: Rule) -> None:
    """Raises Refusal for a rule that could not do here what it says."""
    for insn in rule.patterns + rule.actions:
        if insn.op in _ABSENT:
            raise Refusal(EX_UNAVAILABLE, f"{_ABSENT[insn.op]} on this machine")
