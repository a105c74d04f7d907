"""The machine's side of the control socket: what is asked is answered, and whatever else comes harms nobody."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pystack
from pystack import control
from pystack.control import desk as desk_module
from pystack.control import message, place
from pystack.control.desk import Desk
from pystack.control.message import Answer, Request
from pystack.control.still import Still
from pystack.runner import Runner
from pystack.views import tools
from pystack.views.tools import Outcome


class Office:
    """A desk, its loop, and callers in the same thread."""

    def __init__(self, run_dir: Path, profile: str = "freebsd-10") -> None:
        self.run_dir = run_dir
        self.still = Still()
        self.loop = Runner(self.still, self.still, spin=0)
        self.host = pystack.Host("web", "192.0.2.1/24", profile=profile)
        self.desk = Desk(self.host, self.loop)
        self.path = str(run_dir / f"{self.desk.name}.sock")

    def close(self) -> None:
        self.desk.close()
        self.loop.close()
        self.still.close()

    def call(self, octets: bytes = b"") -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(self.path)
        if octets:
            sock.sendall(octets)
        sock.setblocking(False)
        return sock

    def turn(self, seconds: float = 0.0, until: Callable[[], object] | None = None) -> bool:
        return self.loop.run(until=until, timeout=seconds, signals=False)

    def heard(self, sock: socket.socket, seconds: float = 10.0) -> bytes:
        """All that comes until the desk hangs up."""
        got = bytearray()

        def ended() -> bool:
            try:
                part = sock.recv(1 << 20)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
            got.extend(part)
            return not part

        self.loop.call_every(0.005, lambda: None)
        assert self.turn(seconds, ended), "it never hung up"
        return bytes(got)

    def ask(self, tool: str, *words: str) -> Answer:
        with self.call(Request(tool, words).frame()) as sock:
            frame = self.heard(sock)
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        return Answer.parse(frame[4:])

    def idle(self) -> bool:
        """Does the desk hold nothing: no caller, no child, nothing that waits?"""
        return not (self.desk._callers or self.desk._children or self.desk._waiting)


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "pystack"


@pytest.fixture
def office(run_dir: Path) -> Iterator[Office]:
    made = Office(run_dir)
    yield made
    made.close()
    assert not (run_dir / "web.sock").exists()


def test_a_view(office: Office):
    assert office.ask("netstat", "-an") == Answer(0, office.host.netstat("-an"))
    known = "cat, dmesg, head, ipfw, limits, netstat, sockstat, sysctl, vmstat"
    refusal = f"FreeBSD 10 has no nonsense here: it has {known}\n"
    assert office.ask("nonsense") == Answer(2, err=refusal)
    assert office.turn(5, office.idle)
    assert (office.desk.asked, office.desk.refused) == (2, 0)


def test_a_change_is_the_machines_own(office: Office):
    said = office.ask("sysctl", "net.inet.tcp.msl=5000")
    assert said == Answer(0, "net.inet.tcp.msl: 30000 -> 5000\n")
    assert office.host.sysctl["net.inet.tcp.msl"] == 5000
    assert office.host.core.cfg.tcp_timewait == 10 * 10**9
    assert office.ask("sysctl", "net.inet.tcp.msl").out == "net.inet.tcp.msl: 5000\n"


def test_one_message_changes_one_thing(office: Office):
    """What a change costs is the machine's own time, so that a message can cost little of it only."""
    said = office.ask("sysctl", "net.inet.tcp.msl=1", "net.inet.tcp.keepidle=1")
    assert said.status == 2
    assert "a message that changes something has one word besides options" in said.err
    said = office.ask("sysctl", "net.inet.tcp.msl=1", *["no.such.name"] * 200)
    assert said.status == 2
    assert office.host.sysctl["net.inet.tcp.msl"] == 30000


def test_rules_and_flows_are_changed(run_dir: Path):
    office = Office(run_dir, "linux-6")
    try:
        words = [
            "-A",
            "INPUT",
            "-p",
            "tcp",
            "--dport",
            "81",
            "-j",
            "REJECT",
            "--reject-with",
            "tcp-reset",
        ]
        assert office.ask("iptables", *words) == Answer(0)
        assert "--dport 81 -j REJECT --reject-with tcp-reset" in office.host.iptables("-S INPUT")
        assert office.ask("iptables", "-S", "INPUT").out == office.host.iptables("-S INPUT")
        assert office.ask("iptables", "-A", "INPUT", "--bogus").status == 2
        office.host.conntrack(
            "-I -s 192.0.2.9 -d 192.0.2.1 -p udp --sport 9 --dport 53 -t 30 -u SEEN_REPLY"
        )
        assert office.ask("conntrack", "-D", "-s", "192.0.2.8").status == 1
        assert "sport=9 dport=53" in office.ask("conntrack", "-D", "-s", "192.0.2.9").out
        assert len(office.host.conntrack) == 0
    finally:
        office.close()


