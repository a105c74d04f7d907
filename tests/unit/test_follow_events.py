"""`pystack conntrack -E` beside a running machine: events as they happen, filtered, until Ctrl-C."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import environment, pystack, start

LAB = """
import pystack
from pystack import control

net = pystack.Network(seed=1)
gw = net.host("gw", "192.0.2.1/24", profile="linux-6")
control.attend(net, ready=lambda names: print(*names, flush=True))
"""
FLOW = "-I -s 10.0.0.1 -d 10.0.0.2 -p udp --sport {} --dport 53 -t 30".split()


@pytest.fixture
def home(tmp_path: Path):
    tmp_path.chmod(0o700)
    lab = subprocess.Popen(
        [sys.executable, "-c", LAB], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert lab.stdout is not None
    lab.stdout.readline()
    yield tmp_path
    lab.send_signal(signal.SIGINT)
    lab.communicate(timeout=20)


def make(home: Path, port: int) -> None:
    words = [word.format(port) for word in FLOW]
    assert pystack(home, "conntrack", "--", *words)[0] == 0


class Follower:
    """A `conntrack -E`, and what it has printed."""

    def __init__(self, home: Path, *words: str) -> None:
        self.process = start(home, "conntrack", "--", "-E", *words)
        self.home = home
        self.heard = ""

    def listens(self) -> None:
        """Make flows until the first is told: from then on it listens."""
        for port in range(1, 100):
            make(self.home, port)
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                self.line()
                return
        raise AssertionError("it tells nothing")

    def line(self) -> str:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()  # and not the file, which would read ahead
        while "\n" not in self.heard:
            assert select.select([fd], [], [], 20)[0], "nothing comes"
            self.heard += os.read(fd, 65536).decode()
        line, _, self.heard = self.heard.partition("\n")
        return line + "\n"

    def end(self) -> tuple[str, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=20)
        return self.heard + out, err


def test_events_come_when_they_happen(home: Path):
    follower = Follower(home)
    follower.listens()
    make(home, 5000)
    line = follower.line()
    while "sport=5000" not in line:
        line = follower.line()
    assert line == (
        "    [NEW] udp      17 30 src=10.0.0.1 dst=10.0.0.2 sport=5000 dport=53 [UNREPLIED] "
        "src=10.0.0.2 dst=10.0.0.1 sport=53 dport=5000\n"
    )
    assert pystack(home, "conntrack", "--", "-D", "-p", "udp", "--sport", "5000")[0] == 0
    assert follower.line().startswith("[DESTROY] udp      17 30 src=10.0.0.1")
    out, err = follower.end()
    assert out == ""
    found = re.search(
        r"conntrack v1\.4\.7 \(conntrack-tools\): (\d+) flow events have been shown\.\n$", err
    )
    assert found
    assert int(found[1]) >= 3
    assert follower.process.returncode == 0


def test_filters_and_stamps(home: Path):
    follower = Follower(home, "-e", "DESTROY", "-o", "timestamp", "-p", "udp", "--sport", "7")
    make(home, 7)
    for _ in range(20):  # until it listens
        assert pystack(home, "conntrack", "--", "-D", "-p", "udp")[0] == 0
        if select.select([follower.process.stdout], [], [], 0.5)[0]:
            break
        make(home, 6)
        make(home, 7)
    assert re.match(r"\[\d+\.\d{6}\]\t\[DESTROY\] udp .* sport=7 ", follower.line())
    out, err = follower.end()
    assert "sport=6" not in out
    assert "events have been shown" in err


def test_words_that_it_does_not_know(home: Path):
    status, out, err = pystack(home, "conntrack", "--", "-E", "-e", "SOON")
    assert (status, out) == (2, "")
    assert "Bad parameter `SOON'" in err
