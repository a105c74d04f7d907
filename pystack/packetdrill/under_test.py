"""The socket under test: which one it is, its addresses, its numbers, and packets to and from it.

There is always at most one. `socket()` makes it; a packet that arrives while it listens makes a child of it, and
from then on every line is about the child, until the next `socket()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pystack.addresses import dotted, parse_host
from pystack.packetdrill import icmp, match
from pystack.packetdrill.files import SocketFile
from pystack.packetdrill.numbers import Space
from pystack.packetdrill.script import ACK, FIN, RST, SYN, IcmpPacket, IpInfo, TcpPacket, UdpPacket
from pystack.packetdrill.segments import (
    AE,
    M32,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
    TTL,
    Segment,
    encode,
    ip_packet,
    tcp_segment,
    udp_datagram,
    zeros,
)
from pystack.packetdrill.settings import Settings
from pystack.packetdrill.verdict import Failure, Skip

FIRST_PORT = 40_000
"""Of the remote end of children; each gets the next one."""
_ECN = {"noecn": 0, "ect0": 2, "ect1": 1, "ce": 3}


class State(Enum):
    """How far a connection of the script has come, as far as the script's lines tell."""

    NEW = "new"
    LISTENING = "listening"
    CONNECTING = "connecting"
    SYN_SENT = "SYN sent"
    SYN_ACKED = "SYN acknowledged"
    PACKET_RECEIVED = "packet received"
    SYNACK_SENT = "SYN-ACK sent"
    SYNACK_ACKED = "SYN-ACK acknowledged"


@dataclass(slots=True, eq=False)
class Sut:
    """A socket or connection of the script. Addresses are (number, port); port 0 is not known yet."""

    local: tuple[int, int]
    remote: tuple[int, int]
    state: State = State.NEW
    udp: bool = False
    bound: bool = False
    file: SocketFile | None = None
    space: Space = field(default_factory=Space)
    last: tuple[int, int, int] | None = None
    """Live sequence number behind what was injected last, its acknowledgment number and window."""


