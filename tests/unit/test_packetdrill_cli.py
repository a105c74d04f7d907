"""`pystack packetdrill` as somebody meets it, and the suite behind it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pkt_kit import BROKEN, GREETING, MISSING, WRONG
from typer.testing import CliRunner, Result

import pystack.packetdrill
from pystack import capture
from pystack.cli.app import app
from pystack.packetdrill import Script, Verdict, suite
from pystack.packetdrill.showing import marks, told


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        app, ["packetdrill", *map(str, arguments)], env={"COLUMNS": "100", "TERM": "dumb"}
    )


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with one of each, which is the working directory."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.pkt").write_text(GREETING)
    (tmp_path / "b.pkt").write_text(WRONG)
    (tmp_path / "c.pkt").write_text(MISSING)
    (tmp_path / "d.pkt").write_text(BROKEN)
    (tmp_path / "e.txt").write_text("not a script")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14", "freebsd-10"])
def test_one_that_passes(scripts: Path, profile: str):
    result = run("sub/a.pkt", "--profile", profile)
    assert result.stdout == "passed  sub/a.pkt\n1 passed, 0 failed, 0 skipped\n"
    assert result.exit_code == 0


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_of_each(scripts: Path, jobs: str):
    result = run(".", "-j", jobs, "--profile=linux-6")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith(
        "failed  b.pkt:5: error handling packet: live packet field tcp_ack_seq: expected: 2"
    )
    assert re.fullmatch(r"        script  \S+ > S\. 0:0\(0\) ack 2 win 7 <\.\.\.>", lines[1])
    assert re.match(r"        actual  \S+ > S\. 0:0\(0\) ack 1 win 64240 <mss 1460", lines[2])
    assert lines[2][lines[3].index("^")] == "1"
    assert [line for line in lines[4:] if not line.startswith(" ")] == [
        "skipped c.pkt:1: --ip_version=ipv6",
        "failed  d.pkt:7:10: expected 0, which is 0 + 0, found `1`",
        "passed  sub/a.pkt",
        "1 passed, 2 failed, 1 skipped",
    ]


def test_a_skip_is_no_failure(scripts: Path):
    result = run("c.pkt", "sub/a.pkt")
    assert result.exit_code == 0
    assert result.stdout.endswith("1 passed, 0 failed, 1 skipped\n")


def test_verbose_prints_the_run(scripts: Path):
    lines = run("sub/a.pkt", "-v").stdout.splitlines()
    assert lines[0] == "passed  sub/a.pkt [linux-6]"
    assert lines[1] == "        0.000000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3"
    assert any(re.match(r"        0\.\d+ > S\. 0:0\(0\) ack 1 win 64240", line) for line in lines)
    assert any(re.match(r"        0\.03\d+ < \. 1:1\(0\) ack 1 win 257", line) for line in lines)


def test_json(scripts: Path):
    result = run(".", "--json", "--profile", "freebsd-14")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 2, 1)
    assert [each["outcome"] for each in found["results"]] == [
        "failed",
        "skipped",
        "failed",
        "passed",
    ]
    wrong = found["results"][0]
    assert (wrong["file"], wrong["line"], wrong["profile"]) == ("b.pkt", 5, "freebsd-14")
    assert "ack 2 win 7" in wrong["expected"]
    assert "ack 1 win 65535" in wrong["actual"]
    assert "trace" not in wrong
    trace = json.loads(run("sub/a.pkt", "--json", "-v").stdout)["results"][0]["trace"]
    assert [moment["kind"] for moment in trace[-3:]] == ["<", ">", "<"]


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ((), "failed"),
        (("--tolerance_usecs=400000",), "passed"),
        (("--tolerance_usecs", "400000"), "passed"),
        (("--tolerance_percent=50",), "failed"),
        (("--tolerance_percent=100",), "passed"),
        (("--dry_run",), "passed"),
        (("--mtu=1000", "--tolerance_usecs=400000"), "failed"),
        (("-D", "MSS=1400", "--tolerance_usecs=400000"), "failed"),
        (("--define=MSS=1460", "--speed=1000", "--tolerance_usecs=400000"), "passed"),
        (("--ip_version=ipv6",), "skipped"),
    ],
)
def test_options_of_the_tool(scripts: Path, options: tuple[str, ...], outcome: str):
    text = GREETING.replace(
        "+0 > S. 0:0(0) ack 1 <...>", "+.3 > S. 0:0(0) ack 1 <mss MSS,nop,wscale 10>"
    )
    Path("late.pkt").write_text("--define=MSS=1460\n" + text)
    assert run("late.pkt", *options).stdout.startswith(outcome)


def test_mismatches_may_be_warnings(scripts: Path):
    assert run("b.pkt", "--non_fatal=syscall").exit_code == 1
    result = run("b.pkt", "--non_fatal=packet,syscall", "-v")
    assert result.stdout.startswith("passed  b.pkt")
    assert "tcp_ack_seq" in result.stdout


def test_strict_tells_packets_behind_the_last_line(scripts: Path):
    lines = GREETING.splitlines()[:4]
    Path("short.pkt").write_text("\n".join(lines))
    assert run("short.pkt").exit_code == 0
    result = run("short.pkt", "--strict")
    assert result.exit_code == 1
    assert "left over" in result.stdout


def test_profiles_that_a_script_names(scripts: Path):
    Path("both.pkt").write_text("// profiles: linux-6 freebsd-14\n" + GREETING)
    Path("one.pkt").write_text("// profiles: freebsd-14\n" + GREETING)
    assert run("both.pkt", "one.pkt").stdout.splitlines() == [
        "passed  both.pkt [linux-6]",
        "passed  both.pkt [freebsd-14]",
        "passed  one.pkt [freebsd-14]",
        "3 passed, 0 failed, 0 skipped",
    ]
    assert run("both.pkt", "one.pkt", "--profile=linux-6").stdout.splitlines() == [
        "passed  both.pkt",
        "skipped one.pkt: the script is for freebsd-14",
        "1 passed, 0 failed, 1 skipped",
    ]


def test_ifdef_and_symbols(scripts: Path):
    text = GREETING.replace("32792", "WIN") + "#ifdef FreeBSD\n+0 close(99) = 0\n#endif\n"
    Path("x.pkt").write_text("--define=WIN=1000\n" + text)
    assert run("x.pkt").exit_code == 0
    assert run("x.pkt", "--profile=freebsd-14").exit_code == 1
    assert run("x.pkt", "-D", "FreeBSD").exit_code == 1
    assert "from 0 to 65535" in run("x.pkt", "-D", "WIN=70000").stdout


def test_packets_of_failures_are_kept(scripts: Path):
    run(".", "--pcap", "kept")
    assert [path.name for path in Path("kept").iterdir()] == ["b.linux-6.pcapng"]
    records = list(capture.read("kept/b.linux-6.pcapng"))
    assert [record.data[33] for record in records] == [0x02, 0x12]
    assert records[-1].comment.startswith("line 5: error handling packet")
    assert "outbound" not in records[0].comment


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nowhere.pkt",), "nowhere.pkt: no such file or directory"),
        (("empty",), "empty: no *.pkt in this directory"),
        (("a.pkt", "--profile=freebsd-1"), "no profile 'freebsd-1': there are"),
        (("a.pkt", "--mtu=100000"), "--mtu=100000: 0 to 65535"),
        (("a.pkt", "-D", "5=6"), "-D 5=6: give SYM or SYM=VALUE"),
        (("a.pkt", "--non_fatal=all"), "--non_fatal=all: packet or syscall"),
    ],
)
def test_what_cannot_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], text: str
):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("a.pkt").write_text(GREETING)
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"pystack: {text}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("a.pkt", "--tolerence_usecs=1"), ("a.pkt", "-j", "0")])
def test_what_the_command_does_not_know(arguments: tuple[str, ...]):
    assert run(*arguments).exit_code == 2


def test_files_that_cannot_be_read_are_failures(scripts: Path):
    Path("bad.pkt").write_bytes(b"0 \xff")
    Path("gone.pkt").symlink_to("nowhere")
    result = run("bad.pkt", "sub/a.pkt")
    assert result.exit_code == 1
    assert "bad.pkt:1:3: expected `<`, `>`, a system call" in result.stdout
    verdict = suite.play_file(suite.Job(Path("gone.pkt"), "linux-6"))
    assert (verdict.outcome, verdict.message) == (
        "failed",
        "cannot be read: No such file or directory",
    )


def test_a_mistake_of_ours_fails_one_script(scripts: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> Verdict:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(suite, "play", broken)
    verdict = suite.play_file(suite.Job(Path("sub/a.pkt"), "linux-6"))
    assert verdict.outcome == "failed"
    assert verdict.message.startswith("pystack itself failed: ZeroDivisionError: oops (test_")


@pytest.mark.skipif(sys.platform != "linux", reason="what dies must know this function")
def test_a_process_that_dies_takes_one_script_with_it(
    scripts: Path, monkeypatch: pytest.MonkeyPatch
):
    def deadly(script: Script, **_: object) -> Verdict:
        if script.path == "b.pkt":
            os._exit(1)
        return Verdict("passed", script.path)

    monkeypatch.setattr(suite, "play", deadly)
    shutil.copy("sub/a.pkt", "a.pkt")
    shutil.copy("sub/a.pkt", "c.pkt")
    jobs = [suite.Job(Path(f"{name}.pkt"), "linux-6") for name in "aabccccc"]
    found = [verdict for _, verdict in suite.play_files(jobs, 2)]
    assert [(verdict.outcome, verdict.file) for verdict in found] == [
        ("failed" if job.path.name == "b.pkt" else "passed", str(job.path)) for job in jobs
    ]
    assert found[2].message == "the process that played it died"


def test_many_scripts_keep_their_order(scripts: Path):
    for number in range(300):
        Path(f"sub/{number:03}.pkt").write_text(GREETING if number % 7 else WRONG)
    result = run("sub")
    told_names = re.findall(r"^\w+ +(sub/\d+)\.pkt", result.stdout, re.M)
    assert told_names == [f"sub/{number:03}" for number in range(300)]
    assert result.stdout.endswith("258 passed, 43 failed, 0 skipped\n")


def test_as_a_program(scripts: Path):
    done = subprocess.run(
        [sys.executable, "-m", "pystack", "packetdrill", "sub/a.pkt"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(pystack.packetdrill.__file__).parents[2])},
    )
    assert done.stdout.endswith("1 passed, 0 failed, 0 skipped\n")
    assert "Traceback" not in done.stderr


def test_find(tmp_path: Path):
    for name in ("b/2.pkt", "b/1.pkt", "a.pkt", "x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert suite.find([tmp_path]) == [tmp_path / n for n in ("a.pkt", "b/1.pkt", "b/2.pkt")]
    assert suite.find([tmp_path / "x.txt", tmp_path / "x.txt"]) == [tmp_path / "x.txt"]
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        suite.find([tmp_path / "b"])


# --- marks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "actual", "times", "mark"),
    [
        ("0.1 > . 1:1(0) ack 1", "0.2 > . 1:1(0) ack 1", False, ""),
        ("0.1 > . 1:1(0) ack 1", "0.2 > . 1:1(0) ack 1", True, "^^^"),
        ("0.1 > . 1:1(0) ack 1", "0.1 > . 1:1(0) ack 1 win 64", False, ""),
        ("0.1 > . 1:1(0) win 7", "0.1 > . 1:1(0) win 64", False, " " * 19 + "^^"),
        ("0.1 > P. 1:1(0)", "0.1 > . 1:1(0)", False, "      ^"),
        ("0.1 > S <...>", "0.1 > S win 9 <mss 6,nop>", False, ""),
        ("0.1 > . 1:1(0) urg 3", "0.1 > . 1:1(0)", False, " " * 14 + "+"),
        ("0.1 > S <mss 5,nop>", "0.1 > S win 9 <mss 6,nop>", False, " " * 19 + "^"),
        ("0.1 > S <mss 5,nop>", "0.1 > S win 9 <mss 5>", False, " " * 19 + "+"),
    ],
)
def test_marks(expected: str, actual: str, times: bool, mark: str):
    assert marks(expected, actual, times=times) == mark


def test_told():
    assert list(told(Verdict("skipped", "a.pkt", 3, "IPv6"))) == ["skipped a.pkt:3: IPv6"]
    assert list(told(Verdict("failed", "a.pkt", 3, "Timed out", "1.0 > . 1:1(0)"))) == [
        "failed  a.pkt:3: Timed out",
        "        script  1.0 > . 1:1(0)",
        "        actual  nothing",
    ]
