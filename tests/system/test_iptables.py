"""Our iptables beside the real one: what we save the tool takes, and both save the same of the same rules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pystack.firewall import Firewall, iptables_restore, iptables_save

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import netlab
from firewall.rule_words import filter_rule

pytestmark = pytest.mark.system

RULESETS = sorted((Path(__file__).resolve().parents[1] / "firewall" / "rulesets").glob("*.rules"))


class Tool:
    """The real iptables in a namespace of its own."""

    def __init__(self, space: netlab.Namespace) -> None:
        self.space = space

    def run(self, *words: str, text: str = "") -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.space.name, *words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def tool(lab: netlab.Lab, skip_loudly) -> Tool:  # type: ignore[no-untyped-def]
    for name in ("iptables-restore", "iptables-save"):
        if shutil.which(name) is None:
            skip_loudly(f"`{name}` is missing (Debian package iptables)")
    made = Tool(lab.namespace())
    said = made.run("iptables-save", "--version")
    if "v1.8.9 (nf_tables)" not in said:
        skip_loudly(
            f"the tool here is {said.strip()}, and it is v1.8.9 (nf_tables) that we print like"
        )
    return made


def plain(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("path", RULESETS, ids=lambda p: p.stem)
def test_the_tool_takes_what_we_save(tool: Tool, path: Path):
    firewall = Firewall()
    iptables_restore(firewall, path.read_text())
    ours = iptables_save(firewall, "-c")
    tool.run("iptables-restore", "-c", "--test", text=ours)
    tool.run("iptables-restore", "-c", text=ours)
    for table in firewall.used:
        theirs = tool.run("iptables-save", "-c", "-t", table)
        assert plain(theirs) == plain(iptables_save(firewall, f"-c -t {table}"))


def test_both_make_the_same_of_any_rules(tool: Tool):
    """500 drawn rules, saved by both."""
    drawn: list[str] = []

    @seed(18)
    @settings(
        max_examples=500,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(filter_rule(), st.integers())
    def draw(rule: str, _: int) -> None:
        for option in ("--hashlimit-name", "--name"):  # rules of one name would share a table
            head, found, tail = rule.partition(f"{option} ")
            if found:
                rule = f"{head}{found}n{len(drawn)}{tail[len(tail.split()[0]) :]}"
        drawn.append(rule)

    draw()
    text = (
        "*filter\n:USER - [0:0]\n" + "".join(f"-A FORWARD {rule}\n" for rule in drawn) + "COMMIT\n"
    )
    tool.run("iptables-restore", text=text)
    firewall = Firewall()
    iptables_restore(firewall, text)
    theirs, ours = plain(tool.run("iptables-save", "-t", "filter")), plain(iptables_save(firewall))
    assert len(ours) == len(drawn) + 6
    for mine, real in zip(ours, theirs, strict=True):
        assert mine == real
