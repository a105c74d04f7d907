"""The command line as somebody meets it who does not know it: each mistake is one line, exit 2."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import pystack
from pystack import capture, profiles
from pystack.cli.app import app, version
from pystack.cli.serve import short
from pystack.cli.settings import Settings, read_settings
from pystack.sysctl import registry

COMMANDS = ("demo", "serve", "profiles", "knobs", "limits", "machines", "netstat", "sysctl", "cat")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "TERM": "dumb"})


def refused(*arguments: str, status: int = 2) -> str:
    """The one line that a mistake is told in."""
    result = run(*arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("pystack: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("pystack: ").rstrip("\n")


def test_version_says_what_runs() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == version() + "\n"
    speed = "interpreted"
    if pystack._fast.COMPILED:  # type: ignore[attr-defined]
        speed = "compiled, checked" if pystack._fast.CHECKED else "compiled"  # type: ignore[attr-defined]
    assert re.fullmatch(
        rf"pystack {re.escape(pystack.__version__)} \({speed}; Python 3\.\d+\.\d+\S*(, Cython \S+)?\)",
        version(),
    )


def test_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pystack", "profiles", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [each["name"] for each in json.loads(done.stdout)] == profiles.names()


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(command: str) -> None:
    result = run(*([command] if command else []), "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for name in () if command else COMMANDS:
        assert name in result.stdout


def test_without_a_command_it_says_what_there_is() -> None:
    assert run().exit_code == 2
    assert run("nonsense").exit_code == 2
    assert run("serve", "--nonsense").exit_code == 2


# --- profiles and knobs ------------------------------------------------------------------------------


def test_profiles_as_a_table_and_one_whole() -> None:
    listed = run("profiles")
    assert listed.exit_code == 0
    for name in profiles.names():
        assert name in listed.stdout
    whole = run("profiles", "freebsd-10")
    assert "net.inet.tcp.msl" in whole.stdout
    assert "close_unread" in whole.stdout
    described = json.loads(run("profiles", "linux-6", "--json").stdout)
    assert described["sysctl"]["net.ipv4.tcp_fin_timeout"] == 60
    assert refused("profiles", "freebsd-11").startswith("no profile 'freebsd-11'")


def test_how_profiles_differ(tmp_path: Path) -> None:
    shown = run("profiles", "diff", "freebsd-10", "freebsd-14").stdout
    assert re.search(r"^net.inet.tcp.delacktime +100 +40$", shown, re.M)
    assert re.search(r"^timewait +bsd +bsd-14$", shown, re.M)
    assert "messages listen_overflow\n  freebsd-10: sonewconn: pcb {pcb}: Listen queue" in shown
    assert "net.inet.tcp.msl " not in shown
    rows = json.loads(run("profiles", "diff", "linux-4", "linux-6", "windows", "--json").stdout)
    assert {"section", "name", "values"} == rows[0].keys()
    assert all(len(set(row["values"].values())) > 1 for row in rows)
    (somaxconn,) = [row for row in rows if row["name"] == "net.core.somaxconn"]
    assert somaxconn["values"] == {"linux-4": "128", "linux-6": "4096", "windows": "-"}
    assert run("profiles", "diff", "irix", "irix").stdout == "irix and irix do not differ\n"
    assert refused("profiles", "diff", "irix") == "diff: name two profiles or more"
    assert refused("profiles", "irix", "ptx").startswith("one profile at a time; to compare: ")
    file = tmp_path / "mine.toml"
    file.write_text('title = "Mine"\nextends = "irix"\ndoc = "x"\nsource = "x"\n')
    assert "do not differ" in run("profiles", "diff", "irix", str(file)).stdout
    file.write_text("titel = 3\n")
    assert "mine.toml:1:1: unknown key 'titel'; did you mean title?" in refused(
        "profiles", "diff", "irix", str(file)
    )


def test_a_knob_is_shown_with_all_that_it_is() -> None:
    shown = run("knobs", "kern.ipc.nmbclusters").stdout
    for line in (
        "  type:        int",
        "  range:       0 to 2147483647",
        "  may change:  at any time; at boot on bsd-os, freebsd-4, hp-ux, ",
        "262144 on freebsd-10, freebsd-14",
        "  rules:       The number may grow, never shrink",
        "  source:      kern_mbuf.c",
    ):
        assert line in shown
    every = run("knobs", "kern.ipc").stdout
    assert "\n\nkern.ipc.nmbclusters\n" in every
    assert re.search(r"old names: +kern.ipc.somaxconn", every)
    (one,) = json.loads(run("knobs", "kern.ipc.nmbclusters", "--json").stdout)
    assert one["when_on"]["freebsd-4"] == "boot"
    assert "freebsd-10" not in one["when_on"]


def test_knobs_by_name_tree_and_word() -> None:
    one = run("knobs", "net.inet.tcp.msl").stdout
    assert one.startswith("net.inet.tcp.msl\n")
    assert re.search(r"default: +30000 on .*freebsd-14", one)
    tree = run("knobs", "net.inet.tcp").stdout
    assert "net.inet.tcp.msl" in tree
    assert "net.ipv4.tcp_fin_timeout" not in tree
    assert "net.ipv4.tcp_fin_timeout" in run("knobs", "fin_timeout").stdout
    every = json.loads(run("knobs", "--json").stdout)
    assert [knob["name"] for knob in every] == list(registry())
    assert every[0].keys() >= {"name", "type", "unit", "min", "max", "doc", "source", "defaults"}
    linux = json.loads(run("knobs", "--profile", "linux-6", "--json").stdout)
    assert 10 < len(linux) < len(every)
    assert all("linux-6" in knob["defaults"] for knob in linux)


def test_knobs_that_are_none() -> None:
    text = refused("knobs", "net.inet.tcp.mls", status=1)
    assert text == (
        "no knob matches 'net.inet.tcp.mls'; did you mean net.inet.tcp.msl, net.inet.tcp.tso, "
        "net.inet.tcp.minmss?"
    )
    assert refused("knobs", "--profile", "minix").startswith("no profile 'minix'")


def test_knobs_of_every_kind_can_be_shown() -> None:
    kinds = {
        (knob.type, knob.when, knob.count, bool(knob.choices), bool(knob.effect)): knob.name
        for knob in registry().values()
    }
    assert len(kinds) > 5
    for name in kinds.values():
        result = run("knobs", name)
        assert result.exit_code == 0
        mark = "*" if registry()[name].effect else ""
        assert result.stdout.startswith(f"{name}{mark}\n")


# --- serve: what cannot be is said before anything is touched ----------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--address", "10.9.0.2"], "10.9.0.2/32 leaves no address for the kernel's side"),
        (["--address", "10.9.0.300/24"], "not an IPv4 address with a prefix: '10.9.0.300/24'"),
        (["--address", "10.9.0.0/24"], "10.9.0.0 is no host's address in 10.9.0.0/24"),
        (["--kernel-address", "10.9.0.2"], "10.9.0.2 cannot be the address of both ends"),
        (["--profile", "freebsd-41"], "no profile 'freebsd-41': there are bsd-os, freebsd-10, "),
        (
            ["--sysctl", "net.inet.tcp.mls=3"],
            "sysctl: unknown oid 'net.inet.tcp.mls'; did you mean",
        ),
        (["--sysctl", "net.inet.tcp.msl"], "--sysctl 'net.inet.tcp.msl': write NAME=VALUE"),
        (["--sysctl", "net.inet.tcp.msl=x"], "net.inet.tcp.msl: sysctl: invalid integer 'x'"),
        (["--http", "80", "--echo", "80"], "port 80 is given to http and to echo"),
        (["--http", "0"], "http: port 0 is not from 1 to 65535"),
        (["--discard", "70000"], "discard: port 70000 is not from 1 to 65535"),
        (["--http", "80", "--http-root", "/nowhere"], "no such directory: /nowhere"),
        (["--http-root", "/tmp"], "a directory needs a port: give --http too"),
        (["--http", "80", "--http-option", "linger=soft"], "linger 'soft' is none of lingering, l"),
        (["--http", "80", "--http-option", "keepalive=15"], "keepalive '15' has no unit"),
        (
            ["--http", "80", "--http-option", "sendbuf=8KiB"],
            "a web server has no option 'sendbuf'; did you mean sndbuf",
        ),
        (["--http", "80", "--http-option", "epoch=1"], "a web server has no option 'epoch'"),
        (["--http-option", "linger=plain"], "habits need a port: give --http too"),
        (["--http", "80", "--http-option", "linger"], "--http-option 'linger': write NAME=VALUE"),
        (["--http", "80", "--http-like", "apache"], "no habits 'apache'; known: pystack, apache-1"),
        (["--loss", "3"], "loss '3' is not between 0 and 1; did you mean '3%'?"),
        (["--delay", "5"], "delay '5' has no unit; write one, such as '5ms'"),
        (["--jitter", "many"], "jitter 'many' is not a number with a unit such as '5ms'"),
        (["--tun", "a b"], "not a device name: 'a b'"),
        (["--tun", "averyveryverylong"], "device name 'averyveryverylong' is longer than 15 oct"),
        (["--mtu", "67"], "mtu 67 is not from 68 to 65535"),
        (["--netns", "no-such-ns"], "no network namespace no-such-ns: No such file or directory"),
        (["no/such.toml"], "no/such.toml: No such file or directory"),
    ],
)
def test_settings_that_cannot_be(arguments: list[str], text: str) -> None:
    assert refused("serve", *arguments).startswith(text)


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ('tun = "tun1"\nhtpp = 80\n', "2:1: unknown key 'htpp'; did you mean http?"),
        ("tun = 3\n", "1:1: tun must be str, not int"),
        ("\n\n  http = true\n", "3:3: http must be int, not bool"),
        ("offload = 1\n", "1:1: offload must be bool, not int"),
        ("loss = []\n", "1:1: loss must be str or float or int, not list"),
        ("tun =\n", "1:6: Invalid value"),
        ('netns = "x"\n', "1:1: unknown key 'netns'"),
        ('http = 80\nhttp_like = "iis"\n', "2:1: no habits 'iis'; known: pystack, apache-1.1, "),
        ("[http_options]\nrcvbuf = true\n", "2:1: rcvbuf True: give an int (B) or a string"),
        ('[http_options]\nlingr = "x"\n', "2:1: a web server has no option 'lingr'; did you mean"),
        ('profile = "minix"\n[sysctl]\na = 1\n', "1:1: no profile 'minix'"),
        (
            '[sysctl]\n"net.inet.tcp.mls" = 3\n',
            "2:1: freebsd-14 has no knob 'net.inet.tcp.mls'; did",
        ),
    ],
)
def test_files_that_cannot_be(tmp_path: Path, toml: str, text: str) -> None:
    file = tmp_path / "a.toml"
    file.write_text(toml)
    assert refused("serve", str(file)).startswith(f"{file}:{text}")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xff\xfe")
    assert refused("serve", str(file)) == f"{file}: not UTF-8 text"


def test_a_file_and_options_together(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        'tun = "tun3"\nhttp = 80\nhttp_root = "site"\nloss = 0.01\nprofile = "freebsd-10"\n'
        'offload = false\nhttp_like = "nginx"\n[http_options]\nbacklog = 7\nsndbuf = "8KiB"\n'
        '[sysctl]\n"net.inet.tcp.msl" = 1000\n"kern.ipc.somaxconn" = 64\n'
    )
    (tmp_path / "site").mkdir()
    options = {
        "http": 8080,
        "sysctl": ["net.inet.tcp.msl=2000"],
        "loss": "2%",
        "http_option": ["backlog=9"],
    }
    settings = read_settings(file, options)
    assert settings == Settings(
        tun="tun3",
        http=8080,
        http_root=str(tmp_path / "site"),
        http_like="nginx",
        http_options={"backlog": "9", "sndbuf": "8KiB"},
        loss="2%",
        profile="freebsd-10",
        offload=False,
        sysctl={"net.inet.tcp.msl": "2000", "kern.ipc.somaxconn": 64},
    )
    host = settings.host()
    assert host.sysctl["net.inet.tcp.msl"] == 2000
    assert host.sysctl["kern.ipc.somaxconn"] == 64
    (service,) = settings.services()
    assert (service.name, service.port, service.backlog) == ("http", 8080, 9)
    habits = service.habits  # type: ignore[attr-defined]
    assert (habits.keepalive, habits.sndbuf) == (75 * 10**9, 8192)
    assert settings.device()["offload"] is False


def test_the_files_of_a_real_system_are_taken_as_they_are(tmp_path: Path) -> None:
    """/boot/loader.conf when it boots, /etc/sysctl.conf right after; a file names them by where it is itself."""
    (tmp_path / "loader.conf").write_text(
        'accf_http_load="YES"\n# more clusters\nkern.ipc.nmbclusters="32768"\nvm.kmem_size=1G\n'
    )
    (tmp_path / "sysctl.conf").write_text("net.inet.tcp.msl=5000  # five seconds\n")
    (tmp_path / "web.toml").write_text(
        'profile = "freebsd-10"\nloader_conf = "loader.conf"\nsysctl_conf = "sysctl.conf"\n'
    )
    host = read_settings(tmp_path / "web.toml", {}).host()
    assert host.sysctl["kern.ipc.nmbclusters"] == 32768
    assert host.sysctl["kern.ipc.maxmbufmem"] == 1 << 29
    assert host.sysctl["net.inet.tcp.msl"] == 5000
    given = {"loader_conf": str(tmp_path / "loader.conf"), "profile": "freebsd-14"}
    assert read_settings(None, given).host().sysctl["kern.ipc.nmbclusters"] == 32768


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--loader-conf", "kern.ipc.nmbcluster=1", "loader.conf:1:1: sysctl: unknown oid 'kern.ipc.nmbcluster'"),
        ("--loader-conf", "\nnonsense here", "loader.conf:2:1: not `name=\"value\"`"),
        ("--sysctl-conf", "net.inet.tcp.mls=3", "x.conf:1:1: sysctl: unknown oid 'net.inet.tcp.mls'; did you mean"),
        ("--sysctl-conf", "net.inet.tcp.msl=-3", "x.conf:1:1: sysctl: net.inet.tcp.msl=-3: Invalid argument"),
    ],
)  # fmt: skip
def test_wrong_lines_of_them_are_told_with_their_place(
    tmp_path: Path, option: str, text: str, said: str
) -> None:
    (tmp_path / "x.conf").write_text(text)
    assert said in refused("serve", "--profile", "freebsd-10", option, str(tmp_path / "x.conf"))


def test_without_settings_there_are_defaults() -> None:
    assert read_settings(None, {}) == Settings()
    assert Settings().services() == []


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (999, "999"), (1000, "1k"), (1234, "1.23k"), (99_950, "100k"), (999_499, "999k"),
        (1_000_000, "1M"), (2.5e9, "2.5G"), (7e15, "7000T"),
    ],
)  # fmt: skip
def test_numbers_in_the_status_line(number: float, text: str) -> None:
    assert short(number) == text


# --- demo --------------------------------------------------------------------------------------------


def test_demo_tells_and_leaves_a_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("demo", "--clients", "5", "--loss", "5%", "--no-device")
    assert result.exit_code == 0, result.output
    assert re.search(r"requests served +20\n", result.stdout)
    assert re.search(r"ESTABLISHED +.*TIME_WAIT", result.stdout)
    assert "Not shown on a TUN device: it was not asked for.\n" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert len(list(capture.read("demo.pcapng"))) > 100


def test_demo_as_json(tmp_path: Path) -> None:
    file = str(tmp_path / "x.pcapng")
    shown = [
        json.loads(run("demo", "--clients", "3", "--no-device", "--json", "--pcap", file).stdout)
        for _ in range(2)
    ]
    assert shown[0]["requests"] == 12
    assert shown[0]["trace_hash"] == shown[1]["trace_hash"]
    assert shown[0]["answer_ns"]["median"] > 40_000_000
    assert shown[0]["device"] is None


def test_demo_that_cannot_be(tmp_path: Path) -> None:
    assert (
        refused("demo", "--loss", "90%") == "loss 90%: more than half of the packets is no network"
    )
    assert refused("demo", "--pcap", "/nowhere/x") == "/nowhere/x: No such file or directory"
    assert run("demo", "--clients", "0").exit_code == 2
