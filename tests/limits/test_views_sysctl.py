"""`sysctl` of each system: what it prints, in which words it refuses, and how it ends.

Linux's lines and statuses are those of procps 4.0.2 on a running kernel.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pystack import Host, profiles
from pystack.views.sysctl import SKIPPED
from pystack.views.tools import COMMANDS, FREEBSD, LINUX, Outcome, changes, run


def bsd() -> Host:
    return Host("web", profile="freebsd-10")


def linux() -> Host:
    return Host("web", profile="linux-6")


@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        (["net.inet.tcp.msl"], 0, "net.inet.tcp.msl: 30000\n", ""),
        (["-n", "net.inet.tcp.msl"], 0, "30000\n", ""),
        (["-e", "net.inet.tcp.msl"], 0, "net.inet.tcp.msl=30000\n", ""),
        (["-N", "net.inet.tcp.msl"], 0, "net.inet.tcp.msl\n", ""),
        (["kern.ipc.somaxconn"], 0, "kern.ipc.somaxconn: 128\n", ""),
        (
            ["net.inet.tcp.syncookies"],
            0,
            "net.inet.tcp.syncookies: 1\n",
            "",
        ),
        (
            ["net.inet.tcp.ecn"],
            0,
            "net.inet.tcp.ecn.enable: 2\nnet.inet.tcp.ecn.maxretries: 1\n",
            "",
        ),
        (["net.inet.tcp.msl=2000"], 0, "net.inet.tcp.msl: 30000 -> 2000\n", ""),
        (["net.inet.tcp.msl = 2000"], 0, "net.inet.tcp.msl: 30000 -> 2000\n", ""),
        (["-n", "net.inet.tcp.msl=2000"], 0, "30000 -> 2000\n", ""),
        (["-e", "net.inet.tcp.msl=2000"], 0, "net.inet.tcp.msl=30000 -> 2000\n", ""),
        (["net.inet.tcp.mssl"], 1, "", "sysctl: unknown oid 'net.inet.tcp.mssl'; did you mean "),
        (["-i", "net.inet.tcp.mssl"], 0, "", ""),
        (["-q", "net.inet.tcp.mssl"], 1, "", ""),
        (["tcp"], 1, "", "sysctl: unknown oid 'tcp'"),
        (["net.inet.tcp=1"], 1, "", "sysctl: oid 'net.inet.tcp' isn't a leaf node\n"),
        (["net.inet.tcp.msl=soon"], 1, "", "sysctl: invalid integer 'soon'\n"),
        (["net.inet.tcp.msl="], 1, "", "sysctl: empty numeric value\n"),
        (
            ["net.inet.tcp.msl=0"],
            1,
            "net.inet.tcp.msl: 30000\n",
            "sysctl: net.inet.tcp.msl=0: Invalid argument (0 is not between 1 and 2147483647)\n",
        ),
        (
            ["kern.ipc.nmbclusters=262143"],
            1,
            "kern.ipc.nmbclusters: 262144\n",
            "sysctl: kern.ipc.nmbclusters=262143: Invalid argument (it may only grow, and is 262144 now)\n",
        ),
        (["kern.ipc.nmbclusters=262144"], 0, "kern.ipc.nmbclusters: 262144 -> 262144\n", ""),
        (["kern.ipc.nmbclusters=262145"], 0, "kern.ipc.nmbclusters: 262144 -> 262145\n", ""),
        (
            ["net.inet.ip.portrange.first=80"],
            0,
            "net.inet.ip.portrange.first: 10000 -> 1024\n",
            "",
        ),
        (
            ["net.inet.tcp.tcbhashsize=4096"],
            1,
            "",
            "sysctl: oid 'net.inet.tcp.tcbhashsize' is a read only tunable\n"
            "sysctl: Tunable values are set in /boot/loader.conf\n",
        ),
        (
            ["net.inet.tcp.pcbcount=4096"],
            1,
            "",
            "sysctl: oid 'net.inet.tcp.pcbcount' is read only\n",
        ),
        (
            ["net.ipv4.tcp_fin_timeout"],
            1,
            "",
            "sysctl: unknown oid 'net.ipv4.tcp_fin_timeout' (a knob of linux-2.6, linux-2.6.32, linux-4, linux-6;",
        ),
        (
            ["net.inet.tcp.msl", "nothing", "net.inet.tcp.keepidle"],
            1,
            "net.inet.tcp.msl: 30000\nnet.inet.tcp.keepidle: 7200000\n",
            "sysctl: unknown oid 'nothing'\n",
        ),
        ([], 1, "", "usage: sysctl [-deinNq] name[=value] ..."),
    ],
)
def test_freebsd(words, status, out, err):
    done = run(bsd(), "sysctl", words)
    assert (done.status, done.out) == (status, out)
    assert done.err.startswith(err)
    assert bool(done.err) == bool(err)


@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        (["net.ipv4.tcp_fin_timeout"], 0, "net.ipv4.tcp_fin_timeout = 60\n", ""),
        (["net/ipv4/tcp_fin_timeout"], 0, "net.ipv4.tcp_fin_timeout = 60\n", ""),
        (["-n", "net.ipv4.tcp_rmem"], 0, "4096\t131072\t33554432\n", ""),
        (["-N", "net.ipv4.tcp_rmem"], 0, "net.ipv4.tcp_rmem\n", ""),
        (["net.core.message_*"], 0, "net.core.message_burst = 10\nnet.core.message_cost = 5\n", ""),
        (["net.ipv4.tcp_fin_timeout=17"], 0, "net.ipv4.tcp_fin_timeout = 17\n", ""),
        (["-w", "net.ipv4.tcp_fin_timeout=17"], 0, "net.ipv4.tcp_fin_timeout = 17\n", ""),
        (["net.ipv4.tcp_fin_timeout = 17"], 0, "net.ipv4.tcp_fin_timeout = 17\n", ""),
        (["-n", "net.ipv4.tcp_fin_timeout=17"], 0, "17\n", ""),
        (["-q", "net.ipv4.tcp_fin_timeout=17"], 0, "", ""),
        (
            ["net.ipv4.tcp_rmem=4096 8192 16384"],
            0,
            "net.ipv4.tcp_rmem = 4096 8192 16384\n",
            "",
        ),
        (
            ["net.ipv4.tcp_fin_timeout=18", "net.ipv4.tcp_fin_timeout"],
            0,
            "net.ipv4.tcp_fin_timeout = 60\nnet.ipv4.tcp_fin_timeout = 18\n",
            "",
        ),
        (
            ["net.ipv4.nosuch"],
            1,
            "",
            "sysctl: cannot stat /proc/sys/net/ipv4/nosuch: No such file or directory",
        ),
        (
            ["foo", "bar", "baz"],
            3,
            "",
            "sysctl: cannot stat /proc/sys/foo: No such file or directory",
        ),
        (
            ["foo.bar=1"],
            1,
            "",
            "sysctl: cannot stat /proc/sys/foo/bar: No such file or directory",
        ),
        (["-e", "foo", "foo=1"], 0, "", ""),
        (
            ["net.ipv4.tcp_syncookies=x"],
            1,
            "",
            'sysctl: setting key "net.ipv4.tcp_syncookies": Invalid argument',
        ),
        (
            ["net.ipv4.tcp_fin_timeout="],
            1,
            "",
            'sysctl: setting key "net.ipv4.tcp_fin_timeout": Invalid argument',
        ),
        (
            ["net.ipv4.tcp_congestion_control=nosuch"],
            1,
            "",
            'sysctl: setting key "net.ipv4.tcp_congestion_control": No such file or directory',
        ),
        (
            ["net.ipv4.tcp_available_congestion_control=foo"],
            0,
            "",
            'sysctl: setting key "net.ipv4.tcp_available_congestion_control": Invalid argument',
        ),
        (
            ["-w", "net.ipv4.tcp_fin_timeout"],
            1,
            "",
            "sysctl: command line(0): invalid syntax, continuing...\n",
        ),
        ([], 1, "", "sysctl: no variables specified\nTry `sysctl --help'"),
    ],
)
def test_linux(words, status, out, err):
    done = run(linux(), "sysctl", words)
    assert (done.status, done.out) == (status, out)
    assert done.err.startswith(err)
    assert bool(done.err) == bool(err)


@pytest.mark.parametrize("name", profiles.names())
def test_all_of_it(name):
    web = Host("web", profile=name)
    lines = run(web, "sysctl", ["-a"]).out.splitlines()
    shown = [known for known in web.sysctl.names() if known not in SKIPPED]
    assert lines == [web.sysctl.show(known) for known in shown]
    linux = web.profile.system == "linux"
    assert all((" = " if linux else ": ") in line for line in lines)
    if linux:
        assert lines == sorted(lines)
    values = json.loads(run(web, "sysctl", ["-a", "--json"]).out)
    assert list(values) == shown


def test_what_has_no_effect_here_is_taken_and_told():
    web = bsd()
    knobs = web.profile.knobs.values()
    name = next(k.name for k in knobs if k.effect and k.when == "run" and k.type == "flag")
    before = web.sysctl[name]
    done = run(web, "sysctl", [f"{name}={1 - before}"])
    assert done.out == f"{name}: {before} -> {1 - before}\n"
    assert done.err.startswith(f"pystack: {name} is known but has no effect here: ")
    assert done.status == 0


def test_what_changes_the_machine():
    """Asked before the command is run: it decides in which process that is."""
    web = bsd()
    assert changes(web, "sysctl", ["net.inet.tcp.msl=1"])
    assert changes(web, "sysctl", ["-n", "kern.ipc.somaxconn=1"])
    assert not changes(web, "sysctl", ["net.inet.tcp.msl"])
    assert not changes(web, "sysctl", ["net.inet.tcp.mls=1"])
    assert not changes(web, "netstat", ["net.inet.tcp.msl=1"])
    assert changes(linux(), "sysctl", ["net/ipv4/tcp_fin_timeout=1"])


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("net.ipv4.tcp_invalid_ratelimit=5", "8"),
        ("net.ipv4.tcp_invalid_ratelimit=8", "8"),
        ("net.ipv4.ip_local_reserved_ports=90-100,80,101", "80,90-101"),
        ("net.ipv4.ip_local_reserved_ports=", ""),
        ("net.ipv4.ip_local_reserved_ports=9-8", None),
        ("net.ipv4.ip_local_reserved_ports=65536", None),
        ("net.ipv4.ip_local_reserved_ports=5, 6", None),
        ("net.ipv4.tcp_reordering=300", "300"),
        ("net.ipv4.tcp_reordering=301", None),
        ("net.ipv4.ipfrag_high_thresh=3145728", "3145728"),
        ("net.ipv4.ipfrag_high_thresh=3145727", None),
        ("net.ipv4.ipfrag_low_thresh=4194305", None),
        ("net.ipv4.tcp_shrink_window=1", "1"),
        ("net.ipv4.tcp_shrink_window=2", None),
        ("net.ipv4.tcp_fin_timeout=-8589934", "-8589934"),
        ("net.ipv4.tcp_fin_timeout=-8589935", None),
    ],
)
def test_what_a_kernel_makes_of_a_value(word, value):
    """As a running 6.18 keeps it, None: refuses it (tests/system/test_views.py asks for all knobs)."""
    web = linux()
    name = word.partition("=")[0]
    before = web.sysctl.text(name)
    done = run(web, "sysctl", [word])
    assert done.status == (1 if value is None else 0)
    assert web.sysctl.text(name) == (before if value is None else value)


def test_limits_of_a_knob_that_are_another_knob():
    web = linux()
    assert run(web, "sysctl", ["net.ipv4.tcp_max_reordering=10"]).status == 0
    said = run(web, "sysctl", ["net.ipv4.tcp_reordering=11"])
    assert "(it may not exceed tcp_max_reordering, which is 10)" in said.err


def test_a_change_has_effects_at_once():
    web = bsd()
    assert run(web, "sysctl", ["kern.ipc.nmbclusters=300000"]).status == 0
    assert next(row for row in web.limits() if row.name == "mbuf_cluster").maximum == 300000
    assert "/300000 mbuf clusters in use" in web.netstat("-m")


def test_options_that_are_none():
    assert run(bsd(), "sysctl", ["-w"]) == Outcome(
        2, err="sysctl: illegal option -- w (known here: adeinNq)\n"
    )


WORDS = st.lists(
    st.text(max_size=10)
    | st.sampled_from(
        "-a -an -s -z -m -Lan --json -p -ptcp tcp - -- = net net.inet.tcp.msl net.inet.tcp.msl=5 net.ipv4.tcp_rmem=1 "
        "net.inet.tcp.msl=0x10 kern.ipc.nmbclusters=-1 /proc/sys/net /proc/net/dev /proc/sys/../x".split()
    ),
    max_size=5,
)
"""What somebody may type: nonsense, and what is nearly right."""


@pytest.mark.parametrize("profile", ["freebsd-10", "linux-6"])
def test_whatever_is_typed(profile):
    """Every command ends with a status and a text; none raises, and only sysctl changes anything."""
    web = Host("web", "192.0.2.1/24", profile=profile)
    knobs = web.sysctl.dump()

    @given(st.sampled_from([*COMMANDS, *FREEBSD, *LINUX]) | st.text(max_size=5), WORDS)
    def play(tool, words):
        done = run(web, tool, words)
        assert done.status in {
            *range(6),
            *range(64, 79),
            255,
        }  # 64 and on: sysexits, as of ipfw; 255: ip
        assert bool(done.out) or bool(done.err) or done.status in (0, 1)
        assert not done.err or done.err.endswith("\n")
        if tool != "sysctl":
            assert web.sysctl.dump() == knobs
        else:
            knobs[:] = web.sysctl.dump()

    play()
