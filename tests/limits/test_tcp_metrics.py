"""`ip tcp_metrics` on linux-6: the lines of the real tool on a 6.18 kernel, its filters, its words when it refuses."""

import json
import re

import pytest
from limits.machines import host

import pystack
from pystack.views.tools import UsageError, changes, run

LINE = re.compile(
    r"(\S+) age (\d+\.\d{3})sec(?: ssthresh \d+)?(?: cwnd (\d+))?(?: reordering \d+)? "
    r"rtt (\d+)us rttvar (\d+)us source (\S+)"
)


def talked(*peers: str) -> pystack.Host:
    """A machine that has talked with each of these for a round trip of 10 ms."""
    net = pystack.Network(seed=5)
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    web = net.host("web", [f"{peer}/24" for peer in peers], profile="linux-6")
    net.link(me, web, delay="5ms")
    for peer in peers:
        listener = web.socket()
        listener.bind((peer, 80))
        listener.listen(1)
        sock = me.socket()
        sock.connect((peer, 80))
        conn, _ = listener.accept()
        sock.sendall(b"x" * 3000)
        net.run(for_="100ms")
        conn.recv(4000)
        sock.close()
        net.run(for_="100ms")
        conn.close()
        listener.close()
        net.run(for_="1s")
    return me


def test_the_lines_of_the_tool():
    me = talked("192.0.2.1")
    found = LINE.fullmatch(me.ip().rstrip("\n"))
    assert found is not None, me.ip()
    peer, age, cwnd, rtt, rttvar, source = found.groups()
    assert (peer, source) == ("192.0.2.1", "192.0.2.2")
    assert 1.0 <= float(age) < 1.2
    assert int(age.replace(".", "")) % 4 == 0  # its clock ticks in 4 ms
    assert int(cwnd) >= 10
    assert 10_000 <= int(rtt) < 16_000  # the FIN was acknowledged late
    assert int(rttvar) > 0


def test_values():
    me = talked("192.0.2.1")
    (row,) = json.loads(run(me, "ip", ["tcp_metrics", "--json"]).out)
    assert list(row) == ["dst", "age", "cwnd", "rtt", "rttvar", "source"]
    assert json.loads(me.ip("-j tcp_metrics")) == [row]
    assert me.ip("-j tcp_metrics").startswith('[{"dst":"192.0.2.1","age":')
    assert 0.010 <= row["rtt"] < 0.016


def test_who_is_shown():
    me = talked("192.0.2.1", "192.0.2.9")

    def shown(words: str) -> list[str]:
        return sorted(line.split()[0] for line in me.ip(f"tcp_metrics {words}").splitlines())

    both = ["192.0.2.1", "192.0.2.9"]
    for words in ("show", "list", "sh", "show 192.0.2.0/24", "show address 192.0.0.0/16",
                  "show all", "show source 192.0.2.2"):  # fmt: skip
        assert shown(words) == both, words
    assert shown("show 192.0.2.9") == ["192.0.2.9"]
    assert shown("show 192.0.2.0/29") == ["192.0.2.1"]
    assert shown("show 10.0.0.0/8") == []
    assert shown("show source 192.0.2.3") == []
    assert sorted(me.ip("tcpmetrics").split()) == sorted(me.ip("tcp_metrics show").split())


def test_deleted_and_flushed():
    """Without what it remembered, the next connection begins as the first one did."""
    me = talked("192.0.2.1", "192.0.2.9")
    assert me.ip("tcp_metrics delete 192.0.2.1") == ""
    assert [line.split()[0] for line in me.ip().splitlines()] == ["192.0.2.9"]
    assert me.ip("tcp_metrics flush 10.0.0.0/8") == "Nothing to flush.\n"
    assert me.ip("tcp_metrics flush 192.0.2.8/29") == ""
    assert me.ip() == ""
    assert me.ip("tcp_metrics flush") == ""
    assert me.core.metrics.chains == {}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("tcp_metrics delete 10.0.0.1", 2, "RTNETLINK answers: No such process"),
        ("tcp_metrics show 10.0.0.1", 2, "RTNETLINK answers: No such process"),
        ("tcp_metrics delete", 255, 'Error: argument "address" is required'),
        (
            "tcp_metrics delete 10.0.0.0/8",
            1,
            'Error: a specific IP address is expected rather than "10.0.0.0/8"',
        ),
        (
            "tcp_metrics show 999.1.1.1",
            1,
            'Error: any valid prefix is expected rather than "999.1.1.1".',
        ),
        (
            "tcp_metrics show 10.0.0.0/33",
            1,
            'Error: any valid prefix is expected rather than "10.0.0.0/33".',
        ),
        ("tcp_metrics foo", 255, 'Command "foo" is unknown, try "ip tcp_metrics help".'),
        ("tcp_metrics show source", 255, 'Command line is not complete. Try option "help"'),
        ("route", 1, 'Object "route" is unknown, try "ip help".'),
    ],
)
def test_what_the_tool_refuses(words: str, status: int, said: str):
    done = run(host("linux-6"), "ip", words.split())
    assert (done.status, done.out, done.err) == (status, "", f"{said}\n")
    with pytest.raises(UsageError, match=re.escape(said)):
        host("linux-6").ip(words)


def test_what_changes_a_running_machine():
    """A look is done by a child of the machine, a change by itself."""
    me = host("linux-6")
    for words, change in (
        ("", False),
        ("show", False),
        ("help", False),
        ("flush", True),
        ("del", True),
    ):
        assert changes(me, "ip", ["tcp_metrics", *words.split()]) is change


def test_an_empty_machine_and_one_that_remembers_nothing():
    assert host("linux-6").ip() == ""
    assert host("linux-6").ip("-j tcp_metrics") == "[]\n"
    assert host("linux-4").ip() == ""
    with pytest.raises(UsageError, match="FreeBSD 10 has no ip here"):
        host("freebsd-10").ip()
