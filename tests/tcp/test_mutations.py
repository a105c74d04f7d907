"""The worst mistake of a player is to pass what differs: each script with one thing changed must fail.

Every change to the scripts of this directory's `MINE`, and some to all others.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tcp.mutants import mutants

import pystack._fast as fast
from pystack.packetdrill import parse_file, play
from pystack.packetdrill.suite import profiles_of

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
    every = list(mutants(script))
    if path.parent.name not in THOROUGH or not fast.COMPILED:
        every = random.Random(str(path.relative_to(HERE))).sample(every, min(FEW, len(every)))
    survivors = [
        f"{what}: {found.outcome}"
        for what, mutant in every
        if (found := play(mutant, profile=profile)).outcome != "failed"
    ]
    assert survivors == []


def test_there_are_scripts():
    names = {path.parent.name for path in HERE.rglob("*.pkt")}
    assert names >= THOROUGH
