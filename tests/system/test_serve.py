"""`pystack serve` and `pystack demo` as programs, against the system's curl, ab and nc."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from netlab import Lab, LabError, Namespace

from pystack import capture
from pystack.services.chargen import PERIOD
from pystack.services.http_plans import PATTERN

pytestmark = pytest.mark.system

US, KERNEL = "10.9.0.2", "10.9.0.1"
ALL = ("--http", "80", "--echo", "7", "--discard", "9", "--chargen", "19")
PYSTACK = (sys.executable, "-m", "pystack")


class Served:
    """A running `pystack serve` in a namespace."""

    def __init__(self, space: Namespace, *arguments: str) -> None:
        self.space = space
        self.process = space.popen([*PYSTACK, "serve", *arguments])
        self.log = ""
        while "this system is" not in self.log:
            self._more()

    def _more(self) -> None:
        assert self.process.stderr is not None
        assert select.select([self.process.stderr], [], [], 30)[0], self.log
        line = os.read(self.process.stderr.fileno(), 65536).decode()
        assert line, f"it ended: {self.log}"
        self.log += line

    def stop(self, number: int = signal.SIGINT) -> str:
        """End it as Ctrl-C does; everything that it said. Nothing may be left."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, self.log + err
        assert out == ""
        assert links(self.space) == {"lo"}
        self.log += err
        return self.log


def links(space: Namespace) -> set[str]:
    return {link["ifname"] for link in json.loads(space.ip("-json", "link"))}


@pytest.fixture
def served(lab: Lab) -> Iterator[Callable[..., Served]]:
    running: list[Served] = []

    def start(*arguments: str) -> Served:
        running.append(Served(lab.namespace(), *arguments))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.stop()


def told(text: str) -> str:
    """What a program says besides that it runs interpreted."""
    return re.sub(r"^pystack: interpreted .*\n", "", text)


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.fail(f"`{tool}` is missing: .ci/run installs it")


def test_habits_of_the_web_server(served: Callable[..., Served]) -> None:
    it = served("--http", "80", "--http-like", "nginx", "--http-option", "keepalive=off")
    url = f"http://{US}/bytes/5"
    told = curl(it.space, *(["-o", "/dev/null", url] * 3), "-w", "%{num_connects} ")
    assert told.split() == ["1", "1", "1"]
    assert "\nConnection: close\n" in curl(it.space, "-I", url)
    it.stop()