def test_what_is_not_known_is_looked_up_by_a_child(office: Office, monkeypatch: pytest.MonkeyPatch):
    """Finding the nearest names takes milliseconds each: not the machine's."""
    here = os.getpid()
    real = tools.run

    def run(host: object, tool: str, words: list[str]) -> Outcome:
        assert os.getpid() != here
        return real(host, tool, words)  # type: ignore[arg-type]

    monkeypatch.setattr(tools, "run", run)
    said = office.ask("sysctl", *["net.inet.tcp.mls=1"] * 100)
    assert said.status == 1
    assert said.err.count("did you mean net.inet.tcp.msl") == 100


def test_octet_by_octet(office: Office):
    frame = Request("netstat", ("-m",)).frame()
    with office.call() as sock:
        for octet in frame:
            sock.send(bytes([octet]))
            office.turn(0.006)
        assert Answer.parse(office.heard(sock)[4:]).out.endswith("initiated by sendfile\n")


def test_more_pieces_than_anybody_needs(office: Office):
    """Each costs the machine a look."""
    with office.call() as sock:
        for octet in Request("netstat", ("-m",) * 100).frame()[: desk_module.PIECES + 1]:
            assert office.desk.refused == 0
            sock.send(bytes([octet]))
            office.turn(0.01)
        assert "it comes in more than 64 pieces" in Answer.parse(office.heard(sock)[4:]).err


def test_connections_are_taken_a_few_at_a_time(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desk_module, "PAUSE", 0.2)
    socks = [office.call() for _ in range(desk_module.ACCEPTS + 2)]
    office.turn(0.1)
    assert len(office.desk._callers) == desk_module.ACCEPTS
    assert office.turn(2, lambda: len(office.desk._callers) == desk_module.ACCEPTS + 2)
    for sock in socks:
        sock.close()


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"\xff\xff\xff\xff", "a message of 4294967295 octets; at most 16384 are taken"),
        (b"GET / HTTP/1.1\r\n\r\n", "a message of 1195725856 octets"),
        (b"\x00\x00\x40\x01", "a message of 16385 octets"),
        (b"\x00\x00\x00\x00", "it is no JSON"),
        (b"\x00\x00\x00\x02{}", "it is not of version 1"),
        (b"\x00\x00\x00\x02{}{}", "something comes behind it"),
        (Request("netstat").frame() * 2, "something comes behind it"),
        (b"\x00\x00\x40\x00" + b"[" * 16384, "it is no JSON"),
    ],
)
def test_what_is_no_message_is_told_so(office: Office, octets: bytes, why: str):
    with office.call(octets) as sock:
        said = Answer.parse(office.heard(sock)[4:])
    assert (said.status, said.out) == (2, "")
    assert why in said.err
    assert office.idle()
    assert (office.desk.asked, office.desk.refused) == (0, 1)


def test_half_a_message_has_its_time(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desk_module, "ASKING", 0.05)
    with office.call(b"\x00\x00") as sock, office.call() as silent:
        assert office.heard(sock, 5) == b""
        assert office.heard(silent, 5) == b""
    assert office.idle()


def test_a_caller_that_goes(office: Office):
    office.call(b"\x00\x00").close()
    office.call().close()
    office.call(Request("netstat").frame()).close()  # before the answer
    assert office.turn(5, lambda: office.desk.refused == 2 and office.desk.asked == 1)
    assert office.turn(5, office.idle)
    assert office.ask("netstat").status == 0


def test_callers_are_bounded_and_the_newest_are_heard(office: Office):
    """Who connects and says nothing keeps nobody out."""
    silent = []
    for _ in range(2 * desk_module.CALLERS):
        silent.append(office.call())
        office.turn(0.006)
    assert len(office.desk._callers) == desk_module.CALLERS
    assert office.ask("netstat", "-m").status == 0
    assert office.heard(silent[0]) == b""
    for sock in silent:
        sock.close()


