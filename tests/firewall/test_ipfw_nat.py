"""NAT inside ipfw (libalias): which address and port, for whom, for how long; a FreeBSD gateway between two taps."""

import struct

import pytest
from gateway import (
    ACK,
    CLIENT,
    FIN,
    RST,
    SECOND,
    SERVER,
    SYN,
    Gateway,
    checksum,
    icmp,
    ip,
    tcp,
    udp,
)

import pystack
from pystack._fast.ipfw_kinds import DRAWN, LINK_BUCKETS, LINKS_MAX
from pystack._fast.ipfw_links import Links, in_bucket, out_bucket
from pystack._fast.rng import Rng
from pystack.addresses import dotted, parse_host
from pystack.firewall.ipfw.machine import IpfwError

OUTSIDE = "10.9.2.1"
"""The gateway's address on the side of the servers."""
OTHER = "10.9.1.3"


class Nat(Gateway):
    """Clients are inside, servers outside; `nat 1` stands at the outer interface."""

    def __init__(self, options="", rules=(), profile="freebsd-10", iface="if em1"):
        self.net = pystack.Network(seed=7)
        self.gw = self.net.host(
            "gw", ["10.9.1.1/24", "10.9.2.1/24"], profile=profile, forwarding=True
        )
        self.a = self.net.tap(f"{CLIENT}/24")
        self.b = self.net.tap(f"{SERVER}/24")
        self.net.link(self.a, self.gw)
        self.net.link(self.b, self.gw)
        self.begin = self.net.now
        self.gw.ipfw(f"nat 1 config {iface} {options}")
        for rule in rules or ("10 nat 1 ip from any to any via em1", "20 allow ip from any to any"):
            self.gw.ipfw(f"add {rule}")

    @property
    def links(self):
        return self.gw.ipfw.chain.nat.core.by_number[1].links

    def out(self, packet):
        """(source, port) that a packet of a client leaves with, None if it does not leave."""
        sent = self.send(packet)
        return sent and end(sent, 12)

    def back(self, packet):
        """(destination, port) that a packet of a server comes in with, None if it does not."""
        came = self.send(packet, back=True)
        return came and end(came, 16)


def end(packet, at):
    """Address and port (ICMP: identifier) at one end of a packet whose checksums are right."""
    assert checksum(packet[:20]) == b"\0\0"
    proto = packet[9]
    whole = struct.unpack_from(">H", packet, 6)[0] & 0x3FFF == 0
    if whole and (proto == 6 or (proto == 17 and packet[26:28] != b"\0\0")):
        pseudo = packet[12:20] + struct.pack(">BBH", 0, proto, len(packet) - 20)
        assert checksum(pseudo + packet[20:]) == b"\0\0"
    elif whole and proto == 1:
        assert checksum(packet[20:]) == b"\0\0"
    place = 24 if proto == 1 else {12: 20, 16: 22}[at]
    port = struct.unpack_from(">H", packet, place)[0] if proto in (1, 6, 17) else 0
    return dotted(struct.unpack_from(">I", packet, at)[0]), port


def ping(src, dst, kind, number, payload=b"abcd"):
    return icmp(src, dst, kind, rest=number << 16 | 1, payload=payload)


def syn(host=CLIENT, port=41000, dst=SERVER, dport=80):
    return tcp(host, port, dst, dport, SYN)


def sums(packet):
    """A datagram with a checksum."""
    head = packet[20:26] + b"\0\0" + packet[28:]
    pseudo = packet[12:20] + struct.pack(">BBH", 0, 17, len(head))
    return packet[:26] + checksum(pseudo + head) + packet[28:]


# --- which port --------------------------------------------------------------------------------------------------


def test_a_port_outside_is_drawn_from_the_upper_half():
    lab = Nat()
    ports = set()
    for port in range(41000, 41040):
        address, drawn = lab.out(syn(port=port))
        assert address == OUTSIDE
        ports.add(drawn)
    assert len(ports) == 40
    assert min(ports) >= 32768
    assert ports != set(range(41000, 41040))


def test_every_packet_of_a_flow_has_the_same_port_and_answers_find_back():
    lab = Nat()
    _, port = lab.out(syn())
    assert lab.back(tcp(SERVER, 80, OUTSIDE, port, SYN | ACK, 5000, 1001)) == (CLIENT, 41000)
    assert lab.out(tcp(CLIENT, 41000, SERVER, 80, ACK, 1001, 5001)) == (OUTSIDE, port)
    assert lab.out(tcp(CLIENT, 41000, SERVER, 80, ACK, 1001, 5001, b"GET /")) == (OUTSIDE, port)


