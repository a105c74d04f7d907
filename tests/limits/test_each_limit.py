"""Every limit that a machine can show, one below it, at it, one above, freed, and used again (`each_limit.CASES`)."""

import re
from pathlib import Path

import pytest
from limits.each_limit import CASES, ELSEWHERE
from limits.machines import host

from pystack import profiles
from pystack.limits import LIMITS
from pystack.sysctl import registry


@pytest.mark.parametrize("name", CASES)
def test_one_below_at_one_above_and_recovered(name: str):
    case = CASES[name]()
    fits = case.most if case.last is None else case.last
    for taken in range(case.base, fits - 1):
        assert case.take(), taken
    below = case.row()
    assert (below.used, below.maximum, below.failures) == (fits - 1, case.most, 0)
    assert below.last_failure is None
    assert case.take()
    full = case.row()
    assert (full.used, full.high_water, full.failures) == (fits, fits, 0)
    if case.last is None:
        assert full.share == 1.0
    case.run(0.005)
    got_in = case.take()
    above = case.row()
    assert got_in == (case.beyond == "recycles")
    assert above.failures == 1
    assert above.last_failure is not None
    assert above.used == fits + (case.beyond == "counts")
    assert above.high_water == above.used
    case.free()
    freed = case.row()
    assert freed.used == fits if case.kept else freed.used < fits
    assert case.take()
    again = case.row()
    assert again.used == freed.used + (not case.kept)
    assert (again.failures, again.last_failure) == (1, above.last_failure)
    assert again.high_water == above.high_water


def test_no_limit_is_left_out():
    """Those of the machine, and those of its processes, listeners and firewalls."""
    named = {re.sub(r" \(.*", "", name) for name in CASES} | {
        re.sub(r" \(.*", "", name) for name in ELSEWHERE
    }
    declared = {re.sub(r" \(.*", "", each.name) for each in LIMITS}
    others = {"descriptors", "listen queue", "SYN queue", "conntrack flows", "NAT ports"}
    others |= {"ipfw dynamic rules", "ipfw limit parents"}
    assert declared | others == named


def there_is(test: str) -> bool:
    """`limits.test_files.test_files_of_the_machine` is a function of tests/limits/test_files.py."""
    module, _, function = test.rpartition(".")
    file = Path(__file__).parents[1] / f"{module.replace('.', '/')}.py"
    return file.exists() and f"\ndef {function}(" in file.read_text("utf-8")


@pytest.mark.parametrize("test", ELSEWHERE.values())
def test_what_is_elsewhere_is_there(test: str):
    assert there_is(test)


ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (Path(__file__).parents[2] / "docs/limits.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| limit |")
]


def test_the_paper_names_every_limit_once():
    known = {re.sub(r" \(.*", "", name) for name in [*CASES, *ELSEWHERE]}
    assert sorted(re.sub(r" \(.*", "", row[0]) for row in ROWS) == sorted(known)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_paper_names_knobs_and_tests_that_there_are(row: list[str]):
    knobs = re.findall(r"`([^`]+)`", row[1])
    known = registry()
    every = {name for knob in known for name in (knob, *known[knob].aliases)}
    assert set(knobs) - {"RLIMIT_NOFILE"} <= every
    for each in LIMITS:
        if each.name == row[0]:
            assert set(each.knobs) <= set(knobs)
    for test in re.findall(r"`([^`]+)`", row[5]):
        assert there_is(test), test


@pytest.mark.parametrize("profile", profiles.names())
def test_each_limit_of_a_machine_is_one_of_these(profile: str):
    known = {re.sub(r" \(.*", "", name) for name in CASES} | set(ELSEWHERE)
    for limit in host(profile).limits():
        name = re.sub(r" (of|\*:).*", "", limit.name) if "descriptors" in limit.name else limit.name
        assert name in known or re.sub(r" \(.*", "", name) in known
