"""Packets whose L4 part is at fault: a router passes them on, conntrack calls them INVALID, who
they are for drops them.

Seen on a 6.18.44 (`python -m tests.kernel.twin -r`): what is said here was equal there, packet by packet.
"""

import struct

import pytest
from gateway import (
    ACK,
    CLIENT,
    FIN,
    NF,
    RST,
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
from pystack.firewall import conntrack_tool

ICMP, TCP, UDP, GRE = 1, 6, 17, 47


def spoil(packet, at):
    """Another octet at this place of the L4 part, so that its checksum is wrong."""
    return packet[: 20 + at] + bytes([packet[20 + at] ^ 1]) + packet[21 + at :]


RIGHT = tcp(CLIENT, 1024, SERVER, 80, SYN)
WRONG = {
    "tcp": spoil(RIGHT, 16),
    "udp": spoil(ip(CLIENT, SERVER, UDP, struct.pack(">HHHH", 1, 2, 9, 0x1234) + b"x"), 6),
    "icmp": spoil(icmp(CLIENT, SERVER, 8, 0, 77 << 16 | 1), 2),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_checksum_is_invalid_and_goes_on(kind):
    g = Gateway()
    out = g.send(WRONG[kind])
    assert out is not None
    assert out[20:] == WRONG[kind][20:]  # and still wrong
    assert (g.count, g.counters) == (0, {"error" if kind == "icmp" else "invalid": 1})


@pytest.mark.parametrize("kind", WRONG)
def test_checksums_that_nobody_looks_at(kind):
    g = Gateway(checksum=0)
    assert g.send(WRONG[kind])[20:] == WRONG[kind][20:]
    assert (g.count, g.counters) == (1, {})


def test_a_wrong_checksum_stays_as_wrong_as_it_was_when_it_is_translated():
    g = Gateway(checksum=0)
    g.gw.iptables("-t nat -A POSTROUTING -j SNAT --to-source 10.9.2.50")
    out = g.send(WRONG["tcp"])
    right = g.send(RIGHT)
    assert out[12:16] == bytes([10, 9, 2, 50])
    sums = [int.from_bytes(packet[36:38]) for packet in (out, right, WRONG["tcp"], RIGHT)]
    assert (sums[0] - sums[1]) % 0xFFFF == (sums[2] - sums[3]) % 0xFFFF != 0
    assert out[20:36] + out[38:] == right[20:36] + right[38:]


FAULTY = {
    "offset too small": (TCP, struct.pack(">HHIIHHHH", 1, 2, 3, 0, 0x4002, 100, 0, 0)),
    "offset behind the end": (TCP, struct.pack(">HHIIHHHH", 1, 2, 3, 0, 0x7002, 100, 0, 0)),
    "half of TCP": (TCP, struct.pack(">HHI", 1, 2, 3)),
    "half of UDP": (UDP, struct.pack(">HH", 1, 2)),
    "no UDP": (UDP, b""),
    "half of UDP-Lite": (136, struct.pack(">HH", 1, 2)),
    "UDP that is longer than it is": (UDP, struct.pack(">HHHH", 1, 2, 900, 0)),
    "half of ICMP": (ICMP, struct.pack(">BBH", 8, 0, 0xF7FF)),
}


@pytest.mark.parametrize("name", FAULTY)
def test_what_cannot_be_read_is_invalid_and_goes_on(name):
    g = Gateway()
    proto, payload = FAULTY[name]
    assert g.send(ip(CLIENT, SERVER, proto, payload))[20:] == payload
    assert (g.count, g.counters) == (0, {"error" if proto == ICMP else "invalid": 1})


def test_rules_see_it_and_may_drop_it():
    g = Gateway()
    g.gw.iptables("-A FORWARD -m conntrack --ctstate INVALID -j DROP")
    assert g.send(WRONG["tcp"]) is None
    assert g.send(ip(CLIENT, SERVER, *FAULTY["half of TCP"])) is None
    assert "    2    " in g.gw.iptables("-L FORWARD -v")


def test_who_it_is_for_drops_it():
    g = Gateway()
    listener = g.gw.socket()
    listener.bind(("", 80))
    listener.listen(1)
    g.a.send(spoil(tcp(CLIENT, 1024, "10.9.1.1", 80, SYN), 16))
    g.net.run(for_="1ms")
    assert g.a.received == []
    assert g.counters == {"invalid": 1}
    assert g.gw.core.stat.rcvbadsum == 1


def test_a_router_that_does_not_track_passes_it_on():
    for profile in ("linux-6", "freebsd-14", "freebsd-10"):
        net = pystack.Network(seed=7)
        gw = net.host("gw", ["10.9.1.1/24", "10.9.2.1/24"], profile=profile, forwarding=True)
        a, b = net.tap("10.9.1.2/24"), net.tap("10.9.2.2/24")
        net.link(a, gw)
        net.link(b, gw)
        for packet in (*WRONG.values(), ip(CLIENT, SERVER, *FAULTY["half of TCP"])):
            a.send(packet)
        net.run(for_="10ms")
        assert len(b.received) == 4


def test_port_0_is_a_port():
    g = Gateway()
    assert g.send(tcp(CLIENT, 0, SERVER, 80, SYN)) is not None
    assert g.send(tcp(SERVER, 80, CLIENT, 0, SYN | ACK, 5000, 1001), back=True) is not None
    assert "SYN_RECV src=10.9.1.2 dst=10.9.2.2 sport=0 dport=80" in g.lines[0]


# --- quotes ---------------------------------------------------------------------------------------


def unreachable(octets, inner=None):
    """An error that quotes so many octets of the L4 part of a flow's first packet."""
    inner = inner or tcp(CLIENT, 1024, SERVER, 80, SYN)
    return icmp(SERVER, CLIENT, 3, 1, 0, inner[: 20 + octets])


@pytest.mark.parametrize(("octets", "related"), [(0, False), (3, False), (4, True), (8, True)])
def test_ports_are_enough_of_a_quote(octets, related):
    g = Gateway()
    g.gw.iptables("-A FORWARD -m conntrack --ctstate INVALID -j DROP")
    g.send(tcp(CLIENT, 1024, SERVER, 80, SYN))
    assert (g.send(unreachable(octets), back=True) is not None) == related
    assert g.counters == ({} if related else {"error": 1})


def test_a_quote_that_is_too_short_to_be_translated_is_dropped():
    g = Gateway()
    g.gw.iptables("-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.50")
    g.send(tcp(CLIENT, 1024, SERVER, 80, SYN))
    outside = tcp("10.9.2.50", 1024, SERVER, 80, SYN)
    for octets, goes_on in ((4, False), (8, True)):
        error = icmp(SERVER, "10.9.2.50", 3, 1, 0, outside[: 20 + octets])
        assert (g.send(error, back=True) is not None) == goes_on


def test_errors_of_the_machine_are_of_internetwork_control():
    g = Gateway()
    packet = ip(CLIENT, "10.9.1.1", UDP, struct.pack(">HHHH", 1, 2, 8, 0))
    packet = packet[:1] + b"\x1c" + packet[2:10] + b"\0\0" + packet[12:]
    g.a.send(packet[:10] + checksum(packet[:20]) + packet[12:])
    g.net.run(for_="1ms")
    ((_, error),) = g.a.received
    assert error[1] == 0xC0 | 0x1C


def test_the_quote_of_a_translated_packet_has_the_checksum_that_it_came_with():
    g = Gateway()
    g.gw.iptables("-t nat -A PREROUTING -p udp -j REDIRECT --to-ports 81")
    head = struct.pack(">HHHH", 500, 53, 8, 0xE69F)
    g.a.send(ip(CLIENT, SERVER, UDP, head))
    g.net.run(for_="1ms")
    ((_, error),) = g.a.received
    assert error[12:20] == ip(SERVER, CLIENT, ICMP, b"")[12:20]
    assert error[28 + 20 :] == head


def test_netmap_gives_another_port_where_the_first_is_taken():
    g = Gateway()
    g.gw.iptables("-t nat -A POSTROUTING -o eth1 -s 10.9.1.0/29 -j NETMAP --to 10.9.2.64/29")
    # whoever has the address already talks to the server from the same port
    g.send(tcp(SERVER, 80, "10.9.2.66", 1024, ACK, 5000, 7), back=True)
    out = g.send(RIGHT)
    assert out[12:16] == bytes([10, 9, 2, 66])
    assert struct.unpack(">H", out[20:22])[0] > 1024


# --- GRE ------------------------------------------------------------------------------------------


def test_a_call_of_pptp_has_a_key():
    g = Gateway()

    def call(proto, number):
        return ip(CLIENT, SERVER, GRE, struct.pack(">HHHH", 0x2001, proto, 0, number))

    assert g.send(call(0x880B, 7)) is not None
    assert g.send(call(0x880B, 8)) is not None
    assert g.send(ip(CLIENT, SERVER, GRE, struct.pack(">HHHH", 0x2000, 0x880B, 0, 7))) is not None
    keys = {" ".join(word for word in line.split() if "key=" in word) for line in g.lines}
    assert keys == {
        "srckey=0x0 dstkey=0x7 srckey=0x7 dstkey=0x0",
        "srckey=0x0 dstkey=0x8 srckey=0x8 dstkey=0x0",
        "srckey=0x0 dstkey=0x0 srckey=0x0 dstkey=0x0",
    }
    assert g.send(call(0x800, 9)) is not None  # and no PPP in it
    assert (g.count, g.counters) == (3, {"invalid": 1})


def test_gre_that_is_too_short_is_not_translated():
    g = Gateway()
    g.gw.iptables("-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.50")
    assert g.send(ip(CLIENT, SERVER, GRE, bytes(7))) is None
    assert g.send(ip(CLIENT, SERVER, GRE, bytes(8))) is not None


def test_an_echo_has_the_code_of_its_question():
    g = Gateway()
    g.a.send(icmp(CLIENT, "10.9.1.1", 8, 1, 77 << 16 | 1))
    g.net.run(for_="1ms")
    assert [packet[20:22] for _, packet in g.a.received] == [b"\0\1"]


# --- events ---------------------------------------------------------------------------------------


def events(g):
    """The events since the last look: kind, state or flags, mark."""
    lines = g.gw.conntrack("-E").splitlines()
    g.gw.conntrack.events.clear()
    return [
        " ".join(word for word in line.split() if "=" not in word or "mark" in word)
        for line in lines
    ]


def test_what_a_packet_changes_is_told_at_once_when_it_leaves():
    g = Gateway()
    g.gw.conntrack("-E")
    g.gw.iptables("-t mangle -A PREROUTING -m conntrack --ctdir REPLY -j CONNMARK --set-mark 7")
    g.syn(1)
    assert events(g) == ["[NEW] tcp 6 120 SYN_SENT [UNREPLIED]"]
    g.send(tcp(SERVER, 80, "10.10.0.1", 1024, SYN | ACK, 5000, 1001), back=True)
    assert events(g) == ["[UPDATE] tcp 6 60 SYN_RECV mark=7"]


def test_a_refused_flow_is_destroyed_and_not_updated():
    g = Gateway()
    g.gw.conntrack("-E")
    g.syn(1)
    g.send(tcp(SERVER, 80, "10.10.0.1", 1024, RST | ACK, 0, 1001), back=True)
    assert events(g) == [
        "[NEW] tcp 6 120 SYN_SENT [UNREPLIED]",
        "[DESTROY] tcp 6 120 CLOSE [UNREPLIED]",
    ]


def test_a_resynchronised_flow_tells_its_state_again():
    g = Gateway()
    g.gw.conntrack("-E")
    g.syn(1)
    g.send(tcp(SERVER, 80, "10.10.0.1", 1024, SYN | ACK, 5000, 1001), back=True)
    g.syn(1)
    events(g)
    g.send(tcp(SERVER, 80, "10.10.0.1", 1024, SYN | ACK, 5000, 1001), back=True)
    assert events(g) == ["[UPDATE] tcp 6 60 SYN_RECV"]


def test_what_a_dropped_packet_changed_is_told_with_the_next():
    g = Gateway()
    g.gw.conntrack("-E")
    g.gw.iptables("-A FORWARD -p tcp --tcp-flags ACK,SYN ACK,SYN -j DROP")
    g.syn(1)
    events(g)
    g.send(tcp(SERVER, 80, "10.10.0.1", 1024, SYN | ACK, 5000, 1001), back=True)
    assert events(g) == []
    g.send(tcp("10.10.0.1", 1024, SERVER, 80, ACK, 1001, 5001))
    assert events(g) == ["[UPDATE] tcp 6 432000 ESTABLISHED [ASSURED]"]


# --- fragments ------------------------------------------------------------------------------------


def pieces(packet, size):
    """The packet in fragments of so many octets."""
    payload = packet[20:]
    for at in range(0, len(payload), size):
        more = 0x2000 if at + size < len(payload) else 0
        head = packet[:2] + struct.pack(
            ">HHH", 20 + len(payload[at : at + size]), 77, more | at >> 3
        )
        head += packet[8:10] + b"\0\0" + packet[12:20]
        yield head[:10] + checksum(head) + head[12:] + payload[at : at + size]


@pytest.mark.parametrize("backwards", [False, True])
def test_what_came_in_fragments_goes_on_in_fragments(backwards):
    g = Gateway()
    g.gw.iptables("-t nat -A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.50")
    parts = list(pieces(udp(CLIENT, 500, SERVER, 53, bytes(range(100))), 48))
    for part in parts[::-1] if backwards else parts:
        g.a.send(part)
    g.net.run(for_="1ms")
    out = [packet for _, packet in g.b.received]
    assert [packet[20:] for packet in out] == [part[20:] for part in parts]
    assert {packet[12:16] for packet in out} == {bytes([10, 9, 2, 50])}
    assert [packet[4:8] for packet in out] == [part[4:8] for part in parts]
    assert g.count == 1


# --- the TCP tracker ------------------------------------------------------------------------------


def test_only_windows_make_a_fin_or_rst_suspicious():
    """An old RST is INVALID; with an INVALID FIN of the other side before, the flow keeps its five days."""
    g = Gateway()
    g.establish(1)
    who = "10.10.0.1"
    g.send(tcp(who, 1024, SERVER, 80, FIN | ACK, 1001, 5002))  # acknowledges what was not sent
    g.send(tcp(SERVER, 80, who, 1024, RST, 5000), back=True)  # before what is acknowledged
    assert g.counters == {"invalid": 2}
    assert " 431999 ESTABLISHED " in g.lines[0] or " 432000 ESTABLISHED " in g.lines[0]


@pytest.mark.parametrize("knob", ["tcp_timeout_fin_wait", "tcp_timeout_unacknowledged"])
def test_a_timeout_of_0_ends_a_flow_at_once(knob):
    g = Gateway(**{knob: 0})
    g.establish(1)
    assert len(g.lines) == 1
    g.send(tcp("10.10.0.1", 1024, SERVER, 80, FIN | ACK, 1001, 5001, b"data"))
    assert g.lines == []


def test_no_timeout_is_before_now():
    g = Gateway(udp_timeout=-5)
    g.send(udp(CLIENT, 1, SERVER, 2))
    assert g.lines == []


def test_a_flow_in_syn_sent2_gives_its_port_to_another():
    """The kernel compares numbers of states: SYN_SENT2 is above TIME_WAIT."""
    g = Gateway()
    g.gw.iptables("-t nat -A POSTROUTING -o eth1 -p tcp -j SNAT --to-source 10.9.2.50:5000-5001")
    port = struct.unpack(">H", g.send(tcp(CLIENT, 1024, SERVER, 80, SYN))[20:22])[0]
    g.send(tcp(SERVER, 80, "10.9.2.50", port, SYN, 5000), back=True)
    assert g.states == {"tcp SYN_SENT2": 1}
    assert g.syn(1)
    for _ in range(8):  # the first try may find the other one free
        if "tcp SYN_SENT2" not in g.states:
            break
        g.send(tcp("10.10.0.2", 1024, SERVER, 80, SYN, 9000))
    assert g.states == {"tcp SYN_SENT U": 2}


def test_a_flow_by_hand_is_as_it_was_asked_for():
    g = Gateway(acct=1, timestamp=1)
    words = "-I -s 1.1.1.1 -d 2.2.2.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 5 -t 30 -u FIXED_TIMEOUT"
    assert conntrack_tool.run(g.gw.conntrack, words.split()).status == 0
    assert g.gw.conntrack("-L -j") == ""
    assert g.gw.conntrack("-L").startswith(
        "icmp     1 30 src=1.1.1.1 dst=2.2.2.2 type=8 code=0 id=5 packets=0 "
    )
    assert g.gw.sysctl[f"{NF}count"] == 1
