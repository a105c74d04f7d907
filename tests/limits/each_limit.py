"""For each limit that `host.limits()` knows: how to use it up one by one, and how to give back.

A `Case` is a machine whose limit is small. `take()` asks for one more; `free()` gives back what there is, or lets the
time pass that does it. What a system does beyond the limit is `beyond`: "refuses", "recycles" (the newcomer is let in
and something older goes), "counts" (a rate: what came too often is counted, too).
"""

from __future__ import annotations

import socket as std
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from limits.machines import host
from tcp.peer import Machine

from pystack._fast.consts import BANDLIM_NAMES
from pystack._fast.mbuf_zones import NAMES
from pystack.limits import LIMITS, Limit

WEB = "192.0.2.1"


@dataclass
class Case:
    """One limit of one machine. `base`: what is in use before anybody takes."""

    name: str
    most: int
    row: Callable[[], Limit]
    take: Callable[[], object]
    free: Callable[[], object]
    run: Callable[[float], object]
    beyond: str = "refuses"
    base: int = 0
    last: int | None = None
    """What fits, where that is less than the maximum that is shown."""
    kept: bool = False
    """What is given back stays in use, and is there for whoever asks next."""


def on_host(web: Any, name: str, most: int, take: Any, free: Any, **how: Any) -> Case:
    """A limit of a `Host`, asked as an operator asks."""

    def row() -> Limit:
        (found,) = [limit for limit in web.limits() if limit.name == name]
        return found

    return Case(name, most, row, take, free, lambda s: web.net.run(for_=f"{s}s"), **how)


def on_machine(m: Machine, name: str, most: int, take: Any, free: Any, **how: Any) -> Case:
    """A limit of a core that is spoken to in packets; `Declared.read` is what `host.limits()` reads."""
    declared = next(each for each in LIMITS if each.name == name)

    def row() -> Limit:
        used, maximum, high, failures, last = declared.read(m.core)
        return Limit(name, used, maximum, high, failures, last if failures else None, "")

    return Case(name, most, row, take, free, m.run, **how)


def raises(call: Callable[[], object]) -> bool:
    """Was it let in?"""
    try:
        call()
    except OSError:
        return False
    return True


# --- sockets, files, ports --------------------------------------------------------------------------------------


def sockets() -> Case:
    web = host(**{"kern.ipc.maxsockets": 6})
    held: list[Any] = []
    return on_host(
        web,
        "sockets",
        6,
        lambda: raises(lambda: held.append(web.socket())),
        lambda: held.pop().close(),
    )


def files(profile: str) -> Case:
    """A program that is not root: 95 % of FreeBSD's are for it."""
    web = host(profile)
    knob = "fs.file-max" if profile.startswith("linux") else "kern.maxfiles"
    web.sysctl[knob] = 40
    program = web.process("httpd", uid=80, nofile=100)
    held: list[Any] = []
    return on_host(
        web,
        "open files",
        40,
        lambda: raises(lambda: held.append(program.socket())),
        lambda: held.pop().close(),
        last=40 if profile.startswith("linux") else 38,
    )


def descriptors() -> Case:
    web = host("freebsd-10")
    program = web.process("httpd", uid=80, nofile=9)
    held: list[Any] = []
    return on_host(
        web,
        f"descriptors of httpd[{program.pid}]",
        9,
        lambda: raises(lambda: held.append(program.socket())),
        lambda: held.pop().close(),
        base=program.used,
    )


def ports(profile: str) -> Case:
    web = host(profile)
    if profile.startswith("linux"):
        web.sysctl["net.ipv4.ip_local_port_range"] = "40000 40003"
    else:
        web.sysctl["net.inet.ip.portrange.last"] = 40003
        web.sysctl["net.inet.ip.portrange.first"] = 40000
    held: list[Any] = []

    def take() -> bool:
        sock = web.socket()
        sock.setblocking(False)
        try:
            sock.connect(("192.0.2.99", 80))  # nobody is there
        except BlockingIOError:
            held.append(sock)
            return True
        except OSError:
            sock.close()
        return False

    return on_host(web, "local ports", 4, take, lambda: held.pop().close())


