"""Profiles: complete, checked to the last key, and with the numbers that the facts give."""

import json
import re
from pathlib import Path

import pytest
from tcp.peer import opened

from pystack import profiles
from pystack._fast import consts
from pystack._fast.config import DEFAULTS
from pystack.profiles import sizing
from pystack.sysctl import ReadOnlyKnob, Sysctl, TomlError, registry
from pystack.sysctl.strict_toml import Document

SOURCE = (Path(__file__).parents[2] / "pystack/_fast/config.py").read_text("utf-8")
ONLY_FOR = dict(re.findall(r'^    "(\w+)": .*?  # (FreeBSD|Linux): ', SOURCE, re.MULTILINE))
GIB = 1 << 30
NAMES = profiles.names()

SMALL = """\
title = "Small"
system = "freebsd"
doc = "For a test."
source = "none"
sizing = "freebsd"
ram = "1 GiB"

[policy]
close_unread = "fin"

[fixed]
tcp_rexmit_initial = "3 s"
sb_max = "2 MiB"
tcp_cc = "CC_CUBIC"
tcp_retries = 12

[sysctl]
"net.inet.tcp.msl" = 30000
"kern.ipc.nmbclusters" = "auto"
"""


def small(change: tuple[str, str] = ("", "")) -> profiles.Profile:
    assert change[0] in SMALL
    return profiles.build(Document(SMALL.replace(*change), "profiles/small.toml"), "small")


def boot(name: str, **how: object) -> Sysctl:
    return Sysctl(profiles.load(name), **how)  # type: ignore[arg-type]


