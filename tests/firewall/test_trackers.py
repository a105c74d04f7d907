"""What each tracker makes of packets in time, as a 6.18 kernel did (linux-6.18-netfilter.jsonl: trackers)."""

import pytest
from gateway import ACK, CLIENT, NF, PSH, RECORDS, SERVER, SYN, Gateway, icmp, ip, tcp, udp


def seen(name):
    return RECORDS[name]["observations"]


def play(g, name, packets):
    """Send what `packets` says at each moment of a record (True: back; None: nothing), and compare what was seen."""
    for moment, (packet, back) in zip(seen(name), packets, strict=True):
        g.at(moment["t"])
        if packet is not None:
            assert (g.send(packet, back, wait=0) is not None) == moment["forwarded"]
        assert (moment["t"], g.count, g.lines) == (moment["t"], moment["count"], moment["lines"])


QUERY = udp(CLIENT, 5353, SERVER, 53), False
ANSWER = udp(SERVER, 53, CLIENT, 5353), True
LOOK = None, False


@pytest.mark.parametrize(
    ("name", "packets"),
    [
        ("udp_defaults", [QUERY, ANSWER, QUERY, ANSWER, QUERY, ANSWER, LOOK]),
        ("udp_one_way", [QUERY] * 4),
        ("udp_first_answer_after_3s", [QUERY, ANSWER, QUERY]),
    ],
)
def test_udp(name, packets):
    play(Gateway(), name, packets)


def test_udp_expires_unseen():
    g = Gateway(udp_timeout=2)
    g.send(QUERY[0])
    g.at(5)
    assert g.count == seen("udp_timeout_2s_lazy")[1]["count"] == 1
    assert g.lines == []
    assert g.count == 0


def test_an_answer_after_the_timeout_begins_a_flow():
    g = Gateway(udp_timeout=2)
    g.send(QUERY[0])
    g.at(2.5)
    assert g.send(*ANSWER, wait=0)
    assert g.lines == seen("udp_answer_after_timeout")["lines"]


def echo(number, back=False, kind=8):
    ends = (SERVER, CLIENT) if back else (CLIENT, SERVER)
    return icmp(*ends, 0 if back else kind, 0, 77 << 16 | number), back


def test_icmp_echo():
    play(Gateway(icmp_timeout=2), "icmp_echo", [echo(1), echo(1, True), echo(2), LOOK, LOOK])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("icmp_timestamp", 13),
        ("icmp_info", 15),
        ("icmp_mask", 17),
        ("icmp_echo_reply_alone", 0),
        ("icmp_router_solicit", 10),
        ("icmp_unreachable_alone", 3),
    ],
)
def test_one_icmp_packet(name, kind):
    g = Gateway(icmp_timeout=2)
    quoted = udp(CLIENT, 5353, "10.9.2.9", 53) if kind == 3 else bytes(12)
    rest = 0 if kind == 3 else 78 << 16
    assert g.send(icmp(CLIENT, SERVER, kind, 3 if kind == 3 else 0, rest, quoted), wait=0)
    assert g.lines == seen(name)["lines"]
    assert g.counters == seen(name)["counters"]


def test_an_error_about_a_flow_changes_nothing_of_it():
    g = Gateway(udp_timeout=3)
    g.send(QUERY[0], wait=0)
    g.at(0.5)
    assert g.send(icmp(SERVER, CLIENT, 3, 3, 0, QUERY[0][:28]), True, wait=0)
    assert g.lines == seen("icmp_port_unreachable_for_udp_flow")["lines"]
    assert g.counters == {}


def test_other_protocols():
    out, back = (ip(CLIENT, SERVER, 253, b"x"), False), (ip(SERVER, CLIENT, 253, b"x"), True)
    play(Gateway(generic_timeout=2), "generic_proto_253", [out, back, out, LOOK])
    g = Gateway()
    g.send(out[0], wait=0)
    assert g.lines == seen("generic_default_line")
    g = Gateway(generic_timeout=2)
    g.send(ip(CLIENT, SERVER, 50, bytes(16)), wait=0)
    assert g.lines == seen("esp")["lines"]


def test_gre():
    out, back = (ip(CLIENT, SERVER, 47, bytes(8)), False), (ip(SERVER, CLIENT, 47, bytes(8)), True)
    play(Gateway(), "gre", [out, back, out])


