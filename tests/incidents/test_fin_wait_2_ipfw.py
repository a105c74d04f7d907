"""Seed 000: the table of dynamic rules is full of connections in FIN_WAIT_2, at the report's size."""

import pytest
from incident_kit import cured, story

from pystack.report.verdict import helps
from pystack.scenarios.load import load, read
from pystack.scenarios.run import run

NAME = "fin-wait-2-ipfw"
CURES = read(NAME).changed().cures


def test_the_symptom():
    ill = story(NAME)
    main = ill.main
    assert main is not None
    most = main.maximum
    assert main.high_water == most
    assert ill.high("FIN_WAIT_2") == most - 1  # and the shell's
    assert ill.first is not None
    assert ill.first.limit == "ipfw dynamic rules"
    assert ill.first.knob == "net.inet.ip.fw.dyn_max"
    assert set(ill.errors) == {"ETIMEDOUT"}
    assert ill.late()[0] == 0  # nobody new gets in any more
    assert any(text == "ipfw: add_dyn_rule: Cannot allocate rule" for _, text in ill.log)


def test_the_shell_lives():
    shell = story(NAME).clients["shell"]
    assert shell.failed[-1] == 0
    assert shell.answered[-1] >= 179


def test_who_owns_the_entries():
    ill = story(NAME)
    assert ill.worst is not None
    ((rule, n), *_) = ill.worst.owners["rule"]
    assert rule == "00400 allow tcp from any to me dst-port 80 setup keep-state"
    ((state, of), *_) = ill.worst.owners["state of its connection"]
    assert state == "FIN_WAIT_2"
    assert of > 0.9 * n
    assert "FIN_WAIT_2" in ill.worst.views["netstat -an"]
    assert "## Dynamic rules" in ill.worst.views["ipfw -d show"]


@pytest.mark.parametrize("cure", CURES)
def test_each_cure_does_what_is_said_of_it(cure: str):
    """Small: the full size is the first test's. Folklore does not help."""
    ill, well = story(NAME, small=True), cured(NAME, cure, small=True)
    assert ill.failed > 10
    assert helps(ill, well) is CURES[cure].helps


def test_recycling_leaves_few_in_fin_wait_2():
    assert cured(NAME, "recycle", small=True).high("FIN_WAIT_2") < 10


def test_the_same_seed_is_the_same_run():
    first, again, other = (run(load(NAME), seed=n, for_=20 * 10**9).trace_hash for n in (1, 1, 2))
    assert first == again != other
