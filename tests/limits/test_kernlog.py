"""The kernel's log: exact words by era, and how often each is said (facts: freebsd-tcp 1.4, 2.1, 3.8; conntrack 9)."""

from types import SimpleNamespace

import pytest
from tcp.peer import THEM, Machine

import pystack
from pystack import profiles
from pystack._fast.consts import Note
from pystack.kernlog import FIELDS, KernelLog
from pystack.sysctl.strict_toml import Document


def logged(profile: str, **knobs: int) -> tuple[Machine, KernelLog]:
    m = Machine(profile, **knobs)
    system = m.sysctl.profile.system
    log = KernelLog(
        m.core, m.sysctl, m.sysctl.profile.messages, system == "linux", lambda: m.core.now
    )
    return m, log


def knock(m: Machine, port: int) -> None:
    p = m.peer(port)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    if p.inbox:
        p.next(0)
        p.send(". 1:1(0) ack 1 win 65535")


def test_listen_overflow_of_freebsd_10():
    """One line a minute for the machine; it counts what it did not say (the 193 of fact 0.5)."""
    m, log = logged("freebsd-10")
    m.listen(80, backlog=128)
    for i in range(193):
        knock(m, 2000 + i)
    assert log.lines() == []
    knock(m, 3000)
    first = (
        "sonewconn: pcb 0xfffff800000003e8: Listen queue overflow: "
        "193 already in queue awaiting acceptance (1 occurrences)"
    )
    assert log.lines() == [first]
    for i in range(33):
        knock(m, 3001 + i)
    m.run(59)
    knock(m, 3100)
    assert log.lines() == [first]
    m.run(1)
    knock(m, 3101)
    assert log.lines() == [first, first.replace("(1 occ", "(35 occ")]
    assert m.stat("listendrop") == 36


def test_two_listeners_share_the_line_of_freebsd_10_and_not_that_of_14():
    for profile, lines in (("freebsd-10", 1), ("freebsd-14", 2)):
        m, log = logged(profile)
        for port in (80, 81):
            m.listen(port, backlog=0)
            for i in range(2):
                p = m.peer(2000 + i, port)
                p.send("S 0:0(0) win 65535 <mss 1460>")
                p.next(0)
                p.send(". 1:1(0) ack 1 win 65535")
        assert len(log.lines()) == lines
    assert log.lines()[1] == (
        "sonewconn: pcb 0xfffff80000000bb8 (0.0.0.0:81 (proto 6)): Listen queue overflow: 1 already in "
        "queue awaiting acceptance (1 occurrences), euid 0, rgid 0, jail 0"
    ).replace("bb8", log.lines()[1].split("pcb 0xfffff80000000")[1][:3])


def test_syn_flood_is_told_once_of_each_listener():
    m, log = logged("linux-6", now=5_123_456_789)
    m.listen(80, backlog=1)
    for i in range(20):
        m.peer(2000 + i).send("S 0:0(0) win 65535 <mss 1460>")
    flood = "TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:80. Sending cookies."
    assert log.lines() == [f"[    5.123456] {flood}"]
    t = m.core.tcbs[1]
    m.close(t)
    m.listen(80, backlog=1)
    for i in range(20):
        m.peer(3000 + i).send("S 0:0(0) win 65535 <mss 1460>")
    assert len(log.lines()) == 2, "another listener"


def test_net_ratelimit():
    """Ten lines in five seconds, whatever they are about; then how many were left out. Both numbers are knobs."""
    m, log = logged("linux-6")
    for port in range(1000, 1015):
        m.listen(port, backlog=0)
        for i in range(2):
            m.peer(2000 + i, port).send("S 0:0(0) win 65535 <mss 1460>")
    assert len(log.lines()) == 10
    m.run(5.1)
    m.listen(1100, backlog=0)
    for i in range(2):
        m.peer(2000 + i, 1100).send("S 0:0(0) win 65535 <mss 1460>")
    assert log.lines()[10].endswith("net_ratelimit: 5 callbacks suppressed")
    assert "port 0.0.0.0:1100" in log.lines()[11]
    m.sysctl["net.core.message_burst"] = 1
    for port in (1101, 1102):
        m.listen(port, backlog=0)
        for i in range(2):
            m.peer(2000 + i, port).send("S 0:0(0) win 65535 <mss 1460>")
    assert len(log.lines()) == 12, "one was said in this five seconds already"


@pytest.mark.parametrize("number", [199, 200, 201])
def test_icmplim(number):
    """200 RSTs a second; what was too much is told by the first of a later second, with the count of the old one."""
    m, log = logged("freebsd-10")
    p = m.peer(4000, 99)
    answered = 0
    for _ in range(number):
        p.send("S 0:0(0) win 65535")
        answered += len(p.inbox)
        p.inbox.clear()
    assert answered == min(number, 200)
    assert log.lines() == []
    m.run(1.0)
    p.send("S 0:0(0) win 65535")
    assert len(p.inbox) == 1, "a new second"
    line = f"Limiting closed port RST response from {number} to 200 packets/sec"
    assert log.lines() == ([line] if number > 200 else [])


