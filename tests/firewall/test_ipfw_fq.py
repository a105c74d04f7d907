"""CoDel and FQ-CoDel in dummynet: how long packets wait, whose are dropped, and what the command says of it."""

import math

import pytest
from gateway import CLIENT, MS, SECOND, SERVER, checksum, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from model.codel import Model

from pystack import Network
from pystack._fast.ipfw_codel import Codel, Flow, FlowSet, step
from pystack._fast.ipfw_kinds import NO_MASK
from pystack._fast.packet import Packet, PacketQueue
from pystack.firewall.ipfw.machine import IpfwError

TARGET = 5 * MS
BULK, SPARSE = 5001, 53


# --- CoDel by itself ----------------------------------------------------------------------------------------------


@given(st.integers(1, 1 << 20))
def test_a_step_is_the_interval_by_a_square_root(count):
    exact = 100 * MS / math.sqrt(count)
    assert exact - 1 <= step(100 * MS, count) <= exact * 1.004


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 6 * MS), st.integers(0, 4), st.integers(40, 1500)),
        min_size=50,
        max_size=300,
    ),
    st.sampled_from([(TARGET, 100 * MS), (TARGET, 10 * MS), (1 * MS, 3 * MS)]),
)
def test_it_drops_what_the_rfc_drops(steps, times):
    """Packets come in bunches, one leaves after each."""
    flow, told, lost = Flow(FlowSet(1), NO_MASK), Codel(*times), PacketQueue()
    model = Model(*times, step)
    now = number = 0
    for pause, packets, size in steps:
        now += pause
        for _ in range(packets):
            number += 1
            p = Packet()
            p.head_len, p.length, p.ip_id = 20, size - 20, number
            flow.put(p, now)
            model.enqueue(now, size, number)
        p = flow.leave(told, now, lost)
        assert (None if p is None else p.ip_id) == model.dequeue(now)
        assert (flow.packets, flow.octets) == (
            len(model.queue),
            sum(size for _, size, _ in model.queue),
        )
    dropped = []
    while (p := lost.pop()) is not None:
        dropped.append(p.ip_id)
    assert dropped == model.dropped
    assert flow.dropped == len(dropped)


# --- in a gateway --------------------------------------------------------------------------------------------------


