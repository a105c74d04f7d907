"""IP source routes (RFC 9293 section 3.9.2.1, RFC 791 section 3.1). What linux-6 does here, Linux 6.18 did."""

import errno
import socket as std
import struct
from dataclasses import dataclass

import pytest
from fuzz import octets

import pystack
from pystack import ip_options
from pystack._fast.consts import Drop

ME, OTHER_ME, PEER, ROUTER, OTHER_ROUTER = (
    "192.0.2.1",
    "198.51.100.1",
    "192.0.2.9",
    "192.0.2.7",
    "192.0.2.6",
)
ELSEWHERE = "198.51.100.7"
ACCEPT = {
    "linux-6": "net.ipv4.conf.all.accept_source_route",
    "freebsd-14": "net.inet.ip.accept_sourceroute",
}
PROFILES = list(ACCEPT)
LOOSE, STRICT = 131, 137
SYN, SYN_ACK, ACK = 2, 18, 16


def number(address: str) -> int:
    return int.from_bytes(std.inet_aton(address), "big")


def route(kind: int, *stops: str, pointer: int = 4) -> bytes:
    """The option alone."""
    return bytes([kind, 3 + 4 * len(stops), pointer]) + b"".join(map(std.inet_aton, stops))


def padded(option: bytes) -> bytes:
    return option + bytes(-len(option) % 4)


@dataclass
class Seen:
    """A packet that the machine sent."""

    raw: bytes

    @property
    def head(self) -> int:
        return (self.raw[0] & 15) * 4

    @property
    def dst(self) -> str:
        return std.inet_ntoa(self.raw[16:20])

    @property
    def src(self) -> str:
        return std.inet_ntoa(self.raw[12:16])

    @property
    def options(self) -> bytes:
        return self.raw[20 : self.head]

    @property
    def icmp(self) -> tuple[int, int] | None:
        return (self.raw[self.head], self.raw[self.head + 1]) if self.raw[9] == 1 else None

    @property
    def ports(self) -> tuple[int, int]:
        return struct.unpack_from(">HH", self.raw, self.head)

    @property
    def seq(self) -> int:
        return struct.unpack_from(">I", self.raw, self.head + 4)[0]

    @property
    def flags(self) -> int:
        return self.raw[self.head + 13]

    @property
    def payload(self) -> int:
        return len(self.raw) - self.head - (self.raw[self.head + 12] >> 4) * 4

    def good_for(self, dst: str) -> bool:
        """Are both checksums right, that of TCP for a segment whose last stop is `dst`?"""
        segment = self.raw[self.head :]
        pseudo = self.raw[12:16] + std.inet_aton(dst) + struct.pack(">BBH", 0, 6, len(segment))
        return octets.checksum(self.raw[: self.head]) == 0 == octets.checksum(pseudo + segment)