def test_classes_of_icmplim_are_counted_apart():
    m, log = logged("freebsd-10", icmp_icmplim=1)
    m.listen(80)
    closed, opened = m.peer(4000, 99), m.peer(4000, 80)
    for _ in range(3):
        closed.send("S 0:0(0) win 65535")
        opened.send(". 1:1(0) ack 1 win 65535")
    assert (len(closed.inbox), len(opened.inbox)) == (1, 1)
    m.run(1)
    opened.send(". 1:1(0) ack 1 win 65535")
    closed.send("S 0:0(0) win 65535")
    assert log.lines() == [
        "Limiting open port RST response from 3 to 1 packets/sec",
        "Limiting closed port RST response from 3 to 1 packets/sec",
    ]


def test_icmplim_output_mutes():
    m, log = logged("freebsd-10", icmp_icmplim=1, icmp_icmplim_output=0)
    p = m.peer(4000, 99)
    for _ in range(3):
        p.send("S 0:0(0) win 65535")
    m.run(1)
    p.send("S 0:0(0) win 65535")
    assert log.lines() == []


def test_zone_warning():
    """A full zone, at most once in 300 s (1.4)."""
    m, log = logged("freebsd-10", nmbclusters=4)
    pool = m.core.pool
    taken = [pool.get_cluster(2048) for _ in range(5)]
    assert taken[4] == 0
    assert pool.get_cluster(2048) == 0
    line = "[zone: mbuf_cluster] kern.ipc.nmbclusters limit reached"
    assert log.lines() == [line]
    m.run(299.9)
    pool.get_cluster(2048)
    assert len(log.lines()) == 1
    m.run(0.2)
    m.core.settle(m.now)
    pool.get_cluster(2048)
    assert log.lines() == [line, line]
    m.sysctl["vm.zone_warnings"] = 0
    m.run(301)
    m.core.settle(m.now)
    pool.get_cluster(2048)
    assert len(log.lines()) == 2


def test_no_more_sockets():
    """One below, at and above kern.ipc.maxsockets; a connection that was to be accepted gets a RST."""
    m, log = logged("freebsd-10", maxsockets=4)
    m.listen(80)
    knock(m, 2000)
    knock(m, 2001)
    last = m.socket()
    assert m.core.new_tcb() is None
    p = m.peer(2002)
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.next(0)
    p.send(". 1:1(0) ack 1 win 65535")
    p.expect("R 1:1(0)")
    assert log.lines() == [
        "[zone: socket] kern.ipc.maxsockets limit reached",
        "sonewconn: pcb 0xfffff800000003e8: New socket allocation failure: limit reached or out of memory",
    ]
    m.close(last)
    assert m.core.new_tcb() is not None, "freed, and there is room again"


def test_syncache_pause_names_the_last_syn():
    m, log = logged("freebsd-14", syncache_bucketlimit=1, syncache_hashsize=1)
    m.listen(80)
    for i in range(3):
        m.peer(2000 + i).send("S 0:0(0) win 65535 <mss 1460>")
    assert log.lines() == [
        "TCP syncache overflow detected; using syncookies for the next 15 seconds "
        "(last SYN: TCP: [192.0.2.2]:2001 to [192.0.2.1]:80)"
    ]


def test_time_wait_table_overflow_of_old_kernels():
    m = Machine("linux-6", tcp_max_tw=1)
    log = KernelLog(
        m.core,
        m.sysctl,
        {"time_wait_overflow": "TCP: time wait bucket table overflow"},
        False,
        lambda: m.core.now,
    )
    listener = m.listen()
    for i in range(2):
        p = m.peer(4000 + i)
        t = p.passive(listener)
        m.close(t)
        p.next()
        p.send("F. 1:1(0) ack 2 win 65535")
    assert log.lines() == ["TCP: time wait bucket table overflow"]
    assert m.stat("tw_overflow") == 1


def test_the_host_has_it():
    net = pystack.Network(seed=1)
    host = net.host(
        "web", "192.0.2.1/24", profile="freebsd-10", sysctl={"net.inet.tcp.tcbhashsize": 1000}
    )
    assert host.dmesg() == [
        "tcp_init: WARNING: TCB hash size not a power of 2, clipped from 1000 to 1024."
    ]


def test_the_oldest_line_goes_first():
    _, log = logged("freebsd-10")
    for i in range(5000):
        log.write(f"line {i}")
    assert len(log.lines()) == 4096
    assert log.lines()[0] == "line 904"


@pytest.mark.parametrize("name", profiles.names())
def test_every_word_of_a_profile_can_be_said(name):
    m, log = logged(name)
    t = m.socket()
    m.core.listeners.last_syn = (THEM, 1, THEM, 2)
    m.core.files.programs[2] = SimpleNamespace(name="httpd")
    m.core.vain = (THEM, 1, THEM, 2, 2)
    for note in log.messages:
        log.note(note, t, 1, 2)
    assert len(log.lines()) == len(log.messages)
    assert set(Note) == set(FIELDS)


def test_a_profile_with_words_that_nobody_can_fill():
    text = 'extends = "linux-6"\ntitle = "x"\ndoc = "x"\nsource = "x"\n[messages]\norphans = "{nobody}"\n'
    with pytest.raises(profiles.TomlError, match=r"x\.toml:6:1: orphans has number, not nobody"):
        profiles.build(Document(text, "x.toml"), "x")
