"""`pystack netstat` and its kin against machines of another process, as somebody types them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import environment, pystack, start, until_it_waits

from pystack import control

LAB = """
import sys
import pystack
from pystack import control

net = pystack.Network(seed=1)
web = net.host("web", "192.0.2.1/24", profile="freebsd-10")
me = net.host("me", "192.0.2.2/24", profile="linux-6")
net.link(web, me)
server = web.socket()
server.bind(("", 80))
server.listen(5)
client = me.socket()
client.bind(("192.0.2.2", 50001))
client.connect(("192.0.2.1", 80))
net.run(for_="1s")
web.log.write("a line of the log")
names = sys.argv[1:]
machines = [net.hosts[name] for name in names] or [net]
control.attend(*machines, ready=lambda names: print(*names, flush=True))
print(web.sysctl["net.inet.tcp.msl"])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    path.chmod(0o700)
    return path


class Lab:
    """Machines in virtual time that can be asked."""

    def __init__(self, home: Path, *names: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAB, *names],
            env=environment(home),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.names = self.process.stdout.readline().split()

    def end(self, number: int = signal.SIGINT) -> str:
        self.process.send_signal(number)
        return self.process.communicate(timeout=20)[0]


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[Lab]:
    made = Lab(home)
    yield made
    made.end()


@pytest.mark.parametrize("tool", ["netstat", "sysctl", "dmesg", "limits", "machines"])
def test_without_a_machine_it_is_one_line(tmp_path: Path, tool: str):
    tmp_path.chmod(0o700)
    status, out, err = pystack(tmp_path, tool)
    assert (status, out) == (2, "")
    assert err.startswith("pystack: no machine is running: begin with `pystack serve`")
    assert err.count("\n") == 1


def test_machines_without_one_are_an_empty_list(tmp_path: Path):
    tmp_path.chmod(0o700)
    assert pystack(tmp_path, "machines", "--json") == (0, "[]\n", "")


def test_which_machine(lab: Lab):
    assert lab.names == ["web", "me"]
    status, out, err = pystack(lab.home, "netstat", "-an")
    assert (status, out) == (2, "")
    assert err == "pystack: several machines are running: me, web; say which with -M\n"
    assert pystack(lab.home, "ss", "-M", "mee") == (
        2,
        "",
        "pystack: no machine 'mee': there are me, web; did you mean me?\n",
    )
    status, out, _ = pystack(lab.home, "machines")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["machine", "me", "web"]
    found = json.loads(pystack(lab.home, "machines", "--json")[1])
    assert found[1]["addresses"] == ["192.0.2.1/24"]
    assert found[1]["states"] == {"LISTEN": 1, "ESTABLISHED": 1}


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (
            ["netstat", "-an", "-p", "tcp", "-M", "web"],
            "Active Internet connections (including servers)\n"
            "Proto Recv-Q Send-Q Local Address          Foreign Address        (state)\n"
            "tcp4       0      0 *.80                   *.*                    LISTEN     \n"
            "tcp4       0      0 192.0.2.1.80           192.0.2.2.50001        ESTABLISHED\n",
        ),
        (
            ["ss", "-tan", "--machine", "me"],
            "State Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess\n"
            "ESTAB 0      0          192.0.2.2:50001    192.0.2.1:80         \n",
        ),
        (["dmesg", "-M", "web"], "a line of the log\n"),
        (["sysctl", "-n", "net.inet.tcp.keepidle", "-M", "web"], "7200000\n"),
        (["cat", "/proc/sys/net/core/somaxconn", "-M", "me"], "4096\n"),
    ],
)
def test_what_a_tool_prints(lab: Lab, words: list[str], out: str):
    assert pystack(lab.home, *words) == (0, out, "")


def test_limits_of_a_running_machine(lab: Lab):
    status, out, _ = pystack(lab.home, "limits", "-M", "web")
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("sockets ")]
    assert line.split()[1] == "2"
    rows = json.loads(pystack(lab.home, "limits", "-M", "web", "--json")[1])
    assert rows[0]["name"] == "sockets"
    assert rows[0]["used"] == 2
    assert pystack(lab.home, "limits", "-M", "web", "--ram", "1GiB")[0] == 2
    assert pystack(lab.home, "limits", "-M", "web", "--profile", "linux-6")[0] == 2


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (
            ["netstat", "-Lan", "-M", "web"],
            [{"qlen": 1, "incqlen": 0, "maxqlen": 5, "local": "*.80"}],
        ),
        (["sysctl", "net.inet.tcp.keepidle", "-M", "web"], {"net.inet.tcp.keepidle": 7200000}),
        (["dmesg", "-M", "web"], [{"ns": 0, "text": "a line of the log"}]),
    ],
)
def test_json(lab: Lab, words: list[str], values: object):
    status, out, _ = pystack(lab.home, *words, "--json")
    assert status == 0
    found = json.loads(out)
    if words[0] == "dmesg":
        found[0]["ns"] = 0
    assert found == values


