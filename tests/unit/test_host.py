"""One machine: names, knobs, routes, pings, timers, counters."""

import errno

import pytest
from net_kit import SERVER, pair

import pystack
from pystack import profiles
from pystack._fast.tcp_build import our_mss
from pystack.sysctl import InvalidValue, UnknownKnob


def test_interfaces_have_the_names_of_their_system():
    net = pystack.Network()
    two = ["192.0.2.1/24", "198.51.100.1/25"]
    bsd = net.host("bsd", two)
    linux = net.host("linux", two, profile="linux-6")
    assert [i.name for i in bsd.interfaces] == ["em0", "em1"]
    assert [i.name for i in linux.interfaces] == ["eth0", "eth1"]
    assert repr(bsd) == "<Host bsd: freebsd-10, em0 192.0.2.1/24, em1 198.51.100.1/25>"
    assert bsd.address == "192.0.2.1"
    bsd.add_interface("203.0.113.1/24", "tun0", mtu=9000)
    assert (bsd.interfaces[2].name, bsd.interfaces[2].mtu) == ("tun0", 9000)
    for address, name, text in [
        ("192.0.2.1/24", None, "has 192.0.2.1 already"),
        ("192.0.2.9/24", "em0", "has an interface em0 already"),
        ("192.0.2.9", None, "no prefix length; write '192.0.2.9/24'"),
        ("192.0.2.300/24", None, "192.0.2.300"),
        ("192.0.2.9/33", None, "192.0.2.9/33"),
    ]:
        with pytest.raises(ValueError, match=text):
            bsd.add_interface(address, name)
    with pytest.raises(ValueError, match="no interface"):
        _ = net.host("bare").address


def test_unknown_profiles_and_knobs():
    net = pystack.Network()
    with pytest.raises(profiles.UnknownProfile, match="linux-6"):
        net.host("h", profile="linux-66")
    with pytest.raises(UnknownKnob, match="msl"):
        net.host("h", sysctl={"net.inet.tcp.mls": 1})
    host = net.host("h")
    with pytest.raises(KeyError, match="did you mean"):
        _ = host.sysctl["net.inet.tcp.mls"]


def test_knobs_act_at_once():
    both = pair()
    both.web.sysctl["net.inet.tcp.msl"] = 1000
    client, conn = both.connect()
    conn.close()
    client.close()
    both.net.run(for_="1s")
    assert both.web.tcp_states() == {"LISTEN": 1, "TIME_WAIT": 1}
    both.net.run(for_="2s")
    assert both.web.tcp_states() == {"LISTEN": 1}


def test_load_sysctl_conf():
    host = pystack.Network().host("h")
    assert host.load_sysctl_conf("net.inet.tcp.msl=2000  # two\n") == ["net.inet.tcp.msl"]
    assert host.sysctl["net.inet.tcp.msl"] == 2000


def test_knobs_before_it_runs_may_be_what_none_can_be_later():
    net = pystack.Network()
    small = net.host(
        "small", sysctl={"kern.ipc.nmbclusters": 1000, "net.inet.tcp.tcbhashsize": 1024}
    )
    assert small.core.pool.limit(2) == 1000
    with pytest.raises(InvalidValue):
        small.sysctl["kern.ipc.nmbclusters"] = 900
    small.sysctl["kern.ipc.nmbclusters"] = 1100
    assert small.core.pool.limit(2) == 1100
    assert net.host("big", ram="64GiB").sysctl["kern.ipc.nmbclusters"] > 1000


def test_forwarding_is_a_knob():
    net = pystack.Network()
    assert net.host("r1", forwarding=True).sysctl["net.inet.ip.forwarding"] == 1
    assert net.host("r2", profile="linux-6", forwarding=True).sysctl["net.ipv4.ip_forward"] == 1
    assert net.host("r3").sysctl["net.inet.ip.forwarding"] == 0


def test_counters_behind_read_only_knobs():
    both = pair()
    assert both.web.sysctl["net.inet.tcp.pcbcount"] == 1
    client, conn = both.connect()
    assert both.web.sysctl["net.inet.tcp.pcbcount"] == 2
    conn.close()
    client.close()
    both.net.run(for_="1s")
    assert both.web.sysctl["net.inet.tcp.pcbcount"] == 2  # one waits
    assert both.web.sysctl["kern.ipc.numopensockets"] == 1


