"""sysctl as the administrator meets it: names, rules, words."""

import errno
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sysctl_kit import machine, refusal

from pystack import profiles
from pystack._fast import consts
from pystack.sysctl import (
    ForeignKnob,
    InvalidValue,
    KnobError,
    NoEffect,
    ReadOnlyKnob,
    UnknownKnob,
)

# rules are the same whether or not the core obeys a knob yet
pytestmark = pytest.mark.filterwarnings("ignore::pystack.sysctl.NoEffect")


# --- reading and writing --------------------------------------------------------------------------


def test_a_write_acts_at_once() -> None:
    sysctl = machine()
    assert sysctl["net.inet.tcp.msl"] == 30000
    sysctl["net.inet.tcp.msl"] = 5000
    assert sysctl["net.inet.tcp.msl"] == 5000
    assert sysctl.config.tcp_timewait == 10 * consts.SECOND


@pytest.mark.parametrize(
    ("profile", "name", "value", "settings"),
    [
        ("freebsd-10", "net.inet.tcp.delacktime", 40, {"tcp_delacktime": 40 * consts.MS}),
        ("freebsd-10", "net.inet.tcp.sack.enable", 7, {"tcp_sack": 1}),
        ("freebsd-10", "net.inet.tcp.rfc3465", False, {"tcp_abc": 0}),
        (
            "freebsd-10",
            "net.inet.tcp.experimental.initcwnd10",
            0,
            {"tcp_initcwnd_segments": 0},
        ),
        (
            "freebsd-10",
            "net.inet.tcp.rfc1323",
            0,
            {"tcp_window_scaling": 0, "tcp_timestamps": 0},
        ),
        (
            "freebsd-14",
            "net.inet.tcp.rfc1323",
            2,
            {"tcp_window_scaling": 1, "tcp_timestamps": 0},
        ),
        ("freebsd-10", "net.inet.tcp.cc.algorithm", "cubic", {"tcp_cc": consts.CC_CUBIC}),
        ("linux-6", "net.ipv4.tcp_fin_timeout", "30", {"tcp_fin_timeout": 30 * consts.SECOND}),
        (
            "linux-6",
            "net.ipv4.tcp_rmem",
            (4096, 8192, 16384),
            {
                "tcp_rmem_min": 4096,
                "tcp_recvspace": 8192,
                "tcp_recvbuf_max": 16384,
            },
        ),
        (
            "linux-6",
            "net.ipv4.ip_local_port_range",
            "40000 40003",
            {"port_first": 40000, "port_last": 40003},
        ),
        ("linux-6", "net.ipv4.ip_unprivileged_port_start", 80, {"port_reservedhigh": 79}),
        (
            "linux-6",
            "net.ipv4.tcp_syncookies",
            2,
            {"tcp_syncookies": 1, "tcp_syncookies_only": 1},
        ),
        ("linux-6", "net.ipv4.ip_no_pmtu_disc", 1, {"tcp_path_mtu_discovery": 0}),
        ("linux-6", "net.ipv4.tcp_tw_reuse_delay", 1, {"tcp_tw_reuse_delay": consts.MS}),
    ],
)
def test_a_knob_sets_what_it_says(
    profile: str, name: str, value: object, settings: dict[str, int]
) -> None:
    sysctl = machine(profile)
    sysctl[name] = value
    assert {a: getattr(sysctl.config, a) for a in settings} == settings


def test_old_names_work_and_are_not_listed() -> None:
    sysctl = machine()
    assert sysctl.assign("kern.ipc.somaxconn=4096") == "kern.ipc.somaxconn: 128 -> 4096"
    assert sysctl["kern.ipc.soacceptqueue"] == 4096
    assert "kern.ipc.somaxconn" in sysctl
    assert "kern.ipc.somaxconn" not in sysctl.names()