def test_ports_outside_are_drawn_from_a_range():
    lab = Nat("port_range 20000-20063", profile="freebsd-14")
    ports = {lab.out(syn(port=port))[1] for port in range(41000, 41030)}
    assert len(ports) == 30
    assert min(ports) >= 20000
    assert max(ports) <= 20063
    lab.gw.ipfw("nat 1 config if em1")
    assert lab.out(syn(port=42000))[1] >= 32768
    assert lab.gw.ipfw("nat show config") == "ipfw nat 1 config if em1\n"


def test_same_ports_keeps_a_port_that_is_free():
    lab = Nat("same_ports")
    assert lab.out(syn(port=41000)) == (OUTSIDE, 41000)
    address, port = lab.out(syn(OTHER, 41000))  # the same, to the same server: it is taken
    assert address == OUTSIDE
    assert port >= 32768
    assert port != 41000
    assert lab.out(syn(OTHER, 41000, dport=443)) == (OUTSIDE, 41000)  # to another: it is free
    assert lab.back(tcp(SERVER, 80, OUTSIDE, 41000, SYN | ACK, 5000, 1001)) == (CLIENT, 41000)
    assert lab.back(tcp(SERVER, 80, OUTSIDE, port, SYN | ACK, 5000, 1001)) == (OTHER, 41000)
    assert lab.back(tcp(SERVER, 443, OUTSIDE, 41000, SYN | ACK, 5000, 1001)) == (OTHER, 41000)


def test_without_a_free_port_a_packet_leaves_as_it_is():
    """libalias gives up after 20 tries, and ipfw lets pass what was ignored: with the address of inside."""
    lab = Nat("same_ports")
    lab.links.port_base, lab.links.port_count = 50000, 2
    peers = [f"10.9.1.{n}" for n in range(10, 14)]
    seen = [lab.out(syn(peer, 41000)) for peer in peers]
    assert seen[0] == (OUTSIDE, 41000)
    assert {seen[1], seen[2]} == {(OUTSIDE, 50000), (OUTSIDE, 50001)}
    assert seen[3] == (peers[3], 41000)
    assert lab.links.failures == 1


def test_tries_are_bounded():
    links = Links(Rng(1))
    links.address = parse_host(OUTSIDE)
    links.port_base, links.port_count = 50000, 1024
    peer = parse_host(SERVER)
    made = 0
    while links.add(0x0A090102, peer, links.address, made, 80, DRAWN, 6):
        made += 1
    assert 512 <= made < 1024
    assert links.failures == 1
    assert links.add(0x0A090102, peer + 1, links.address, 1, 80, DRAWN, 6)


# --- from outside ------------------------------------------------------------------------------------------------


def test_what_nobody_waits_for_is_for_the_gateway():
    lab = Nat()
    lab.gw.ipfw("add 5 count tcp from any to 10.9.2.1 22 in")
    assert lab.send(syn(SERVER, 5000, OUTSIDE, 22), back=True) is None
    answer = lab.b.received[-1][1]
    assert end(answer, 12) == (OUTSIDE, 22)  # its own port: a link was made for it
    assert answer[33] == RST | ACK


def test_deny_in_drops_what_nobody_waits_for():
    lab = Nat("deny_in")
    before = len(lab.b.received)
    assert lab.send(syn(SERVER, 5000, OUTSIDE, 22), back=True) is None
    assert lab.send(ping(SERVER, OUTSIDE, 8, 7), back=True) is None
    assert lab.send(ip(SERVER, OUTSIDE, 47, b"abcd"), back=True) is None
    assert len(lab.b.received) == before
    _, port = lab.out(syn())
    assert lab.back(tcp(SERVER, 80, OUTSIDE, port, SYN | ACK, 5000, 1001)) == (CLIENT, 41000)


def test_a_port_is_redirected():
    lab = Nat(f"deny_in redirect_port tcp {CLIENT}:80 8080 redirect_port udp {CLIENT}:53 53")
    assert lab.back(syn(SERVER, 5000, OUTSIDE, 8080)) == (CLIENT, 80)
    assert lab.out(tcp(CLIENT, 80, SERVER, 5000, SYN | ACK, 9, 1001)) == (OUTSIDE, 8080)
    assert lab.back(syn(SERVER, 5000, OUTSIDE, 8081)) is None
    assert lab.back(sums(udp(SERVER, 5000, OUTSIDE, 53))) == (CLIENT, 53)
    assert lab.out(sums(udp(CLIENT, 53, SERVER, 5000))) == (OUTSIDE, 53)