def test_routes():
    host = pystack.Network().host("h", ["192.0.2.1/24", "198.51.100.1/24"], profile="linux-6")
    host.route("default", via="192.0.2.254")
    host.route("10.0.0.0/8", via="198.51.100.7")
    host.route("203.0.113.0/24", dev="eth1")
    assert host.routes == [
        ("192.0.2.0/24", "", "eth0"),
        ("198.51.100.0/24", "", "eth1"),
        ("203.0.113.0/24", "", "eth1"),
        ("10.0.0.0/8", "198.51.100.7", "eth1"),
        ("0.0.0.0/0", "192.0.2.254", "eth0"),
    ]
    host.delete_route("10.0.0.0/8")
    assert len(host.routes) == 4
    for args, text in [
        (("10.0.0.0/8",), "needs a gateway"),
        (("10.0.0.0/8", "203.0.113.9"), "no interface in the network of gateway 203.0.113.9"),
        (("10.0.0.0/8", None, "eth7"), "no interface eth7"),
        (("10.0.0.1/8", "192.0.2.254"), "10.0.0.1/8"),
    ]:
        with pytest.raises(ValueError, match=text):
            host.route(*args)
    with pytest.raises(ValueError, match="no route"):
        host.delete_route("10.0.0.0/8")


def test_ping():
    both = pair()
    assert both.me.ping("192.0.2.1") == [10_000_000]
    before = both.net.now
    assert both.me.ping("192.0.2.1", count=3, interval="200ms", size=4000) == [10_000_000] * 3
    assert both.net.now - before == 410_000_000
    assert both.me.ping("127.0.0.1") == [0]
    assert both.me.ping("192.0.2.77", timeout="500ms") == [None]
    assert both.me.ping("203.0.113.1") == [None]
    both.link.partition()
    assert both.me.ping("192.0.2.1", 2) == [None, None]
    assert max(both.pools()) <= 1  # one waits for the next packet that lands as octets


def test_timers():
    both = pair()
    seen: list[tuple[str, int]] = []
    both.web.call_later("2s", lambda name: seen.append((name, both.net.now)), "two")
    dropped = both.me.call_later(1_500_000_000, seen.append, ("never", 0))
    timer = both.me.call_at(1_000_000_000, lambda: seen.append(("one", both.net.now)))
    assert timer.active
    dropped.cancel()
    both.net.run(for_="10s")
    assert seen == [("one", 1_000_000_000), ("two", 2_000_000_000)]
    assert not timer.active
    assert not dropped.active


def test_states_and_counters_by_name():
    both = pair()
    client, conn = both.connect()
    assert both.web.tcp_states() == {"LISTEN": 1, "ESTABLISHED": 1}
    assert both.web.tcp_states()["FIN_WAIT_2"] == 0
    client.close()
    both.net.run(for_="1s")
    assert both.web.tcp_states() == {"LISTEN": 1, "CLOSE_WAIT": 1}
    assert both.me.tcp_states() == {"FIN_WAIT_2": 1}
    conn.close()
    assert both.me.stats["connattempt"] == 1
    assert both.web.stats["accepts"] == 1
    assert both.web.drops() == {}


def test_a_machine_in_no_world_yet():
    host = pystack.Host("alone", "10.9.0.2/24", profile="linux-6")
    sock = host.socket()
    sock.bind(("", 80))
    sock.listen(1)
    assert host.now == 0
    with pytest.raises(RuntimeError, match="in no world"):
        sock.accept()
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        sock.accept()


def test_seeds():
    first, second = (pystack.Host("h", "10.9.0.2/24").seed for _ in range(2))
    assert first != second
    assert pystack.Host("h", seed=3).seed == 3
    by_name = [pystack.Network(seed=5).host("a").seed for _ in range(2)]
    assert by_name[0] == by_name[1] != pystack.Network(seed=5).host("b").seed


def test_a_reserved_port_needs_root():
    host = pystack.Network().host("h", "192.0.2.1/24")
    with pytest.raises(PermissionError) as caught:
        host.socket(uid=80).bind(SERVER)
    assert caught.value.errno == errno.EACCES


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_the_mss_is_that_of_the_interface_of_the_route(profile):
    """RFC 9293 SHLD-6 would have the smallest of all interfaces; neither system does."""
    host = pystack.Host("h", profile=profile)
    host.add_interface("192.0.2.1/24", "tun0", mtu=1500)
    host.add_interface("198.51.100.1/24", "tun1", mtu=9000)
    assert our_mss(host.core, 0xC0000202, 0) == 1460
    assert our_mss(host.core, 0xC6336402, 0) == 8960