class Place:
    """A machine with two interfaces and a bare end at each."""

    def __init__(self, profile: str, *, forwarding: bool = False):
        self.net = pystack.Network(seed=1)
        self.host = self.net.host(
            "h", [f"{ME}/24", f"{OTHER_ME}/24"], profile=profile, forwarding=forwarding
        )
        self.taps = [self.net.tap("192.0.2.254/24"), self.net.tap("198.51.100.254/24")]
        for tap in self.taps:
            self.net.link(self.host, tap)
        self.profile = profile

    def accepts(self) -> "Place":
        self.host.sysctl[ACCEPT[self.profile]] = 1
        return self

    def listen(self):
        sock = self.host.socket()
        sock.bind(("", 80))
        sock.listen(5)
        return sock

    def ask(self, option: bytes = b"", *, dst=ME, final=None, src=PEER, **tcp) -> list[Seen]:
        """What comes of a segment from PEER, by default a SYN."""
        tcp = {"sport": 5000, "dport": 80, "seq": 100, "flags": SYN, **tcp}
        segment = octets.tcp(src=number(src), dst=number(final or dst), **tcp)
        raw = octets.ip(segment, 6, src=number(src), dst=number(dst), options=padded(option))
        return self.see(lambda: self.taps[0].send(raw))

    def see(self, call, span: str = "3ms") -> list[Seen]:
        for tap in self.taps:
            tap.received.clear()
        call()
        self.net.run(for_=span)
        return [Seen(raw) for tap in self.taps for _, raw in tap.received]

    def dropped(self) -> int:
        return self.host.core.drops[Drop.IP_SOURCE_ROUTE]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_source_route_is_refused_unless_the_knob_allows_it(profile):
    """Both systems do by default; FreeBSD says so."""
    place = Place(profile)
    place.listen()
    answers = place.ask(route(LOOSE, ROUTER, pointer=8))
    assert [a.icmp for a in answers] == ([] if profile == "linux-6" else [(3, 5)])
    assert place.dropped() == 1
    assert [a.flags for a in place.ask()] == [SYN_ACK], "one without is answered"
    assert place.ask()[0].options == b""


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", [LOOSE, STRICT])
def test_the_way_that_a_connection_came_is_its_way_back(profile, kind):
    """MUST-53: every segment goes to the last router first, and the routers stand in reverse; segments are smaller."""
    place = Place(profile).accepts()
    listener = place.listen()
    (answer,) = place.ask(route(kind, ROUTER, OTHER_ROUTER, pointer=12))
    back = route(kind, ROUTER, PEER)
    back = back + b"\0" if profile == "linux-6" else b"\1" + back
    assert (answer.dst, answer.options, answer.flags) == (OTHER_ROUTER, back, SYN_ACK)
    assert answer.good_for(PEER)
    (again,) = place.see(lambda: None, "1200ms")
    assert (again.dst, again.options, again.flags) == (OTHER_ROUTER, back, SYN_ACK)
    place.ask(flags=ACK, seq=101, ack=answer.seq + 1)
    conn, _ = listener.accept()
    shown = conn.getsockopt(std.IPPROTO_IP, std.IP_OPTIONS, 64)
    if profile == "linux-6":
        assert shown == padded(route(kind, OTHER_ROUTER, ROUTER))
    else:
        assert shown == std.inet_aton(OTHER_ROUTER) + back
    data = place.see(lambda: conn.send(bytes(3000)))
    assert {(d.dst, d.options) for d in data} == {(OTHER_ROUTER, back)}
    assert data[0].payload == 536 - 12
    assert all(d.good_for(PEER) for d in data)
    conn.close()
    listener.close()
    place.net.run(for_="1000s")
    assert place.host.core.ways == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_later_route_of_the_handshake_replaces_the_first(profile):
    """SHLD-24. On Linux it does not: that of the SYN stays."""
    place = Place(profile).accepts()
    listener = place.listen()
    (answer,) = place.ask(route(LOOSE, ROUTER, pointer=8))
    place.ask(route(LOOSE, OTHER_ROUTER, pointer=8), flags=ACK, seq=101, ack=answer.seq + 1)
    conn, _ = listener.accept()
    (data,) = place.see(lambda: conn.send(b"x"))
    assert data.dst == (ROUTER if profile == "linux-6" else OTHER_ROUTER)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_the_application_gives_beats_what_came(profile):
    """MUST-51, MUST-52; nothing given ends it."""
    place = Place(profile).accepts()
    listener = place.listen()
    (answer,) = place.ask(route(LOOSE, ROUTER, pointer=8))
    place.ask(flags=ACK, seq=101, ack=answer.seq + 1)
    conn, _ = listener.accept()
    conn.setsockopt(std.IPPROTO_TCP, std.TCP_NODELAY, 1)
    mine = [OTHER_ROUTER] if profile == "linux-6" else [OTHER_ROUTER, PEER]
    conn.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, padded(route(LOOSE, *mine)))
    (data,) = place.see(lambda: conn.send(b"x"))
    assert (data.dst, data.options) == (OTHER_ROUTER, padded(route(LOOSE, PEER)))
    assert data.good_for(PEER)
    conn.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, b"")
    (data,) = place.see(lambda: conn.send(b"x"))
    assert (data.dst, data.options) == (PEER, b"")
    assert conn.getsockopt(std.IPPROTO_IP, std.IP_OPTIONS, 64) == b""


@pytest.mark.parametrize("profile", PROFILES)
def test_a_client_gives_the_route_of_its_connection(profile):
    """MUST-51: from the SYN on, and the source address is that of the way (Linux)."""
    place = Place(profile)
    sock = place.host.socket()
    sock.setblocking(False)
    given = route(STRICT, ROUTER) if profile == "linux-6" else route(STRICT, ROUTER, ELSEWHERE)
    sock.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, padded(given))
    (syn,) = place.see(lambda: sock.connect_ex((ELSEWHERE, 80)))
    assert (syn.dst, syn.options, syn.flags) == (ROUTER, padded(route(STRICT, ELSEWHERE)), SYN)
    assert syn.src == (ME if profile == "linux-6" else OTHER_ME)
    assert syn.good_for(ELSEWHERE)
    place.ask(
        src=ELSEWHERE, dst=syn.src, sport=80, dport=syn.ports[0], seq=500, ack=syn.seq + 1,
        flags=SYN_ACK, options=bytes([2, 4, 5, 180]),
    )  # fmt: skip
    data = place.see(lambda: sock.send(bytes(4000)))
    assert data[0].payload == 1460 - 8
    assert all(d.dst == ROUTER and d.good_for(ELSEWHERE) for d in data)
    again = place.see(lambda: None, "3s")[0]
    assert (again.dst, again.options, again.payload) == (ROUTER, data[0].options, 1460 - 8)


