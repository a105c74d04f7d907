"""FreeBSD's hostcache: what connections leave to the next one to the same host, its limits, its walk, its table."""

import pytest
from tcp.peer import Machine

import pystack
from pystack._fast.consts import SECOND
from pystack._fast.hostcache import HostCache, averaged

LIST = "net.inet.tcp.hostcache.list"
COUNT = "net.inet.tcp.hostcache.count"


def network(
    profile: str = "freebsd-14", **knobs: object
) -> tuple[pystack.Network, pystack.Host, pystack.Host]:
    net = pystack.Network(seed=3)
    boot = {f"net.inet.tcp.hostcache.{name}": value for name, value in knobs.items()}
    web = net.host("web", "192.0.2.1/24", profile=profile, sysctl=boot)
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(web, me, delay="25ms")
    return net, web, me


def talk(net: pystack.Network, web: pystack.Host, me: pystack.Host, rounds: int) -> None:
    """A connection from `web` to `me` with so many round trips of data, closed by both."""
    listener = me.socket()
    listener.bind(("", 0))
    listener.listen(1)
    sock = web.socket()
    sock.connect(("192.0.2.2", listener.getsockname()[1]))
    peer, _ = listener.accept()
    for _ in range(rounds):
        sock.sendall(b"x" * 100)
        assert peer.recv(200) == b"x" * 100
        net.run(for_="300ms")
    sock.close()
    assert peer.recv(1) == b""
    peer.close()
    listener.close()
    net.run(for_="120s")


def counted(web: pystack.Host, words: str) -> int:
    return next(int(line.split()[0]) for line in web.netstat("-s").splitlines() if words in line)


def test_three_samples_are_too_few_and_four_are_remembered():
    # the handshake gives one, and the FIN
    net, web, me = network()
    talk(net, web, me, 1)
    assert web.sysctl[COUNT] == 0
    talk(net, web, me, 2)
    assert web.sysctl[COUNT] == 1
    assert counted(web, "hostcache entry added") == 1
    assert counted(web, "updated cached RTT on close") == 1


def test_the_table_has_the_columns_of_the_release():
    net, web, me = network()
    talk(net, web, me, 8)
    head, row = web.sysctl[LIST].splitlines()[1:]
    assert head == "IP address        MTU  SSTRESH      RTT   RTTVAR     CWND SENDPIPE RECVPIPE EXP"
    assert row.split()[:3] == ["192.0.2.2", "0", "0"]
    assert (
        50 <= int(row.split()[3].removesuffix("ms")) < 80
    )  # round trips of 50 ms, some acknowledged late
    assert row.split()[-3:] == ["0", "0", "3600"]
    net, web, me = network("freebsd-10")
    talk(net, web, me, 8)
    head, row = web.sysctl[LIST].splitlines()[1:]
    assert head.endswith("BANDWIDTH     CWND SENDPIPE RECVPIPE HITS  UPD  EXP")
    assert len(head.split()) == len(row.split()) + 1  # "IP address"
    assert row.split()[-2] == "1"


def test_the_next_connection_begins_with_what_the_last_has_measured():
    net, web, me = network()
    talk(net, web, me, 8)
    assert counted(web, "used RTT from hostcache") == 0
    talk(net, web, me, 1)
    assert counted(web, "used RTT from hostcache") == 1
    assert counted(web, "used RTT variance from hostcache") == 1


def test_a_cache_that_is_switched_off_learns_nothing():
    net, web, me = network()
    web.sysctl["net.inet.tcp.hostcache.enable"] = 0
    talk(net, web, me, 8)
    assert web.sysctl[COUNT] == 0


def test_an_entry_goes_with_the_walk_after_its_time_is_over():
    net, web, me = network()
    talk(net, web, me, 8)
    net.run(for_="3000s")
    assert web.sysctl[COUNT] == 1
    net.run(for_="1000s")
    assert web.sysctl[COUNT] == 0


@pytest.mark.parametrize("knob", ["purge", "purgenow"])
def test_purging(knob: str):
    net, web, me = network()
    talk(net, web, me, 8)
    web.sysctl[f"net.inet.tcp.hostcache.{knob}"] = 1
    assert web.sysctl[COUNT] == (knob == "purge")
    net.run(for_="301s")
    assert web.sysctl[COUNT] == 0
    assert web.sysctl["net.inet.tcp.hostcache.purge"] == 0


def cache(**limits: int) -> HostCache:
    machine = Machine(profile="freebsd-14")
    cfg = machine.core.cfg
    for name, value in limits.items():
        setattr(cfg, f"hostcache_{name}", value)
    return HostCache(cfg, 1, 2, 0)


def test_a_full_chain_gives_up_its_last_entry():
    c = cache(hashsize=1, bucketlimit=3)
    for addr in (1, 2, 3):
        c.told(addr, 0)
    assert (c.used, c.overflows) == (3, 0)
    c.told(1, 0)  # told again, it is the first
    c.told(4, 0)
    assert [e.addr for e in c.entries(0)] == [4, 1, 3]
    assert (c.used, c.added, c.overflows, c.high) == (3, 4, 1, 3)
    assert c.lengths(0) == [0, 0, 0, 1]


def test_a_full_cache_takes_an_entry_of_the_same_chain_or_none():
    c = cache(hashsize=1024, cachelimit=2)
    first, second = 1, 2
    c.told(first, 0)
    c.told(second, 0)
    other = next(a for a in range(3, 99) if c.bucket(a) not in (c.bucket(first), c.bucket(second)))
    assert c.told(other, 0) is None
    assert c.used == 2
    same = next(a for a in range(100, 99999) if c.bucket(a) == c.bucket(first))
    assert c.told(same, 0) is not None
    assert {e.addr for e in c.entries(0)} == {second, same}


def test_asking_keeps_an_entry_alive():
    c = cache(expire=600 * SECOND, prune=300 * SECOND)
    c.told(1, 0)
    assert c.find(1, 500 * SECOND) is not None
    assert len(c.entries(1100 * SECOND)) == 1
    assert c.entries(1600 * SECOND) == []


def test_what_is_kept_is_the_middle():
    assert averaged(0, 40) == 40
    assert averaged(40, 0) == 40
    assert averaged(40, 60) == 50


def test_the_mtu_of_a_way_lives_in_the_cache():
    c = cache()
    c.set_mtu(7, 1400, 0)
    assert c.mtu_of(7, 1500, 0) == 1400
    assert c.mtu_of(7, 1300, 0) == 1300
    assert c.mtu_of(8, 1500, 0) == 1500


def test_limits_shows_it():
    net, web, me = network(cachelimit=7)
    talk(net, web, me, 8)
    limit = next(one for one in web.limits() if one.name == "remembered hosts")
    assert (limit.used, limit.maximum, limit.knob) == (1, 7, "net.inet.tcp.hostcache.cachelimit")


def test_freebsd_4_has_none():
    net, web, me = network("freebsd-4")
    assert LIST not in web.sysctl
    talk(net, web, me, 8)
    assert web.core.hosts is None
