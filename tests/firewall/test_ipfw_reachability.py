"""What can be reached through ipfw: for each test of this kind in FreeBSD's own tree (facts: ipfw 8.1) one of ours.

    tests/sys/netpfil/common   pass_block, forward, nat, rdr, fragments, tos, dummynet
    tests/sys/netpfil/ipfw     fwd, lookup, table, unmapped, log; divert and ipv6-flow-id need what is not here

A client, the machine with ipfw, which forwards, and a server behind it.
"""

import random
import socket

import pytest
from gateway import SYN, tcp

from pystack import Network
from pystack.firewall.ipfw.machine import IpfwError

ERAS = ("freebsd-7", "freebsd-10", "freebsd-14")
SECOND = 10**9
CLIENT, SERVER = "198.51.100.2", "192.0.2.2"


class Road:
    """Three machines in a row; the one in the middle has ipfw."""

    def __init__(self, profile, *commands, mtu=1500):
        self.net = Network(seed=11)
        self.gw = self.net.host(
            "gw", ["198.51.100.1/24", "192.0.2.1/24"], profile=profile, forwarding=True
        )
        self.client = self.net.host("client", f"{CLIENT}/24", profile="linux-6")
        self.server = self.net.host("server", f"{SERVER}/24", profile="linux-6")
        self.net.link(self.client, self.gw)
        self.net.link(self.server, self.gw)
        self.client.route("0.0.0.0/0", "198.51.100.1")
        self.server.route("0.0.0.0/0", "192.0.2.1")
        for command in commands:
            self.gw.ipfw(command)

    def ping(self, target=SERVER, octets=56, wait=SECOND):
        """Does one echo request come back?"""
        sock = self.client.socket(socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        sock.settimeout(wait / SECOND)
        try:
            sock.sendto(bytes((8, 0, 0, 0, 0, 0, 0, 1)) + bytes(octets), (target, 0))
            sock.recvfrom(65535)
        except TimeoutError:
            return False
        finally:
            sock.close()
        return True

    def serve(self, port, host=None, text=b"hello"):
        """Somebody who says something to each visitor."""
        listener = (host or self.server).socket()
        listener.bind(("", port))
        listener.listen(16)
        return listener, text

    def visit(self, service, target, port):
        """What a visitor hears, and whom the server saw; raises what connect raises."""
        listener, text = service
        visitor = self.client.socket()
        visitor.settimeout(3)
        visitor.connect((target, port))
        guest, peer = listener.accept()
        guest.sendall(text)
        heard = visitor.recv(100)
        guest.close()
        visitor.close()
        return heard, peer

    def packets(self, number):
        """How often a rule has counted."""
        return int(self.gw.ipfw(f"show {number}").split()[1])


@pytest.fixture(params=ERAS)
def era(request):
    return request.param


# --- pass_block --------------------------------------------------------------------------------------------------


def test_nothing_passes_until_it_is_allowed(era):
    road = Road(era, "add 100 deny ip from any to any")
    assert not road.ping("198.51.100.1")
    road.gw.ipfw("add 50 allow icmp from any to any")
    assert road.ping("198.51.100.1")
    road.gw.ipfw("delete 50")
    assert not road.ping("198.51.100.1")


def test_only_what_is_allowed_passes(era):
    road = Road(era, "add 100 allow tcp from any to me 80", "add 200 allow tcp from me 80 to any")
    open_, closed = road.serve(80, road.gw), road.serve(81, road.gw)
    assert road.visit(open_, "198.51.100.1", 80)[0] == b"hello"
    with pytest.raises(TimeoutError):
        road.visit(closed, "198.51.100.1", 81)


def test_a_source_that_came_by_the_wrong_way(era):
    """urpf: who says that he is from the server's network does not come from the client's."""
    net = Network(seed=2)
    gw = net.host("gw", ["198.51.100.1/24", "192.0.2.1/24"], profile=era, forwarding=True)
    left, right = net.tap(f"{CLIENT}/24"), net.tap(f"{SERVER}/24")
    net.link(left, gw)
    net.link(right, gw)
    gw.ipfw("add 100 deny ip from any to any not verrevpath in")
    gw.ipfw("add 200 allow ip from any to any")
    for source in (CLIENT, "192.0.2.9"):
        left.send(tcp(source, 1000, SERVER, 80, SYN))
    net.run(for_=SECOND)
    assert [data[12:16] for _, data in right.received] == [bytes((198, 51, 100, 2))]


# --- forward -----------------------------------------------------------------------------------------------------


def test_what_is_forwarded_passes_twice(era):
    road = Road(era, "add 100 count icmp from any to any", "add 200 allow ip from any to any")
    assert road.ping()
    assert road.packets(100) == 4  # in and out, there and back
    road.gw.ipfw(f"add 50 deny icmp from any to {SERVER} out")
    assert not road.ping()
    road.gw.ipfw("delete 50")
    road.gw.ipfw("add 50 deny icmp from any to any recv em1")
    assert not road.ping()
    assert road.ping("198.51.100.1")


# --- nat, rdr ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("same_ports", ["", " same_ports"])
def test_clients_behind_nat(era, same_ports):
    """The server sees the gateway; pings and connections come back."""
    road = Road(
        era,
        f"nat 123 config if em1{same_ports}",
        "add 100 nat 123 ip from any to any via em1",
        "add 200 allow ip from any to any",
    )
    assert road.ping()
    heard, peer = road.visit(road.serve(80), SERVER, 80)
    assert (heard, peer[0]) == (b"hello", "192.0.2.1")


def test_a_port_is_redirected_to_a_server_inside(era):
    """The client knows the gateway only."""
    road = Road(
        era,
        f"nat 1 config ip 198.51.100.1 redirect_port tcp {SERVER}:8080 80",
        "add 100 nat 1 ip from any to any via em0",
        "add 200 allow ip from any to any",
    )
    heard, peer = road.visit(road.serve(8080), "198.51.100.1", 80)
    assert (heard, peer[0]) == (b"hello", CLIENT)


# --- fragments ---------------------------------------------------------------------------------------------------


def test_fragments_pass_and_later_ones_have_no_ports(era):
    road = Road(era, "add 100 count icmp from any to any frag", "add 200 allow ip from any to any")
    assert road.ping(octets=5000)
    assert road.packets(100) > 0
    road.gw.ipfw("add 50 deny icmp from any to any frag")
    assert not road.ping(octets=5000)
    assert road.ping(octets=500)


def test_fragments_are_made_whole_for_rules_about_ports(era):
    road = Road(era, "add 100 reass ip from any to any in", "add 200 allow ip from any to any")
    assert road.ping(octets=5000)
    assert road.ping("198.51.100.1", octets=5000)


# --- tos ---------------------------------------------------------------------------------------------------------


def test_tos_and_dscp(era):
    """A packet is known by its TOS octet, and (from 11 on) gets another one."""
    net = Network(seed=2)
    gw = net.host("gw", ["198.51.100.1/24", "192.0.2.1/24"], profile=era, forwarding=True)
    left, right = net.tap(f"{CLIENT}/24"), net.tap(f"{SERVER}/24")
    net.link(left, gw)
    net.link(right, gw)
    gw.ipfw("add 100 deny ip from any to any iptos lowdelay in")
    if era == "freebsd-14":
        gw.ipfw("add 150 setdscp ef ip from any to any in")
    gw.ipfw("add 200 allow ip from any to any")
    for tos in (0, 0x10, 0x14, 0x20):
        packet = bytearray(tcp(CLIENT, 1000, SERVER, 80, SYN))
        packet[1] = tos
        packet[10:12] = b"\0\0"
        total = sum(int.from_bytes(packet[i : i + 2], "big") for i in range(0, 20, 2))
        total = (total & 0xFFFF) + (total >> 16)
        packet[10:12] = ((total & 0xFFFF) + (total >> 16) ^ 0xFFFF).to_bytes(2, "big")
        left.send(bytes(packet))
    net.run(for_=SECOND)
    assert [data[1] for _, data in right.received] == (
        [0xB8, 0xB8] if era == "freebsd-14" else [0, 0x20]
    )


# --- dummynet ----------------------------------------------------------------------------------------------------


def test_a_pipe_is_saturated(era):
    """30 octets a second: the first ping takes three seconds, the third finds no room in a queue of two."""
    road = Road(
        era,
        "pipe 1 config bw 30Byte/s queue 2",
        "add 1000 pipe 1 icmp from any to 198.51.100.1 in",
        "add 2000 allow ip from any to any",
    )
    sock = road.client.socket(socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    for number in range(4):
        sock.sendto(bytes((8, 0, 0, 0, 0, 0, 0, number)) + bytes(62), ("198.51.100.1", 0))
    road.net.run(for_=60 * SECOND)
    answers = []
    sock.setblocking(False)
    while True:
        try:
            answers.append(sock.recvfrom(2000)[0][7])
        except BlockingIOError:
            break
    assert answers == [0, 1, 2]
    assert road.ping("198.51.100.1", wait=10 * SECOND)
    assert not road.ping("198.51.100.1", wait=2 * SECOND)


def test_queues_with_weights(era):
    """WF2Q+, 99 to 1: while the heavy queue is full, the light one has one packet in a hundred."""
    road = Road(
        era,
        "pipe 1 config bw 4Mbit/s",
        "queue 100 config pipe 1 weight 99",
        "queue 200 config pipe 1 weight 1",
        "add 500 count udp from any to any 5001 out",
        "add 501 count udp from any to any 5002 out",
        "add 1000 queue 100 udp from any to any 5001 in",
        "add 1001 queue 200 udp from any to any 5002 in",
        "add 2000 allow ip from any to any",
    )
    sender = road.client.socket(socket.SOCK_DGRAM)
    for _ in range(400):  # 4 ms: as many packets come for the heavy queue as leave
        for port in (5001, 5001, 5002, 5002):
            sender.sendto(bytes(972), (SERVER, port))
        road.net.run(for_=4 * 10**6)
    heavy, light = road.packets(500), road.packets(501)
    assert heavy > 700
    assert 4 <= light <= 30


# --- tests of ipfw alone -----------------------------------------------------------------------------------------


def test_fwd_to_a_listener_here(era):
    """What is for an address behind the machine is taken by a listener on it."""
    road = Road(
        era,
        f"add 100 fwd 198.51.100.1,8080 tcp from any to {SERVER} 80 in",
        "add 200 allow ip from any to any",
    )
    assert road.visit(road.serve(8080, road.gw, b"proxy"), SERVER, 80)[0] == b"proxy"
    road.gw.ipfw("delete 100")
    assert road.visit(road.serve(80), SERVER, 80)[0] == b"hello"


@pytest.mark.parametrize(
    ("key", "kind", "entry"),
    [
        ("dst-ip", "addr", "198.51.100.1"),
        ("src-ip", "addr", "198.51.100.0/24"),
        ("dst-port", "number", "80"),
    ],
)
def test_lookup_of_a_key(key, kind, entry):
    """A table decides by one part of the packet; an entry that is taken out decides no longer."""
    road = Road(
        "freebsd-14",
        f"table 1 create type {kind}",
        f"table 1 add {entry}",
        f"add 1000 deny tcp from any to me lookup {key} 1",
        "add 2000 allow ip from any to any",
    )
    service = road.serve(80, road.gw)
    with pytest.raises(TimeoutError):
        road.visit(service, "198.51.100.1", 80)
    road.gw.ipfw(f"table 1 delete {entry}")
    assert road.visit(service, "198.51.100.1", 80)[0] == b"hello"


def test_two_tables_change_and_swap_while_packets_pass():
    """Half a minute of pings; whoever is in the table that rules ask does not get in, and nothing breaks."""
    road = Road(
        "freebsd-14",
        "table a create",
        "table b create",
        "add 1000 deny icmp from table(a) to me in",
        "add 2000 allow ip from any to any",
    )
    rng = random.Random(4)
    tables = {"a": set(), "b": set()}
    others = [f"198.51.100.{n}/32" for n in range(2, 12)]
    blocked = passed = 0
    for _ in range(300):
        what = rng.choice(("add", "add", "delete", "swap"))
        name = rng.choice("ab")
        entry = rng.choice((f"{CLIENT}/32", *others))
        if what == "swap":
            road.gw.ipfw("table a swap b")
            tables["a"], tables["b"] = tables["b"], tables["a"]
        elif (entry in tables[name]) == (what == "delete"):
            road.gw.ipfw(f"table {name} {what} {entry}")
            (tables[name].discard if what == "delete" else tables[name].add)(entry)
        else:
            with pytest.raises(IpfwError):
                road.gw.ipfw(f"table {name} {what} {entry}")
        reached = road.ping("198.51.100.1", wait=SECOND // 10)
        assert reached == (f"{CLIENT}/32" not in tables["a"])
        blocked, passed = blocked + (not reached), passed + reached
    assert min(blocked, passed) > 50
    listed = {line.split()[0] for line in road.gw.ipfw("table a list").splitlines()}
    assert listed == tables["a"]


def test_pages_of_a_file_pass_rules_and_nat(era, tmp_path):
    """unmapped: what sendfile hands over meets rules that look into TCP's header, and NAT, and comes out whole."""
    road = Road(
        era,
        "nat 1 config if em1",
        "add 100 nat 1 ip from any to any via em1",
        "add 200 allow tcp from any to any established",
        "add 300 allow tcp from any to any setup",
    )
    page = tmp_path / "page"
    page.write_bytes(random.Random(1).randbytes(60_000))
    listener = road.server.socket()
    listener.bind(("", 80))
    listener.listen(4)
    visitor = road.client.socket()
    visitor.connect((SERVER, 80))
    guest, _ = listener.accept()
    with page.open("rb") as file:
        assert guest.sendfile(file) == 60_000
    guest.close()
    assert visitor.makefile("rb").read() == page.read_bytes()


def test_log(era):
    """A rule with `log` writes a line for each packet, and no line once its amount is used up."""
    road = Road(
        era,
        "enable verbose",
        "add 100 allow log logamount 2 icmp from any to me in",
        "add 200 allow ip from any to any",
    )
    for _ in range(3):
        assert road.ping("198.51.100.1")
    said = [text for _, text in road.gw.ipfw.security]
    assert said == [
        *[f"ipfw: 100 Accept ICMP:8.0 {CLIENT} 198.51.100.1 in via em0"] * 2,
        "ipfw: limit 2 reached on entry 100",
    ]


def test_what_became_actions_later_has_words_in_the_log():
    road = Road(
        "freebsd-14",
        "enable verbose",
        "add 100 setdscp ef log icmp from any to me in",
        "add 110 tcp-setmss 1000 log icmp from any to me in",
        "add 200 allow ip from any to any",
    )
    assert road.ping("198.51.100.1")
    ends = f"ICMP:8.0 {CLIENT} 198.51.100.1 in via em0"
    said = [text for _, text in road.gw.ipfw.security]
    assert said == [f"ipfw: 100 SetDscp 46 {ends}", f"ipfw: 110 Eaction tcp-setmss {ends}"]


def test_divert_is_refused(era):
    road = Road(era)
    with pytest.raises(IpfwError, match="there are no divert sockets"):
        road.gw.ipfw("add 100 divert 1000 ip from any to any")