# --- what waits to become a connection, and what waits after one ---------------------------------------------------


def half_open(name: str, **knobs: int) -> Case:
    """SYNs that nobody answers; each newcomer beyond the limit takes the place of the oldest."""
    m = Machine("freebsd-10", syncache_hashsize=1, **knobs)
    m.listen()
    cache = m.core.listeners.cache
    numbers = iter(range(2000, 3000))

    def take() -> bool:
        port = next(numbers)
        m.peer(port).send("S 0:0(0) win 65535 <mss 1460>")
        return any(row["fport"] == port for row in cache.rows())

    def free() -> None:
        port = cache.rows()[0]["fport"]
        m.peers[(80, port)].send("R 1:1(0)")

    return on_machine(m, name, 4, take, free, beyond="recycles")


def listen_queue(profile: str, backlog: int, most: int) -> Case:
    web = host(profile)
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(backlog)
    name = "listen queue *:80"

    def used() -> int:
        return next(limit.used for limit in web.limits() if limit.name == name)

    def take() -> bool:
        before, sock = used(), web.me.socket()
        sock.setblocking(False)
        raises(partial(sock.connect, (WEB, 80)))
        web.net.run(for_="10ms")
        return used() > before

    return on_host(web, name, most, take, listener.accept)


def syn_queue() -> Case:
    web = host("linux-6", **{"net.ipv4.tcp_syncookies": 0})
    web.sysctl["net.ipv4.tcp_max_syn_backlog"] = 4096
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(2)
    tap = web.net.tap("192.0.2.77/24")
    web.net.link(tap, web)
    numbers = iter(range(2000, 3000))
    sent: list[int] = []

    def take() -> bool:
        port, answers = next(numbers), len(tap.received)
        sent.append(port)
        tap.send(segment(port, 80, 2))
        web.net.run(for_="1ms")
        return len(tap.received) > answers

    def free() -> None:
        tap.send(segment(sent[0], 80, 4, 1001))
        web.net.run(for_="1ms")

    return on_host(web, "SYN queue *:80", 3, take, free)


def segment(sport: int, dport: int, flags: int, seq: int = 1000) -> bytes:
    """A TCP segment of 192.0.2.77 without data."""
    ends = bytes((192, 0, 2, 77, 192, 0, 2, 1))
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, 0, 0x50, flags, 8192, 0, 0)
    tcp = tcp[:16] + checked(ends + b"\0\6" + (20).to_bytes(2, "big") + tcp) + tcp[18:]
    head = bytes((0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0)) + ends
    return head[:10] + checked(head) + head[12:] + tcp


