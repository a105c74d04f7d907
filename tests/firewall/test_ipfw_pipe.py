"""dummynet: when packets leave a pipe, in which shares, what is lost; a FreeBSD gateway between two taps."""

import pytest
from gateway import CLIENT, MS, SECOND, SERVER, SYN, icmp, ip, tcp, udp

import pystack
from pystack.firewall.ipfw.machine import IpfwError

SLACK = 1024
"""The timer wheel's tick in ns: a packet leaves up to so much later."""


class Lab:
    """Clients on one side, servers on the other; packets that go out to the servers meet the rules."""

    def __init__(
        self, *commands, rules=("10 pipe 1 ip from any to any out via em1",), profile="freebsd-10"
    ):
        self.net = pystack.Network(seed=7)
        self.gw = self.net.host(
            "gw", ["10.9.1.1/24", "10.9.2.1/24"], profile=profile, forwarding=True
        )
        self.a = self.net.tap(f"{CLIENT}/24")
        self.b = self.net.tap(f"{SERVER}/24")
        self.net.link(self.a, self.gw)
        self.net.link(self.b, self.gw)
        for command in commands:
            self.gw.ipfw(command)
        for rule in (*rules, "60000 allow ip from any to any"):
            self.gw.ipfw(f"add {rule}")
        self.begin = self.net.now

    def send(self, *packets):
        for packet in packets:
            self.a.send(packet)

    def arrivals(self, seconds=60):
        """ns after the start at which each packet arrived."""
        self.net.run(for_=seconds * SECOND)
        return [at - self.begin for at, _ in self.b.received]


def datagram(octets, port=53, src=CLIENT):
    """A datagram of so many octets, headers included."""
    return udp(src, 4000, SERVER, port, bytes(octets - 28))


def close(seen, wanted):
    """Each time is the wanted one, or at most a tick of the timer wheel later."""
    assert len(seen) == len(wanted)
    assert all(0 <= at - due <= SLACK for at, due in zip(seen, wanted, strict=True)), (seen, wanted)


def test_times_are_those_of_the_bits():
    lab = Lab("pipe 1 config bw 1Mbit/s delay 50")
    sizes = [1500, 40, 1000, 1500, 28, 777]
    lab.send(*(datagram(n) for n in sizes))
    sent = 0
    wanted = []
    for n in sizes:
        sent += n
        wanted.append(sent * 8 * 1000 + 50 * MS)
    close(lab.arrivals(), wanted)


