"""The control socket of `pystack serve`: two machines at once, killed and stopped ones, and callers that mean harm."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_kit import until_it_waits
from netlab import Lab, Namespace

from pystack.control.message import Request

pytestmark = pytest.mark.system

PYSTACK = (sys.executable, "-m", "pystack")


class Machine:
    """A running `pystack serve`."""

    def __init__(self, lab: Lab, *arguments: str) -> None:
        self.space: Namespace = lab.namespace()
        self.process = self.space.popen([*PYSTACK, "serve", "--http", "80", *arguments])
        assert self.process.stderr is not None
        self.log = ""
        while "ask it: pystack netstat" not in self.log:
            line = self.process.stderr.readline()
            assert line, self.log
            self.log += line
        found = re.search(r"netstat -an -M (\S+),", self.log)
        assert found is not None
        self.name = found[1]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "pystack"


@pytest.fixture
def machines(lab: Lab, run_dir: Path) -> Iterator[Callable[..., Machine]]:
    running: list[Machine] = []

    def start(*arguments: str) -> Machine:
        running.append(Machine(lab, *arguments))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop()
    assert list(run_dir.glob("*")) == []


def pystack(*words: str, status: int = 0) -> str:
    """What the command prints, without a namespace: the control socket is a file."""
    done = subprocess.run([*PYSTACK, *words], capture_output=True, text=True, timeout=50)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else told(done.stderr)


def told(text: str) -> str:
    """What a program says besides that it runs interpreted."""
    return re.sub(r"^pystack: interpreted .*\n", "", text)


def fetch(machine: Machine, octets: int) -> str:
    return machine.space.run(["curl", "-sS", "-m", "25", f"http://10.9.0.2/bytes/{octets}"])


def test_two_machines(machines: Callable[..., Machine]) -> None:
    web = machines("--profile", "freebsd-14")
    other = machines("--profile", "linux-6")
    assert (web.name, other.name) == ("web", "web-2")
    fetch(web, 10)
    assert "accepts" in pystack("netstat", "-s", "-M", "web", "--json")
    assert json.loads(pystack("netstat", "-s", "-M", "web", "--json"))["tcp"]["accepts"] == 1
    assert "0.0.0.0:80" in pystack("ss", "-ltn", "-M", "web-2")
    assert "several machines are running: web, web-2" in pystack("netstat", status=2)
    assert [each["name"] for each in json.loads(pystack("machines", "--json"))] == ["web", "web-2"]
    assert pystack("sysctl", "-M", "web", "net.inet.tcp.msl=100") == (
        "net.inet.tcp.msl: 30000 -> 100\n"
    )
    web.stop()
    assert pystack("ss", "-tan").startswith("State "), "the only one is meant"
    assert "no machine 'web': there is web-2" in pystack("netstat", "-M", "web", status=2)


def test_knobs_act_on_the_next_connection(machines: Callable[..., Machine]) -> None:
    """TIME_WAIT of 100 ms is soon gone; with the default it stays for a minute."""
    web = machines()
    url = "http://10.9.0.2/bytes/10"
    again = ["curl", "-sS", "-m", "25", "--http1.0", url]

    def one_waits() -> bool:
        """Is there nothing else besides the listener before ten seconds are over?"""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            rows = json.loads(pystack("netstat", "-an", "--json"))
            if sorted(row["state"] for row in rows) == ["LISTEN", "TIME_WAIT"]:
                return True
        return False

    web.space.run(again)
    assert one_waits()
    pystack("sysctl", "net.inet.tcp.msl=50")
    web.space.run(again)
    assert one_waits(), "the second one is gone, the first keeps its time"


def test_a_killed_and_a_stopped_machine(machines: Callable[..., Machine], run_dir: Path) -> None:
    web = machines()
    web.process.send_signal(signal.SIGKILL)
    web.process.wait()
    assert (run_dir / "web.sock").exists()
    assert pystack("netstat", status=2) == (
        "pystack: no machine is running: begin with `pystack serve`\n"
    )
    assert not (run_dir / "web.sock").exists()
    again = machines()
    assert again.name == "web"
    again.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    process = subprocess.Popen(
        [*PYSTACK, "netstat"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until_it_waits(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - began < 30
    assert "Traceback" not in err
    again.process.send_signal(signal.SIGCONT)


def hostile(path: str, until: float, seed: int) -> None:
    """Whatever a program of the same user may do to a socket."""
    chance = random.Random(seed)
    kept: list[socket.socket] = []
    good = Request("netstat", ("-an",)).frame()
    while time.monotonic() < until:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(1)
        kept.append(sock)
        with contextlib.suppress(OSError):
            sock.connect(path)
            octets = chance.choice(
                (
                    b"",
                    b"\xff" * 4,
                    chance.randbytes(chance.randrange(1, 50_000)),
                    good,
                    good[: chance.randrange(len(good))],
                    good * 1000,
                    b"\x00\x00\x40\x00" + b"[" * 16384,
                )
            )
            sock.sendall(octets)
        while len(kept) > chance.randrange(1, 40):
            kept.pop(chance.randrange(len(kept))).close()
    for sock in kept:
        sock.close()


def test_hostile_callers_harm_nobody(machines: Callable[..., Machine], run_dir: Path) -> None:
    """Four of them as fast as they can: a megabyte comes all the same, a genuine question is answered."""
    web = machines()
    quiet = timed(web)
    path = str(run_dir / "web.sock")
    until = time.monotonic() + 6
    threads = [threading.Thread(target=hostile, args=(path, until, seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    worst = 0.0
    while time.monotonic() < until - 1.5:
        worst = max(worst, timed(web))
    for thread in threads:
        thread.join()
    assert worst < quiet + 2
    assert "LISTEN" in pystack("netstat", "-an")
    assert children(web.process.pid) == []
    knobs = pystack("sysctl", "-n", "net.inet.tcp.msl", "kern.ipc.nmbclusters")
    assert knobs == "30000\n262144\n"


def timed(machine: Machine) -> float:
    began = time.monotonic()
    assert len(fetch(machine, 1_000_000)) == 1_000_000
    return time.monotonic() - began


def children(pid: int) -> list[int]:
    """The children that a process still has after some seconds."""
    for _ in range(100):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not found:
            return []
        time.sleep(0.1)
    return [int(each) for each in found]


def test_without_a_control_socket(lab: Lab, run_dir: Path) -> None:
    space = lab.namespace()
    process = space.popen([*PYSTACK, "serve", "--no-control"])
    assert process.stderr is not None
    log = ""
    while "this system is" not in log:
        log += process.stderr.readline()
    assert not run_dir.exists()
    assert "no machine is running" in pystack("netstat", status=2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "ask it" not in log + err


def test_a_place_that_cannot_be(lab: Lab, run_dir: Path) -> None:
    """Serving is what it is for; being asked is not: it goes on without."""
    run_dir.mkdir(mode=0o777)
    run_dir.chmod(0o777)
    space = lab.namespace()
    process = space.popen([*PYSTACK, "serve"])
    assert process.stderr is not None
    log = ""
    while "this system is" not in log:
        log += process.stderr.readline()
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "is not a directory that only this user may enter" in log + err
    assert process.returncode == 0
