"""What the original ipfw of FreeBSD's 10 era did in 1,406 scenarios, and what the rules here do: all alike.

The recordings are of the original code in user space; `pystack ipfw-replay` plays any file of the kind.
"""

import copy
import json
import lzma
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pystack import ipfw_replay
from pystack._fast import COMPILED
from pystack.cli.app import app

RECORDINGS = Path(__file__).with_name("recordings")
SOME = 10
"""The interpreted leg plays each tenth."""
COUNTS = {
    "tcp": 687,
    "limit": 172,
    "full-table": 101,
    "udp-icmp": 86,
    "stateless": 360,
    "growth": 4,
}


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "TERM": "dumb"})


def scenarios(name):
    with lzma.open(RECORDINGS / f"ipfw-{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return list(ipfw_replay.recorded(lines, name))


@pytest.mark.parametrize("name", COUNTS)
def test_every_step_of_the_recording_comes_out_alike(name):
    found = scenarios(name)
    assert len(found) == COUNTS[name]
    played = found if COMPILED else found[::SOME]
    result = ipfw_replay.replay(played)
    assert [str(each) for each in result.differences] == []
    assert result.equal == len(played)


def step_with(key):
    """The first scenario of a recording with such a step, and the number of the step."""
    for scenario in scenarios("limit"):
        for number, step in enumerate(scenario["steps"]):
            if step.get(key):
                return copy.deepcopy(scenario), number
    raise AssertionError(key)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("verdict", lambda step: step.update(verdict="tee")),
        ("rule", lambda step: step.update(rule=1)),
        ("count", lambda step: step.update(count=99)),
        ("states", lambda step: step["states"][0].__setitem__(8, 7777)),
        ("states", lambda step: step["states"].reverse() or step["states"].append([])),
        ("msg", lambda step: step["msg"].pop()),
        ("sent", lambda step: step["sent"][0].update(seq=1)),
        ("ka", lambda step: step["ka"][0].update(ack=1)),
        ("ka", lambda step: step.update(t=step["t"] + 1)),
        ("stdout", lambda step: step.update(stdout="x")),
    ],
)
def test_a_changed_recording_is_noticed(key, change):
    scenario, number = step_with(key)
    change(scenario["steps"][number])
    result = ipfw_replay.replay([scenario])
    assert (result.equal, result.differ) == (0, 1)
    assert result.differences[0].where.endswith(f", step {number + 1}")


def test_command(tmp_path):
    path = tmp_path / "some.jsonl"
    good = scenarios("limit")[:3]
    path.write_text("".join(json.dumps(each) + "\n" for each in good))
    done = run("ipfw-replay", str(path))
    assert done.exit_code == 0
    assert done.stdout.endswith("3 equal, 0 differ\n")
    good[1]["steps"][0]["verdict"] = "tee"
    path.write_text("".join(json.dumps(each) + "\n" for each in good))
    done = run("ipfw-replay", str(path))
    assert done.exit_code == 1
    assert done.stdout.endswith("2 equal, 1 differ\n")
    assert f"scenario {good[1]['id']}, step 1" in done.stdout


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting"),
        ("{}", "not a scenario: no "),
        ('{"id": 1, "rules": [], "sysctl": {}, "uptime0": 1}', "not a scenario: no me, steps"),
    ],
)
def test_a_file_that_is_no_recording(tmp_path, text, why):
    path = tmp_path / "not.jsonl"
    path.write_text(text)
    done = run("ipfw-replay", str(path))
    assert done.exit_code == 2
    assert "not.jsonl:1: " in done.stderr
    assert why in done.stderr
