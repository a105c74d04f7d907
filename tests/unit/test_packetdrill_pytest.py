"""Scripts as tests of pytest, and inside of Python tests."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pkt_kit import BROKEN, GREETING, MISSING, WRONG

import pystack
from pystack.packetdrill import NotPassed, ScriptError

pytest_plugins = ["pytester"]


def collect(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    installed = any(point.name == "pystack" for point in entry_points(group="pytest11"))
    plugin = () if installed else ("-p", "pystack.pytest_plugin")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-ra", *plugin, *args)


def write(pytester: pytest.Pytester, **scripts: str) -> None:
    for name, text in scripts.items():
        (pytester.path / f"{name}.pkt").write_text(text)


def test_scripts_are_tests(pytester: pytest.Pytester):
    write(pytester, good=GREETING, wrong=WRONG, missing=MISSING, broken=BROKEN)
    result = collect(pytester)
    result.assert_outcomes(passed=1, failed=2, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*wrong.pkt:5: error handling packet: live packet field tcp_ack_seq*",
            "        script  *ack 2 win 7*",
            "        actual  *ack 1 win 64240*",
            "*^*",
        ]
    )
    result.stdout.fnmatch_lines(["*broken.pkt:7:10: expected 0, which is 0 + 0, found `1`"])
    result.stdout.fnmatch_lines(["SKIPPED*missing.pkt:1: --ip_version=ipv6"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*play.py*")


def test_a_failure_shows_the_run(pytester: pytest.Pytester):
    write(pytester, wrong=WRONG)
    result = collect(pytester)
    result.stdout.fnmatch_lines(
        ["*Captured run call*", "0.000000 socket(*", "*> S. 0:0(0) ack 1 win 64240*"]
    )


def test_profiles_of_the_script_and_of_the_project(pytester: pytest.Pytester):
    write(pytester, mine=GREETING, its="// profiles: freebsd-14 freebsd-10\n" + GREETING)
    pytester.makeini("[pytest]\npacketdrill_profiles = linux-6 freebsd-10\n")
    result = collect(pytester, "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "its.pkt::freebsd-14 PASSED*",
            "its.pkt::freebsd-10 PASSED*",
            "mine.pkt::linux-6 PASSED*",
            "mine.pkt::freebsd-10 PASSED*",
        ]
    )
    collect(pytester, "mine.pkt::linux-6").assert_outcomes(passed=1)


def test_a_profile_that_nobody_knows(pytester: pytest.Pytester):
    write(pytester, a="// profiles: linux-5\n" + GREETING)
    result = collect(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no profile 'linux-5': there are*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_options_of_the_project(pytester: pytest.Pytester):
    late = GREETING.replace(
        "+0 > S. 0:0(0) ack 1 <...>", "+.3 > S. 0:0(0) ack 1 <mss MSS,nop,wscale 10>"
    )
    write(pytester, late=late)
    collect(pytester).assert_outcomes(failed=1)
    pytester.makeini("[pytest]\npacketdrill_options = --tolerance_usecs=400000 -D MSS=1460\n")
    collect(pytester).assert_outcomes(passed=1)


@pytest.mark.parametrize("option", ["5", "--foo=1", "--mtu=x"])
def test_options_that_cannot_be(pytester: pytest.Pytester, option: str):
    write(pytester, a=GREETING)
    pytester.makeini(f"[pytest]\npacketdrill_options = {option}\n")
    result = collect(pytester)
    assert result.ret != 0
    text = "\n".join([*result.stdout.lines, *result.stderr.lines])
    assert "packetdrill_options: " in text


def test_packets_of_failures_are_kept(pytester: pytest.Pytester):
    write(pytester, good=GREETING, wrong=WRONG)
    collect(pytester, "--packetdrill-pcap=kept")
    (kept,) = (pytester.path / "kept").iterdir()
    assert kept.name.endswith("wrong.linux-6.pcapng")


# --- Network.play ---------------------------------------------------------------------------------


def network(profile: str = "linux-6") -> pystack.Network:
    net = pystack.Network(seed=3)
    net.host("web", "10.0.0.1/24", profile=profile)
    return net


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_play_against_a_machine_of_a_network(profile: str):
    net = network(profile)
    verdict = net.play(GREETING, host="web")
    assert verdict.passed
    assert net.now >= 30_000_000
    assert [moment.octets[33] for moment in verdict.trace if moment.octets] == [0x02, 0x12, 0x10]
    assert net.play(GREETING, host=net.hosts["web"]).passed


def test_play_beside_other_machines():
    net = network()
    me = net.host("me", "10.0.0.2/24")
    net.link(me, net.hosts["web"])
    server = net.hosts["web"].socket()
    server.bind(("", 80))
    server.listen(5)
    client = me.socket()
    client.connect(("10.0.0.1", 80))
    assert net.play(GREETING, host="web").passed
    client.sendall(b"still here")
    assert server.accept()[0].recv(100) == b"still here"


def test_play_tells_what_is_wrong():
    net = network()
    with pytest.raises(NotPassed, match=r"<script>:5: .*\n.*ack 2 win 7.*\n.*ack 1 win 64240") as e:
        net.play(WRONG, host="web")
    assert e.value.verdict.line == 5
    assert isinstance(e.value, AssertionError)
    with pytest.raises(NotPassed, match="skipped: --ip_version=ipv6"):
        net.play(MISSING, host="web")
    assert net.play(WRONG, host="web", check=False).outcome == "failed"
    with pytest.raises(ScriptError, match="<script>:7:10"):
        net.play(BROKEN, host="web")


def test_play_a_file_with_options_and_symbols(tmp_path: Path):
    path = tmp_path / "a.pkt"
    path.write_text(GREETING.replace("8080", "PORT").replace("win 257", "win WIN"))
    net = network()
    verdict = net.play(path, host="web", defines={"WIN": "9"}, options={"bind_port": 99})
    assert verdict.file == str(path)
    first, *_, last = (moment.octets for moment in verdict.trace if moment.octets)
    assert int.from_bytes(first[22:24], "big") == 99
    assert int.from_bytes(last[34:36], "big") == 9


def test_play_wants_a_machine_of_the_network():
    other = network()
    with pytest.raises(ValueError, match="is no machine of this network"):
        network().play(GREETING, host=other.hosts["web"])
    with pytest.raises(ValueError, match="nobody is no machine"):
        other.play(GREETING, host="nobody")