def pattern(octets: int) -> bytes:
    return (PATTERN * (octets // len(PATTERN) + 1))[:octets]


def curl(space: Namespace, *arguments: str) -> str:
    return space.run(["curl", "-sS", "-m", "25", *arguments])


@pytest.mark.parametrize("offload", ["--offload", "--no-offload"])
@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
def test_curl(served: Callable[..., Served], offload: str, profile: str, tmp_path: Path) -> None:
    it = served(*ALL, offload, "--profile", profile)
    url = f"http://{US}"
    assert curl(it.space, f"{url}/bytes/100") == pattern(100).decode()
    head = curl(it.space, "-I", f"{url}/")
    assert head.startswith("HTTP/1.1 200 OK\n")  # text mode: CRLF was read as LF
    assert curl(it.space, "-w", "%{http_code}", "-o", "/dev/null", f"{url}/none") == "404"
    assert "405 Method Not Allowed" in curl(it.space, "-d", "x" * 5000, f"{url}/")
    big = tmp_path / "big"
    curl(it.space, "-o", str(big), f"{url}/bytes/20000000")
    expected = hashlib.sha256(pattern(20_000_000)).digest()
    assert hashlib.sha256(big.read_bytes()).digest() == expected
    # one connection for several requests
    again = curl(it.space, *(["-o", "/dev/null", f"{url}/bytes/5"] * 4), "-w", "%{num_connects} ")
    assert again.split() == ["1", "0", "0", "0"]
    log = it.stop()
    word = "offload" if offload == "--offload" else "no offload (not asked for)"
    assert f"is {US}/24 on tun0, {word}; this system is {KERNEL}" in log
    # none, unless the computer is so busy that the probe for a lost tail goes
    assert int(re.findall(r"(\d+) retransmitted", log)[0]) <= 5


def test_ab_with_and_without_keep_alive(served: Callable[..., Served]) -> None:
    need("ab")
    it = served("--http", "8080")
    for options in (["-k"], []):
        out = it.space.run(
            ["ab", "-q", *options, "-n", "2000", "-c", "32", f"http://{US}:8080/bytes/1000"],
            timeout=50,
        )
        assert re.search(r"Complete requests: +2000\n", out)
        assert re.search(r"Failed requests: +0\n", out)
        if options:
            assert re.search(r"Keep-Alive requests: +2000\n", out)
    it.stop()


def nc(space: Namespace, port: int, data: bytes = b"", *options: str, most: int = -1) -> bytes:
    """What nc prints when it is given `data`; killed after `most` octets."""
    need("nc")
    child = subprocess.Popen(
        ["ip", "netns", "exec", space.name, "nc", *options, US, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if most < 0:
            return child.communicate(data, timeout=30)[0]
        assert child.stdout is not None
        return child.stdout.read(most)
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("offload", ["--offload", "--no-offload"])
def test_nc_and_the_small_services(served: Callable[..., Served], offload: str) -> None:
    it = served(*ALL, offload)
    data = random.Random(1).randbytes(3_000_000)
    assert nc(it.space, 7, data, "-N") == data
    assert nc(it.space, 9, data, "-N") == b""
    assert nc(it.space, 19, most=500_000) == (PERIOD * 72)[:500_000]
    assert nc(it.space, 80, b"GET /bytes/3 HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n012")
    it.stop()


def test_ping_is_answered_and_other_ports_refuse(served: Callable[..., Served]) -> None:
    it = served()
    if shutil.which("ping"):
        assert "2 received" in it.space.run(["ping", "-c2", "-i0.2", US])
    began = time.monotonic()
    with pytest.raises(LabError, match=r"exit 7: .*connect"):
        curl(it.space, f"http://{US}/")
    assert time.monotonic() - began < 10  # not by a timeout
    it.stop()


def test_a_directory(served: Callable[..., Served], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<p>hello")
    (tmp_path / "site" / "big").write_bytes(pattern(3_000_000))
    (tmp_path / "a.toml").write_text('http = 80\nhttp_root = "site"\n')
    it = served(str(tmp_path / "a.toml"))
    assert curl(it.space, f"http://{US}/") == "<p>hello"
    curl(it.space, "-o", str(tmp_path / "got"), f"http://{US}/big")
    assert (tmp_path / "got").read_bytes() == pattern(3_000_000)
    assert "404" in curl(it.space, "--path-as-is", f"http://{US}/../a.toml")
    it.stop()


def test_loss_delay_and_a_capture(served: Callable[..., Served], tmp_path: Path) -> None:
    file = tmp_path / "out.pcapng"
    it = served("--http", "80", "--loss", "2%", "--delay", "5ms", "--pcap", str(file))
    began = time.time_ns()
    timing = ("-o", "/dev/null", "-w", "%{size_download} %{time_connect}")
    size, connected = curl(it.space, *timing, f"http://{US}/bytes/2000000").split()
    assert size == "2000000"
    assert float(connected) >= 0.010
    log = it.stop()
    assert int(re.findall(r"(\d+) retransmitted", log)[0]) > 0
    records = list(capture.read(file))
    lost = [r for r in records if r.comment == "dropped: LINK_LOSS"]
    assert 0 < len(lost) < len(records) / 5
    assert abs(records[0].ns - began) < 60 * 10**9
    assert {r.interface for r in records if not r.comment} == {"tun0"}
    if shutil.which("tcpdump"):
        printed = subprocess.run(
            ["tcpdump", "-nr", str(file)], capture_output=True, text=True, check=True
        )
        assert len(printed.stdout.splitlines()) == len(records)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_leaves_nothing_and_tells_the_clients(
    served: Callable[..., Served], number: int
) -> None:
    it = served(*ALL)
    child = it.space.popen(["curl", "-sS", "-o", "/dev/null", f"http://{US}/bytes/{1 << 40}"])
    time_left = 20.0
    while time_left > 0 and "ESTAB" not in it.space.run(["ss", "-tn"]):
        time_left -= 0.1
        select.select([], [], [], 0.1)
    it.stop(number)
    _, error = child.communicate(timeout=10)  # at once: it was reset
    assert child.returncode == 56, error
    assert json.loads(it.space.ip("-json", "route")) == []


def test_two_at_a_time(served: Callable[..., Served], lab: Lab) -> None:
    it = served("--http", "80")
    done = subprocess.run(
        ["ip", "netns", "exec", it.space.name, *PYSTACK, "serve", "--http", "80"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("pystack: there is a device named tun0 already: choose another name\n")
    done = subprocess.run(
        ["ip", "netns", "exec", it.space.name, *PYSTACK, "serve", "--tun", "tun1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert told(done.stderr) == f"pystack: address {KERNEL} is in use on tun0: choose another\n"
    assert links(it.space) == {"lo", "tun0"}
    other = Served(it.space, "--tun", "tun1", "--address", "10.8.0.2/24", "--http", "80")
    assert curl(it.space, "http://10.8.0.2/bytes/4") == "0123"
    assert curl(it.space, f"http://{US}/bytes/4") == "0123"
    other.process.send_signal(signal.SIGINT)
    other.process.communicate(timeout=20)
    assert links(it.space) == {"lo", "tun0"}
    it.stop()


def test_a_namespace_by_name(lab: Lab) -> None:
    space = lab.namespace()
    process = subprocess.Popen(
        [*PYSTACK, "serve", "--netns", space.name, "--http", "80"], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    while b"tun0" not in (line := process.stderr.readline()):
        assert line, "it ended"
    assert curl(space, f"http://{US}/bytes/4") == "0123"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert links(space) == {"lo"}


def test_a_device_that_is_taken_away(served: Callable[..., Served]) -> None:
    it = served("--http", "80")
    it.space.ip("link", "delete", "tun0")
    _, error = it.process.communicate(timeout=20)
    assert it.process.returncode == 1
    assert "pystack: tun0 has been taken away\n" in error


def test_without_root_it_is_one_line() -> None:
    script = (
        "import contextlib, io, os, sys\n"
        "from pystack.cli import main\n"
        "def serve(*options):\n"
        "    sys.argv = ['pystack', 'serve', *options]\n"
        "    main()\n"
        # once for its imports: the files may be root's
        "with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):\n"
        "    serve('--tun', 'a b')\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "serve('--http', '80')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert re.fullmatch(r"pystack: no permission .*: run as root.*\n", told(done.stderr))


def test_the_demo_shows_both(system_ready: None, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PYSTACK, "demo", "--json", "--clients", "20", "--pcap", str(tmp_path / "x.pcapng")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["requests"], shown["failed"]) == (80, 0)
    page, bulk = shown["device"]["outputs"]
    assert page.startswith("HTTP/1.1 200 OK")
    assert "<h1>web: FreeBSD 14</h1>" in page
    assert bulk.startswith("100000000 octets in ")
    # nothing came into our own namespace, and the other one had no name to stay behind with
    assert "tun0" not in [name for _, name in socket.if_nameindex()]
    assert (tmp_path / "x.pcapng").stat().st_size > 100_000