def test_tcp_timeouts_pass():
    """Flows are gone from the list when their time is over, from the count when somebody walks by."""
    g = Gateway(tcp_timeout_syn_sent=2, tcp_timeout_established=4, tcp_timeout_time_wait=3)
    for n in range(20):
        g.syn(n)
        g.establish(100 + n)
        g.establish(200 + n)
        g.finish(200 + n)
    begin = g.t
    assert g.states == seen("tcp_timeouts_list_read_often")[0]["states"]
    for moment in seen("tcp_timeouts_list_read_often")[1:]:
        g.at(begin + moment["t"])
        states = g.states
        if moment["count"] == sum(moment["states"].values()):  # what the reading before left behind
            assert states == moment["states"]
            assert g.count == moment["count"]


def test_the_worker_finds_them_in_the_end():
    g = Gateway(tcp_timeout_syn_sent=2, tcp_timeout_established=4, tcp_timeout_time_wait=3)
    for n in range(20):
        g.syn(n)
        g.establish(100 + n)
        g.establish(200 + n)
        g.finish(200 + n)
    g.at(61.5)
    assert g.count == seen("tcp_timeouts_only_count_read")[1]["count"] == 0


def test_data_for_an_expired_flow_is_picked_up():
    g = Gateway(tcp_timeout_established=4)
    handshake(g, 6500)
    g.at(g.t + 4.5)
    assert g.send(tcp(SERVER, 80, CLIENT, 6500, PSH | ACK, 5001, 1001, b"data"), True, wait=0)
    assert g.lines == seen("tcp_expired_entry_hit_by_packet")["lines"]
    assert g.counters == {}


def handshake(g, sport):
    g.send(tcp(CLIENT, sport, SERVER, 80, SYN), wait=0)
    g.send(tcp(SERVER, 80, CLIENT, sport, SYN | ACK, 5000, 1001), True, wait=0)
    g.send(tcp(CLIENT, sport, SERVER, 80, ACK, 1001, 5001), wait=0)


def test_a_new_timeout_is_for_the_next_packet():
    g = Gateway(tcp_timeout_established=4)
    handshake(g, 6501)
    first, second, third = seen("timeout_change_applies_at_next_packet")
    assert g.lines == first
    g.at(g.t + 0.1)
    g.gw.sysctl[NF + "tcp_timeout_established"] = 1000
    assert g.lines == second
    g.send(tcp(CLIENT, 6501, SERVER, 80, ACK, 1001, 5001), wait=0)
    assert g.lines == third


def test_a_repeated_syn_does_not_renew():
    g = Gateway(tcp_timeout_syn_sent=4)
    for moment in seen("syn_retransmission_and_syn_sent_timer"):
        g.at(moment["t"])
        g.send(tcp(CLIENT, 6600, SERVER, 80, SYN), wait=0)
        assert g.lines == moment["lines"], moment["t"]


def test_counters_and_times_of_flows():
    g = Gateway(acct=1, timestamp=1)
    g.send(QUERY[0], wait=0)
    g.send(*ANSWER, wait=0)
    g.at(3)
    assert g.lines == [
        "ipv4 2 udp 17 27 src=10.9.1.2 dst=10.9.2.2 sport=5353 dport=53 packets=1 bytes=29 "
        "src=10.9.2.2 dst=10.9.1.2 sport=53 dport=5353 packets=1 bytes=29 mark=0 zone=0 delta-time=3 use=2"
    ]
    g.gw.sysctl[NF + "acct"] = 0
    g.send(udp(CLIENT, 5354, SERVER, 53), wait=0)
    assert sum("packets=" in line for line in g.lines) == 1


def test_a_flow_begun_before_has_neither_counters_nor_a_time():
    """As 6.18 has it: a flow gets its extensions when it begins."""
    g = Gateway()
    g.send(QUERY[0], wait=0)
    g.gw.sysctl[NF + "acct"] = 1
    g.gw.sysctl[NF + "timestamp"] = 1
    g.send(*ANSWER, wait=0)
    g.send(udp(CLIENT, 5354, SERVER, 53), wait=0)
    with_both = ["packets=" in line and "delta-time=" in line for line in g.lines]
    assert sorted(with_both) == [False, True]
    assert sum("packets=" in line or "delta-time=" in line for line in g.lines) == 1


@pytest.mark.parametrize("flags", range(64))
def test_flags_that_no_segment_has_are_invalid(flags):
    """Facts: conntrack 3.1."""
    valid = {0x02, 0x22, 0x12, 0x04, 0x14, 0x11, 0x31, 0x10, 0x30}
    g = Gateway()
    handshake(g, 7000)
    assert g.send(tcp(CLIENT, 7000, SERVER, 80, flags, 1001, 5001))
    ignored = flags & 0x37 in (0x12,)  # a SYN-ACK of the client's: INVALID by its state
    assert g.counters == ({} if flags & 0x37 in valid and not ignored else {"invalid": 1})
