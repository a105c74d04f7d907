"""What a gateway tells of packets that it does not pass on, as a 6.18 does: octets around and inside of ICMP errors."""

import pytest
from gateway import CLIENT, SERVER, SYN, Gateway, checksum, ip, tcp
from gateway import udp as bare

from pystack.packetdrill import segments


def changed(packet, at, octet):
    """The packet with another octet in its IP header."""
    head = bytearray(packet[:20])
    head[at] = octet
    head[10:12] = b"\0\0"
    head[10:12] = checksum(bytes(head))
    return bytes(head) + packet[20:]


def answer(g, packet, side=0):
    """The one packet that comes back."""
    taps = (g.a, g.b)
    before = len(taps[side].received)
    taps[side].send(packet)
    g.net.run(for_="1ms")
    answers = [data for _, data in taps[side].received[before:]]
    assert len(answers) <= 1
    return answers[0] if answers else b""


@pytest.mark.parametrize(("tos", "wanted"), [(0, 0xC0), (0x10, 0xD0), (0xFF, 0xDE), (0x1C, 0xDC)])
def test_errors_are_internetwork_control(tos, wanted):
    """The type of service of the packet without what ECN says, and the precedence that routers have for themselves."""
    g = Gateway()
    g.gw.iptables("-A FORWARD -p udp -j REJECT")
    packets = (
        changed(bare(CLIENT, 1, SERVER, 2), 1, tos),
        changed(changed(tcp(CLIENT, 1, SERVER, 2, SYN), 1, tos), 8, 1),
        changed(bare(CLIENT, 1, "10.9.1.1", 2), 1, tos),
    )
    for packet, kind in zip(packets, ((3, 3), (11, 0), (3, 3)), strict=True):
        told = answer(g, packet)
        assert (told[1], tuple(told[20:22])) == (wanted, kind)


def test_no_way_is_known_before_the_hop_is_counted():
    """Whatever the TTL; what is quoted is the packet as it came."""
    g = Gateway()
    for ttl in (1, 9):
        packet = changed(tcp(CLIENT, 1, "172.16.1.1", 2, SYN), 8, ttl)
        told = answer(g, packet)
        assert tuple(told[20:22]) == (3, 0)
        assert told[28:48] == packet[:20]


def test_a_quoted_checksum_is_that_of_the_sender():
    """Of a datagram that was translated before the machine refused it."""
    data = b"\x13\x88\0\x35\0\x0c\0\0data"
    pseudo = b"\x0a\x09\x01\x02\x0a\x09\x02\x02\0\x11\0\x0c"
    sent = data[:6] + segments.checksum(pseudo + data).to_bytes(2, "big") + data[8:]
    for rules in (
        "*nat\n-A PREROUTING -p udp -j REDIRECT --to-ports 5353\nCOMMIT\n",
        "*nat\n-A PREROUTING -p udp -j DNAT --to-destination 10.9.2.9:5353\nCOMMIT\n"
        "*filter\n-A FORWARD -j REJECT\nCOMMIT\n",
    ):
        g = Gateway()
        g.gw.iptables_restore(rules)
        told = answer(g, ip(CLIENT, SERVER, 17, sent))
        assert tuple(told[20:22]) == (3, 3)
        assert told[48:60] == sent
        assert checksum(told[20:]) == b"\0\0"


def test_segments_of_port_0_are_passed_on_and_refused():
    g = Gateway()
    for sport, dport in ((0, 80), (80, 0), (0, 0)):
        assert g.send(tcp(CLIENT, sport, SERVER, dport, SYN))
        told = answer(g, tcp(CLIENT, sport, "10.9.1.1", dport, SYN))
        assert told[20:24] == dport.to_bytes(2, "big") + sport.to_bytes(2, "big")
        assert told[33] == 0x14  # RST, ACK