class Lab:
    """Packets that go out to the servers wait for a pipe of 8 Mbit/s: a packet of 1,000 octets takes 1 ms."""

    def __init__(self, *commands, rule="queue 1"):
        self.net = Network(seed=7)
        nets = ["10.9.1.1/24", "10.9.2.1/24", "10.9.3.1/24", "10.9.4.1/24"]
        self.gw = self.net.host("gw", nets, profile="freebsd-14", forwarding=True)
        self.a = self.net.tap(f"{CLIENT}/24")
        self.b = self.net.tap(f"{SERVER}/24")
        self.net.link(self.a, self.gw)
        self.net.link(self.b, self.gw)
        for command in commands:
            self.gw.ipfw(command)
        self.gw.ipfw(f"add {rule} ip from any to any out xmit em1")
        self.gw.ipfw(f"add {rule} tcp from any to any {BULK} out xmit em3")
        self.gw.ipfw("add allow ip from any to any")
        self.sent = {}

    def send(self, port, number=0, octets=1000, tos=0, src=CLIENT):
        self.sent[port, number] = self.net.now
        packet = bytearray(
            udp(src, 4000, SERVER, port, number.to_bytes(4, "big") + bytes(octets - 32))
        )
        packet[1] = tos
        packet[10:12] = bytes(2)
        packet[10:12] = checksum(bytes(packet[:20]))
        self.a.send(bytes(packet))

    def delays(self, port):
        """How long each packet took that arrived at a port."""
        found = []
        for at, data in self.b.received:
            if data[9] == 17 and data[22] << 8 | data[23] == port:
                found.append(at - self.sent[port, int.from_bytes(data[28:32], "big")])
        return found

    def cbr(self, flows, seconds):
        """Each of (port, ns between packets, octets) sends at its own pace."""
        events = [
            (number * every, port, number, octets)
            for port, every, octets in flows
            for number in range(seconds * SECOND // every)
        ]
        begin = self.net.now
        for at, port, number, octets in sorted(events):
            self.net.run(for_=begin + at - self.net.now)
            self.send(port, number, octets)
        self.net.run(for_=5 * SECOND)


PIPE = "pipe 1 config bw 8Mbit/s queue 100"
FAIR = ("sched 1 config pipe 1 type fq_codel", "queue 1 config sched 1")


def test_a_sparse_flow_does_not_wait_behind_one_that_floods():
    """Twice of what the line carries, and a packet of another flow each 50 ms: that waits for one packet at most."""
    flows = [(BULK, MS // 2, 1000), (SPARSE, 50 * MS, 100)]
    fair = Lab(PIPE, *FAIR)
    fair.cbr(flows, 3)
    assert len(fair.delays(SPARSE)) == 60
    assert max(fair.delays(SPARSE)) < 1.2 * MS
    plain = Lab(PIPE, rule="pipe 1")
    plain.cbr(flows, 3)
    assert max(plain.delays(SPARSE)) > 40 * MS
    assert len(plain.delays(SPARSE)) < 10


def transfer(lab, seconds=6):
    """A TCP transfer through the line, and the times that a sparse flow takes beside it, from the second second on."""
    net = lab.net
    sender = net.host("sender", "10.9.3.2/24", profile="linux-6")
    receiver = net.host("receiver", "10.9.4.2/24", profile="linux-6")
    net.link(sender, lab.gw, delay="10ms")
    net.link(receiver, lab.gw, delay="10ms")
    sender.route("0.0.0.0/0", "10.9.3.1")
    receiver.route("0.0.0.0/0", "10.9.4.1")
    listener = receiver.socket()
    listener.bind(("", BULK))
    listener.listen(1)
    s = sender.socket()
    s.connect(("10.9.4.2", BULK))
    conn, _ = listener.accept()
    for sock in (s, conn):
        sock.setblocking(False)
    got = 0
    for number in range(seconds * 100):
        for act in (lambda: s.send(bytes(200_000)), lambda: conn.recv(1 << 20)):
            try:
                done = act()
                got += len(done) if isinstance(done, bytes) else 0
            except BlockingIOError:
                continue
        if number % 5 == 0:
            lab.send(SPARSE, number, 100)
        net.run(for_=10 * MS)
    return lab.delays(SPARSE)[40:], got * 8 / seconds


def test_a_bulk_transfer_keeps_its_queue_short_and_the_line_full():
    """Beside TCP a packet in the same queue waits about as long as CoDel's target; without it for the whole."""
    plain, rate = transfer(Lab(PIPE, rule="pipe 1"))
    assert rate > 7e6
    codel, rate_codel = transfer(Lab(f"{PIPE} codel", rule="pipe 1"))
    assert rate_codel > 0.85 * rate
    fair, rate_fair = transfer(Lab(PIPE, *FAIR))
    assert rate_fair > 0.85 * rate
    middle = len(plain) // 2
    assert sorted(plain)[middle] > 40 * MS
    assert sorted(codel)[middle] < 2.5 * TARGET
    assert max(fair) < TARGET  # that of two packets on the line, and its own


def test_flows_share_by_octets():
    """Whoever has small packets sends more of them: within a quantum they are even."""
    lab = Lab(
        PIPE, "sched 1 config type fq_codel target 10s interval 100s", "queue 1 config pipe 1"
    )
    for number in range(300):
        lab.send(1, number, 1400)
        for part in range(4):
            lab.send(2, 4 * number + part, 350)
    lab.net.run(for_=200 * MS)
    octets = {1: 0, 2: 0}
    for _, data in lab.b.received:
        octets[data[23]] += len(data)
    assert abs(octets[1] - octets[2]) <= 1514 + 1400
    assert octets[1] > 90_000


def test_packets_of_a_flow_keep_their_order():
    lab = Lab(PIPE, *FAIR)
    lab.cbr([(port, MS, 600) for port in (1, 2, 3)], 2)
    for port in (1, 2, 3):
        numbers = [
            int.from_bytes(data[28:32], "big") for _, data in lab.b.received if data[23] == port
        ]
        assert numbers == sorted(numbers)
        assert len(numbers) > 100


def test_the_fattest_flow_loses_its_oldest_packet():
    lab = Lab(PIPE, "sched 1 config type fq_codel limit 20", "queue 1 config pipe 1")
    for number in range(30):
        lab.send(BULK, number)
    for number in range(3):
        lab.send(SPARSE, number, 100)
    lab.net.run(for_=SECOND)
    numbers = [
        int.from_bytes(data[28:32], "big")
        for _, data in lab.b.received
        if data[22] << 8 | data[23] == BULK
    ]
    assert numbers == [0, *range(13, 30)]  # one was on the line already
    assert len(lab.delays(SPARSE)) == 3
    assert lab.gw.sysctl["net.inet.ip.dummynet.io_pkt_drop"] == 12


@pytest.mark.parametrize(("words", "marks"), [("ecn", True), ("noecn", False)])
def test_who_understands_ecn_is_told_instead(words, marks):
    lab = Lab(PIPE, f"sched 1 config type fq_codel {words}", "queue 1 config pipe 1")
    for number in range(400):
        lab.send(BULK, number, tos=2)
    lab.net.run(for_=2 * SECOND)
    tos = [data[1] for _, data in lab.b.received]
    assert all(checksum(data[:20]) == b"\0\0" for _, data in lab.b.received)
    assert (3 in tos) == marks
    assert (len(tos) == 400) == marks


def test_dropped_packets_are_given_back():
    """A machine that is at rest may still have the last packet in its hands, and no other."""
    lab = Lab(PIPE, *FAIR)
    lab.cbr([(BULK, MS // 4, 1000), (SPARSE, MS // 4, 1000)], 2)
    lab.net.run(for_=10 * SECOND)
    dropped = lab.gw.sysctl["net.inet.ip.dummynet.io_pkt_drop"]
    assert dropped > 20
    assert len(lab.b.received) + dropped == 16_000
    assert lab.gw.core.pool.in_use <= 1
    for number in range(50):
        lab.send(BULK, number)
    lab.net.run(for_=10 * MS)
    assert lab.gw.core.pool.in_use > 40
    lab.gw.ipfw("-f pipe flush")
    assert lab.gw.core.pool.in_use <= 1


# --- the command ---------------------------------------------------------------------------------------------------


def test_config_and_show():
    lab = Lab(PIPE, *FAIR)
    shown = (
        "00001:   8.000 Mbit/s    0 ms burst 0\n"
        "q65537  50 sl. 0 flows (1 buckets) sched 1 weight 0 lmax 0 pri 0 droptail\n"
        " sched 1 type FQ_CODEL flags 0x0 0 buckets {} active\n"
        " FQ_CODEL target 5ms interval 100ms quantum 1514 limit 10240 flows 1024 ECN\n"
        "   Children flowsets: 1 \n"
    )
    assert lab.gw.ipfw("sched show") == shown.format(0)
    for number in range(3):
        lab.send(BULK, number)
    lab.net.run(for_=MS // 2)
    assert lab.gw.ipfw("sched 1 show") == shown.format(1) + (
        "BKT Prot ___Source IP/port____ ____Dest. IP/port____ Tot_pkt/bytes Pkt/Byte Drp\n"
        "  0 ip           0.0.0.0/0             0.0.0.0/0        3     3000  2 2000   0\n"
    )
    lab.gw.ipfw(
        "sched 1 config type fq_codel target 800us interval 1500ms noecn quantum 300 limit 99 flows 8"
    )
    told = " FQ_CODEL target 800us interval 1.5s quantum 300 limit 99 flows 8 NoECN\n"
    assert told in lab.gw.ipfw("sched show")
    lab.gw.ipfw(f"{PIPE} codel target 7 interval 1s ecn")
    lab.gw.ipfw("queue 2 config pipe 1 weight 5 codel")
    assert lab.gw.ipfw("pipe show").splitlines()[1] == (
        "q131073 100 sl. 0 flows (1 buckets) sched 65537 weight 0 lmax 0 pri 0 "
        " AQM CoDel target 7ms interval 1s ECN"
    )
    assert lab.gw.ipfw("queue 2 show") == (
        "q00002  50 sl. 0 flows (1 buckets) sched 1 weight 5 lmax 0 pri 0 "
        " AQM CoDel target 5ms interval 100ms NoECN\n"
    )


@pytest.mark.parametrize(
    ("line", "text", "status"),
    [
        ("sched 1 config type fq_codel target", "needs target argument", 64),
        ("sched 1 config type fq_codel target 0", "target must be 1us..10s: 0", 65),
        ("sched 1 config type fq_codel target 11s", "target must be 1us..10s: 11s", 65),
        ("sched 1 config type fq_codel interval 5m", "interval must be 1us..100s: 5m", 65),
        ("sched 1 config type fq_codel quantum 9001", "quantum must be 1..9000: 9001", 65),
        ("sched 1 config type fq_codel limit 0", "limit must be 1..20480: 0", 65),
        ("sched 1 config type fq_codel flows 65537", "flows must be 1..65536: 65537", 65),
        ("sched 1 config type fifo quantum 5", "unrecognised option ``quantum''", 65),
        ("sched 1 config type fq_pie", "type fq_pie: there is no FQ-PIE on this machine", 69),
        ("pipe 1 config codel frob", "unrecognised option ``frob''", 65),
        ("pipe 1 config pie", "pie: there is no PIE on this machine", 69),
    ],
)
def test_refusals(line, text, status):
    lab = Lab(PIPE, *FAIR)
    before = lab.gw.ipfw("sched show"), lab.gw.ipfw("pipe show")
    with pytest.raises(IpfwError) as refused:
        lab.gw.ipfw(line)
    assert str(refused.value).rstrip() == f"ipfw: {text}"
    assert refused.value.status == status
    assert (lab.gw.ipfw("sched show"), lab.gw.ipfw("pipe show")) == before


def test_what_is_not_said_is_said_by_knobs():
    lab = Lab(PIPE)
    for name, value in (
        ("codel.target", 7000),
        ("codel.interval", 70_000),
        ("fqcodel.target", 8000),
        ("fqcodel.interval", 80_000),
        ("fqcodel.quantum", 300),
        ("fqcodel.limit", 600),
        ("fqcodel.flows", 32),
    ):
        lab.gw.sysctl[f"net.inet.ip.dummynet.{name}"] = value
    lab.gw.ipfw("sched 1 config type fq_codel limit 700 noecn")
    told = " FQ_CODEL target 8ms interval 80ms quantum 300 limit 700 flows 32 NoECN\n"
    assert told in lab.gw.ipfw("sched show")
    lab.gw.ipfw("sched 1 config type fq_codel")
    assert " limit 600 flows 32 ECN\n" in lab.gw.ipfw("sched show")
    lab.gw.ipfw("pipe 1 config codel")
    assert "AQM CoDel target 7ms interval 70ms NoECN" in lab.gw.ipfw("pipe show")