def test_fractions_of_a_nanosecond_are_not_lost():
    lab = Lab("pipe 1 config bw 7Mbit/s queue 100")
    lab.send(*(datagram(101) for _ in range(99)))
    wanted = [(n + 1) * 101 * 8 * 1_000_000_000 // 7_000_000 for n in range(99)]
    close(lab.arrivals(), wanted)


def test_a_delay_alone_keeps_nobody_waiting():
    lab = Lab("pipe 1 config delay 30")
    lab.send(datagram(1500), datagram(1500))
    close(lab.arrivals(), [30 * MS] * 2)


def test_thirty_octets_a_second():
    """The shape of FreeBSD's own test: of three pings of 84 octets a second apart the third is too late."""
    net = pystack.Network(seed=7)
    gw = net.host("gw", "192.0.2.1/24", profile="freebsd-10")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(gw, me)
    gw.ipfw("pipe 1 config bw 30Byte/s")
    gw.ipfw("add pipe 1 icmp from any to any in")
    gw.ipfw("add allow ip from any to any")
    tap = net.tap("192.0.2.9/24")
    net.link(tap, gw)
    for n in range(3):
        tap.send(icmp("192.0.2.9", "192.0.2.1", 8, rest=7 << 16 | n, payload=bytes(56)))
        net.run(for_=SECOND)
    start = net.now - 3 * SECOND
    net.run(for_=20 * SECOND)
    times = [at - start for at, _ in tap.received]
    close(times, [round(84 / 30 * (n + 1) * SECOND) for n in range(3)])
    assert [at - n * SECOND < 5 * SECOND for n, at in enumerate(times)] == [True, True, False]


@pytest.mark.parametrize(("queue", "kept"), [("queue 5", 6), ("queue 4000B", 6), ("", 51)])
def test_what_does_not_fit_is_lost(queue, kept):
    """One is on the line and not in the queue. In octets the last one may stand over."""
    lab = Lab(f"pipe 1 config bw 100Kbit/s {queue}")
    lab.send(*(datagram(1000) for _ in range(60)))
    assert len(lab.arrivals()) == kept
    said = lab.gw.ipfw("pipe show")
    assert f"   60    60000  0    0 {60 - kept:3d}\n" in said


def test_losses_are_as_many_as_asked_for():
    lab = Lab("pipe 1 config plr 0.25")
    for _ in range(400):
        lab.send(datagram(100))
    arrived = len(lab.arrivals())
    assert 260 < arrived < 340
    assert Lab("pipe 1 config plr 1").arrivals() == []


def test_a_burst_is_not_waited_for():
    lab = Lab("pipe 1 config bw 80Kbit/s burst 3000")
    lab.net.run(for_=SECOND)
    lab.begin = lab.net.now
    lab.send(*(datagram(1000) for _ in range(5)))
    close(lab.arrivals(), [0, 0, 0, 100 * MS, 200 * MS])


def test_each_flow_of_a_mask_has_the_bandwidth_for_itself():
    lab = Lab("pipe 1 config bw 80Kbit/s mask src-ip 0x000000ff")
    lab.send(*(datagram(1000, src=f"10.9.1.{n}") for n in (2, 3, 4) for _ in range(2)))
    close(sorted(lab.arrivals()), [100 * MS] * 3 + [200 * MS] * 3)
    said = lab.gw.ipfw("pipe 1 show").splitlines()
    assert [line.split()[2] for line in said if line.endswith("2     2000  0    0   0")] == [
        "0.0.0.2/0",
        "0.0.0.3/0",
        "0.0.0.4/0",
    ]


def shares(lab, *weights, packets=60):
    """Of the first so many packets that arrive, how many have each port."""
    for _ in range(90):
        lab.send(*(datagram(1000, port=port + 1) for port in range(len(weights))))
    lab.net.run(for_=60 * SECOND)
    ports = [packet[22] << 8 | packet[23] for _, packet in lab.b.received[:packets]]
    return [ports.count(port + 1) for port in range(len(weights))]


def queues(*weights, sched=""):
    commands = ["pipe 1 config bw 800Kbit/s"]
    commands += [f"sched 1 config type {sched}"] if sched else []
    commands += [
        f"queue {n + 1} config pipe 1 weight {weight} queue 100" for n, weight in enumerate(weights)
    ]
    rules = [f"{n + 1}0 queue {n + 1} udp from any to any {n + 1} out" for n in range(len(weights))]
    return Lab(*commands, rules=rules)


def test_weights_are_shares():
    assert shares(queues(1, 1), 1, 1) == [30, 30]
    three = shares(queues(1, 2, 3), 1, 2, 3)
    assert all(abs(seen - due) <= 1 for seen, due in zip(three, [10, 20, 30], strict=True))
    high, low = shares(queues(99, 1), 99, 1)
    assert high >= 58
    assert low <= 2


def test_weights_may_change_while_packets_wait():
    lab = queues(1, 99)
    for _ in range(90):
        lab.send(datagram(1000, port=1), datagram(1000, port=2))
    lab.net.run(for_=200 * MS)
    lab.gw.ipfw("queue 1 config pipe 1 weight 50 queue 100")
    lab.gw.ipfw("queue 2 config pipe 1 weight 1 queue 100")
    before = len(lab.b.received)
    lab.net.run(for_=400 * MS)
    ports = [packet[23] for _, packet in lab.b.received[before:]]
    assert ports.count(1) > 30 > 8 > ports.count(2)
    lab.net.run(for_=10 * SECOND)
    assert len(lab.b.received) == 180


def test_in_turn():
    assert shares(queues(1, 1, sched="rr"), 1, 1) == [30, 30]
    low, high = shares(queues(1, 3, sched="rr"), 1, 3)
    assert abs(low - 15) <= 3
    assert abs(high - 45) <= 3


def test_first_come_first_served():
    assert shares(queues(1, 50, sched="fifo"), 1, 50) == [30, 30]


def test_one_pass():
    rules = (
        "10 pipe 1 ip from any to any out via em1",
        "20 count ip from any to any out",
        "30 deny udp from any to any 99 out",
    )
    lab = Lab("pipe 1 config delay 10", rules=rules)
    lab.send(datagram(100, 99))
    assert len(lab.arrivals(1)) == 1
    assert "00020 0   0 count" in lab.gw.ipfw("show 20").replace("  ", " ").replace("0  0", "0   0")
    lab.gw.sysctl["net.inet.ip.fw.one_pass"] = 0
    lab.send(datagram(100, 99), datagram(100, 98))
    assert len(lab.arrivals(1)) == 2
    assert "00020 2 200 count" in lab.gw.ipfw("show 20")


def test_rules_that_change_while_a_packet_waits():
    lab = Lab("pipe 1 config delay 100")
    lab.gw.sysctl["net.inet.ip.fw.one_pass"] = 0
    lab.send(datagram(100, 99))
    lab.net.run(for_=10 * MS)
    lab.gw.ipfw("delete 10")
    lab.gw.ipfw("add 5 deny udp from any to any 99 out")  # it is past that
    lab.gw.ipfw("add 10 count ip from any to any")
    lab.gw.ipfw("add 11 count ip from any to any")
    assert len(lab.arrivals(1)) == 1
    assert "00010 0   0 count" in lab.gw.ipfw("show")
    assert "00011 1 100 count" in lab.gw.ipfw("show")


def test_coming_in_and_looping_back():
    net = pystack.Network(seed=7)
    gw = net.host("gw", "192.0.2.1/24", profile="freebsd-10")
    gw.ipfw("pipe 1 config delay 20")
    gw.ipfw("add pipe 1 tcp from any to any")
    gw.ipfw("add allow ip from any to any")
    listener = gw.socket()
    listener.bind(("", 80))
    listener.listen(5)
    s = gw.socket()
    before = net.now
    s.connect(("192.0.2.1", 80))
    assert net.now - before >= 80 * MS  # out and in, there and back
    conn, _ = listener.accept()
    s.sendall(b"hello")
    assert conn.recv(10) == b"hello"


def test_a_transfer_goes_at_the_rate_of_its_pipe():
    net = pystack.Network(seed=7)
    gw = net.host("gw", "192.0.2.1/24", profile="freebsd-14")
    me = net.host("me", "192.0.2.2/24", profile="linux-6")
    net.link(gw, me, delay="1ms")
    gw.ipfw("pipe 1 config bw 8Mbit/s delay 5")
    gw.ipfw("add pipe 1 tcp from me to any out")
    gw.ipfw("add allow ip from any to any")
    listener = gw.socket()
    listener.bind(("", 80))
    listener.listen(5)
    s = me.socket()
    s.connect(("192.0.2.1", 80))
    conn, _ = listener.accept()
    total = 400_000
    before = net.now
    sent = got = 0
    while got < total:
        if sent < total:
            sent += conn.send(bytes(min(20_000, total - sent)))
        got += len(s.recv(65536))
    seconds = (net.now - before) / SECOND
    assert total / 1e6 < seconds < 1.25 * total / 1e6


def test_a_pipe_that_is_not_there_drops():
    lab = Lab()
    lab.send(datagram(100))
    assert lab.arrivals(1) == []
    lab.gw.ipfw("pipe 1 config")
    lab.send(datagram(100), tcp(CLIENT, 1, SERVER, 2, SYN), ip(CLIENT, SERVER, 47, b"x"))
    assert len(lab.arrivals(1)) == 3
    lab.gw.ipfw("pipe 1 delete")
    lab.send(datagram(100))
    assert len(lab.arrivals(1)) == 3


def test_deleting_a_pipe_loses_what_is_in_it():
    lab = Lab("pipe 1 config delay 1000")
    lab.send(datagram(100))
    assert len(lab.arrivals(2)) == 1
    before = lab.gw.core.pool.in_use
    lab.send(*(datagram(1000) for _ in range(20)))
    lab.net.run(for_=10 * MS)
    assert lab.gw.core.pool.in_use >= before + 20
    lab.gw.ipfw("pipe 1 delete")
    assert len(lab.arrivals(5)) == 1
    assert lab.gw.core.pool.in_use == before


def test_show():
    lab = Lab(
        "pipe 1 config bw 10Mbit/s delay 50",
        "pipe 2 config",
        "pipe 3 config bw 30Byte/s queue 10KBytes plr 0.01 burst 1500 mask src-ip 0xffffff00",
        "queue 7 config pipe 1 weight 30",
        "sched 1 config type rr",
    )
    assert lab.gw.ipfw("pipe 1 show") == (
        "00001:  10.000 Mbit/s   50 ms burst 0\n"
        "q131073  50 sl. 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 droptail\n"
        " sched 65537 type FIFO flags 0x0 0 buckets 0 active\n"
    )
    assert lab.gw.ipfw("pipe 2 show").splitlines()[0] == "00002: unlimited         0 ms burst 0"
    assert lab.gw.ipfw("pipe 3 show").splitlines() == [
        "00003: 240.000 bit/s     0 ms burst 1500",
        "q131075 10 KBplr 0.010000 0 flows (1 buckets) sched 65539 weight 0 lmax 0 pri 0 droptail",
        " sched 65539 type FIFO flags 0x1 64 buckets 0 active",
        "    mask:  0x00 0xffffff00/0x0000 -> 0x00000000/0x0000",
    ]
    assert lab.gw.ipfw("queue show") == (
        "q00007  50 sl. 0 flows (1 buckets) sched 1 weight 30 lmax 0 pri 0 droptail\n"
    )
    assert lab.gw.ipfw("sched 1 show") == (
        "00001:  10.000 Mbit/s   50 ms burst 0\n"
        "q65537  50 sl. 0 flows (1 buckets) sched 1 weight 0 lmax 0 pri 0 droptail\n"
        " sched 1 type RR flags 0x0 0 buckets 0 active\n"
        "   Children flowsets: 7 \n"
    )


def test_show_what_waits():
    """The queues of a pipe stand behind its scheduler, with what its mask leaves of their packets."""
    lab = Lab("pipe 1 config bw 80Kbit/s mask dst-port 0xffff proto 0xff")
    lab.send(datagram(1000, 53), datagram(1000, 53), datagram(500, 54))
    lab.net.run(for_=10 * MS)
    assert lab.gw.ipfw("pipe show").splitlines()[2:] == [
        " sched 65537 type FIFO flags 0x1 64 buckets 2 active",
        "    mask:  0xff 0x00000000/0x0000 -> 0x00000000/0xffff",
        "BKT Prot ___Source IP/port____ ____Dest. IP/port____ Tot_pkt/bytes Pkt/Byte Drp",
        "  0 udp          0.0.0.0/0             0.0.0.0/53       2     2000  1 1000   0",
        "  1 udp          0.0.0.0/0             0.0.0.0/54       1      500  0    0   0",
    ]


@pytest.mark.parametrize(
    ("line", "text", "status"),
    [
        ("pipe", "ipfw: missing command", 64),
        ("pipe 1 frob", "ipfw: bad command `frob'", 64),
        ("pipe config bw 1Mbit/s", "ipfw: missing pipe/flowset/sched number", 64),
        ("pipe 1 config frob", "ipfw: unrecognised option ``frob''", 65),
        ("pipe 1 config queue 1", "ipfw: 2 <= queue size <= 100", 65),
        ("pipe 1 config queue 101", "ipfw: 2 <= queue size <= 100", 65),
        ("pipe 1 config queue 2000KBytes", "ipfw: queue size must be < 1048576B", 65),
        ("pipe 1 config plr 2", "ipfw: plr must be 0..1: 2", 65),
        ("pipe 1 config delay 10001", "ipfw: delay must be 0..10000ms: 10001", 65),
        ("pipe 1 config bw 5Frobs", "ipfw: bandwidth: unknown unit Frobs", 65),
        ("pipe 1 config red 0.1/1/2/0.1", "ipfw: red: there is no RED on this machine", 69),
        (
            "sched 1 config type fq_codel",
            "ipfw: type fq_codel: there is no FQ-CoDel before FreeBSD 11",
            69,
        ),
        ("pipe 1 config codel", "ipfw: codel: there is no CoDel before FreeBSD 11", 69),
        ("sched 1 config type qfq", "ipfw: type qfq: there is no QFQ on this machine", 69),
        ("sched 1 config pipe 2", "ipfw: sched 1: it is pipe 1 that it belongs to", 69),
        ("queue 1 config weight 3", "ipfw: queue without a pipe: config pipe N", 65),
        ("queue 1 config pipe 1 weight 101", "ipfw: weight must be 1..100: 101", 65),
        ("pipe 9 delete", "ipfw: rule 9: setsockopt(IP_DUMMYNET_DEL): Invalid argument", 69),
    ],
)
def test_refusals(line, text, status):
    lab = Lab("pipe 1 config bw 10Mbit/s delay 50")
    before = lab.gw.ipfw("pipe show")
    with pytest.raises(IpfwError) as refused:
        lab.gw.ipfw(line)
    assert str(refused.value).rstrip() == text
    assert refused.value.status == status
    assert lab.gw.ipfw("pipe show") == before
