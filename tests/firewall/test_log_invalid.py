"""nf_conntrack_log_invalid: a line for each packet of the protocol that it names, in the words of the era."""

import pytest
from gateway import ACK, CLIENT, FIN, NF, RST, SERVER, SYN, Gateway, icmp, tcp, udp

LINE = "IN= OUT= SRC={} DST={} LEN={} TOS=0x00 PREC=0x00 TTL=64 ID=0 DF PROTO=TCP SPT={} DPT={} SEQ={} ACK={} "


def said(g):
    return [line.partition("] ")[2] for line in g.gw.dmesg()]


def opened(profile="linux-6", policy=None, which=255):
    g = Gateway(profile, policy, log_invalid=which)
    g.send(tcp(CLIENT, 5000, SERVER, 80, SYN))
    g.send(tcp(SERVER, 80, CLIENT, 5000, SYN | ACK, 5000, 1001), back=True)
    g.send(tcp(CLIENT, 5000, SERVER, 80, ACK, 1001, 5001))
    assert said(g) == []
    return g


def from_client(g, flags, seq, ack=0):
    g.send(tcp(CLIENT, 5000, SERVER, 80, flags, seq, ack))
    return said(g)[-1]


@pytest.mark.parametrize(
    ("flags", "seq", "ack", "words"),
    [
        (SYN, 1000, 0, "packet (index 0) in dir 0 ignored, state ESTABLISHED"),
        (SYN | ACK, 1001, 5001, "packet (index 1) in dir 0 invalid, state ESTABLISHED"),
        (ACK, 900_000, 5001, "SEQ is over upper bound 9194 (over the window of the receiver)"),
        (ACK, 1001, 6000, "ACK is over upper bound 5002 (ACKed data not seen yet)"),
        (SYN | FIN, 1001, 0, "invalid tcp flag combination"),
        (FIN, 1001, 0, "invalid tcp flag combination"),
        (RST, 900, 0, "invalid rst"),
    ],
)
def test_words_of_today(flags, seq, ack, words):
    g = opened()
    line = from_client(g, flags, seq, ack)
    start = LINE.format(CLIENT, SERVER, 40, 5000, 80, seq, ack)
    assert line.startswith(f"nf_ct_proto_6: {words} {start}WINDOW=8192 RES=0x00 ")


@pytest.mark.parametrize(
    ("profile", "policy", "words"),
    [
        (
            "linux-6",
            {"ct_log": "state"},
            "nf_ct_proto_6: invalid packet ignored in state ESTABLISHED  ",
        ),
        ("linux-4", None, "nf_ct_tcp: invalid packet ignored in state ESTABLISHED "),
        ("linux-2.6", None, "ip_ct_tcp: invalid packet ignored "),
    ],
)
def test_words_of_older_kernels(profile, policy, words):
    g = opened(profile, policy)
    assert from_client(g, SYN, 1000).startswith(f"{words}IN= OUT= SRC={CLIENT} ")


def test_the_windows_of_4_x_have_no_numbers():
    g = opened("linux-4")
    assert g.send(tcp(CLIENT, 5000, SERVER, 80, ACK, 900_000, 5001))  # without data: any number
    assert said(g) == []
    g.send(tcp(CLIENT, 5000, SERVER, 80, ACK, 900_000, 5001, b"x"))
    assert said(g)[-1].startswith(
        "nf_ct_tcp: SEQ is over the upper bound (over the window of the receiver) "
    )


def test_data_that_was_acknowledged_long_ago():
    """Below the window: ignored, and said."""
    g = opened()
    for n in range(20):
        g.send(tcp(CLIENT, 5000, SERVER, 80, ACK, 1001 + 8000 * n, 5001, b"x" * 8000))
        g.send(tcp(SERVER, 80, CLIENT, 5000, ACK, 5001, 1001 + 8000 * (n + 1)), back=True)
    assert said(g) == []
    bound = 1001 + 160_000 - 8192 - 1
    g.send(tcp(CLIENT, 5000, SERVER, 80, ACK, 1001, 5001, b"x"))
    assert said(g)[-1].startswith(
        f"nf_ct_proto_6: SEQ is under lower bound {bound} (already ACKed data retransmitted) IN="
    )


@pytest.mark.parametrize(("which", "lines"), [(0, 0), (6, 1), (1, 1), (17, 0), (255, 2)])
def test_which_protocol(which, lines):
    """Of the TCP segment and the ICMP message of no known type, those are told that were asked for."""
    g = opened(which=which)
    g.send(tcp(CLIENT, 5000, SERVER, 80, SYN | FIN, 1001))
    g.send(icmp(CLIENT, SERVER, 40))
    g.send(udp(CLIENT, 1, SERVER, 2))
    assert len(said(g)) == lines
    if which == 1:
        assert said(g)[0].startswith("nf_ct_proto_1: invalid icmp type IN= OUT= SRC=10.9.1.2 ")


def test_it_is_live():
    g = opened(which=0)
    g.send(tcp(CLIENT, 5000, SERVER, 80, SYN, 1000))
    assert said(g) == []
    g.gw.sysctl[NF + "log_invalid"] = 6
    g.send(tcp(CLIENT, 5000, SERVER, 80, SYN, 1000))
    assert len(said(g)) == 1


def test_who_is_liberal_says_nothing():
    g = opened()
    g.gw.sysctl[NF + "tcp_be_liberal"] = 1
    g.send(tcp(CLIENT, 5000, SERVER, 80, ACK, 900_000, 5001))
    assert said(g) == []
