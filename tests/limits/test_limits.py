"""Each limit shows itself: one below, at it, one above, freed and recovering, in `host.limits()`."""

import json
from itertools import pairwise

import pytest
from limits.machines import host, row
from tcp.peer import PROFILES, Machine, opened
from typer.testing import CliRunner

from pystack import profiles
from pystack._fast import consts, opening
from pystack._fast.consts import Err
from pystack.cli.app import app
from pystack.limits import LIMITS, Limit


def test_sockets():
    web = host(**{"kern.ipc.maxsockets": 10})
    socks = [web.socket() for _ in range(9)]
    assert row(web, "sockets") == Limit("sockets", 9, 10, 9, 0, None, "kern.ipc.maxsockets")
    socks.append(web.socket())
    web.net.run(for_="5s")
    with pytest.raises(OSError, match="No buffer space available"):
        web.socket()
    full = row(web, "sockets")
    assert (full.used, full.high_water, full.failures, full.last_failure) == (
        10,
        10,
        1,
        5_000_000_000,
    )
    assert full.share == 1.0
    socks.pop().close()
    assert row(web, "sockets").used == 9
    web.socket()
    assert row(web, "sockets").failures == 1


@pytest.mark.parametrize(("profile", "held"), [("freebsd-10", 4), ("linux-6", 3)])
def test_listen_queue(profile, held):
    web = host(profile)
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(2)
    clients = []
    name = "listen queue *:80"
    for n in range(held):
        assert row(web, name).used == n
        clients.append(web.me.socket())
        clients[-1].connect(("192.0.2.1", 80))
        web.net.run(for_="1ms")
    assert row(web, name) == Limit(name, held, held, held, 0, None, row(web, name).knob)
    late = web.me.socket()
    late.setblocking(False)
    with pytest.raises(BlockingIOError):
        late.connect(("192.0.2.1", 80))
    web.net.run(for_="10ms")
    full = row(web, name)
    assert (full.used, full.failures) == (held, 1)
    assert full.last_failure is not None
    listener.accept()
    assert row(web, name).used == held - 1
    web.me.socket().connect(("192.0.2.1", 80))
    web.net.run(for_="1ms")
    assert row(web, name).used == held


def test_syn_queue_of_linux():
    m = Machine("linux-6", tcp_syncookies=0)
    listener = m.listen(backlog=2)
    for i in range(3):
        m.peer(2000 + i).send("S 0:0(0) win 65535 <mss 1460>")
    assert (listener.synqlen, listener.books.synqlen_high, listener.books.overflows) == (3, 3, 0)
    m.peer(2003).send("S 0:0(0) win 65535 <mss 1460>")
    assert (listener.synqlen, listener.books.overflows) == (3, 1)
    m.peers[(80, 2000)].send("R 1:1(0)")
    assert listener.synqlen == 2
    assert m.peer(2004).send("S 0:0(0) win 65535 <mss 1460>") == 0


def test_syncache_bucket_and_cache():
    """The oldest of a full bucket goes; so it does when the whole table is full (facts: freebsd-tcp 3.3)."""
    m = Machine("freebsd-10", syncache_hashsize=1, syncache_bucketlimit=3, syncache_cachelimit=4)
    m.listen()
    for i in range(3):
        m.peer(2000 + i).send("S 0:0(0) win 65535 <mss 1460>")
    cache = m.core.listeners.cache
    assert (cache.used, cache.longest, m.stat("sc_bucketoverflow")) == (3, 3, 0)
    m.peer(2003).send("S 0:0(0) win 65535 <mss 1460>")
    assert (cache.used, cache.longest, m.stat("sc_bucketoverflow")) == (3, 3, 1)
    assert {r["fport"] for r in cache.rows()} == {2001, 2002, 2003}, "the oldest went"
    m = Machine("freebsd-10", syncache_hashsize=1, syncache_bucketlimit=30, syncache_cachelimit=4)
    m.listen()
    for i in range(4):
        m.peer(2000 + i).send("S 0:0(0) win 65535 <mss 1460>")
    assert (m.core.listeners.cache.used, m.stat("sc_zonefail")) == (4, 0)
    m.peer(2004).send("S 0:0(0) win 65535 <mss 1460>")
    assert (m.core.listeners.cache.used, m.stat("sc_zonefail")) == (4, 1)
    m.run(60)
    assert m.core.listeners.cache.used == 0, "their time is over"


def waits(m: Machine, listener, port: int) -> None:
    p = m.peer(port)
    t = p.passive(listener)
    m.close(t)
    p.next()
    p.send("F. 1:1(0) ack 2 win 65535")