def test_knobs_are_turned_while_it_runs(lab: Lab):
    """Each with the tool's own message and exit status, and the rest is done all the same."""
    status, out, err = pystack(
        lab.home,
        "sysctl",
        "-M",
        "web",
        "net.inet.tcp.msl=2000",
        "kern.ipc.nmbclusters=3",
        "net.inet.tcp.mls=1",
        "net.inet.tcp.pcbcount=1",
        "net.inet.tcp.msl",
    )
    assert status == 1
    assert out == (
        "net.inet.tcp.msl: 30000 -> 2000\nkern.ipc.nmbclusters: 262144\nnet.inet.tcp.msl: 2000\n"
    )
    assert err == (
        "sysctl: kern.ipc.nmbclusters=3: Invalid argument (it may only grow, and is 262144 now)\n"
        "sysctl: unknown oid 'net.inet.tcp.mls'; did you mean net.inet.tcp.msl, net.inet.tcp.tso, "
        "net.inet.tcp.minmss?\n"
        "sysctl: oid 'net.inet.tcp.pcbcount' is read only\n"
    )
    status, out, _ = pystack(
        lab.home, "sysctl", "--json", "-M", "me", "net.ipv4.tcp_fin_timeout=9", "fs.nr_open"
    )
    assert status == 0
    assert json.loads(out) == {"net.ipv4.tcp_fin_timeout": 9, "fs.nr_open": 1048576}


@pytest.mark.parametrize(
    ("words", "err"),
    [
        (["ss", "-M", "web"], "FreeBSD 10 has no ss here: it has cat, dmesg, head, ipfw, limits, "),
        (
            ["vmstat", "-z", "-M", "me"],
            "Linux 6 has no vmstat here: it has cat, conntrack, dmesg, head, ip, ",
        ),
        (["netstat", "-Q", "-M", "web"], "netstat: illegal option -- Q (known here: anLmrsixTpf)"),
        (["netstat", "x", "-M", "web"], "netstat: x: this takes options only (known here: anLmrs"),
        (
            ["netstat", "-p", "igmp", "-M", "web"],
            "netstat: igmp: unknown or uninstrumented protocol",
        ),
        (["ss", "-tn", "state", "none", "-M", "me"], "ss: wrong state name: none"),
        (["netstat", "-p", "-M", "web"], "netstat: option requires an argument -- p"),
        (["sysctl", "-Z", "-M", "web"], "sysctl: illegal option -- Z (known here: adeinNq)"),
        (["cat", "-M", "me"], "cat: which file? /proc/net/sockstat, for example"),
        (["sysctl", "x" * 20_000, "-M", "web"], "pystack: a message of 200"),
    ],
)
def test_what_cannot_be_asked(lab: Lab, words: list[str], err: str):
    status, out, said = pystack(lab.home, *words)
    assert (status, out) == (2, "")
    assert said.startswith(err)
    assert said.count("\n") == 1


def test_a_file_that_is_not_there(lab: Lab):
    status, out, err = pystack(lab.home, "cat", "/proc/net/nothing", "/proc/net/dev", "-M", "me")
    assert status == 1
    assert out.startswith("Inter-|")
    assert err == "cat: /proc/net/nothing: No such file or directory\n"


def test_head_and_ctrl_c_are_quiet(home: Path):
    lab = Lab(home, "web")
    try:
        done = subprocess.run(
            f"{sys.executable} -m pystack sysctl -a -M {lab.names[0]} | head -1",
            shell=True,
            env=environment(home),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("kern.maxusers: ")
        assert "Broken" not in done.stderr
        assert "Traceback" not in done.stderr
        lab.process.send_signal(signal.SIGSTOP)
        process = start(home, "netstat", "-an", "-M", lab.names[0])
        until_it_waits(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode != 0
        assert "Traceback" not in err
    finally:
        lab.process.send_signal(signal.SIGCONT)
        assert lab.end() == "30000\n"


ODD = """
import select, sys
from pystack.control import place
name, sock = place.claim("odd")
print(name, flush=True)
for said in sys.argv[1:]:
    heard = b""
    while not heard:  # the first callers only look whether anybody is there
        select.select([sock], [], [])
        caller, _ = sock.accept()
        caller.setblocking(True)
        heard = caller.recv(1000)
    if said == "silence":
        caller.recv(1)
    else:
        caller.sendall(bytes.fromhex(said))
    caller.close()
"""


def test_a_machine_that_hangs_up_or_babbles(home: Path, monkeypatch: pytest.MonkeyPatch):
    """The other end is a program, too: nothing that it says is believed."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    cases = [
        ("", "machine odd ended before its answer did"),
        ("00000005abcd", "machine odd ended before its answer did"),
        ("000000027b7d", "what machine odd answered is no message: it is not of version 1"),
        ("ffffffff", "what machine odd answered is no message: a message of 4294967295 octets"),
        ("silence", "machine odd does not answer"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", ODD, *(said for said, _ in cases)],
        env=environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        for _, told in cases:
            with pytest.raises(control.NoAnswer, match=told):
                control.ask(name, "netstat", patience=0.5)
