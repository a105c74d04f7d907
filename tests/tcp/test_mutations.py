"""The worst mistake of a player is to pass what differs: each script with one thing changed must fail.

Every change to the scripts of this directory's `MINE`, and some to all others.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from pkt_kit import GREETING as SYN_ONLY
from tcp.mutants import changes, mutant

import pystack._fast as fast
from pystack.packetdrill import match, parse, parse_file, play
from pystack.packetdrill.suite import profiles_of

pytestmark = pytest.mark.slow

GREETING = (
    SYN_ONLY.replace("<...>", "<mss 1460,nop,wscale 10>")
    + """\
+0 accept(3, ..., ...) = 4
+0 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 1
"""
)

HERE = Path(__file__).parent
THOROUGH = {"handshake", "data", "close", "loss", "options", "icmp"}
"""Directories whose scripts have all their mutants played."""

FEW = 6
"""Mutants of other scripts; and of all when interpreted."""

SCRIPTS = [
    pytest.param(path, profile, id=f"{path.relative_to(HERE).with_suffix('')}-{profile}")
    for path in sorted(HERE.rglob("*.pkt"))
    for profile in profiles_of(path) or ("linux-6",)
]


@pytest.mark.parametrize(("path", "profile"), SCRIPTS)
def test_no_mutant_passes(path: Path, profile: str):
    script = parse_file(path, profile=profile)
    verdict = play(script, profile=profile)
    assert verdict.passed, verdict
    complete = play(script, profile=profile, options={"strict": True}).passed
    every = list(changes(script, complete=complete))
    if path.parent.name not in THOROUGH or not fast.COMPILED:
        every = random.Random(str(path.relative_to(HERE))).sample(every, min(FEW, len(every)))
    survivors = [
        f"{change[0]}: {found.outcome}"
        for change in every
        if (found := play(mutant(script, change), profile=profile)).outcome != "failed"
    ]
    assert survivors == []


def survivors_of(text: str) -> list[str]:
    script = parse(text)
    assert play(script).passed
    return [
        change[0]
        for change in changes(script, complete=True)
        if play(mutant(script, change)).outcome != "failed"
    ]


@pytest.mark.parametrize(
    ("function", "blind", "survivors"),
    [
        ("_check_options", lambda *_: None, {"options"}),
        ("check_ip", lambda *_: None, {"ecn", "ttl", "tos"}),
        ("check_tcp", lambda *_: None, {"FIN", "PSH", "ack", "seq", "options", "urg"}),
    ],
)
def test_a_blind_player_is_found_out(
    monkeypatch: pytest.MonkeyPatch, function: str, blind: object, survivors: set[str]
):
    """These tests can fail: take a comparison away, and its mutants live."""
    assert survivors_of(GREETING) == []
    monkeypatch.setattr(match, function, blind)
    found = {re.split(r": | ", each)[2].strip() for each in survivors_of(GREETING)}
    assert found >= survivors


def test_there_are_scripts():
    names = {path.parent.name for path in HERE.rglob("*.pkt")}
    assert names >= THOROUGH
