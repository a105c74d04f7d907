"""What the original command of 2012 and its successor of 2014 read, printed and refused: recordings, all alike."""

import pytest
from ipfw_kit import original, recorded, situation

ERAS = ("e10", "e11")


def answer(line, era):
    """The line as this era's command answered it."""
    return line.get("in2014", line) if era == "e11" else line


def same(machine, wanted):
    """A command and its answer."""
    machine.said.clear()
    outcome = machine.run(wanted["args"])
    seen = {
        "exit": outcome.status,
        "stdout": outcome.out,
        "stderr": outcome.err,
        "msg": list(machine.said),
    }
    recorded_answer = {"exit": 0, "stdout": "", "stderr": "", "msg": []} | {
        key: wanted[key] for key in ("exit", "stdout", "stderr", "msg") if key in wanted
    }
    assert seen == recorded_answer, wanted["args"]


@pytest.mark.parametrize("era", ERAS)
def test_rules_are_listed_alike(era):
    for scenario in recorded("stateless"):
        machine = original(era)
        for rule in scenario["rules"]:
            machine.ok(rule)
        wanted = list(scenario["list"])
        if era == "e11":
            for at, text in scenario.get("list14", {}).items():
                wanted[int(at)] = text
        assert machine.ok("list").splitlines() == wanted, scenario["id"]


@pytest.mark.parametrize("era", ERAS)
def test_rules_that_are_wrong_or_odd(era):
    lines = recorded("commands-wrong")
    assert len(lines) == 83
    for line in lines:
        machine = original(era)
        wanted = answer(line, era)
        same(machine, wanted)
        assert machine.listed() == wanted["list"], wanted["args"]


@pytest.mark.parametrize("era", ERAS)
def test_listings(era):
    context, *lines = recorded("commands-show")
    for line in lines:
        same(situation(era, context["rules"], elapsed=(1, 2)), answer(line, era))


@pytest.mark.parametrize("era", ERAS)
def test_commands_one_after_the_other(era):
    for sequence in recorded("commands-seq"):
        with_tables = any(line["args"][0] == "table" for line in sequence["commands"])
        if with_tables and era == "e11":
            continue  # recorded with the command of 2012 only
        machine = situation(era, sequence["rules"], elapsed=(0, 0))
        for line in sequence["commands"]:
            same(machine, answer(line, era))


def test_a_listing_that_differs_is_seen():
    machine = original("e10")
    with pytest.raises(AssertionError):
        same(machine, {"args": ["list"], "exit": 0, "stdout": "65535 allow ip from any to any\n"})