class UnderTest:
    """The sockets of a script, and which of them is under test. It observes the calls."""

    def __init__(self, settings: Settings, system: str) -> None:
        self.settings = settings
        self.google = system == "linux"
        self.local = (dotted(settings.local_ip), settings.bind_port)
        self.remote = (dotted(settings.remote_ip), settings.connect_port)
        self.sut: Sut | None = None
        self.all: list[Sut] = []
        self._next_port = FIRST_PORT

    def space(self, p: object = None) -> Space:
        """The numbers of the socket that a line is about."""
        sut = self._by_ports(p) or self.sut
        return sut.space if sut is not None else Space()

    def _by_ports(self, p: object) -> Sut | None:
        """The connection whose ports a line names, if it is one that is known."""
        ports = getattr(p, "ports", None)
        if not isinstance(p, TcpPacket) or ports is None or not ports[0] or not ports[1]:
            return None
        ours, theirs = (ports[1], ports[0]) if p.inbound else ports
        for known in self.all:
            if (known.local[1], known.remote[1]) == (ours, theirs) and not known.udp:
                return known
        return None

    def _new(self, **fields: Any) -> Sut:
        made = Sut(
            (self.settings.local_ip, 0),
            (self.settings.remote_ip, 0),
            space=Space(scaled=self.settings.ts_ecr_scaled),
        )
        for name, value in fields.items():
            setattr(made, name, value)
        self.all.append(made)
        self.sut = made
        return made

    def _of(self, file: SocketFile) -> Sut:
        for known in self.all:
            if known.file is file:
                return known
        raise AssertionError("a socket that nobody made")

    # --- calls -------------------------------------------------------------------------------------

    def made(self, file: SocketFile) -> None:
        """socket(): it is the one under test from now on."""
        self._new(file=file, udp=not file.stream)

    def bound(self, file: SocketFile, address: tuple[str, int]) -> None:
        """bind(): its port is known."""
        known = self._of(file)
        number = parse_host(address[0]) if address[0] else 0
        known.local = (number or self.settings.local_ip, int(file.sock.getsockname()[1]))
        known.bound = True

    def listening(self, file: SocketFile) -> None:
        """listen(): the next packet makes a child."""
        known = self._of(file)
        if known.state is State.NEW:
            known.state = State.LISTENING
            if not known.local[1]:
                known.local = (known.local[0], int(file.sock.getsockname()[1]))

    def connecting(self, file: SocketFile, address: tuple[str, int]) -> None:
        """connect() is about to be called: the next SYN to this address is its own."""
        known = self._of(file)
        if address == ("", 0):
            known.state = State.NEW  # and its numbers count until it is connected anew
        elif known.state is State.NEW:
            known.state = State.CONNECTING
            known.space = Space(scaled=self.settings.ts_ecr_scaled)
            if not known.bound:
                known.local = (known.local[0], 0)
            number = parse_host(address[0])
            known.remote = (number or known.local[0], address[1])

    def accepted(self, file: SocketFile) -> None:
        """accept(): this is the descriptor of a child."""
        t = file.sock.row
        local, remote = (int(t.laddr), int(t.lport)), (int(t.faddr), int(t.fport))
        for known in self.all:
            if known.file is None and known.local == local and known.remote == remote:
                known.file = file
                return
        under = self.sut
        self._new(file=file, local=local, remote=remote, state=State.SYNACK_ACKED)
        self.sut = under

    # --- packets to the machine --------------------------------------------------------------------

    def inject(self, p: TcpPacket | UdpPacket | IcmpPacket) -> tuple[bytes, str]:
        """The octets of an inbound line, and how the trace shows it."""
        if p.encap:
            raise Skip(f"{p.encap[0]} around packets")
        tos, ttl = _ip_fields(p.ip)
        if isinstance(p, IcmpPacket):
            sut = self._receiver(p)
            local, remote = self._addresses(sut)
            data = icmp.inbound(p, local, remote, sut.space.live_isn, sut.udp, tos, ttl)
            return data, match.show_packet(p)
        sut = self._receiver(p)
        local, remote = self._addresses(sut)
        if p.ports is not None:
            remote = (remote[0], p.ports[0] or remote[1])
            local = (local[0], p.ports[1] or local[1])
        ports = (remote[1], local[1])
        if isinstance(p, UdpPacket):
            body = udp_datagram(remote[0], local[0], ports, zeros(p.length))
            return ip_packet(
                body, PROTO_UDP, remote[0], local[0], tos=tos, ttl=ttl
            ), match.show_packet(p)
        if p.udp_encap is not None:
            raise Skip("TCP over UDP")
        if p.rst_code is not None or p.rst_pen is not None:
            raise Skip("diagnostic payload of RST segments")
        if p.options is None:
            raise Failure("semantic error: <...> is for outbound packets")
        if p.win is None:
            raise Failure("semantic error: inbound packets need a window")
        if p.flags & SYN and p.flags & ACK and sut.state in (State.SYN_SENT, State.CONNECTING):
            sut.state = State.SYN_ACKED
            sut.space.remote_isn = p.seq
        elif p.flags & SYN and sut.state is State.PACKET_RECEIVED:
            sut.space.remote_isn = p.seq
        elif p.flags & ACK and sut.state is State.SYNACK_SENT:
            sut.state = State.SYNACK_ACKED
        space = sut.space
        seq, ack = space.inbound_seq(p), space.inbound_ack(p)
        sut.last = ((seq + p.length + bool(p.flags & SYN) + bool(p.flags & FIN)) & M32, ack, p.win)
        options = b"".join(encode(space.inbound_option(p, o)) for o in p.options)
        body = tcp_segment(
            remote[0],
            local[0],
            ports,
            seq,
            ack,
            p.flags | (AE if p.ae else 0),
            p.win,
            p.urg or 0,
            options,
            zeros(p.length),
            p.reserved,
        )
        return ip_packet(body, PROTO_TCP, remote[0], local[0], tos=tos, ttl=ttl), match.show_packet(
            p
        )

    def _receiver(self, p: TcpPacket | UdpPacket | IcmpPacket) -> Sut:
        """Who gets an inbound packet; a listener gets a child for it."""
        sut = self.sut
        if sut is None:
            if not self.google:
                raise Failure("semantic error: an inbound packet without any socket")
            sut = self._new(udp=isinstance(p, UdpPacket))
            sut.local = (sut.local[0], self.settings.bind_port)
        if isinstance(p, TcpPacket) and (named := self._by_ports(p)) is not None:
            return named
        if isinstance(p, TcpPacket) and p.flags & (SYN | ACK) == SYN and p.ports and all(p.ports):
            # a connection besides the one under test, if somebody listens at that port
            theirs, ours = p.ports
            if sut.state is not State.LISTENING and self._listens(ours):
                made = self._new(
                    local=(sut.local[0], ours),
                    remote=(self.settings.remote_ip, theirs),
                    state=State.PACKET_RECEIVED,
                )
                self.sut = sut
                return made
        if isinstance(p, TcpPacket) and sut.state is State.LISTENING:
            port = (p.ports[0] if p.ports else 0) or self._fresh_port()
            sut = self._new(
                local=sut.local,
                remote=(self.settings.remote_ip, port),
                state=State.PACKET_RECEIVED,
            )
        return sut

    def _listens(self, port: int) -> bool:
        return any(s.state is State.LISTENING and s.local[1] == port for s in self.all)

    def _fresh_port(self) -> int:
        self._next_port += 1
        return self._next_port - 1

    def _addresses(self, sut: Sut) -> tuple[tuple[int, int], tuple[int, int]]:
        """Both ends, as far as they are known; what is missing is chosen."""
        if sut.file is not None and not sut.file.sock.closed and not sut.local[1]:
            sut.local = (sut.local[0], int(sut.file.sock.row.lport))
        if not sut.remote[1]:
            port = self.settings.connect_port if sut.udp else self._fresh_port()
            sut.remote = (sut.remote[0], port)
        local = sut.local if sut.local[1] else (sut.local[0], self.settings.bind_port)
        return local, sut.remote

    # --- packets from the machine ------------------------------------------------------------------

    def resets(self) -> Iterator[bytes]:
        """A RST for every connection of the script that may be left, as the tool sends them when it ends."""
        for sut in self.all:
            if sut.udp or not sut.local[1] or not sut.remote[1] or sut.last is None:
                continue
            (local, lport), (remote, rport) = sut.local, sut.remote
            seq, ack, win = sut.last
            body = tcp_segment(
                remote, local, (rport, lport), seq, ack, RST | ACK, win, 0, b"", b""
            )  # fmt: skip
            yield ip_packet(body, PROTO_TCP, remote, local)

    def owns(self, p: TcpPacket | UdpPacket | IcmpPacket | None, live: Segment) -> bool:
        """Is this packet of the socket under test? `p` is the line that waits for one."""
        sut = self.sut
        if sut is None or len(live.data) < 20:
            return False
        local, remote = self._addresses(sut)
        if (live.src, live.dst) != (local[0], remote[0]):
            return False
        if live.proto == PROTO_ICMP:
            return isinstance(p, IcmpPacket)
        if live.proto != (PROTO_UDP if sut.udp else PROTO_TCP):
            return False
        asked = getattr(p, "ports", None)
        if sut.state is State.CONNECTING and not sut.udp and asked is None:
            return bool(live.flags & SYN) and live.dport == remote[1]
        ports = (local[1], remote[1])
        if asked is not None:
            ports = (asked[0] or ports[0], asked[1] or ports[1])
        return (live.sport, live.dport) == ports

    def expect(
        self,
        p: TcpPacket | UdpPacket | IcmpPacket,
        live: Segment,
        settings: Settings,
        tolerance: int,
    ) -> None:
        """Compare a packet of the machine with its line. `tolerance`: ns, for timestamps. Raises Failure, Skip."""
        if p.encap:
            raise Skip(f"{p.encap[0]} around packets")
        if isinstance(p, UdpPacket):
            match.check_udp(p, live)
            return
        if isinstance(p, IcmpPacket):
            match.check_icmp(p, *icmp.numbers(p), live)
            return
        if p.udp_encap is not None:
            raise Skip("TCP over UDP")
        sut = self._by_ports(p) or self.sut
        assert sut is not None
        self._learn(sut, p, live)
        match.check_tcp(p, live, sut.space, settings.strict)
        self._timestamps(p, live, sut.space, settings, tolerance)

    def _learn(self, sut: Sut, p: TcpPacket, live: Segment) -> None:
        """The machine's ISN, of its SYN or SYN-ACK."""
        if live.proto != PROTO_TCP or not p.flags & SYN or not live.flags & SYN:
            return
        if sut.state is State.CONNECTING and not live.flags & ACK:
            sut.local = (sut.local[0], live.sport)
            sut.state = State.SYN_SENT
        elif sut.state is State.PACKET_RECEIVED and live.flags & ACK:
            sut.state = State.SYNACK_SENT
        else:
            return
        sut.space.live_isn = live.seq
        if p.seq_mode == "mapped":
            sut.space.script_isn = p.seq

    def _timestamps(
        self, p: TcpPacket, live: Segment, space: Space, settings: Settings, tolerance: int
    ) -> None:
        stamp = match.ts_of(live)
        wanted = next((o.values[0] for o in p.options or () if o.kind == "TS"), None)
        if stamp is None or not isinstance(wanted, int):
            return
        if settings.ts_tick_usecs:
            wrong = space.ts_error(wanted, stamp[0])
            if wrong * settings.ts_tick_usecs * 1000 > tolerance:
                raise Failure(
                    f"bad outbound TCP timestamp value: {wrong} ticks of {settings.ts_tick_usecs} us off"
                    f" from {wanted}"
                )
        space.note_ts(wanted, stamp[0])


def _ip_fields(ip: IpInfo | None) -> tuple[int, int]:
    """Tos and ttl of a packet to inject."""
    if ip is None:
        return 0, TTL
    if ip.flowlabel is not None:
        raise Skip("flowlabel: IPv6")
    if ip.ecn == "ect01":
        raise Failure("semantic error: ect01 is for outbound packets")
    tos = ip.tos or 0
    if ip.dscp is not None:
        tos = ip.dscp << 2 | tos & 3
    if ip.ecn is not None:
        tos = tos & ~3 | _ECN[ip.ecn]
    return tos, TTL if ip.ttl is None else ip.ttl