def test_a_range_of_ports_is_redirected_from_one_peer():
    lab = Nat(f"deny_in redirect_port tcp {CLIENT}:9000-9003 {OUTSIDE}:8000-8003 {SERVER}")
    assert lab.back(syn(SERVER, 5000, OUTSIDE, 8002)) == (CLIENT, 9002)
    assert lab.back(syn("10.9.2.9", 5000, OUTSIDE, 8002)) is None
    assert lab.back(syn(SERVER, 5000, OUTSIDE, 8004)) is None


def test_servers_take_turns():
    lab = Nat(f"redirect_port tcp {CLIENT}:80,{OTHER}:8000 80")
    turns = [lab.back(syn(SERVER, port, OUTSIDE, 80)) for port in range(5000, 5004)]
    assert turns == [(CLIENT, 80), (OTHER, 8000)] * 2
    assert lab.back(tcp(SERVER, 5001, OUTSIDE, 80, ACK, 1001, 1)) == (OTHER, 8000)  # stays there


def test_an_address_is_redirected():
    public = "10.9.2.50"
    lab = Nat(f"redirect_addr {CLIENT} {public}")
    assert lab.back(syn(SERVER, 5000, public, 25)) == (CLIENT, 25)
    assert lab.out(tcp(CLIENT, 25, SERVER, 5000, SYN | ACK, 9, 1001)) == (public, 25)
    assert lab.out(syn())[0] == public  # and it goes out from there
    assert lab.out(syn(OTHER))[0] == OUTSIDE
    assert lab.back(ping(SERVER, public, 8, 77))[0] == CLIENT


def test_a_protocol_is_redirected():
    lab = Nat(f"deny_in redirect_proto gre {CLIENT}")
    assert lab.back(ip(SERVER, OUTSIDE, 47, b"abcd")) == (CLIENT, 0)
    assert lab.out(ip(CLIENT, SERVER, 47, b"abcd")) == (OUTSIDE, 0)
    assert lab.back(ip(SERVER, OUTSIDE, 50, b"abcd")) is None


# --- ICMP and fragments ------------------------------------------------------------------------------------------


def test_pings_have_numbers_of_their_own():
    lab = Nat("same_ports deny_in")
    address, one = lab.out(ping(CLIENT, SERVER, 8, 7))
    assert address == OUTSIDE
    address, other = lab.out(ping(OTHER, SERVER, 8, 7))
    assert address == OUTSIDE
    assert one != other
    assert one == 7
    assert lab.back(ping(SERVER, OUTSIDE, 0, one)) == (CLIENT, 7)
    assert lab.back(ping(SERVER, OUTSIDE, 0, other)) == (OTHER, 7)


def test_an_error_about_a_packet_that_went_out_comes_to_its_sender():
    lab = Nat()
    sent = lab.send(syn())
    _, port = end(sent, 12)
    lab.send(icmp(SERVER, OUTSIDE, 3, 1, payload=sent[:28]), back=True)
    error = lab.a.received[-1][1]
    assert dotted(struct.unpack_from(">I", error, 16)[0]) == CLIENT
    assert checksum(error[20:]) == b"\0\0"
    quoted = error[28:]
    assert checksum(quoted[:20]) == b"\0\0"
    assert dotted(struct.unpack_from(">I", quoted, 12)[0]) == CLIENT
    assert struct.unpack_from(">HH", quoted, 20) == (41000, 80)
    assert port != 41000


def test_an_error_about_a_packet_that_came_in_tells_of_the_outside():
    lab = Nat(f"redirect_port udp {CLIENT}:53 5353")
    came = lab.send(sums(udp(SERVER, 6000, OUTSIDE, 5353)), back=True)
    lab.send(icmp(CLIENT, SERVER, 3, 3, payload=came[:28]))
    error = lab.b.received[-1][1]
    assert dotted(struct.unpack_from(">I", error, 12)[0]) == OUTSIDE
    quoted = error[28:]
    assert checksum(error[20:]) == b"\0\0"
    assert checksum(quoted[:20]) == b"\0\0"
    assert dotted(struct.unpack_from(">I", quoted, 16)[0]) == OUTSIDE
    assert struct.unpack_from(">HH", quoted, 20) == (6000, 5353)


