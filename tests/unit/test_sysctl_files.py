"""sysctl.conf and loader.conf, and what is decided at boot."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sysctl_kit import machine

from pystack._fast import consts
from pystack.sysctl import (
    ConfError,
    InvalidValue,
    KnobError,
    NoEffect,
    UnknownKnob,
    parse_loader_conf,
    parse_sysctl_conf,
)
from pystack.sysctl.values import NotANumber, number, tunable

# rules are the same whether or not the core obeys a knob yet
pytestmark = pytest.mark.filterwarnings("ignore::pystack.sysctl.NoEffect")


# --- booting --------------------------------------------------------------------------------------


def test_the_loader_sets_what_a_running_machine_cannot() -> None:
    sysctl = machine(
        loader_conf="""
# a comment
accf_http_load="YES"
kern.ipc.nmbclusters="64K"
net.inet.tcp.syncache.hashsize="1024"   # twice the default
kern.maxusers=100
"""
    )
    assert sysctl.config.nmbclusters == 65536
    assert sysctl["net.inet.tcp.reass.maxsegments"] == 4096
    assert sysctl.config.syncache_hashsize == 1024
    assert sysctl["net.inet.tcp.syncache.cachelimit"] == 1024 * 30
    assert sysctl["kern.maxfiles"] == 131072
    assert sysctl.messages == []


def test_hash_sizes_that_are_no_powers_of_two() -> None:
    told = {"net.inet.tcp.syncache.hashsize": 1000, "net.inet.tcp.tcbhashsize": 5000}
    sysctl = machine(boot=told)
    assert sysctl.config.syncache_hashsize == 512
    assert sysctl["net.inet.tcp.syncache.cachelimit"] == 15360
    assert sysctl.config.tcbhashsize == 8192
    assert sysctl.messages == [
        "WARNING: syncache hash size is not a power of 2.",
        "tcp_init: WARNING: TCB hash size not a power of 2, clipped from 5000 to 8192.",
    ]


def test_zero_at_boot_means_choose_yourself() -> None:
    assert machine(boot={"kern.ipc.nmbclusters": 0})["kern.ipc.nmbclusters"] == 262144


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('\n  kern.ipc.nmbcluster="5"', "2:3", "did you mean kern.ipc.nmbclusters"),
        ('kern.ipc.nmbclusters="x5"', "1:1", "invalid integer 'x5'"),
        ('net.inet.tcp.pcbcount="5"', "1:1", "read only, and no tunable"),
        ("kern.ipc.nmbclusters", "1:1", 'not `name="value"`'),
        ('kern.ipc.nmbclusters="5', "1:1", 'not `name="value"`'),
    ],
)
def test_a_wrong_loader_conf(text: str, place: str, said: str) -> None:
    with pytest.raises(KnobError) as caught:
        machine(loader_conf=text)
    assert str(caught.value).startswith(f"loader.conf:{place}: ")
    assert said in str(caught.value)


def test_other_parts_of_the_system_are_accepted_with_a_warning() -> None:
    with pytest.warns(NoEffect, match=r"loader\.conf:1:1: hw\.igb\.rxd is none of the network's"):
        machine(loader_conf="hw.igb.rxd=4096")
    with pytest.warns(NoEffect, match=r"sysctl\.conf:1:1: net\.ipv4\.conf\.all\.rp_filter"):
        machine("linux-6").load_sysctl_conf("net.ipv4.conf.all.rp_filter = 1")


# --- files ----------------------------------------------------------------------------------------


def test_a_sysctl_conf_of_freebsd() -> None:
    sysctl = machine()
    done = sysctl.load_sysctl_conf(
        """
# seed 000
net.inet.tcp.fast_finwait2_recycle=1    # yes
  net.inet.tcp.finwait2_timeout : "15000"
kern.ipc.somaxconn='4096'
"""
    )
    assert done == [
        "net.inet.tcp.fast_finwait2_recycle",
        "net.inet.tcp.finwait2_timeout",
        "kern.ipc.soacceptqueue",
    ]
    config = sysctl.config
    assert (config.tcp_fast_finwait2_recycle, config.somaxconn) == (1, 4096)
    assert config.tcp_finwait2_timeout == 15 * consts.SECOND


def test_a_sysctl_conf_of_linux() -> None:
    sysctl = machine("linux-6")
    sysctl.load_sysctl_conf(
        "# one\n; two\nnet/ipv4/tcp_fin_timeout = 15\n-net.ipv4.tcp_tw_recycle = 1\n"
        "net.ipv4.ip_local_port_range = 1024 65535\n-net.core.somaxconn = -5\n"
    )
    assert sysctl["net.ipv4.tcp_fin_timeout"] == 15
    assert sysctl["net.ipv4.ip_local_port_range"] == (1024, 65535)
    assert sysctl["net.core.somaxconn"] == 4096


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("net.inet.tcp.msl=2\n  net.inet.tcp.msk=3", "2:3", "unknown oid 'net.inet.tcp.msk'"),
        ("net.inet.tcp.msl=2\nnonsense", "2:1", "not `name=value`: 'nonsense'"),
        ("net.inet.tcp.msl=0", "1:1", "0 is not between 1 and"),
        ("\n\nnet.inet.tcp.pcbcount=4", "3:1", "is read only"),
    ],
)
def test_a_wrong_sysctl_conf(text: str, place: str, said: str) -> None:
    with pytest.raises(KnobError) as caught:
        machine().load_sysctl_conf(text, "etc/sysctl.conf")
    assert str(caught.value).startswith(f"etc/sysctl.conf:{place}: ")
    assert said in str(caught.value)


def test_names_are_looked_up_before_anything_is_set() -> None:
    sysctl = machine()
    with pytest.raises(UnknownKnob):
        sysctl.load_sysctl_conf("net.inet.tcp.msl=2\nnet.inet.tcp.msk=3")
    assert sysctl["net.inet.tcp.msl"] == 30000


def test_a_linux_comment_behind_a_value_is_no_comment() -> None:
    with pytest.raises(InvalidValue, match=r"sysctl\.conf:1:1"):
        machine("linux-6").load_sysctl_conf("net.ipv4.tcp_sack = 1 # on")


def test_assign_wants_one_assignment() -> None:
    for text in ("net.inet.tcp.msl", "", "# x"):
        with pytest.raises(ConfError, match="not `name=value`"):
            machine().assign(text)


@given(st.text(max_size=40), st.sampled_from(["freebsd", "linux"]))
def test_any_text_parses_or_is_a_conf_error(text: str, system: str) -> None:
    for parse in (lambda: parse_sysctl_conf(text, system), lambda: parse_loader_conf(text)):
        with contextlib.suppress(ConfError):
            assert all(line.name and line.where for line in parse())


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("10", 10), ("-7", -7), ("+7", 7), ("0x1F", 31), ("010", 8), (" 5 ", 5)],
)
def test_numbers_are_those_of_strtol(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "08", "1e3", "1.5", "five", "0x", "--1", "9" * 60, "٣"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(NotANumber):
        number(text)


def test_loader_variables_take_multiples() -> None:
    assert [tunable(t) for t in ("64K", "2m", "1G", "3")] == [65536, 2 << 20, 1 << 30, 3]