def checked(octets: bytes) -> bytes:
    """The internet checksum."""
    total = sum(int.from_bytes(octets[i : i + 2], "big") for i in range(0, len(octets), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def time_wait(profile: str, most: int, beyond: str) -> Case:
    """Connections that the machine closed first."""
    m = Machine(profile, tcp_max_tw=most)
    listener = m.listen()
    numbers = iter(range(4000, 5000))

    def take() -> bool:
        port = next(numbers)
        p = m.peer(port)
        t = p.passive(listener)
        m.close(t)
        p.next()
        p.send("F. 1:1(0) ack 2 win 65535")
        return any(row["fport"] == port for row in m.core.timewait.rows())

    return on_machine(m, "TIME_WAIT", most, take, lambda: m.run(61), beyond=beyond)


SIZES = {
    "mbuf_cluster": 2048,
    "mbuf_jumbo_page": 4096,
    "mbuf_jumbo_9k": 9216,
    "mbuf_jumbo_16k": 16384,
}

# --- memory -------------------------------------------------------------------------------------------------------


BUFFERS = ("mbuf", *SIZES)


def zone(name: str) -> Case:
    """Buffers of the network, taken where the stack takes them. A freed pair of mbuf and cluster is kept as a pair, and
    its cluster counts on.
    """
    web = host("freebsd-10")
    pool = web.core.pool
    web.core.make_room()
    number = NAMES.index(name)
    base = pool.zones()[number]["used"]
    pool.set_limit(number, base + 8)
    held: list[int] = []

    def take() -> bool:
        m = pool.get() if name == "mbuf" else pool.get_cluster(SIZES[name])
        if m:
            held.append(m)
        return m != 0

    return on_host(
        web,
        name,
        base + 8,
        take,
        lambda: pool.free(held.pop()),
        base=base,
        kept=name == "mbuf_cluster",
    )


def remembered() -> Case:
    """The entry that was told something longest ago goes."""
    web = host("freebsd-14", **{"net.inet.tcp.hostcache.hashsize": 1})
    web.core.cfg.hostcache_cachelimit = 4
    numbers = iter(range(1, 1000))
    return on_host(
        web,
        "remembered hosts",
        4,
        lambda: web.core.hosts.told(next(numbers), web.now) is not None,
        lambda: web.core.hosts.purge(),
        beyond="recycles",
    )


def out_of_order() -> Case:
    m = Machine("freebsd-10", tcp_reass_maxsegments=4)
    p = m.peer(4000)
    t = p.passive(m.listen())
    places = iter(range(1001, 30_000, 200))
    state = {"next": 1}

    def take() -> bool:
        before, at = m.core.reass_segments, next(places)
        p.send(f". {at}:{at + 100}(100) ack 1 win 65535")
        return bool(m.core.reass_segments > before)

    def free() -> None:
        """What was missing before the first comes."""
        first = 1001 if state["next"] == 1 else state["next"] + 100
        p.send(f". {state['next']}:{first}({first - state['next']}) ack 1 win 65535")
        state["next"] = first + 100
        assert t.rcvq.cc > 0

    return on_machine(m, "segments out of order", 4, take, free)


def holes() -> Case:
    m = Machine("freebsd-10", tcp_sack_globalmaxholes=4)
    p = m.peer(4000)
    t = p.passive(m.listen(), "sack")
    t.cwnd = 100_000
    m.write(t, 30 * 1460)
    m.run(0.01)
    places = iter(range(1, 30, 2))

    def take() -> bool:
        """One more segment is reported behind one that is missing."""
        before, at = m.core.sack_holes, 1 + 1460 * next(places)
        p.send(f". 1:1(0) ack 1 win 65535 <sack {at}:{at + 1460}>")
        return bool(m.core.sack_holes > before)

    return on_machine(m, "SACK holes", 4, take, lambda: p.send(". 1:1(0) ack 2921 win 65535"))


# --- so many in a second ------------------------------------------------------------------------------------------


def answers(which: int) -> Case:
    m = Machine("freebsd-10", icmp_icmplim=4)
    return on_machine(
        m,
        f"{BANDLIM_NAMES[which]} / s",
        4,
        lambda: m.call(lambda core: core.bandlim(which)),
        lambda: m.run(1.1),
        beyond="counts",
    )


def challenges() -> Case:
    m = Machine("freebsd-14")
    p = m.peer(4000)
    p.passive(m.listen())

    def take() -> bool:
        before = m.sent
        p.send("R 100:100(0)")
        return m.sent > before

    return on_machine(m, "challenge ACKs", 5, take, lambda: m.run(1.1))


# --- firewalls ----------------------------------------------------------------------------------------------------


def datagrams(web: Any) -> Callable[[], bool]:
    """Each of a port of its own, to a program that counts what comes."""
    sink = web.socket(std.SOCK_DGRAM)
    sink.bind(("", 53))
    sink.setblocking(False)

    def take() -> bool:
        sock = web.me.socket(std.SOCK_DGRAM)
        sock.sendto(b"x", (WEB, 53))
        web.net.run(for_="1ms")
        return raises(lambda: sink.recv(10))

    return take


def flows() -> Case:
    web = host("linux-6")
    web.sysctl["net.netfilter.nf_conntrack_max"] = 4
    web.conntrack.track()
    return on_host(
        web,
        "conntrack flows",
        4,
        datagrams(web),
        lambda: web.conntrack.table.kill(web.conntrack.flows()[0].row),
    )


def dynamic_rules() -> Case:
    web = host("freebsd-10")
    web.ipfw("add 100 allow udp from any to me 53 keep-state")
    web.ipfw("add 200 allow tcp from any to any")
    web.sysctl["net.inet.ip.fw.dyn_max"] = 4
    lifetime = web.sysctl["net.inet.ip.fw.dyn_udp_lifetime"]
    return on_host(
        web,
        "ipfw dynamic rules",
        4,
        datagrams(web),
        lambda: web.net.run(for_=f"{lifetime + 2}s"),
    )


def parents() -> Case:
    """`limit src-port`: one parent for each port of the other side."""
    web = host("freebsd-14")
    web.ipfw("add 100 allow udp from any to me 53 limit src-port 2")
    web.sysctl["net.inet.ip.fw.dyn_parent_max"] = 4
    lifetime = web.sysctl["net.inet.ip.fw.dyn_udp_lifetime"]
    return on_host(
        web,
        "ipfw limit parents",
        4,
        datagrams(web),
        lambda: web.net.run(for_=f"{lifetime + 20}s"),
    )


CASES: dict[str, Callable[[], Case]] = {
    "sockets": sockets,
    "open files (freebsd-10)": partial(files, "freebsd-10"),
    "open files (linux-6)": partial(files, "linux-6"),
    "descriptors": descriptors,
    "local ports (freebsd-10)": partial(ports, "freebsd-10"),
    "local ports (freebsd-14)": partial(ports, "freebsd-14"),
    "local ports (linux-6)": partial(ports, "linux-6"),
    "half-open connections": partial(
        half_open, "half-open connections", syncache_bucketlimit=30, syncache_cachelimit=4
    ),
    "half-open in a bucket": partial(
        half_open, "half-open in a bucket", syncache_bucketlimit=4, syncache_cachelimit=100
    ),
    "listen queue (freebsd-10)": partial(listen_queue, "freebsd-10", 3, 5),
    "listen queue (linux-6)": partial(listen_queue, "linux-6", 3, 4),
    "SYN queue": syn_queue,
    "TIME_WAIT (freebsd-10)": partial(time_wait, "freebsd-10", 4, "recycles"),
    "TIME_WAIT (linux-6)": partial(time_wait, "linux-6", 4, "refuses"),
    **{name: partial(zone, name) for name in BUFFERS},
    "remembered hosts": remembered,
    "segments out of order": out_of_order,
    "SACK holes": holes,
    **{f"{name} / s": partial(answers, which) for which, name in enumerate(BANDLIM_NAMES)},
    "challenge ACKs": challenges,
    "conntrack flows": flows,
    "ipfw dynamic rules": dynamic_rules,
    "ipfw limit parents": parents,
}
ELSEWHERE = {
    "TCP memory (pages)": "limits.test_tcp_memory.test_above_the_maximum_who_has_nothing_gets_a_little",
    "orphans": "limits.test_linux_records.test_too_many_orphans",
    "sfbuf": "unit.test_sendfile.test_without_buffers_nobody_is_served_by_sendfile_until_one_is_free",
    "NAT ports": "limits.test_nat_ports.test_the_ports_of_an_address_are_a_limit",
}
"""What is not taken one by one: pages come by the segment, sendfile buffers by the file, ports of an address by the ten
thousand; and the orphans beyond their limit go at their timers.
"""