def test_linux_takes_slashes_and_keeps_what_a_short_row_leaves_out() -> None:
    """As seen on 6.18: the tool repeats what was typed."""
    sysctl = machine("linux-6")
    assert sysctl.assign("net/ipv4/tcp_rmem=5000") == "net.ipv4.tcp_rmem = 5000"
    assert sysctl.show("net.ipv4.tcp_rmem") == "net.ipv4.tcp_rmem = 5000\t131072\t33554432"
    assert sysctl.assign("net.ipv4.tcp_fin_timeout=010") == "net.ipv4.tcp_fin_timeout = 010"
    assert sysctl["net.ipv4.tcp_fin_timeout"] == 8
    sysctl["net.ipv4.tcp_fin_timeout"] = "3 4"
    assert sysctl["net.ipv4.tcp_fin_timeout"] == 3


def test_it_is_a_mapping_in_the_order_of_the_tool() -> None:
    freebsd, linux = machine(), machine("linux-6")
    assert list(freebsd) == freebsd.names() == list(freebsd.profile.knobs)
    assert list(linux) == sorted(linux.profile.knobs)
    assert len(freebsd) == len(list(freebsd.items()))
    assert freebsd.get("net.inet.tcp.nonsense") is None
    assert "net.inet.tcp.nonsense" not in freebsd
    assert 3 not in freebsd


def test_dump_prints_as_each_system_does() -> None:
    assert machine().dump("net.inet.tcp.syncache") == [
        "net.inet.tcp.syncache.bucketlimit: 30",
        "net.inet.tcp.syncache.cachelimit: 15360",
        "net.inet.tcp.syncache.count: 0",
        "net.inet.tcp.syncache.hashsize: 512",
        "net.inet.tcp.syncache.rexmtlimit: 3",
        "net.inet.tcp.syncache.rst_on_sock_fail: 1",
    ]
    assert machine("linux-6").dump("*port_range") == ["net.ipv4.ip_local_port_range = 32768\t60999"]


def test_hooks_hear_of_changes_and_counters_are_live() -> None:
    sysctl = machine()
    heard: list[object] = []
    sysctl.on_change("kern.ipc.nmbclusters", heard.append)
    sysctl.on_change("net.inet.tcp.reass.maxsegments", heard.append)
    sysctl["kern.ipc.nmbclusters"] = 320000
    assert heard == [320000, 20000]
    refusal(sysctl, "kern.ipc.nmbclusters", 1)
    assert heard == [320000, 20000]
    sysctl.provide("net.inet.tcp.pcbcount", lambda: 21)
    assert sysctl.show("net.inet.tcp.pcbcount") == "net.inet.tcp.pcbcount: 21"


def test_what_was_derived_follows_until_it_is_written_itself() -> None:
    sysctl = machine()
    assert sysctl["net.inet.ip.maxfragpackets"] == 8192
    sysctl["kern.ipc.nmbclusters"] = 320000
    assert sysctl["net.inet.ip.maxfragpackets"] == 10000
    sysctl["net.inet.ip.maxfragpackets"] = 7
    sysctl["kern.ipc.nmbclusters"] = 330000
    assert sysctl["net.inet.ip.maxfragpackets"] == 7
    assert sysctl.config.ip_maxfragpackets == 7


# --- refusals, in the tool's words ----------------------------------------------------------------


def test_an_unknown_name_gives_the_near_ones() -> None:
    error = refusal(machine(), "net.inet.tcp.mls", 1)
    assert type(error) is UnknownKnob
    assert isinstance(error, KeyError)
    assert str(error).startswith(
        "sysctl: unknown oid 'net.inet.tcp.mls'; did you mean net.inet.tcp.msl"
    )
    error = refusal(machine("linux-6"), "net.ipv4.tcp_timestamp", 1)
    assert str(error).startswith(
        "sysctl: cannot stat /proc/sys/net/ipv4/tcp_timestamp: No such file or directory; "
        "did you mean net.ipv4.tcp_timestamps"
    )