def fragments(packet, size, ident=77):
    """A packet in fragments of `size` octets of payload."""
    head, payload = packet[:20], packet[20:]
    out = []
    for at in range(0, len(payload), size):
        part = payload[at : at + size]
        more = 0x2000 if at + size < len(payload) else 0
        new = head[:2] + struct.pack(">HHH", 20 + len(part), ident, more | at >> 3) + head[8:10]
        new += b"\0\0" + head[12:]
        out.append(new[:10] + checksum(new) + new[12:] + part)
    return out


def whole(parts):
    """The packet that fragments make."""
    head = parts[0][:20]
    payload = b"".join(part[20:] for part in parts)
    new = head[:2] + struct.pack(">HHH", 20 + len(payload), 0, 0) + head[8:10] + b"\0\0" + head[12:]
    return new[:10] + checksum(new) + new[12:] + payload


@pytest.mark.parametrize("kind", ["udp", "tcp", "icmp"])
def test_fragments_are_translated_like_the_first(kind):
    lab = Nat()
    if kind == "udp":
        packet = sums(udp(CLIENT, 4000, SERVER, 53, bytes(range(200))))
    elif kind == "tcp":
        packet = tcp(CLIENT, 4000, SERVER, 53, ACK, 1, 1, bytes(range(200)))
    else:
        packet = ping(CLIENT, SERVER, 8, 7, bytes(range(200)))
    parts = [lab.send(part) for part in fragments(packet, 64)]
    address, port = end(whole(parts), 12)  # its checksum is right, too
    assert address == OUTSIDE
    if kind == "udp":
        answer = sums(udp(SERVER, 53, OUTSIDE, port, bytes(range(200))))
        back = [lab.send(part, back=True) for part in fragments(answer, 64, ident=99)]
        assert end(whole(back), 16) == (CLIENT, 4000)
        assert lab.send(fragments(answer, 64, ident=100)[1], back=True) is None  # first unknown


# --- how long ----------------------------------------------------------------------------------------------------


