"""What rules cost this system's kernel: the same packets past nft without rules, with one and with a thousand.

Needs root, /dev/net/tun and nft.
"""

from __future__ import annotations

from functools import partial

from pystack.bench.kernel_path import NotHere, in_namespace, run, write
from pystack.bench.report import Report

RULES = (1, 1000)


def ruleset(rules: int) -> str:
    """All but the last do not match: `deny ip from X/24 to any`, as nft says it."""
    deny = "".join(f"ip saddr 172.{16 + (n >> 8)}.{n & 255}.0/24 drop\n" for n in range(rules - 1))
    chain = "type filter hook forward priority 0; policy drop;"
    return f"flush ruleset\ntable ip t {{\nchain f {{\n{chain}\n{deny}accept\n}}\n}}\n"


def _measure(packets: list[bytes], repeat: int, ends: list[int]) -> list[float]:
    """Ns a packet without rules, and with each number of them."""
    found = [min(write(ends, packets) for _ in range(repeat))]
    for rules in RULES:
        run("nft -f -", ruleset(rules))
        found.append(min(write(ends, packets) for _ in range(repeat)))
    return found


def figures(report: Report, packets: list[bytes], repeat: int) -> None:
    """What nft makes of it, into a report; or, loudly, why that was not measured."""
    try:
        plain, *ruled = in_namespace(partial(_measure, packets, repeat), "nft")
    except NotHere as reason:
        report.notes["nft_not_measured"] = str(reason)
        return
    report.reference("kernel_plain_per_second", 1e9 / plain, "the kernel without rules")
    for rules, ns in zip(RULES, ruled, strict=True):
        said = f"nft, {rules:,} rules" if rules > 1 else "nft, one rule"
        report.figure(f"nft_{rules}_per_second", 1e9 / ns, said, "kernel_plain_per_second")
    each = (ruled[-1] - ruled[0]) / (RULES[-1] - RULES[0])
    report.figure("nft_rule_ns", each, "nft, each rule that does not match")