def test_a_knob_of_another_system_says_so() -> None:
    error = refusal(machine(), "net.ipv4.tcp_syn_retries", 1)
    assert type(error) is ForeignKnob
    owners = "linux-2.6, linux-2.6.32, linux-4, linux-6"
    text = f"(a knob of {owners}; this machine is freebsd-10, where it is fixed at 12)"
    assert text in str(error)
    error = refusal(machine("linux-6"), "net.inet.tcp.keepidle", 1)
    assert str(error).endswith("this machine is linux-6, see net.ipv4.tcp_keepalive_time)")
    error = refusal(machine(), "net.inet.tcp.rexmit_initial", 1)
    assert str(error).endswith("this machine is freebsd-10, where it is fixed at 3000 ms)")


@pytest.mark.parametrize(
    ("profile", "name", "number", "text"),
    [
        (
            "freebsd-10",
            "net.inet.tcp.tcbhashsize",
            errno.EPERM,
            "sysctl: oid 'net.inet.tcp.tcbhashsize' is a read only tunable\n"
            "sysctl: Tunable values are set in /boot/loader.conf",
        ),
        (
            "freebsd-10",
            "net.inet.tcp.pcbcount",
            errno.EPERM,
            "sysctl: oid 'net.inet.tcp.pcbcount' is read only",
        ),
        (
            "linux-6",
            "net.ipv4.tcp_ehash_entries",
            errno.EACCES,
            'sysctl: setting key "net.ipv4.tcp_ehash_entries": Invalid argument (it is read only)',
        ),
    ],
)
def test_what_is_read_only_stays(profile: str, name: str, number: int, text: str) -> None:
    error = refusal(machine(profile), name, 1)
    assert isinstance(error, ReadOnlyKnob)
    assert isinstance(error, PermissionError)
    assert error.errno == number
    assert str(error) == text


@pytest.mark.parametrize(
    ("profile", "name", "value", "text"),
    [
        (
            "freebsd-10",
            "net.inet.tcp.mssdflt",
            215,
            "sysctl: net.inet.tcp.mssdflt=215: Invalid argument (215 is not between 216 and ",
        ),
        ("freebsd-10", "net.inet.tcp.keepidle", "abc", "sysctl: invalid integer 'abc'"),
        ("freebsd-10", "net.inet.tcp.keepidle", "", "sysctl: empty numeric value"),
        ("freebsd-10", "net.inet.tcp.keepidle", 1.5, "an integer is needed, not 1.5"),
        ("freebsd-10", "net.inet.tcp.keepidle", "1 2", "2 numbers where 1 is taken"),
        ("freebsd-10", "net.inet.tcp.keepidle", 2**31, "2147483648 is not between 1 and 2147"),
        ("freebsd-10", "net.inet.tcp.syncache.rexmtlimit", 13, "not between 0 and 12"),
        ("freebsd-10", "kern.ipc.nmbclusters", 262143, "it may only grow, and is 262144 now"),
        ("freebsd-10", "kern.ipc.maxsockets", 131073, "not exceed kern.maxfiles, which is 131072"),
        ("freebsd-10", "kern.ipc.soacceptqueue", 0, "not between 1 and 65535"),
        ("freebsd-10", "kern.ipc.maxsockbuf", 2303, "2303 is not between 2304 and"),
        ("freebsd-10", "net.inet.tcp.cc.algorithm", 3, "a name is needed, not 3"),
        (
            "linux-6",
            "net.core.somaxconn",
            -1,
            'sysctl: setting key "net.core.somaxconn": Invalid argument (-1 is not between 0',
        ),
        ("linux-6", "net.ipv4.ip_local_port_range", "60000 100", "60000 100 is not in order"),
        ("linux-6", "net.ipv4.ip_local_port_range", (80, 90), "ip_unprivileged_port_start"),
        ("linux-6", "net.ipv4.ip_unprivileged_port_start", 32769, "which is 32768"),
        ("linux-6", "net.ipv4.tcp_retries2", 256, "256 is not between 0 and 255"),
        ("linux-6", "net.ipv4.tcp_tw_reuse", 3, "3 is not between 0 and 2"),
        ("linux-6", "net.ipv4.tcp_rmem", (0, 1, 2), "0 is not between 1 and"),
    ],
)
def test_a_bad_value_is_einval_with_the_rule(
    profile: str, name: str, value: object, text: str
) -> None:
    error = refusal(machine(profile), name, value)
    assert isinstance(error, InvalidValue)
    assert isinstance(error, ValueError)
    assert isinstance(error, OSError)
    assert error.errno == errno.EINVAL
    assert text in str(error)