def alive(lab, packet, seconds):
    """Is the link of a packet still there after so many seconds in which others look?"""
    first = lab.out(packet)
    start = lab.net.now
    step = 2
    for n in range(1, seconds // step + 1):
        lab.net.run(for_=start + n * step * SECOND - lab.net.now)
        lab.send(udp("10.9.1.99", 1, SERVER, 9))
    return any(
        lab.links.src[row] == parse_host(CLIENT) and lab.links.aport[row] == first[1]
        for row in lab.links.rows()
    )


ROUND = 2 * LINK_BUCKETS // 30 + 4
"""Seconds until every bucket was cleaned, a packet coming each two seconds (30 buckets each)."""


@pytest.mark.parametrize(
    ("packet", "life"),
    [(udp(CLIENT, 4000, SERVER, 53), 60), (ping(CLIENT, SERVER, 8, 7), 60), (syn(), 300)],
    ids=["udp", "icmp", "syn"],
)
def test_links_live_until_somebody_looks(packet, life):
    assert alive(Nat(), packet, life - 2)
    assert not alive(Nat(), packet, life + ROUND)


def opened(lab, port=41000):
    _, alias = lab.out(syn(port=port))
    assert lab.back(tcp(SERVER, 80, OUTSIDE, alias, SYN | ACK, 5000, 1001))
    row = lab.links.find_out(parse_host(CLIENT), parse_host(SERVER), port, 80, 6, False)
    return row, alias


def test_the_life_of_a_connection():
    lab = Nat()
    row, alias = opened(lab)
    assert lab.links.life[row] == 86400
    lab.out(tcp(CLIENT, 41000, SERVER, 80, FIN | ACK, 1001, 5001))
    assert lab.links.life[row] == 90
    lab.back(tcp(SERVER, 80, OUTSIDE, alias, FIN | ACK, 5001, 1002))
    assert lab.links.life[row] == 10
    row, alias = opened(lab, 41001)
    lab.back(tcp(SERVER, 80, OUTSIDE, alias, RST, 5001))
    assert lab.links.life[row] == 90
    lab.out(tcp(CLIENT, 41002, SERVER, 80, RST, 1))
    assert (
        lab.links.life[
            lab.links.find_out(parse_host(CLIENT), parse_host(SERVER), 41002, 80, 6, False)
        ]
        == 10
    )


def test_a_connection_that_both_have_opened_stays_for_good():
    links = Links(Rng(1))
    row = links.add(1, 2, 3, 4, 5, 6, 6)
    links.saw_out(row, SYN)
    links.saw_in(row, SYN | ACK)
    for now in range(1, 400):
        links.clean(now * 1000)
    assert links.rows() == [row]
    links.saw_out(row, FIN)
    for now in range(400, 600):
        links.clean(now * 1000)
    assert links.rows() == []


def test_buckets():
    assert in_bucket(0, 0, 0) == 0
    assert in_bucket(4000, 1, 6) == 6
    assert in_bucket(0xFFFFFFFF, 1, 0) == 0  # 32 bits wrap
    assert out_bucket(0xFFFFFFFF, 2, 80, 443, 6) == 530


def test_links_are_not_without_end():
    """A flood makes a link for each packet, and no more than there is room for: the table grows up to its limit."""
    links = Links(Rng(1))
    for port in range(1000):
        assert links.add(1, 2, 3, port, 5, port, 17)
    assert LINKS_MAX == 1 << 20 > links.free.rows >= 1000
    links.free.limit = 1000
    assert links.add(1, 2, 3, 1000, 5, 1000, 17) == 0
    assert links.failures == 1
    assert len(links.rows()) == 1000


# --- rules -------------------------------------------------------------------------------------------------------


def test_a_number_that_is_not_there_denies():
    lab = Nat(rules=("10 nat 7 ip from any to any via em1", "20 allow ip from any to any"))
    assert lab.out(syn()) is None
    lab.gw.ipfw("nat 7 config if em1")
    assert lab.out(syn())[0] == OUTSIDE
    lab.gw.ipfw("nat 7 delete")
    assert lab.out(syn()) is None


def test_one_pass():
    rules = (
        "10 nat 1 ip from any to any via em1",
        f"20 deny ip from {OUTSIDE} to any out",
        "30 allow ip from any to any",
    )
    lab = Nat(rules=rules)
    assert lab.out(syn())[0] == OUTSIDE
    lab.gw.sysctl["net.inet.ip.fw.one_pass"] = 0
    assert lab.out(syn(port=41001)) is None  # it goes on behind the rule, with its new source
    assert " 20 " not in lab.gw.ipfw("show 30")
    lab.gw.ipfw("delete 20")
    assert lab.out(syn(port=41002))[0] == OUTSIDE


def test_nat_global_knows_only_flows_that_there_are():
    rules = (
        "10 nat 1 tcp from any to any 80 out via em1",
        "15 nat global ip from any to any out via em1",
        "20 allow ip from any to any",
    )
    lab = Nat(f"redirect_port tcp {CLIENT}:22 2222", rules=rules)
    assert lab.out(tcp(CLIENT, 22, SERVER, 6000, SYN | ACK, 1, 1)) == (OUTSIDE, 2222)
    assert lab.out(syn(dport=443)) == (CLIENT, 41000)
    lab.gw.ipfw(f"nat 1 config if em1 skip_global redirect_port tcp {CLIENT}:22 2222")
    assert lab.out(tcp(CLIENT, 22, SERVER, 6001, SYN | ACK, 1, 1)) == (CLIENT, 22)


def test_unreg_only_leaves_public_addresses():
    lab = Nat("unreg_only same_ports")
    lab.gw.route("203.0.113.0/24", via=CLIENT)
    assert lab.out(syn())[0] == OUTSIDE
    assert lab.out(syn("203.0.113.9")) == ("203.0.113.9", 41000)


def test_unreg_cgn_knows_the_network_of_providers_too():
    for options, outside in (
        ("unreg_only same_ports", ("100.64.3.4", 41000)),
        ("unreg_cgn same_ports", (OUTSIDE, 41000)),
    ):
        lab = Nat(options, profile="freebsd-14")
        assert lab.out(syn("100.64.3.4")) == outside
        assert lab.out(syn("100.128.0.1", port=41001)) == ("100.128.0.1", 41001)
        assert lab.out(syn("10.9.1.9"))[0] == OUTSIDE


def test_reverse_turns_the_sides_round():
    lab = Nat(
        "reverse", rules=("10 nat 1 ip from any to any via em0", "20 allow ip from any to any")
    )
    assert lab.out(syn()) == (OUTSIDE, end(lab.b.received[-1][1], 12)[1])


def test_another_configuration_keeps_the_links():
    lab = Nat(f"redirect_port tcp {CLIENT}:80 8080")
    first = lab.out(syn())
    lab.gw.ipfw("nat 1 config if em1 deny_in")
    assert lab.out(tcp(CLIENT, 41000, SERVER, 80, ACK, 1001, 1)) == first
    assert lab.back(syn(SERVER, 5000, OUTSIDE, 8080)) is None


# --- real hosts --------------------------------------------------------------------------------------------------


def hosts(options, profile="freebsd-10"):
    net = pystack.Network(seed=5)
    gw = net.host("gw", ["10.0.0.1/24", "192.0.2.1/24"], profile=profile, forwarding=True)
    machines = [gw]
    for name, address, via in (
        ("one", "10.0.0.2/24", "10.0.0.1"),
        ("two", "10.0.0.3/24", "10.0.0.1"),
        ("web", "192.0.2.9/24", None),
    ):
        machine = net.host(name, address, profile="linux-6")
        net.link(machine, gw, delay="2ms")
        if via:
            machine.route("0.0.0.0/0", via=via)
        machines.append(machine)
    gw.ipfw(f"nat 1 config if em1 {options}")
    gw.ipfw("add 10 nat 1 ip from any to any via em1")
    gw.ipfw("add 20 allow ip from any to any")
    return net, *machines


def fetch(client, server, address, port, bound=None):
    """A connection with data both ways; (whom the server sees, whom it was sent to)."""
    listener = server.socket()
    listener.bind(("", port))
    listener.listen(5)
    s = client.socket()
    if bound:
        s.bind(("", bound))
    s.connect(address)
    conn, peer = listener.accept()
    body = bytes(range(256)) * 400
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert conn.recv(100) == b"GET / HTTP/1.0\r\n\r\n"
    sent = got = 0
    while got < len(body):
        sent += conn.send(body[sent : sent + 16384]) if sent < len(body) else 0
        data = s.recv(65536)
        assert data == body[got : got + len(data)]
        got += len(data)
    return peer, s.getpeername()


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14"])
def test_two_clients_with_one_port_fetch_from_one_server(profile):
    _, gw, one, two, web = hosts("same_ports log", profile)
    first, _ = fetch(one, web, ("192.0.2.9", 80), 80, bound=4000)
    assert first == ("192.0.2.1", 4000)
    listener = web.socket()
    listener.bind(("", 81))
    listener.listen(5)
    s = two.socket()
    s.bind(("", 4000))
    s.connect(("192.0.2.9", 81))
    _, second = listener.accept()
    assert second == ("192.0.2.1", 4000)
    assert "tcp=2," in gw.ipfw("nat show")


def test_a_server_behind_the_gateway_is_reached():
    _, _, one, _, web = hosts("deny_in redirect_port tcp 10.0.0.2:80 8080")
    seen, sent_to = fetch(web, one, ("192.0.2.1", 8080), 80)
    assert seen[0] == "192.0.2.9"
    assert sent_to == ("192.0.2.1", 8080)


def test_the_gateway_itself_is_translated_too():
    _, gw, _, _, web = hosts("")
    seen, _ = fetch(gw, web, ("192.0.2.9", 80), 80)
    assert seen[0] == "192.0.2.1"
    assert seen[1] >= 32768


# --- the command (its texts: test_ipfw_nat_words.py) ---------------------------------------------------------------


def test_show_counts_links():
    _, gw, one, _, web = hosts("redirect_port tcp 10.0.0.2:22 2222")
    fetch(one, web, ("192.0.2.9", 80), 80)
    assert gw.ipfw("nat 1 show").startswith("nat 1: icmp=0, udp=0, tcp=2, ")
    assert gw.ipfw("nat 1 show config") == (
        "ipfw nat 1 config if em1 redirect_port tcp 10.0.0.2:22 2222\n"
    )


@pytest.mark.parametrize(
    ("line", "text", "status"),
    [
        ("nat 1 config log", "ipfw: ip address not set", 65),
        ("nat 0 config if em1", "ipfw: illegal nat id: 0", 65),
        ("nat 1 config if em7", "ipfw: unknown interface name em7", 1),
        ("nat 9 delete", "ipfw: rule 9 not available: Invalid argument", 69),
    ],
)
def test_refusals(line, text, status):
    _, gw, *_ = hosts("log")
    before = gw.ipfw("nat show config")
    with pytest.raises(IpfwError) as refused:
        gw.ipfw(line)
    assert str(refused.value) == text
    assert refused.value.status == status
    assert gw.ipfw("nat show config") == before
