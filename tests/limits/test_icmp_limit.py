"""What Linux says by ICMP: so much to a host, so much in all; what a router tells of a better way.

The numbers of the first tests are those of a running 6.18 (net.ipv4.icmp_*, a veth pair, datagrams to a closed port).
"""

import socket as std
import struct

import pytest
from limits.machines import host

import pystack


def machine(**knobs: object) -> tuple[pystack.Host, object]:
    web = host("linux-6", **{f"net.ipv4.{name}": value for name, value in knobs.items()})
    sock = web.me.socket(std.SOCK_DGRAM)
    return web, sock


def burst(web: pystack.Host, sock: object, n: int, gap: str = "") -> tuple[int, int, int]:
    """`n` datagrams to a closed port: messages sent, and those held back for the host's and for all sake."""
    stat = web.core.ipstat
    before = stat.icmp_out[3], stat.icmp_limit_host, stat.icmp_limit_all
    for _ in range(n):
        sock.sendto(b"x", ("192.0.2.1", 9))
        if gap:
            web.net.run(for_=gap)
    web.net.run(for_="100ms")
    after = stat.icmp_out[3], stat.icmp_limit_host, stat.icmp_limit_all
    return tuple(b - a for a, b in zip(before, after, strict=True))


def test_a_host_is_told_six_times_and_then_once_a_second():
    web, sock = machine()
    assert burst(web, sock, 20) == (6, 14, 0)
    web.net.run(for_="2.1s")
    assert burst(web, sock, 10) == (2, 8, 0)
    web.net.run(for_="7s")
    assert burst(web, sock, 12, "250ms") == (8, 4, 0)


def test_each_host_has_its_own_allowance():
    web, sock = machine()
    other = web.net.host("other", "192.0.2.3/24", profile="linux-6")
    web.add_interface("198.51.100.1/24")
    there = web.net.host("there", "198.51.100.2/24", profile="linux-6")
    web.net.link(web, there)
    assert other.name == "other"
    assert burst(web, sock, 20)[0] == 6
    far = there.socket(std.SOCK_DGRAM)
    for _ in range(20):
        far.sendto(b"x", ("198.51.100.1", 9))
    web.net.run(for_="100ms")
    assert web.core.ipstat.icmp_out[3] == 12


def test_the_machine_has_an_allowance_in_all():
    """1000 a second, 50 at once; a message costs 0, 1 or 2 of it, so the number is one of chance."""
    web, sock = machine(icmp_ratelimit=0)
    sent, for_host, for_all = burst(web, sock, 200)
    assert for_host == 0
    assert 30 <= sent <= 90
    assert for_all == 200 - sent
    web.sysctl["net.ipv4.icmp_msgs_burst"] = 5
    web.net.run(for_="1s")
    assert 2 <= burst(web, sock, 200)[0] <= 20
    web.sysctl["net.ipv4.icmp_msgs_per_sec"] = 0
    burst(web, sock, 50)
    web.net.run(for_="2s")
    assert burst(web, sock, 50) == (0, 0, 50)


def test_the_mask_says_what_is_limited():
    web, sock = machine(icmp_ratemask=0)
    assert burst(web, sock, 60) == (60, 0, 0)
    web, sock = machine(icmp_ratemask=1)  # echo replies, and nothing else
    assert burst(web, sock, 20)[0] == 20
    assert sum(t is not None for t in web.me.ping("192.0.2.1", 10, "10ms", interval="1ms")) == 6


def test_older_kernels_limit_by_host_only():
    web = host("linux-2.6", **{"net.ipv4.icmp_ratelimit": 0})
    assert "net.ipv4.icmp_msgs_per_sec" not in web.sysctl
    sock = web.me.socket(std.SOCK_DGRAM)
    assert burst(web, sock, 500) == (500, 0, 0)


def datagram(source: bytes, target: bytes) -> bytes:
    """A datagram without data, from port 1000 to port 53."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0) + source + target
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return (
        head[:10]
        + struct.pack(">H", ~total & 0xFFFF)
        + head[12:]
        + struct.pack(">HHHH", 1000, 53, 8, 0)
    )


@pytest.mark.parametrize(
    ("knob", "source", "target", "told"),
    [
        (1, (192, 0, 2, 9), (198, 51, 100, 7), True),
        (0, (192, 0, 2, 9), (198, 51, 100, 7), False),
        (1, (10, 0, 0, 9), (10, 0, 0, 7), False),  # it leaves by another interface
        (1, (192, 0, 2, 9), (203, 0, 113, 7), False),  # by the default route
        (1, (172, 16, 0, 1), (198, 51, 100, 7), False),  # its sender is not on that network
    ],
)
def test_a_router_tells_of_the_shorter_way(knob, source, target, told):
    """net.inet.ip.redirect: the packet goes on, and its sender hears of the gateway (RFC 1812 section 5.2.7.2)."""
    net = pystack.Network(seed=1)
    gw = net.host("gw", ["192.0.2.254/24", "10.0.0.1/24"], profile="freebsd-10", forwarding=True)
    gw.sysctl["net.inet.ip.redirect"] = knob
    tap, other = net.tap("192.0.2.9/24"), net.tap("10.0.0.7/24")
    net.link(tap, gw)
    net.link(other, gw)
    gw.route("198.51.100.0/24", via="192.0.2.253")
    gw.route("0.0.0.0/0", via="192.0.2.252")
    tap.send(datagram(bytes(source), bytes(target)))
    net.run(for_="1s")
    forwarded = [p for _, p in (*tap.received, *other.received) if p[9] == 17]
    said = [p for _, p in tap.received if p[9] == 1]
    assert [p[8] for p in forwarded] == [63]
    assert gw.core.ipstat.redirectsent == len(said) == told
    if told:
        assert said[0][20:22] == b"\5\1"
        assert said[0][24:28] == bytes([192, 0, 2, 253])
        assert said[0][16:20] == bytes(source)