@pytest.mark.parametrize(
    ("profile", "name", "number", "said"),
    [
        ("freebsd-10", "net.inet.tcp.cc.algorithm", errno.ESRCH, "No such process"),
        ("linux-6", "net.ipv4.tcp_congestion_control", errno.ENOENT, "No such file or directory"),
    ],
)
def test_a_congestion_control_that_is_not_there(
    profile: str, name: str, number: int, said: str
) -> None:
    error = refusal(machine(profile), name, "bbr")
    assert isinstance(error, InvalidValue)
    assert error.errno == number
    assert f"{said} ('bbr' is none of " in str(error)


def test_the_present_value_is_never_too_small() -> None:
    sysctl = machine()
    sysctl["kern.ipc.nmbclusters"] = 262144
    assert sysctl["kern.ipc.nmbclusters"] == 262144


def test_clusters_grow_only_while_there_are_mbufs_for_them() -> None:
    """The sum is taken before the change, so one step may overshoot; the next is refused."""
    sysctl = machine()
    sysctl["kern.ipc.nmbclusters"] = 2_000_000
    error = refusal(sysctl, "kern.ipc.nmbclusters", 2_000_001)
    assert "raise it first" in str(error)
    sysctl["kern.ipc.nmbufs"] = 4_000_000
    sysctl["kern.ipc.nmbclusters"] = 2_000_001
    assert sysctl.config.nmbclusters == 2_000_001


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("net.inet.ip.portrange.first", 1, 1024),
        ("net.inet.ip.portrange.last", 70000, 65535),
        ("net.inet.ip.portrange.lowfirst", 5000, 1023),
        ("net.inet.ip.portrange.lowlast", -4, 1),
    ],
)
def test_port_ranges_are_clamped_without_a_word(name: str, value: int, stored: int) -> None:
    sysctl = machine()
    sysctl[name] = value
    assert sysctl[name] == stored


def test_maxtcptw_below_32_changes_nothing() -> None:
    sysctl = machine()
    sysctl["net.inet.tcp.maxtcptw"] = 31
    assert sysctl["net.inet.tcp.maxtcptw"] == 26214
    sysctl["net.inet.tcp.maxtcptw"] = 32
    assert sysctl.config.tcp_max_tw == 32


def test_a_knob_that_nothing_obeys_keeps_its_value_and_says_so() -> None:
    sysctl = machine()
    with pytest.warns(NoEffect, match=r"net\.inet\.tcp\.do_pipe is known but has no effect here: "):
        sysctl["net.inet.tcp.do_pipe"] = 1
    assert sysctl["net.inet.tcp.do_pipe"] == 1
    assert not sysctl.obeyed("net.inet.tcp.do_pipe")
    assert sysctl.obeyed("net.inet.tcp.msl")


@given(st.sampled_from(profiles.names()), st.data())
def test_any_text_is_taken_or_refused_and_settings_stay_64_bit(
    profile: str, data: st.DataObject
) -> None:
    sysctl = machine(profile)
    name = data.draw(st.sampled_from(sysctl.names()))
    numbers = st.integers(-(2**70), 2**70)
    value = data.draw(
        st.one_of(
            numbers,
            st.text(max_size=12),
            numbers.map(str),
            st.lists(numbers, max_size=4).map(tuple),
            st.none(),
            st.booleans(),
        )
    )
    before = sysctl[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffect)
        try:
            sysctl[name] = value
        except KnobError:
            assert sysctl[name] == before
    shown = sysctl.dump()
    assert len(shown) == len(sysctl)
    for attribute in sysctl.profile.knobs[name].attributes:
        assert -(2**63) <= getattr(sysctl.config, attribute) < 2**63