def test_questions_wait_for_their_turn(office: Office, monkeypatch: pytest.MonkeyPatch):
    """However many ask at once, so many commands are begun in a time, and the rest is told so."""
    desk = office.desk
    monkeypatch.setattr(desk_module, "REST", 3600)  # the first, and then nobody for a while
    frame = Request("netstat", ("-m",)).frame()
    socks = []
    for n in range(1, desk_module.CALLERS + 4):
        socks.append(office.call(frame))
        assert office.turn(10, lambda n=n: desk.asked + desk.refused + len(desk._waiting) == n)
    assert (desk.asked, desk.refused, len(desk._waiting)) == (1, 2, desk_module.CALLERS)
    monkeypatch.setattr(desk_module, "REST", 0.05)
    began = time.monotonic()
    desk._rested()
    said = [Answer.parse(office.heard(sock)[4:]) for sock in socks]
    assert [each.status for each in said] == [0, 2, 2] + [0] * desk_module.CALLERS
    assert "too many ask at the same time" in said[1].err
    assert time.monotonic() - began > 0.05 * (desk_module.CALLERS - 1)
    for sock in socks:
        sock.close()


def test_a_long_view_and_a_slow_reader_do_not_hold_the_machine(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    def run(*_: object) -> Outcome:
        time.sleep(0.3)
        return Outcome(0, "x" * 10_000_000)

    monkeypatch.setattr(tools, "run", run)
    gaps = []
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        gaps.append(time.monotonic() - last)
        last = time.monotonic()

    office.loop.call_every(0.01, tick)
    with office.call(Request("netstat").frame()) as sock:
        office.turn(1.0)  # the answer is there, and nobody reads it
        assert len(office.desk._children) == 1
        assert len(office.heard(sock)) > 10_000_000
    assert len(gaps) > 30
    assert max(gaps) < 0.25
    assert office.turn(5, office.idle)


def test_a_reader_that_never_reads(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tools, "run", lambda *_: Outcome(0, "x" * 10_000_000))
    monkeypatch.setattr(desk_module, "ANSWERING", 1)
    with office.call(Request("netstat").frame()):
        office.turn(0.3)
        assert len(office.desk._children) == 1
        assert office.turn(5, office.idle), "its child goes on for ever"


def test_children_are_bounded_and_go_with_the_machine(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tools, "run", lambda *_: time.sleep(60))
    monkeypatch.setattr(desk_module, "CHILDREN", 2)
    socks = [office.call(Request("netstat").frame()) for _ in range(4)]
    office.turn(0.3)
    children = list(office.desk._children.values())
    assert len(children) == 2
    assert len(office.desk._waiting) == 2
    office.desk.close()
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    for sock in socks:
        assert sock.recv(1) == b""
        sock.close()


def test_a_tool_that_fails_is_told_and_the_machine_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with monkeypatch.context() as broken:
        broken.setattr(tools, "run", lambda *_: 1 / 0)
        said = office.ask("netstat")
        assert said.err == "pystack: netstat failed: ZeroDivisionError: division by zero\n"
        assert said.status == 1
        said = office.ask("sysctl", "net.inet.tcp.msl=1")  # in the machine's own process
        assert said.status == 1
    assert office.ask("netstat").status == 0


def test_no_fork(office: Office, monkeypatch: pytest.MonkeyPatch):
    def fork() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as poor:
        poor.setattr(os, "fork", fork)
        said = office.ask("netstat")
    assert said == Answer(1, err="pystack: web: no fork: Resource temporarily unavailable\n")
    assert office.ask("netstat").status == 0


def test_no_descriptors(office: Office, monkeypatch: pytest.MonkeyPatch):
    """accept() fails and the socket stays readable: the loop must not run hot over it."""

    class Full:
        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock
            self.tries = 0

        def fileno(self) -> int:
            return self.sock.fileno()

        def accept(self) -> object:
            self.tries += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(desk_module, "DEAF", 0.1)
    real = office.desk._sock
    full = office.desk._sock = Full(real)  # type: ignore[assignment]
    with office.call(Request("netstat").frame()) as sock:
        office.turn(0.35)
        assert 2 <= full.tries <= 5  # type: ignore[attr-defined]
        office.desk._sock = real
        assert Answer.parse(office.heard(sock)[4:]).status == 0


def test_another_user_is_not_heard(office: Office, monkeypatch: pytest.MonkeyPatch):
    for uid, answered in ((0, True), (os.geteuid(), True), (os.geteuid() + 1, False)):
        monkeypatch.setattr(desk_module, "peer_uid", lambda _, uid=uid: uid)
        with office.call(Request("netstat").frame()) as sock:
            assert bool(office.heard(sock)) == answered
    assert office.desk.refused == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_another_user_by_the_kernels_own_word(office: Office):
    """Modes keep others out; and where somebody changed the modes, the credentials do."""

    def knock() -> str:
        """What happens to a process of nobody that asks."""
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setgid(65534)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                try:
                    sock.connect(office.path)
                    sock.sendall(Request("netstat").frame())
                    said = repr(sock.recv(100))
                except OSError as error:
                    said = type(error).__name__
            os.write(tell, said.encode())
            os._exit(0)
        os.close(tell)
        with os.fdopen(told) as pipe:
            assert office.turn(20, lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
            return pipe.read()

    office.loop.call_every(0.01, lambda: None)
    assert knock() == "PermissionError"
    opened = [office.run_dir, *list(office.run_dir.parents)[:-1]]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in opened}
    try:
        for path in opened:
            path.chmod(modes[path] | 0o011)
        Path(office.path).chmod(0o666)
        assert knock() in ("b''", "BrokenPipeError", "ConnectionResetError")
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert (office.desk.asked, office.desk.refused) == (0, 1)


def test_a_machine_that_runs_in_a_thread(office: Office):
    """The child of a thread is a process with that thread alone; signals are its own all the same."""
    done = threading.Event()
    thread = threading.Thread(target=lambda: office.turn(20, done.is_set))
    thread.start()
    try:
        for _ in range(3):
            assert control.ask("web", "netstat", ("-m",)).status == 0
    finally:
        office.loop.call_soon_threadsafe(done.set)
        thread.join()


def test_closing_again_does_nothing(office: Office):
    office.desk.close()
    office.desk.close()
    assert place.machines() == []


WORDS = st.lists(
    st.sampled_from(
        "-an -m -s -z -a --json -p tcp net.inet.tcp.msl net.inet.tcp.msl=7 kern.ipc.nmbclusters=1 "
        "net=1 = a=b /proc/net/sockstat -Z".split()
    )
    | st.text(max_size=8),
    max_size=4,
)
TOOLS = st.sampled_from("netstat sysctl vmstat sockstat ss dmesg limits cat machine".split())
SPEECH = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda body: len(body).to_bytes(4, "big") + body, st.binary(max_size=64)),
    st.builds(
        lambda tool, words: Request(tool, tuple(words)).frame(), TOOLS | st.text(max_size=5), WORDS
    ),
    st.builds(
        lambda words, at, octet: bytes(
            [
                *(frame := bytearray(Request("sysctl", tuple(words)).frame()))[: at % len(frame)],
                octet,
            ]
        ),
        WORDS,
        st.integers(0, 100),
        st.integers(0, 255),
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SPEECH, st.integers(1, 40), st.booleans()), max_size=4))
def test_whatever_is_said(
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[tuple[bytes, int, bool]],
):
    """Octets in pieces, from callers that stay or go: the desk ends with nothing in hand, and answers the next."""
    monkeypatch.setattr(desk_module, "ASKING", 0.02)
    monkeypatch.setattr(desk_module, "REST", 0.001)
    socks = []
    for octets, piece, stays in calls:
        sock = office.call()
        for at in range(0, len(octets), piece):
            try:
                sock.send(octets[at : at + piece])
            except OSError:  # it was hung up on
                break
            office.turn()
        if stays:
            socks.append(sock)
        else:
            sock.close()
    office.loop.call_every(0.005, lambda: None)
    assert office.turn(10, office.idle)
    monkeypatch.setattr(desk_module, "ASKING", 5.0)
    assert office.ask("sysctl", "-n", "net.inet.tcp.keepidle") == Answer(0, "7200000\n")
    for sock in socks:
        sock.close()


def test_what_is_read_at_once_is_bounded(office: Office):
    """A caller that sends megabytes is read once, not as long as it sends."""
    with office.call() as sock:
        sent = sock.send(b"\x00\x00\x40\x00" + b"x" * 1_000_000)
        assert sent > message.REQUEST_MAX
        said = Answer.parse(office.heard(sock)[4:])
    assert "something comes behind it" in said.err