def test_the_profiles_of_this_issue_are_there() -> None:
    assert {"freebsd-10", "freebsd-14", "linux-6"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_leaves_no_setting_to_chance(name: str) -> None:
    profile = profiles.load(name)
    said = set(profile.settings())
    said |= {a for knob in profile.knobs.values() for a in knob.attributes}
    other = {"freebsd": "Linux", "linux": "FreeBSD"}[profile.system]
    missing = [a for a in DEFAULTS if a not in said and ONLY_FOR.get(a) != other]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_no_setting_has_two_masters(name: str) -> None:
    """Two knobs of one system that set the same thing would undo each other."""
    owners: dict[str, str] = {}
    for known, knob in profiles.load(name).knobs.items():
        for attribute in knob.attributes:
            assert attribute not in owners, f"{attribute}: {owners.get(attribute)} and {known}"
            owners[attribute] = known


@pytest.mark.parametrize("name", NAMES)
def test_defaults_pass_their_own_rules(name: str) -> None:
    """Writing what stands there already is never refused, and changes nothing."""
    machine = boot(name)
    before = {a: getattr(machine.config, a) for a in DEFAULTS}
    for known, knob in machine.profile.knobs.items():
        if knob.when == "run" and not knob.effect:
            machine[known] = machine[known]
    assert {a: getattr(machine.config, a) for a in DEFAULTS} == before


@pytest.mark.parametrize("name", NAMES)
def test_each_policy_is_decided(name: str) -> None:
    profile = profiles.load(name)
    others = frozenset().union(
        *(of for system, of in profiles.OF_SYSTEM.items() if system != profile.system)
    )
    assert set(profile.policy) == set(profiles.POLICIES) - others
    for policy in profiles.POLICIES:
        assert f"policy_{policy}" in DEFAULTS


def test_each_knob_is_in_some_profile() -> None:
    used = {knob.name for name in NAMES for knob in profiles.load(name).knobs.values()}
    assert set(registry()) == used


@pytest.mark.parametrize("name", NAMES)
def test_describe_is_json_and_complete(name: str) -> None:
    told = json.loads(json.dumps(profiles.load(name).describe()))
    assert told["name"] == name
    assert len(told["sysctl"]) == len(profiles.load(name).knobs)
    assert "auto" not in told["sysctl"].values()


# --- numbers of the facts ----------------------------------------------------------------------


def test_freebsd_10_is_the_machine_of_the_facts() -> None:
    config = boot("freebsd-10").config
    seconds = consts.SECOND
    assert config.tcp_timewait == 60 * seconds
    assert (config.tcp_keepidle, config.tcp_keepintvl) == (7200 * seconds, 75 * seconds)
    assert config.tcp_keepcnt * config.tcp_keepintvl == 600 * seconds
    assert (config.tcp_fast_finwait2_recycle, config.tcp_finwait2_timeout) == (0, 60 * seconds)
    assert (config.tcp_rexmit_initial, config.tcp_rexmit_min) == (3 * seconds, 30 * consts.MS)
    assert (config.tcp_rexmit_slop, config.tcp_rexmit_max) == (200 * consts.MS, 64 * seconds)
    assert config.tcp_delacktime == 100 * consts.MS
    assert (config.port_first, config.port_last) == (10000, 65535)
    assert (config.port_randomcps, config.port_randomtime) == (10, 45 * seconds)
    assert config.syncache_hashsize * config.syncache_bucketlimit == 15360
    assert config.syncache_cachelimit == 15360
    assert config.somaxconn == 128
    assert config.tcp_cc == consts.CC_NEWRENO
    assert config.icmp_icmplim == 200


def test_a_freebsd_of_4_gib_has_the_sizes_of_the_facts() -> None:
    """facts/freebsd-tcp.md 1.3, 3.1, 3.5."""
    machine = boot("freebsd-10", ram=4 * GIB)
    expected = {
        "kern.ipc.nmbclusters": 262144,
        "kern.ipc.nmbjumbop": 131072,
        "kern.ipc.nmbjumbo9": 38836,
        "kern.ipc.nmbjumbo16": 21845,
        "kern.ipc.nmbufs": 1677721,
        "kern.ipc.maxsockets": 131072,
        "net.inet.tcp.tcbhashsize": 65536,
        "net.inet.tcp.maxtcptw": 131072 // 5,
        "net.inet.tcp.reass.maxsegments": 16384,
    }
    assert {name: machine[name] for name in expected} == expected


def test_the_memory_of_the_kernel_bounds_what_follows_from_memory() -> None:
    """realmem = min(physical memory, vm_kmem_size) from 10 on (facts: freebsd-tcp 1.3)."""
    plain = boot("freebsd-10")
    assert plain["vm.kmem_size"] == 4 * GIB
    half = boot("freebsd-10", loader_conf='vm.kmem_size="2G"')
    assert half["kern.ipc.maxmbufmem"] == GIB
    for knob in ("kern.ipc.nmbclusters", "kern.ipc.nmbjumbop", "kern.ipc.nmbjumbo9"):
        assert half[knob] == plain[knob] // 2  # type: ignore[operator]
    assert half["kern.maxfiles"] == plain["kern.maxfiles"], "files follow from the memory itself"
    most = boot("freebsd-10", boot={"vm.kmem_size_max": GIB})
    assert (most["vm.kmem_size"], most["kern.ipc.maxmbufmem"]) == (GIB, GIB // 2)
    with pytest.raises(ReadOnlyKnob):
        plain["vm.kmem_size"] = GIB


def test_an_old_kernel_takes_a_third_of_the_memory_and_320_mib_at_most() -> None:
    """seed 002; clusters follow from maxusers there, whatever the kernel has."""
    assert boot("freebsd-7")["vm.kmem_size"] == 320 << 20
    assert boot("freebsd-7", ram=600 << 20)["vm.kmem_size"] == 200 << 20
    told = boot("freebsd-7", loader_conf="vm.kmem_size=1G\nvm.kmem_size_max=1G")
    assert told["vm.kmem_size"] == GIB
    assert told["kern.ipc.nmbclusters"] == 25600


def test_freebsd_14_differs_where_the_facts_say() -> None:
    config = boot("freebsd-14").config
    assert config.tcp_rexmit_initial == consts.SECOND
    assert config.tcp_delacktime == 40 * consts.MS
    assert config.tcp_cc == consts.CC_CUBIC
    assert config.tcp_max_tw == 0
    assert config.policy_connect_port == consts.CONNECT_PORT_TUPLE
    assert (config.tcp_challenge_ack_limit, config.tcp_challenge_ack_window) == (5, consts.SECOND)
    assert config.tcp_retries == 12


def test_linux_6_is_the_kernel_that_was_measured() -> None:
    """facts/conntrack.md 9.1: a 6.18 with 24 GiB."""
    machine = boot("linux-6", ram=24 * GIB)
    assert machine["net.ipv4.tcp_ehash_entries"] == 262144
    assert machine["net.ipv4.tcp_max_tw_buckets"] == 131072
    assert machine["net.ipv4.tcp_max_orphans"] == 131072
    assert machine["net.ipv4.tcp_max_syn_backlog"] == 2048
    assert machine["net.ipv4.tcp_rmem"] == (4096, 131072, 33554432)
    config = machine.config
    assert config.tcp_timewait == 60 * consts.SECOND
    assert (config.tcp_syn_retries, config.tcp_syn_linear_timeouts) == (6, 4)
    assert (config.tcp_retries, config.tcp_retries1) == (15, 3)
    assert (config.port_first, config.port_last) == (32768, 60999)
    assert config.port_reservedhigh == 1023
    assert config.somaxconn == 4096
    assert config.policy_close_unread == consts.CLOSE_UNREAD_RST
    assert config.tcp_rexmit_min == 200 * consts.MS


def test_tcp_mem_is_three_shares_of_the_memory() -> None:
    """Measured: 287901 383869 575802."""
    assert sizing.pages_of_buffers(383869 * 16 * 4096, 16) == (287901, 383869, 575802)


@pytest.mark.parametrize(
    ("ram", "users"), [(64 << 20, 32), (256 << 20, 128), (768 << 20, 384), (4 * GIB, 592)]
)
def test_maxusers_grows_slowly_above_384(ram: int, users: int) -> None:
    assert sizing.maxusers(ram) == users


@pytest.mark.parametrize(
    ("sockets", "size"), [(1, 512), (2047, 512), (2048, 1024), (131072, 65536), (131068, 32768)]
)
def test_tcbhashsize_is_strictly_above_a_quarter_of_the_sockets(sockets: int, size: int) -> None:
    assert sizing.tcbhashsize(sockets) == size


@pytest.mark.parametrize("ram", [1, 1 << 20, 64 << 20, 4 * GIB, 1 << 44])
@pytest.mark.parametrize("name", NAMES)
def test_any_memory_boots(name: str, ram: int) -> None:
    machine = boot(name, ram=ram)
    low = {known: machine[known] for known, v in machine.profile.values.items() if v == "auto"}
    assert all(isinstance(v, tuple) or v >= 0 for v in low.values()), low


# --- profile files ------------------------------------------------------------------------------


def test_a_small_profile() -> None:
    profile = small()
    assert profile.ram == GIB
    assert profile.settings() == {
        "policy_close_unread": consts.CLOSE_UNREAD_FIN,
        "tcp_rexmit_initial": 3 * consts.SECOND,
        "sb_max": 2 << 20,
        "tcp_cc": consts.CC_CUBIC,
        "tcp_retries": 12,
    }
    assert Sysctl(profile)["kern.ipc.nmbclusters"] == 65536


@pytest.mark.parametrize(
    ("change", "place", "text"),
    [
        (('ram = "1 GiB"', 'rma = "1 GiB"'), "6:1", "unknown key 'rma'; did you mean ram?"),
        (('ram = "1 GiB"', 'ram = "1 Gi"'), "6:1", "unknown unit"),
        (('ram = "1 GiB"', "ram = 4"), "6:1", "ram must be str, not int"),
        (('system = "freebsd"', 'system = "os2"'), "2:1", "system must be one of freebsd, linux"),
        (('sizing = "freebsd"\n', ""), "1:1", "must have 'sizing'"),
        (('close_unread = "fin"', 'close_unraed = "fin"'), "9:1", "did you mean close_unread?"),
        (('close_unread = "fin"', '  close_unread = "no"'), "9:3", "is one of fin, rst, not 'no'"),
        (('"3 s"', '"3 parsec"'), "12:1", "unknown unit 'parsec'"),
        (('"3 s"', "3.5"), "12:1", "neither number nor text"),
        (("tcp_retries = 12", "tcp_retires = 12"), "15:1", "did you mean tcp_retries"),
        (("tcp_retries = 12", "tcp_timewait = 1"), "15:1", "set by the knob net.inet.tcp.msl"),
        (("tcp.msl", "tcp.mls"), "18:1", "unknown knob 'net.inet.tcp.mls'; did you mean net.inet"),
        (("30000", "0"), "18:1", "net.inet.tcp.msl: 0 is not in [1, 2147483647]"),
        (("30000", "true"), "18:1", "write 0 or 1"),
        (("30000", '"long"'), "18:1", "invalid integer 'long'"),
        (("30000", '"auto"'), "18:1", "nothing derives net.inet.tcp.msl"),
        (('"auto"\n', '"auto"\n[when]\n"x.y" = "boot"\n'), "21:1", "no knob of this profile"),
        (('"auto"\n', '"auto"\n[extra]\n'), "20:1", "unknown key 'extra'"),
        (("title =", 'extends = "freebsd-9"\ntitle ='), "1:1", "no profile 'freebsd-9'"),
        (("title =", 'absent = ["a.b"]\ntitle ='), "1:1", "a.b is no knob"),
        (("[sysctl]", "[sysctl"), "17:8", "Expected"),
    ],
)
def test_a_wrong_profile_fails_with_file_line_and_column(
    change: tuple[str, str], place: str, text: str
) -> None:
    with pytest.raises(TomlError) as caught:
        small(change)
    said = str(caught.value)
    assert said.startswith(f"profiles/small.toml:{place}: "), said
    assert text in said


def test_a_profile_extends_another() -> None:
    text = """\
title = "Ten with less"
doc = "For a test."
source = "none"
extends = "freebsd-10"
absent = ["net.inet.tcp.msl"]
[when]
"kern.ipc.nmbclusters" = "boot"
[fixed]
tcp_timewait = "1 min"
"""
    profile = profiles.build(Document(text, "x.toml"), "less")
    ten = profiles.load("freebsd-10")
    assert set(ten.knobs) - set(profile.knobs) == {"net.inet.tcp.msl"}
    assert profile.policy == ten.policy
    assert profile.knobs["kern.ipc.nmbclusters"].when == "boot"
    assert ten.knobs["kern.ipc.nmbclusters"].when == "run"
    machine = Sysctl(profile)
    assert machine.config.tcp_timewait == 60 * consts.SECOND
    with pytest.raises(PermissionError, match="read only tunable"):
        machine["kern.ipc.nmbclusters"] = 10**9


def test_a_profile_of_ones_own_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMALL)
    assert profiles.read(path).name == "mine"


def test_an_unknown_profile_names_those_that_there_are() -> None:
    with pytest.raises(profiles.UnknownProfile) as caught:
        profiles.load("freebsd10")
    assert str(caught.value) == (
        f"no profile 'freebsd10': there are {', '.join(NAMES)}; did you mean freebsd-10, "
        "freebsd-14, freebsd-7?"
    )


def test_defaults_of_one_knob_by_any_of_its_names() -> None:
    bsd = [name for name in NAMES if not name.startswith("linux")]
    assert profiles.defaults("kern.ipc.somaxconn") == dict.fromkeys(bsd, "128")
    assert profiles.defaults("kern.ipc.nmbclusters")["freebsd-10"] == "262144"
    assert profiles.defaults("net.ipv4.tcp_rto_min_us") == {"linux-6": "200000"}
    assert profiles.defaults("net.ipv4.tcp_wmem")["linux-6"] == "4096\t16384\t4194304"
    assert profiles.defaults("no.such") == {}


def test_compare_shows_what_differs_and_no_more() -> None:
    ten, fourteen = profiles.load("freebsd-10"), profiles.load("freebsd-14")
    rows = {(section, name): values for section, name, values in profiles.compare(ten, fourteen)}
    assert rows["sysctl", "net.inet.tcp.delacktime"] == ["100", "40"]
    assert rows["sysctl", "net.inet.tcp.rexmit_initial"] == ["-", "1000"]
    assert rows["policy", "timewait"] == ["bsd", "bsd-14"]
    assert rows["fixed", "tcp_rexmit_initial"] == ["3s", "-"]
    assert rows["fixed", "tcp_eifel"] == ["0", "1"]
    assert rows["messages", "listen_overflow"][1].endswith("euid 0, rgid 0, jail 0")
    assert ("sysctl", "net.inet.tcp.msl") not in rows
    assert [section for section, _ in rows] == sorted(
        (section for section, _ in rows), key=profiles.SECTIONS.index
    )
    assert profiles.compare(ten, ten) == []


def test_compare_shows_what_auto_comes_to() -> None:
    rows = {
        name: values
        for _, name, values in profiles.compare(
            profiles.load("freebsd-7"), profiles.load("freebsd-10")
        )
    }
    assert rows["kern.ipc.nmbclusters"] == ["25600 (auto)", "262144 (auto)"]


def test_a_profile_in_a_file_of_yours(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    head = 'title = "Mine"\nextends = "freebsd-14"\ndoc = "x"\nsource = "x"\ntools = "13.0"\n'
    file.write_text(head + '[sysctl]\n"net.inet.tcp.msl" = 5000\n')
    mine = profiles.load(str(file))
    assert (mine.name, mine.tools, mine.values["net.inet.tcp.msl"]) == ("mine", "13.0", 5000)
    file.write_text(head + '[sysctl]\n  "net.inet.tcp.mls" = 5000\n')
    with pytest.raises(profiles.TomlError, match=r"mine\.toml:7:3: unknown knob .* did you mean"):
        profiles.load(str(file))
    file.write_text(head + "[policies]\n")
    with pytest.raises(
        profiles.TomlError, match=r"mine\.toml:6:1: unknown key 'policies'; did you mean policy\?"
    ):
        profiles.load(str(file))
    file.write_text(head.replace("13.0", "thirteen"))
    with pytest.raises(profiles.TomlError, match=r"mine\.toml:5:1: tools must be a release"):
        profiles.load(str(file))
    with pytest.raises(FileNotFoundError):
        profiles.load("no/such.toml")


# --- other systems, as far as their FIN_WAIT_2 goes (seed 003) -----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "closed", "half"),
    [
        ("sunos-4", None, None),
        ("irix", None, None),
        ("solaris-2", 675, None),
        ("bsd-os", 675, None),
        ("ptx", 675, None),
        ("freebsd-4", 675, None),
        ("freebsd-7", 675, None),
        ("ncr-mp-ras", 600, None),
        ("windows", 240, 240),
        ("linux-4", 60, None),
        ("linux-2.6", 60, None),
        ("linux-2.6.32", 60, None),
    ],
)
def test_fin_wait_2(name: str, closed: int | None, half: int | None) -> None:
    """How long a connection stays in FIN_WAIT_2 once its application has closed it, and when it has only shut it."""
    for call, seconds in (("close", closed), ("shutdown", half)):
        m, p, t = opened(name)
        getattr(m, call)(t)
        p.next()
        p.send(". 1:1(0) ack 2 win 65535")
        if seconds is None:
            p.quiet(3_600 * 24 if name.startswith("linux") is False else 7_000)
            assert m.states() == {"LISTEN": 1, "FIN_WAIT_2": 1}, call
        else:
            p.quiet(seconds - 0.1)
            assert m.states() == {"LISTEN": 1, "FIN_WAIT_2": 1}, call
            p.quiet(0.2)
            assert m.states() == {"LISTEN": 1}, call


def test_fin_wait_2_of_hp_ux() -> None:
    """Probes begin 120 s after the last segment; what answers stays, what does not is dropped after eight of them."""
    m, p, t = opened("hp-ux")
    m.close(t)
    p.next()
    p.send(". 1:1(0) ack 2 win 65535")
    for _ in range(20):
        p.expect(". 1:1(0) ack 1", within=121)
        p.send(". 1:1(0) ack 2 win 65535")
    assert m.states() == {"LISTEN": 1, "FIN_WAIT_2": 1}
    for _ in range(8):
        p.next(130)
    m.run(80)
    assert m.states() == {"LISTEN": 1}


def test_sizes_of_freebsd_7() -> None:
    """The figures of a default 7.2 (facts: freebsd-tcp 1.3)."""
    machine = boot("freebsd-7")
    names = ("nmbclusters", "nmbjumbop", "nmbjumbo9", "nmbjumbo16")
    assert [machine[f"kern.ipc.{name}"] for name in names] == [25600, 12800, 6400, 3200]
    assert machine["kern.maxfiles"] == 12328
    assert machine["kern.ipc.nsfbufs"] == 6656


def test_clusters_of_freebsd_4_are_fixed_at_boot() -> None:
    machine = boot("freebsd-4")
    with pytest.raises(ReadOnlyKnob, match="read only tunable"):
        machine["kern.ipc.nmbclusters"] = 100_000
    assert (
        boot("freebsd-4", loader_conf='kern.ipc.nmbclusters="65536"')["kern.ipc.nmbclusters"]
        == 65536
    )
