"""What a rule with `log` says of a packet (ip_fw_log.c; facts: ipfw 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pystack._fast import ipfw_ops as ops
from pystack._fast.consts import ICMP_UNREACH_HOST, PROTO_ICMP, PROTO_TCP, PROTO_UDP
from pystack.addresses import dotted
from pystack.firewall.ipfw.insn import Insn, Rule

PLAIN = {
    ops.O_DENY: "Deny",
    ops.O_ACCEPT: "Accept",
    ops.O_COUNT: "Count",
    ops.O_NAT: "Nat",
    ops.O_REASS: "Reass",
    ops.O_SET_MSS: "Eaction tcp-setmss",
}
NUMBERED = {
    ops.O_DIVERT: "Divert",
    ops.O_TEE: "Tee",
    ops.O_SETFIB: "SetFib",
    ops.O_SKIPTO: "SkipTo",
    ops.O_PIPE: "Pipe",
    ops.O_QUEUE: "Queue",
    ops.O_NETGRAPH: "Netgraph",
    ops.O_NGTEE: "Ngtee",
}
NAMES = {PROTO_TCP: "TCP", PROTO_UDP: "UDP"}


def action_word(insn: Insn, arg: int) -> str:
    """What an action is called; `arg`: the argument that it has for this packet."""
    if insn.op in PLAIN:
        return PLAIN[insn.op]
    if insn.op in NUMBERED:
        return f"{NUMBERED[insn.op]} {arg}"
    if insn.op == ops.O_SETDSCP:
        return f"SetDscp {arg & 0x3F}"
    if insn.op == ops.O_REJECT:
        words = {ops.REJECT_RST: "Reset", ops.REJECT_ABORT: "Abort", ICMP_UNREACH_HOST: "Reject"}
        return words.get(insn.arg, f"Unreach {insn.arg}")
    if insn.op == ops.O_FORWARD_IP:
        address, port = insn.data
        return f"Forward to {dotted(address or arg)}" + (f":{port}" if port else "")
    if insn.op == ops.O_CALLRETURN:
        return "Return" if insn.head & ops.F_NOT else f"Call {arg}"
    return "UNKNOWN"


def ends(p: Any) -> str:
    """Protocol and both ends."""
    source, target = dotted(p.src), dotted(p.dst)
    if p.proto in NAMES:
        if p.frag_off:
            return f"{NAMES[p.proto]} {source} {target}"
        return f"{NAMES[p.proto]} {source}:{p.sport} {target}:{p.dport}"
    if p.proto == PROTO_ICMP:
        kind = "ICMP" if p.frag_off else f"ICMP:{p.icmp_type}.{p.icmp_code}"
        return f"{kind} {source} {target}"
    return f"P:{p.proto} {source} {target}"


def log_packet(engine: Any, rule: Rule, arg: int, p: Any, way: str) -> Iterator[tuple[str, str]]:
    """Channel and text of the lines, as long as the rule may write any. `arg`: what a table said; `way`: in via em0."""
    most = next(i for i in rule.actions if i.op == ops.O_LOG).data[0]
    left = engine.log_left[rule.row]
    if most and not left:
        return
    action = next(i for i in rule.actions if i.op not in (ops.O_LOG, ops.O_ALTQ, ops.O_TAG))
    value = arg if action.arg == engine.rules.tablearg_is else action.arg
    yield "security.info", log_line(rule.number, action_word(action, value), p, way)
    if most:
        engine.log_left[rule.row] = left - 1
        if left == 1:
            yield "security.notice", f"ipfw: limit {most} reached on entry {rule.number}"


def log_line(number: int, action: str, p: Any, way: str) -> str:
    """The line about a packet."""
    fragment = ""
    if p.mf or p.frag_off:
        octets = p.total - p.ip_len
        fragment = f" (frag {p.ip_id}:{octets}@{p.frag_off}{'+' if p.mf else ''})"
    return f"ipfw: {number} {action} {ends(p)} {way}{fragment}"
