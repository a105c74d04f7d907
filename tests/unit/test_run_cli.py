"""`pystack run` and `pystack scenarios` as somebody meets them."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import pystack

THIN = [
    *("--set", "web:net.inet.ip.fw.dyn_max=60", "--set", "traffic.forgetful.rate=0.12"),
    *("--set", "traffic.visitors.rate=0.06", "--set", "sample=10s"),
]
NAME = "fin-wait-2-ipfw"


def test_scenarios_are_listed(tmp_path: Path):
    status, out, _ = pystack(tmp_path, "scenarios")
    assert status == 0
    assert re.search(rf"^{NAME} +freebsd-10 +ipfw: add_dyn_rule", out, re.M)
    status, out, _ = pystack(tmp_path, "scenarios", "--json")
    (one,) = [each for each in json.loads(out) if each["name"] == NAME]
    assert "recycle" in one["cures"]


def test_a_run_is_explained(tmp_path: Path):
    status, out, err = pystack(tmp_path, "run", NAME, *THIN, "--no-cures")
    assert (status, err) == (0, "")
    assert re.search(r"^ipfw dynamic rules \(net.inet.ip.fw.dyn_max\) ran out at \d+", out, re.M)
    assert "Linux: net.netfilter.nf_conntrack_max" in out
    assert "× FIN_WAIT_2" in out
    assert "× ipfw: add_dyn_rule: Cannot allocate rule" in out
    assert "shell: 180 of 180 answered (100.0%)" in out


def test_json_has_it_all(tmp_path: Path):
    status, out, _ = pystack(tmp_path, "run", NAME, *THIN, "--no-cures", "--json", "--seed", "3")
    assert status == 0
    found = json.loads(out)
    result = found["result"]
    assert result["first_bite"]["knob"] == "net.inet.ip.fw.dyn_max"
    assert result["limits"]["ipfw dynamic rules"]["high_water"] == 60
    assert result["seed"] == 3
    assert len(result["times"]) == len(result["states"]["FIN_WAIT_2"]) == 90
    assert "ipfw -d show" in result["worst"]["views"]


@pytest.mark.slow
def test_cures_and_a_report(tmp_path: Path):
    page = tmp_path / "out.html"
    status, out, err = pystack(tmp_path, "run", NAME, *THIN, "--report", str(page))
    assert status == 0
    assert re.search(r"^  recycle +100.0% +100.0% +0 +\d+ +helps *$", out, re.M)
    assert re.search(r"^  ack-lifetime +.* does not help$", out, re.M)
    assert "web# sysctl net.inet.tcp.finwait2_timeout=15000" in out
    assert "recycle: 0 failed" in err
    text = page.read_text()
    assert text.count("<svg") == 5
    assert not re.search(r'(?:src|href)="https?:', text)
    assert "## Dynamic rules" in text
    assert "web# sysctl net.inet.tcp.fast_finwait2_recycle=1" in text


def test_a_capture(tmp_path: Path):
    file = tmp_path / "out.pcapng"
    words = ("run", NAME, *THIN, "--no-cures", "--for", "30s", "--pcap", str(file))
    status, out, _ = pystack(tmp_path, *words)
    assert status == 0
    assert "30 s of virtual time" in out
    assert file.read_bytes()[:4] == b"\n\r\r\n"
    assert len(file.read_bytes()) > 2000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fin-wait"], "no scenario 'fin-wait'"),
        (["nowhere.toml"], "nowhere.toml: No such file"),
        ([NAME, "--set", "web:net.inet.tcp.mls=1"], "did you mean net.inet.tcp.msl"),
        ([NAME, "--set", "web:dyn_max"], "write HOST:KNOB=VALUE"),
        ([NAME, "--for", "5"], "has no unit"),
        (["snat-port-exhaustion", "--set", "watch.host=balancer", "--tun", "tun0"], "2 interfaces"),
        ([NAME, "--pcap", "/nowhere/x", "--for", "1s"], "/nowhere/x"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, words: list[str], said: str):
    status, out, err = pystack(tmp_path, "run", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_ctrl_c_tells_what_is_known(tmp_path: Path):
    command = [sys.executable, "-m", "pystack", "run", NAME, "--set", "lasting=10d"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        assert run.stdout is not None
        assert " answered, 0 failed" in run.stdout.readline()
        run.send_signal(signal.SIGINT)
        out = run.stdout.read()
    assert run.returncode == 0
    assert ", interrupted" in out
    assert "What clients saw" in out
    assert "as it is" not in out


def test_the_live_screen():
    from rich.console import Console

    from pystack.cli.screen import Screen
    from pystack.scenarios.load import load
    from pystack.scenarios.run import Play

    playing = Play(load(NAME, [word for word in THIN if word != "--set"]), views=False)
    for _ in playing:
        pass
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(Screen(playing, NAME)._picture())
    text = console.export_text()
    assert "900.0 s of 900 s" in text
    assert re.search(r"ipfw dynamic rules +█{20} +60 / 60 +\d+ refused", text)
    assert "59 FIN_WAIT_2" in text
    assert "ipfw: add_dyn_rule: Cannot allocate rule" in text