@pytest.mark.parametrize("profile", PROFILES)
def test_time_wait(profile):
    """FreeBSD recycles the oldest, Linux has no TIME_WAIT then, and FreeBSD 14 has no cap but that of sockets."""
    m = Machine(profile, tcp_max_tw=3)
    listener = m.listen()
    tw = m.core.timewait
    if profile == "freebsd-14":
        assert tw.maximum == m.cfg.maxsockets
        return
    for i in range(2):
        waits(m, listener, 4000 + i)
    assert (tw.used, tw.overflow + tw.recycled) == (2, 0)
    waits(m, listener, 4002)
    assert (tw.used, tw.overflow + tw.recycled) == (3, 0)
    waits(m, listener, 4003)
    assert (tw.used, tw.overflow, tw.recycled) == ((3, 0, 1) if profile != "linux-6" else (3, 1, 0))
    ports = {r["fport"] for r in tw.rows()}
    assert ports == ({4001, 4002, 4003} if profile != "linux-6" else {4000, 4001, 4002})
    m.run(61)
    assert tw.used == 0
    waits(m, listener, 4004)
    assert (tw.used, tw.high_water) == (1, 3)


def test_the_cap_of_time_wait_is_a_knob_of_the_running_machine():
    web = host("linux-6")
    web.sysctl["net.ipv4.tcp_max_tw_buckets"] = 7
    assert row(web, "TIME_WAIT").maximum == 7
    web.sysctl["net.ipv4.tcp_max_tw_buckets"] = 300_000
    assert row(web, "TIME_WAIT").maximum == 300_000
    web = host("freebsd-10")
    web.sysctl["net.inet.tcp.maxtcptw"] = 31
    assert row(web, "TIME_WAIT").maximum > 31, "below 32 it is ignored"
    web.sysctl["net.inet.tcp.maxtcptw"] = 32
    assert row(web, "TIME_WAIT").maximum == 32


@pytest.mark.parametrize("profile", PROFILES)
def test_local_ports(profile):
    m = Machine(profile, port_first=40000, port_last=40003)
    sockets = []
    for _ in range(4):
        t = m.socket()
        assert m.call(opening.tcp_connect, t, 0xC0000202, 80) == -Err.EINPROGRESS
        sockets.append(t)
    assert (m.core.demux.range_used, m.core.demux.range_high, m.core.ports_failed) == (4, 4, 0)
    t = m.socket()
    assert m.call(opening.tcp_connect, t, 0xC0000202, 80) == -Err.EADDRNOTAVAIL
    assert m.core.ports_failed == 1
    m.close(sockets[2])
    assert m.core.demux.range_used == 3
    assert m.call(opening.tcp_connect, t, 0xC0000202, 80) == -Err.EINPROGRESS


def test_a_range_that_is_changed_is_counted_anew():
    web = host("linux-6")
    sock = web.socket()
    sock.bind(("", 50000))
    assert (row(web, "local ports").used, row(web, "local ports").maximum) == (1, 28232)
    web.sysctl["net.ipv4.ip_local_port_range"] = "51000 51009"
    assert (row(web, "local ports").used, row(web, "local ports").maximum) == (0, 10)


def test_ports_come_in_order_after_a_burst():
    """More than randomcps in a second: in order for randomtime seconds (facts: freebsd-tcp 3.2)."""
    m = Machine("freebsd-10", port_randomcps=3, port_randomtime=5 * consts.SECOND)

    def steps(n: int) -> list[int]:
        ports = []
        for _ in range(n):
            t = m.socket()
            m.call(opening.tcp_connect, t, 0xC0000202, 80)
            ports.append(t.lport)
        return [b - a for a, b in pairwise(ports)]

    assert steps(4) != [1, 1, 1]
    m.run(1)
    assert steps(4) == [1, 1, 1]
    m.run(1)
    assert steps(3) == [1, 1]
    m.run(7)
    assert steps(4) != [1, 1, 1]


def test_clusters():
    web = host(**{"kern.ipc.nmbclusters": 8})
    pool = web.core.pool
    held = [pool.get_cluster(2048) for _ in range(8 - row(web, "mbuf_cluster").used)]
    assert all(held)
    assert row(web, "mbuf_cluster").share == 1.0
    assert pool.get_cluster(2048) == 0
    full = row(web, "mbuf_cluster")
    assert (full.failures, full.knob) == (1, "kern.ipc.nmbclusters")
    with pytest.raises(OSError, match="it may only grow"):
        web.sysctl["kern.ipc.nmbclusters"] = 7
    web.sysctl["kern.ipc.nmbclusters"] = 9
    assert pool.get_cluster(2048) != 0
    assert row(web, "mbuf_cluster").maximum == 9


def test_icmplim_shows_the_second():
    web = host(**{"net.inet.icmp.icmplim": 3})
    for _ in range(5):
        sock = web.me.socket()
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.connect(("192.0.2.1", 99))
        web.net.run(for_="1ms")
    limit = row(web, "closed port RST response / s")
    assert (limit.used, limit.maximum, limit.failures) == (5, 3, 2)
    web.net.run(for_="1.1s")
    assert row(web, "closed port RST response / s").used == 2, "the SYNs that got no answer, again"


