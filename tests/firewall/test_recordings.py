"""What a 6.18 kernel made of 1,800 flows and what conntrack makes of them here: 17,193 packets, all alike.

The recordings are of shared experiments with a forwarding host; `pystack conntrack-replay` plays any file of the kind.
"""

import copy
import json
import lzma
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pystack import replay
from pystack.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "TERM": "dumb"})


RECORDINGS = Path(__file__).with_name("recordings")
COUNTS = {"default": 1200, "loose0": 300, "liberal1": 300}


def flows(name):
    with lzma.open(RECORDINGS / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return list(replay.recorded(lines, name))


@pytest.mark.parametrize("name", COUNTS)
def test_every_packet_of_the_recording_is_seen_alike(name):
    result = replay.replay(flows(name))
    assert [str(each) for each in result.differences] == []
    assert result.equal == COUNTS[name]


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("ctstate", lambda packet: packet.update(ctstate="INVALID")),
        ("state", lambda packet: packet["entry"].update(state="SYN_RECV")),
        ("timeout", lambda packet: packet["entry"].update(timeout=118)),
        ("assured", lambda packet: packet["entry"].update(assured=True)),
        ("unreplied", lambda packet: packet["entry"].update(unreplied=False)),
        ("original", lambda packet: packet["entry"].update(original=1)),
        ("entry", lambda packet: packet.update(entry=None)),
    ],
)
def test_a_changed_recording_is_noticed(where, change):
    flow = next(
        f for f in flows("default") if f["packets"][0]["flags"] == 2 and not f["packets"][0]["dir"]
    )
    changed = copy.deepcopy(flow)
    change(changed["packets"][0])
    result = replay.replay([flow, changed])
    assert (result.equal, result.differ) == (1, 1)
    assert result.differences[0].where.endswith(", packet 1")


def test_command(tmp_path):
    flow = flows("loose0")[0]
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(json.dumps(flow) + "\n")
    flow["packets"][-1]["ctstate"] = "NEW" if flow["packets"][-1]["ctstate"] != "NEW" else "INVALID"
    bad.write_text(json.dumps(flow) + "\n")
    done = run("conntrack-replay", str(good))
    assert (done.exit_code, done.stdout) == (0, "1 equal, 0 differ\n")
    done = run("conntrack-replay", str(good), str(bad))
    assert done.exit_code == 1
    assert done.stdout.endswith("1 equal, 1 differ\n")
    assert f"flow {flow['id']}, packet {len(flow['packets'])}" in done.stdout


def broken(change):
    """A good flow, and the same with something wrong, as two lines."""
    flow = flows("loose0")[0]
    wrong = copy.deepcopy(flow)
    change(wrong)
    return f"{json.dumps(flow)}\n{json.dumps(wrong)}\n"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda flow: flow.pop("sport"), "not a recorded flow: it needs id, loose"),
        (lambda flow: flow.update(packets=3), "not a recorded flow: packets is 3"),
        (lambda flow: flow["packets"].append(7), "not a packet of a recorded flow: 7"),
        (lambda flow: flow["packets"][0].pop("seq"), "it needs dir, flags, seq"),
        (lambda flow: flow["packets"][0].update(seq="x"), "seq is 'x'"),
        (lambda flow: flow["packets"][0].update(seq=1 << 32), "and has 32 bits"),
        (lambda flow: flow["packets"][0].update(dir=2), "dir is 2, and has 1 bits"),
        (lambda flow: flow["packets"][0].update(len=70000), "len is 70000"),
        (lambda flow: flow["packets"][0].update(opts={"sack": [1]}), "sack is [1]"),
        (lambda flow: flow["packets"][0].update(entry={"state": 1}), "not an entry"),
    ],
)
def test_a_file_that_is_no_recording(tmp_path, change, why):
    path = tmp_path / "not.jsonl"
    path.write_text(broken(change))
    done = run("conntrack-replay", str(path))
    assert done.exit_code == 2
    assert "not.jsonl:2: not " in done.stderr
    assert why in done.stderr


def test_a_file_that_is_no_json(tmp_path):
    path = tmp_path / "not.jsonl"
    path.write_text("{")
    assert "not.jsonl:1: Expecting" in run("conntrack-replay", str(path)).stderr
    assert run("conntrack-replay", str(tmp_path / "none")).exit_code == 2


def test_serve_refuses_rules_with_their_place(tmp_path):
    rules = tmp_path / "bad.rules"
    rules.write_text("*filter\n-A INPUT --bogus -j DROP\nCOMMIT\n")
    done = run("serve", "--profile", "linux-6", "--iptables", str(rules), "--tun", "none0")
    assert done.exit_code == 2
    assert "bad.rules:2:" in done.stderr
    done = run("serve", "--profile", "freebsd-10", "--iptables", str(rules))
    assert done.exit_code == 2
    assert "netfilter" in done.stderr