def test_the_options_of_a_listener_are_not_those_of_its_connections():
    place = Place("linux-6")
    listener = place.listen()
    listener.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, b"\1\1\1\1")
    (answer,) = place.ask()
    assert answer.options == b""
    place.ask(flags=ACK, seq=101, ack=answer.seq + 1)
    conn, _ = listener.accept()
    assert conn.getsockopt(std.IPPROTO_IP, std.IP_OPTIONS, 64) == b""
    assert listener.getsockopt(std.IPPROTO_IP, std.IP_OPTIONS, 64) == b"\1\1\1\1"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_reset_goes_back_by_the_way_of_what_it_answers_on_linux(profile):
    place = Place(profile).accepts()
    (answer,) = place.ask(route(LOOSE, ROUTER, pointer=8), dport=81)
    assert answer.flags == 20
    assert answer.dst == (ROUTER if profile == "linux-6" else PEER)
    assert place.host.core.ways == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_stop_of_a_route_hands_it_on(profile):
    """RFC 791: the next address becomes the destination, the address that it left from stands in its place."""
    knob = {"net.inet.ip.sourceroute": 1} if profile == "freebsd-14" else {}
    place = Place(profile, forwarding=profile == "linux-6").accepts()
    for name, value in knob.items():
        place.host.sysctl[name] = value
    for kind in (LOOSE, STRICT):
        (onward,) = place.ask(route(kind, ELSEWHERE), final=ELSEWHERE)
        assert (onward.src, onward.dst) == (PEER, ELSEWHERE)
        assert onward.options == padded(route(kind, OTHER_ME, pointer=8))
        assert onward.good_for(ELSEWHERE)
    (error,) = place.ask(route(STRICT, "203.0.113.1"), dst="198.51.100.9", final="203.0.113.1")
    assert error.icmp == ((12, 0) if profile == "linux-6" else (3, 5))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_host_hands_nothing_on(profile):
    place = Place(profile).accepts()
    assert place.ask(route(LOOSE, ELSEWHERE), final=ELSEWHERE) == []
    assert place.dropped() == 1


def test_linux_takes_stops_of_its_own_at_once():
    place = Place("linux-6").accepts()
    place.listen()
    (answer,) = place.ask(route(LOOSE, OTHER_ME), final=OTHER_ME)
    assert (answer.src, answer.flags, answer.options) == (OTHER_ME, SYN_ACK, b"")


ONE = std.inet_aton(PEER)
LINUX = {
    b"": b"",
    b"\1": b"\1\0\0\0",
    padded(route(LOOSE, PEER, ROUTER)): padded(route(LOOSE, PEER, ROUTER)),
    b"\1" + route(STRICT, PEER, ELSEWHERE): b"\1" + route(STRICT, PEER, ELSEWHERE),
    b"\x94\4\0\0": b"\x94\4\0\0",
    b"\0" + route(LOOSE, PEER): bytes(8),
    b"\1" * 40: b"\1" * 40,
    padded(route(LOOSE, *[PEER] * 9)): padded(route(LOOSE, *[PEER] * 9)),
    b"\1" * 41: errno.EINVAL,
    route(LOOSE, PEER) + route(LOOSE, PEER): errno.EINVAL,
    route(LOOSE): errno.EINVAL,
    route(LOOSE, PEER, pointer=5): errno.EINVAL,
    route(LOOSE, PEER, pointer=8): errno.EINVAL,
    b"\x83\6\4abc": errno.EINVAL,
    b"\x83\0\4\0": errno.EINVAL,
    b"\x83\x28\4": errno.EINVAL,
    b"\1\x83": errno.EINVAL,
    b"\x83\7": errno.EINVAL,
}
"""setsockopt's octets, and getsockopt's or the error: asked of a kernel."""


@pytest.mark.parametrize("octets_", LINUX, ids=lambda o: o.hex() or "none")
def test_what_linux_takes(octets_):
    sock = Place("linux-6").host.socket()
    want = LINUX[octets_]
    if isinstance(want, int):
        with pytest.raises(OSError) as caught:
            sock.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, octets_)
        assert caught.value.errno == want
        assert sock.getsockopt(std.IPPROTO_IP, std.IP_OPTIONS, 64) == b""
    else:
        sock.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, octets_)
        assert sock.getsockopt(std.IPPROTO_IP, std.IP_OPTIONS, 64) == want


def test_linux_lets_only_root_give_a_route():
    with pytest.raises(PermissionError):
        ip_options.given(padded(route(LOOSE, PEER)), linux=True, root=False)
    assert ip_options.given(b"\1\1\1\1", linux=True, root=False) == (0, b"\1\1\1\1", 0)
    assert ip_options.given(padded(route(LOOSE, PEER)), linux=False, root=False)[0] == number(PEER)


def test_freebsd_wants_whole_words():
    sock = Place("freebsd-14").host.socket()
    with pytest.raises(OSError) as caught:
        sock.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, b"\1")
    assert caught.value.errno == errno.EINVAL
    sock.setsockopt(std.IPPROTO_IP, std.IP_OPTIONS, b"\1" + route(LOOSE, PEER, ELSEWHERE))
    shown = sock.getsockopt(std.IPPROTO_IP, std.IP_OPTIONS, 64)
    assert shown == ONE + b"\1" + route(LOOSE, ELSEWHERE)
