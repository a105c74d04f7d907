"""Knobs of ipfw and dummynet as each era has them: what is refused, rounded, changed by the kernel itself, and told."""

import errno
import socket

import pytest

from pystack import Network
from pystack.firewall.ipfw.machine import IpfwError
from pystack.sysctl.errors import InvalidValue, ReadOnlyKnob, UnknownKnob
from pystack.views.tools import run

ERAS = ("freebsd-7", "freebsd-10", "freebsd-14")
FW = "net.inet.ip.fw."
DUMMYNET = "net.inet.ip.dummynet."
SECOND = 10**9


def machine(profile, **more):
    """A machine whose firewall lets everything pass, and one to talk to."""
    net = Network(seed=3)
    host = net.host("web", "10.0.0.1/24", profile=profile, **more)
    other = net.host("other", "10.0.0.2/24", profile="linux-6")
    net.link(host, other)
    host.ipfw("add 65000 allow ip from any to any")
    return net, host


DEFAULTS = {
    # name: 7, 10, 14; None: there is none
    "dyn_max": (4096, 4096, 16384),
    "dyn_count": (0, 0, 0),
    "dyn_parent_max": (None, None, 4096),
    "dyn_parent_count": (None, None, 0),
    "dyn_buckets": (256, 256, 8192),
    "curr_dyn_buckets": (256, 256, 256),
    "curr_max_length": (None, None, 0),
    "dyn_ack_lifetime": (300, 300, 300),
    "dyn_syn_lifetime": (20, 20, 20),
    "dyn_fin_lifetime": (1, 1, 1),
    "dyn_rst_lifetime": (1, 1, 1),
    "dyn_udp_lifetime": (10, 10, 10),
    "dyn_short_lifetime": (5, 5, 5),
    "dyn_keepalive": (1, 1, 1),
    "dyn_keep_states": (None, 0, 0),
    "enable": (1, 1, 1),
    "one_pass": (1, 1, 1),
    "verbose": (0, 0, 0),
    "verbose_limit": (0, 0, 0),
    "autoinc_step": (100, 100, 100),
    "static_count": (2, 2, 2),
    "default_rule": (65535, 65535, 65535),
    "default_to_accept": (0, 0, 0),
    "tables_max": (128, 128, 128),
    "tables_sets": (None, 0, 0),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_true_defaults_of_each_era(name):
    """Not those of the manual, which has 8192, 5 and 30 for dyn_max and two lifetimes."""
    for profile, value in zip(ERAS, DEFAULTS[name], strict=True):
        _net, host = machine(profile)
        if value is None:
            with pytest.raises(UnknownKnob):
                host.sysctl[FW + name]
        else:
            assert host.sysctl[FW + name] == value


def test_what_only_reports_is_read_only_and_what_is_for_boot_is_for_boot():
    for profile in ERAS:
        _net, host = machine(profile)
        for name in ("dyn_count", "curr_dyn_buckets", "static_count", "default_rule"):
            with pytest.raises(ReadOnlyKnob):
                host.sysctl[FW + name] = 1
        with pytest.raises(ReadOnlyKnob):
            host.sysctl[FW + "default_to_accept"] = 1
    host = Network(seed=1).host(
        "web", "10.0.0.1/24", profile="freebsd-10", sysctl={FW + "default_to_accept": 1}
    )
    assert host.ipfw("list") == "65535 allow ip from any to any\n"
    assert "default to accept" in "".join(host.dmesg())


@pytest.mark.parametrize(("given", "kept"), [(257, 512), (512, 512), (513, 1024), (8193, 16384)])
def test_chains_of_12_are_a_power_of_two(given, kept):
    _net, host = machine("freebsd-14")
    host.sysctl[FW + "dyn_buckets"] = given
    assert host.sysctl[FW + "dyn_buckets"] == kept


@pytest.mark.parametrize("given", [0, 1, 256])
def test_chains_of_12_are_more_than_256(given):
    _net, host = machine("freebsd-14")
    with pytest.raises(InvalidValue) as refused:
        host.sysctl[FW + "dyn_buckets"] = given
    assert refused.value.errno == errno.EINVAL
    assert host.sysctl[FW + "dyn_buckets"] == 8192


def test_chains_of_10_are_taken_as_they_are():
    _net, host = machine("freebsd-10")
    for given in (600, 1, 1 << 20):
        host.sysctl[FW + "dyn_buckets"] = given
        assert host.sysctl[FW + "dyn_buckets"] == given


@pytest.mark.parametrize("profile", ERAS)
@pytest.mark.parametrize(("given", "step"), [(0, 1), (-5, 1), (5000, 1000), (7, 7)])
def test_the_step_is_put_right_when_a_rule_is_added(profile, given, step):
    _net, host = machine(profile)
    host.sysctl[FW + "autoinc_step"] = given
    assert host.sysctl[FW + "autoinc_step"] == given
    host.ipfw("delete 65000")
    assert host.ipfw("add count ip from any to any").startswith(f"{step:05d}")
    assert host.sysctl[FW + "autoinc_step"] == step


def test_4_has_no_tables():
    _net, host = machine("freebsd-4")
    for line, text, status in (
        ("table 1 list", "bad command `table'", 64),
        ("add deny ip from table(1) to any", "hostname ``table(1)'' unknown", 68),
    ):
        with pytest.raises(IpfwError) as refused:
            host.ipfw(line)
        assert (str(refused.value), refused.value.status) == (f"ipfw: {text}", status)


def test_tables_max():
    _net, host = machine("freebsd-7")
    with pytest.raises(ReadOnlyKnob):
        host.sysctl[FW + "tables_max"] = 200
    _net, host = machine("freebsd-10")
    host.ipfw("table 127 add 10.0.0.0/8")
    with pytest.raises(IpfwError, match=r"exceeds the maximum allowed value \(127\)"):
        host.ipfw("table 128 add 10.0.0.0/8")
    host.sysctl[FW + "tables_max"] = 70000
    assert host.sysctl[FW + "tables_max"] == 65535
    host.ipfw("table 128 add 10.0.0.0/8")
    host.sysctl[FW + "tables_max"] = 128
    host.sysctl[FW + "tables_max"] = 129
    assert host.ipfw("table 128 list") == ""
    assert host.ipfw("table 127 list") == "10.0.0.0/8 0\n"
    _net, host = machine("freebsd-14")
    for given in (0, 64):
        with pytest.raises(InvalidValue):
            host.sysctl[FW + "tables_max"] = given
    host.sysctl[FW + "tables_max"] = 200
    assert host.sysctl[FW + "tables_max"] == 256


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14"])
def test_tables_get_sets_while_there_is_only_set_0(profile):
    _net, host = machine(profile)
    name = FW + "tables_sets"
    host.sysctl[name] = 1
    host.sysctl[name] = 0
    host.ipfw("add 100 set 4 count ip from table(7) to any")
    with pytest.raises(OSError, match=f"{name}=1: Device busy") as refused:
        host.sysctl[name] = 1
    assert (refused.value.errno, host.sysctl[name]) == (errno.EBUSY, 0)
    host.ipfw("set move rule 100 to 0")
    host.sysctl[name] = 1
    host.ipfw("set move rule 100 to 4")
    with pytest.raises(OSError, match="busy"):
        host.sysctl[name] = 0
    host.ipfw("set swap 4 0")
    host.sysctl[name] = 0


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14"])
def test_packets_meet_the_table_of_their_rules_set(profile):
    net, host = machine(profile)
    host.sysctl[FW + "tables_sets"] = 1
    host.ipfw("-q table 7 add 10.0.0.2")
    for number in (0, 4):
        host.ipfw(f"add 10{number} set {number} count udp from any to table(7) out")
    asked(net, host, 1)
    assert [host.ipfw(f"show 10{n}").split()[1] for n in (0, 4)] == ["1", "0"]
    host.ipfw("set swap 0 4")
    asked(net, host, 1)
    assert [host.ipfw(f"show 10{n}").split()[1] for n in (0, 4)] == ["2", "0"]


# --- dummynet ----------------------------------------------------------------------------------------------------


def test_knobs_of_dummynet_by_era():
    """What each has with its default; 4 has no limits of queues, 10 no chains."""
    common = {"hash_size": 64, "expire": 1, "red_lookup_depth": 256, "red_avg_pkt_size": 512}
    seven = {"pipe_slot_limit": 100, "pipe_byte_limit": 1048576, "io_fast": 0, "io_pkt_drop": 0}
    for profile, has, lacks in (
        ("freebsd-4", {**common, "max_chain_len": 16}, {*seven, "queue_count"}),
        ("freebsd-7", {**common, **seven, "max_chain_len": 16}, {"queue_count"}),
        ("freebsd-10", {**common, **seven, "queue_count": 0}, {"max_chain_len"}),
        ("freebsd-14", {**common, **seven, "queue_count": 0}, {"max_chain_len"}),
    ):
        _net, host = machine(profile)
        assert {name: host.sysctl[DUMMYNET + name] for name in has} == has
        for name in lacks:
            with pytest.raises(UnknownKnob):
                host.sysctl[DUMMYNET + name]


def test_limits_of_queues():
    _net, host = machine("freebsd-10")
    with pytest.raises(IpfwError, match="2 <= queue size <= 100"):
        host.ipfw("pipe 1 config queue 101")
    host.sysctl[DUMMYNET + "pipe_slot_limit"] = 1000
    host.ipfw("pipe 1 config queue 1000")
    with pytest.raises(IpfwError, match="2 <= queue size <= 1000"):
        host.ipfw("pipe 1 config queue 1001")
    host.sysctl[DUMMYNET + "pipe_byte_limit"] = 4096
    host.ipfw("pipe 1 config queue 4KBytes")
    with pytest.raises(IpfwError, match="queue size must be < 4096B"):
        host.ipfw("pipe 1 config queue 5KBytes")
    for name, given in (("pipe_slot_limit", 0), ("pipe_byte_limit", 1499), ("hash_size", 15)):
        with pytest.raises(InvalidValue):
            host.sysctl[DUMMYNET + name] = given


def test_buckets_of_a_mask():
    _net, host = machine("freebsd-10")
    host.sysctl[DUMMYNET + "hash_size"] = 256
    host.ipfw("pipe 1 config mask dst-ip 0xffffffff")
    host.ipfw("pipe 2 config mask dst-ip 0xffffffff buckets 16")
    host.ipfw("pipe 3 config buckets 16")
    shown = [host.ipfw(f"pipe {n} show").splitlines()[2] for n in (1, 2, 3)]
    assert [text.partition(" flags ")[2] for text in shown] == [
        "0x1 256 buckets 0 active",
        "0x1 16 buckets 0 active",
        "0x0 0 buckets 0 active",
    ]


def piped(profile, *commands, pipe=1):
    """A machine whose datagrams go out through a pipe."""
    net, host = machine(profile)
    for command in (*commands, f"add 100 pipe {pipe} udp from any to any out"):
        host.ipfw(command)
    return net, host


def asked(net, host, packets, port=53):
    """Datagrams at one moment: what each call said."""
    sock = host.socket(socket.SOCK_DGRAM)
    out = []
    for _ in range(packets):
        try:
            out.append(sock.sendto(bytes(972), ("10.0.0.2", port)))
        except OSError as error:
            out.append(error.errno)
    net.run(for_=SECOND)
    return out


@pytest.mark.parametrize(
    ("profile", "full"),
    [("freebsd-7", errno.ENOBUFS), ("freebsd-10", errno.ENOBUFS), ("freebsd-14", 972)],
)
def test_a_full_queue_is_told_to_the_sender(profile, full):
    """Three are on the line or wait; since pfil only says yes or no nobody is told. `noerror` was for that before."""
    net, host = piped(profile, "pipe 1 config bw 800Kbit/s queue 2")
    assert asked(net, host, 5) == [972, 972, 972, full, full]
    names = ("io_pkt", "io_pkt_fast", "io_pkt_drop")
    assert [host.sysctl[DUMMYNET + name] for name in names] == [5, 0, 2]
    host.ipfw("pipe 1 config bw 800Kbit/s queue 2 noerror")
    assert asked(net, host, 5) == [972] * 5
    assert [host.sysctl[DUMMYNET + name] for name in names] == [10, 0, 4]


def test_loss_is_told_too():
    net, host = piped("freebsd-10", "pipe 1 config plr 1")
    assert asked(net, host, 2) == [errno.ENOBUFS] * 2


def test_a_pipe_that_is_not_there():
    net, host = piped("freebsd-10", pipe=7)
    assert asked(net, host, 1) == [errno.ENOBUFS]


def test_counters_and_numbers_of_dummynet_are_live():
    net, host = piped("freebsd-10", "pipe 1 config mask dst-port 0xffff", "queue 3 config pipe 1")
    for port in (53, 54, 55):
        asked(net, host, 1, port)
    names = ("schk_count", "si_count", "fsk_count", "queue_count", "io_pkt", "io_pkt_fast")
    assert [host.sysctl[DUMMYNET + name] for name in names] == [2, 3, 3, 3, 3, 3]


def test_io_fast():
    """With it what finds a pipe idle leaves at once; each of the others is still sent when its bits are."""
    for fast, first in ((0, 10), (1, 0)):
        net, host = piped("freebsd-10", "pipe 1 config bw 800Kbit/s")
        host.sysctl[DUMMYNET + "io_fast"] = fast
        begin = net.now
        sock = net.hosts["other"].socket(socket.SOCK_DGRAM)
        sock.bind(("10.0.0.2", 53))
        host.socket(socket.SOCK_DGRAM).sendto(bytes(972), ("10.0.0.2", 53))
        sock.recvfrom(2000)
        assert (net.now - begin) // 10**6 == first


# --- what is written down -----------------------------------------------------------------------------------------


def test_dates_are_those_of_the_machine_s_clock():
    """`-t` in words, `-T` in seconds; a rule that never matched has neither."""
    net, host = machine("freebsd-10")
    host.epoch = 1_411_000_000 * SECOND  # Thu Sep 18 00:26:40 2014
    host.ipfw("add 50 count udp from any to any")
    asked(net, host, 1)
    assert host.ipfw("-T list 50").startswith("00050 1411000001 count")  # 0 would be never
    net.run(for_="74s")
    host.ipfw("add 100 count udp from any to any")
    asked(net, host, 1)
    host.ipfw("add 200 count tcp from any to any")
    assert host.ipfw("-t list 100").startswith("00100 Thu Sep 18 00:27:55 2014 count")
    assert host.ipfw("-T list 100").startswith("00100 1411000075 count")
    assert host.ipfw("-t list 200").startswith(f"00200 {'':24}count")


def test_what_is_logged_is_in_var_log_security():
    net, host = machine("freebsd-10")
    host.epoch = 1_411_000_000 * SECOND
    host.sysctl[FW + "verbose"] = 1
    host.ipfw("add 100 allow log logamount 1 udp from any to any out")
    asked(net, host, 2)
    said = ("ipfw: 100 Accept UDP 10.0.0.1:", "ipfw: limit 1 reached on entry 100")
    text = run(host, "cat", ["/var/log/security"]).out.splitlines()
    assert [line.partition(" web kernel: ")[0] for line in text] == ["Sep 18 00:26:40"] * 2
    for line, begin in zip(text, said, strict=True):
        assert line.partition(" kernel: ")[2].startswith(begin)
    assert not any(begin in line for line in host.dmesg() for begin in said)
    everything = run(host, "dmesg", ["-a"]).out.splitlines()
    assert everything[:1] == host.dmesg()[:1]
    assert [line for line in everything if line.startswith(said)] == everything[-2:]


def test_looking_at_a_log_does_not_load_a_firewall():
    host = Network(seed=1).host("web", "10.0.0.1/24", profile="freebsd-10")
    assert run(host, "cat", ["/var/log/security"]).out == ""
    assert run(host, "dmesg", ["-a"]).status == 0
    assert "ipfw" not in host.__dict__
    assert run(host, "cat", ["/proc/net/dev"]).status == 1
