"""Rules that only count, on the kernel and on ours: the same packets, and every counter and every octet is alike.

The rules are those of which the tool's words were recorded (`tests/firewall/iptables-1.8.9/rules.jsonl`), but for what
depends on time; the packets are drawn, whole ones and fragments. Only a 6.18 is asked, as in `test_conntrack_twin`.
"""

from __future__ import annotations

import json
import os
import random
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.kernel import twin, twin_talk
from tests.kernel.router import KernelRouter, OurRouter, netlab

pytestmark = pytest.mark.system

RECORDS = Path(__file__).parents[1] / "firewall" / "iptables-1.8.9" / "rules.jsonl"
TIMED = re.compile(r"limit|recent|connlimit|statistic|ctexpire|ctstatus|random")
FOREIGN = re.compile(r"[^ -~]|eth 0|eth/0|-m comment|reversed|10\.0\.0\.5-10\.0\.0\.1")
CLIENTS, SERVERS = ("10.9.1.2", "10.9.1.3", "10.10.3.4"), ("10.9.2.2", "10.9.2.9")
PORTS = (0, 1, 22, 53, 79, 80, 81, 90, 443, 512, 514, 1024, 65535)


@pytest.fixture(scope="module")
def reason() -> str | None:
    if not os.uname().release.startswith("6.18."):
        return f"the kernel here is {os.uname().release}, and it is a 6.18 that linux-6 plays"
    return twin.why_not()


def bodies() -> list[str]:
    """What recorded rules ask, without their targets."""
    found: dict[str, None] = {}
    for record in map(json.loads, RECORDS.read_text().splitlines()):
        if record["rc"] or record["chain"] != "INPUT" or record["table"] != "filter":
            continue
        for line in record["S"]:
            body = re.sub(r" -[jg] .*", "", line.removeprefix("-A INPUT"))
            if body and not TIMED.search(body) and not FOREIGN.search(body):
                found[body] = None
    return list(found)


def header(packet: bytes, tos: int, ttl: int, fragment: int) -> bytes:
    """The packet with these in its IP header."""
    head = bytearray(packet[:20])
    head[1], head[8] = tos, ttl
    head[6:8] = fragment.to_bytes(2, "big")
    head[10:12] = b"\0\0"
    head[10:12] = twin_talk.checksum(bytes(head))
    return bytes(head) + packet[20:]


def packet(dice: random.Random, fragments: bool) -> tuple[int, bytes]:
    """Side and octets of one."""
    side = int(dice.random() < 0.3)
    ends = dice.choice(CLIENTS), dice.choice(SERVERS)
    src, dst = reversed(ends) if side else ends
    kind, ports = dice.random(), (dice.choice(PORTS), dice.choice(PORTS))
    data = b"d" * dice.choice((0, 1, 60, 300))
    if kind < 0.5:
        options = dice.choice((b"", b"\2\4\5\xb4", b"\1\1\4\2", b"\3\3\7\0", b"\5\2\0\0"))
        flags = dice.choice((2, 2, 0x12, 0x10, 0x18, 0x11, 4, 0x14, 0, 0x3F, 0x29, 3))
        size = (20 + len(options)) << 2
        l4 = struct.pack(">HHIIBBHHH", *ports, 1000, 0, size, flags, 1000, 0, 0) + options + data
        whole = twin_talk.ip(6, src, dst, twin_talk.summed(6, src, dst, l4, 16))
    elif kind < 0.75:
        l4 = struct.pack(">HHHH", *ports, 8 + len(data), 0) + data
        whole = twin_talk.ip(17, src, dst, twin_talk.summed(17, src, dst, l4, 6))
    elif kind < 0.9:
        l4 = (
            struct.pack(">BBHI", dice.choice((0, 3, 4, 5, 8, 11, 13)), dice.randrange(4), 0, 1)
            + data
        )
        whole = twin_talk.ip(1, src, dst, l4[:2] + twin_talk.checksum(l4) + l4[4:])
    else:
        whole = twin_talk.ip(dice.choice((2, 4, 50, 51, 99, 255)), src, dst, bytes(12) + data)
    fragment = dice.choice((0x2000, 0x2001, 1, 2, 0xB9)) if fragments else 0x4000
    return side, header(
        whole, dice.choice((0, 0x10, 8, 0xB8, 0xFF)), dice.choice((64, 5, 255)), fragment
    )


def counted(text: str) -> list[str]:
    """The lines of a save that count."""
    return [line for line in text.splitlines() if line.startswith("[")]


@pytest.mark.parametrize(
    ("tracked", "fragments"),
    [(False, False), (False, True), (True, False)],
    ids=["whole", "fragments", "tracked"],
)
def test_the_kernel_counts_the_same(
    tracked: bool, fragments: bool, reason: str | None, skip_loudly: Callable[[str], None]
) -> None:
    if reason:
        skip_loudly(reason)
    asks = re.compile(r"conntrack|state|connmark")
    chosen = [
        body
        for body in bodies()
        if bool(asks.search(body)) == tracked and not (fragments and "tcp-option" in body)
    ]
    assert len(chosen) > 20
    rules = "*mangle\n" + "".join(f"-A FORWARD{body}\n" for body in chosen) + "COMMIT\n"
    dice = random.Random(18)
    with netlab.Lab() as lab:
        kernel, ours = KernelRouter(lab, rules, {}), OurRouter(rules, {})
        try:
            for n in range(150):
                side, octets = packet(dice, fragments)
                assert kernel.send(side, octets) == ours.send(side, octets), (n, octets.hex())
            theirs = kernel.space.run(["iptables-save", "-c", "-t", "mangle"])
        finally:
            kernel.close()
    assert counted(ours.host.iptables_save("-c -t mangle")) == counted(theirs)