def test_a_limit_of_another_system_is_not_shown():
    assert "orphans" not in [limit.name for limit in host("freebsd-10").limits()]
    assert "sockets" not in [limit.name for limit in host("linux-6").limits()]


@pytest.mark.parametrize("name", profiles.names())
def test_every_limit_names_a_knob_of_its_machine(name):
    web = host(name)
    found = web.limits()
    assert found
    assert all(limit.knob in web.sysctl for limit in found)
    assert all(limit.failures == 0 and limit.last_failure is None for limit in found)
    names = {declared.name for declared in LIMITS} | {"descriptors of pystack[700]"}
    assert {limit.name for limit in found} <= names


# --- FIN_WAIT_2 of Linux, and the harm of tcp_tw_recycle ------------------------------------------


@pytest.mark.parametrize(("seconds", "whole"), [(59, 0), (60, 0), (61, 1), (90, 30)])
def test_fin_wait_2_above_a_minute(seconds, whole):
    """Above the minute a whole socket for the rest, then a small one for as long again (facts: conntrack 9.2)."""
    m, p, t = opened("linux-6", tcp_fin_timeout=seconds * consts.SECOND)
    m.close(t)
    p.next()
    p.send(". 1:1(0) ack 2 win 65535")
    assert (t.row != 0) == (whole > 0)
    total = seconds if whole == 0 else 2 * whole
    p.quiet(total - 0.1)
    assert m.states() == {"LISTEN": 1, "FIN_WAIT_2": 1}
    p.quiet(0.2)
    m.assert_clean()


@pytest.mark.parametrize("line", ["FP. 1:11(10) ack 2", "P. 1:11(10) ack 2", "F. 1:1(0) ack 2"])
def test_what_comes_with_the_ack_of_our_fin_is_not_lost(line):
    m, p, t = opened("linux-6")
    m.close(t)
    p.next()
    p.send(f"{line} win 65535")
    if "P" in line:
        p.expect("R 2:2(0) win 0")
        m.assert_clean()
    else:
        p.expect(". 2:2(0) ack 2")
        assert m.states() == {"LISTEN": 1, "TIME_WAIT": 1}


def test_tcp_memory():
    """An orphan that holds data is killed once the memory of all passes tcp_mem, not before."""
    for pages, killed in ((1000, 0), (0, 1)):
        m, p, t = opened("linux-6", win=1000, tcp_mem_max=pages + 1)
        m.write(t, 20000)
        m.close(t)
        assert m.stat("abort_on_memory") == killed
        assert (t.row == 0) == bool(killed)
        assert p.inbox


def test_tw_recycle_and_clients_behind_one_address():
    """4.11 and before: a client whose clock is behind that of another one at the same address gets no answer for a
    minute (facts: conntrack 9.4).
    """
    m = Machine("linux-6", tcp_tw_recycle=1)
    listener = m.listen()
    first = m.peer(4000)
    first.ts_skew = 900_000
    t = first.passive(listener, "ts")
    m.close(t)
    first.next()
    first.send("F. 1:1(0) ack 2 win 65535")
    assert m.states() == {"LISTEN": 1, "TIME_WAIT": 1}
    other = m.peer(4001)
    other.send("S 0:0(0) win 65535 <mss 1460,nop,nop,TS>")
    other.quiet(1)
    assert m.stat("paws_passive") == 1
    plain = m.peer(4002)
    plain.send("S 0:0(0) win 65535 <mss 1460>")
    assert plain.inbox, "without a timestamp nobody is suspected"
    m.run(0.5)
    assert m.states().get("TIME_WAIT") is None, "3.5 timeouts, not a minute"
    m.run(61)
    other.send("S 0:0(0) win 65535 <mss 1460,nop,nop,TS>")
    assert other.inbox


# --- the command ----------------------------------------------------------------------------------


def run(*arguments: str):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80", "TERM": "dumb"})


def test_pystack_limits():
    done = run("limits", "--profile", "freebsd-10", "--sysctl", "kern.ipc.maxsockets=1234")
    assert done.exit_code == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith("sockets"))
    assert line.split()[1:3] == ["0", "1234"]
    assert line.split()[-1] == "kern.ipc.maxsockets"
    rows = json.loads(run("limits", "--profile", "linux-6", "--json").stdout)
    assert {"name", "used", "maximum", "high_water", "failures", "last_failure", "knob"} == set(
        rows[0]
    )


def test_pystack_limits_bad_input():
    assert run("limits", "--profile", "freebsd10").exit_code == 2
    done = run("limits", "--profile", "freebsd-10", "--sysctl", "kern.ipc.maxsocket=1")
    assert done.exit_code == 2
    assert "kern.ipc.maxsockets" in done.stderr
    assert run("limits", "--sysctl", "nothing").exit_code == 2
