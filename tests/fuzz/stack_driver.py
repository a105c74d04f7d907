"""Any octets as a program that attacks two machines: `drive(data)`.

The first octets choose a profile, pool sizes and knobs; each further one an operation: a call of the application, time,
a segment built from what is known about a connection (right checksum, learned numbers, and then something wrong), raw
octets, fragments, ICMP errors, a mangled packet between the two machines. After every operation everything of
`stack_check` must hold; at the end all is closed, a day passes, and only listeners may be left.

Anybody's numbers are known here, also those that a real attacker would have to guess.
"""

import struct
from types import SimpleNamespace

from fuzz import octets, stack_check
from fuzz.stack_world import (
    M32,
    MS,
    NET,
    PORTS,
    SMALL,
    SOURCES,
    STRANGERS,
    EndOfProgramError,
    Flow,
    Side,
    World,
)

from pystack import sockopts
from pystack._fast import commands, consts, datagrams, opening

DAY = 86_400_000 * MS
PAUSES = (
    0,
    1,
    1,
    10,
    10,
    45,
    45,
    100,
    200,
    200,
    501,
    501,
    1000,
    1000,
    3000,
    3000,
    7000,
    31_000,
    61_000,
    130_000,
    700_000,
    7_300_000,
)
FLAGS = (
    0x10,
    0x10,
    0x18,
    0x11,
    0x19,
    0x02,
    0x12,
    0x04,
    0x14,
    0x30,
    0x50,
    0x90,
    0xC2,
    0x00,
    0x01,
    0x29,
)
SIZES = (0, 0, 1, 2, 5, 100, 536, 1448, 1460, 4000)
WINDOWS = (65535, 65535, 0, 1, 1000, 5, 32768, 20000)
OPTIONS = (
    (sockopts.IPPROTO_TCP, sockopts.TCP_NODELAY),
    (sockopts.IPPROTO_TCP, sockopts.TCP_CORK),
    (sockopts.IPPROTO_TCP, sockopts.TCP_NOPUSH),
    (sockopts.IPPROTO_TCP, sockopts.TCP_MAXSEG),
    (sockopts.IPPROTO_TCP, sockopts.TCP_KEEPIDLE),
    (sockopts.IPPROTO_TCP, sockopts.TCP_KEEPINTVL),
    (sockopts.IPPROTO_TCP, sockopts.TCP_KEEPCNT),
    (sockopts.IPPROTO_TCP, sockopts.TCP_LINGER2),
    (sockopts.IPPROTO_TCP, sockopts.TCP_QUICKACK),
    (sockopts.IPPROTO_TCP, sockopts.TCP_USER_TIMEOUT),
    (sockopts.SOL_SOCKET, sockopts.SO_KEEPALIVE),
    (sockopts.SOL_SOCKET, sockopts.SO_SNDBUF),
    (sockopts.SOL_SOCKET, sockopts.SO_RCVBUF),
    (sockopts.SOL_SOCKET, sockopts.SO_RCVLOWAT),
    (sockopts.SOL_SOCKET, sockopts.SO_SNDLOWAT),
    (sockopts.SOL_SOCKET, sockopts.SO_REUSEADDR),
    (sockopts.SOL_SOCKET, sockopts.SO_REUSEPORT),
    (sockopts.IPPROTO_IP, sockopts.IP_TOS),
)
VALUES = (0, 1, 2, 88, 300, 2304, 5000, 100_000, -1, 1 << 20)
OPERATIONS = 200


class Program(World):
    """What one octet of a program can mean."""

    # --- the application --------------------------------------------------------------------------------------

    def listen(self) -> None:
        side = self.side()
        kind = self.tape.octet()
        if kind & 128 and len(side.datagrams) < 8:
            proto = consts.PROTO_ICMP if kind & 64 else consts.PROTO_UDP
            d = datagrams.new_datagram(side.core, proto)
            side.datagrams.append(d)
            self.call(side, datagrams.datagram_bind, d, 0, PORTS[kind % len(PORTS)])
            return
        t = self.new(side)
        if t is not None:
            if self.call(side, opening.tcp_bind, t, 0, PORTS[kind % len(PORTS)]) == 0:
                self.call(side, opening.tcp_listen, t, kind >> 4 & 3)

    def connect(self) -> None:
        side = self.side()
        t = self.new(side)
        if t is None:
            return
        bound = self.tape.octet()
        if bound & 64:
            self.call(side, opening.tcp_bind, t, 0, PORTS[bound % len(PORTS)])
        to = self.tape.pick((self.sides[1 - self.sides.index(side)].addr, *SOURCES))
        self.call(side, opening.tcp_connect, t, to, self.tape.pick(PORTS))

    def accept(self) -> None:
        self.accept_all(self.side())

    def send(self) -> None:
        side = self.side()
        t = self.socket(side)
        n = self.tape.pick((1, 10, 1000, 1460, 2920, 6000, 20_000))
        more = self.tape.octet() & 7 == 7
        if t is not None:
            data = bytes((t.lport + i * 7) & 255 for i in range(n))
            self.call(side, commands.tcp_send, t, memoryview(data), 0, n, more)

    def receive(self) -> None:
        side = self.side()
        t = self.socket(side)
        n = self.tape.pick((1, 100, 1460, 5000, 70_000))
        for d in side.datagrams:
            self.call(side, datagrams.datagram_receive, d, n, False)
        if t is not None:
            got = self.call(side, commands.tcp_recv_bytes, t, n, False)
            self.hash.update(str(got).encode())

    def shutdown(self) -> None:
        side = self.side()
        t = self.socket(side)
        if t is not None:
            self.call(side, commands.tcp_shutdown, t, self.tape.octet() % 3)

    def close(self) -> None:
        side = self.side()
        t = self.socket(side)
        if t is not None:
            if self.tape.octet() & 7 == 7:
                t.linger = 0
            self.finish(side, t)

    def finish(self, side: Side, t) -> None:
        side.held = [x for x in side.held if x is not t]
        self.call(side, commands.tcp_close, t)

    def option(self) -> None:
        side = self.side()
        t = self.socket(side)
        level, name = self.tape.pick(OPTIONS)
        value = self.tape.pick(VALUES)
        if t is None:
            return
        host = SimpleNamespace(
            core=side.core, before=lambda core: core.settle(self.now), after=lambda _core: None
        )
        sock = SimpleNamespace(type=sockopts.std.SOCK_STREAM, host=host, row=t)
        try:
            sockopts.set_option(sock, level, name, value)
        except OSError as error:
            self.hash.update(str(error.errno).encode())
        self.exchange()

    def pause(self) -> None:
        self.advance(self.now + self.tape.pick(PAUSES) * MS)

    def wire(self) -> None:
        """The wire between the two is cut, or whole again."""
        self.cut = not self.cut

    # --- the outsider ------------------------------------------------------------------------------------------

    def flow(self, side: Side) -> Flow:
        """A conversation of the machine, the newest ones first; or one that nobody knows."""
        which = self.tape.octet()
        known = list(side.flows.values())[-8:]
        if which < 200:
            live = {(t.laddr, t.lport, t.faddr, t.fport) for t in side.core.tcbs if t is not None}
            known = [flow for flow in known if flow.key in live] or known
        if not known:
            return Flow((side.addr, 80, STRANGERS[0], 1000))
        return known[-1 - which % len(known)]

    def numbers(self, side: Side, flow: Flow):
        """(sequence numbers that the peer may use, numbers that it may acknowledge), best first."""
        for t in side.core.tcbs:
            if t is not None and (t.laddr, t.lport, t.faddr, t.fport) == flow.key and t.state > 1:
                seqs = (t.rcv_nxt, t.rcv_adv, t.last_ack_sent, t.irs, t.fin_seq)
                return seqs, (t.snd_max, t.snd_nxt, t.snd_una, t.iss, t.recover)
        return (flow.ack, flow.ack, flow.ack), (flow.seq, flow.iss, flow.seq)

    def segment(self) -> None:
        """A segment of a conversation in which something may be wrong."""
        tape, side = self.tape, self.side()
        flow = self.flow(side)
        laddr, lport, faddr, fport = flow.key
        seqs, acks = self.numbers(side, flow)
        wrong = tape.octet()
        body = tape.pick(SIZES)
        seq, ack, flags, win, off, tos, options = (
            seqs[0],
            acks[0],
            0x10,
            65535,
            None,
            0,
            self.stamp(flow),
        )
        if wrong & 1:
            seq = (tape.pick(seqs) + tape.offset()) & M32
        if wrong & 2:
            ack = (tape.pick(acks) + tape.offset()) & M32
        if wrong & 4:
            flags = tape.pick(FLAGS) if tape.octet() < 220 else tape.octet()
        if wrong & 8:
            options = self.options(flow, acks)
        if wrong & 16:
            win = tape.pick(WINDOWS)
        if wrong & 32:
            tos = tape.octet() & 3
        if wrong & 0xC0 == 0xC0:
            off = tape.octet() & 15
        data = octets.tcp(
            bytes((seq + i) & 255 for i in range(body)), sport=fport, dport=lport, seq=seq, ack=ack,
            flags=flags, win=win, urg=tape.octet() if flags & 32 else 0,
            options=options, src=faddr, dst=laddr, offset=off,
        )  # fmt: skip
        self.arrive(side, octets.ip(data, octets.TCP, src=faddr, dst=laddr, tos=tos))

    def stamp(self, flow: Flow) -> bytes:
        """The timestamps that an honest peer would send, if the conversation has them."""
        if not flow.ts:
            return b""
        return octets.NNTS + struct.pack(">II", (self.now // MS + 5000) & M32, flow.ts)

    def options(self, flow: Flow, acks) -> bytes:
        tape = self.tape
        kind = tape.octet() & 15
        clock = self.now // MS + 5000
        if kind < 3:
            return octets.NNTS + struct.pack(">II", clock & M32, flow.ts)
        if kind == 6:
            return octets.NNTS + struct.pack(
                ">II", (clock + tape.offset()) & M32, (flow.ts + tape.offset()) & M32
            )
        if kind in (3, 4, 5, 7, 8):
            edges = [
                (acks[-1 - i % 3] + tape.offset()) & M32 for i in range(2 + 2 * (tape.octet() % 4))
            ]
            blocks = struct.pack(f">{len(edges)}I", *edges)
            return self.stamp(flow)[: 12 * (len(blocks) <= 24)] + octets.options(
                bytes((1, 1, 5, 2 + len(blocks))), blocks
            )
        if kind == 9:
            return octets.options(tape.octets(tape.octet() % 41))
        if kind == 10:
            return bytes.fromhex("020405b4 0402080a 00001388 00000000 01030307")
        return b""

    def syn(self) -> None:
        """A SYN, from anybody."""
        tape, side = self.tape, self.side()
        src = tape.pick(SOURCES)
        port = 1000 + tape.octet() % 6
        dport = tape.pick(PORTS)
        if tape.octet() > 240:
            port = dport
        kind = tape.octet()
        raw = (
            b"",
            bytes.fromhex("020405b4"),
            bytes.fromhex("020405b4 0402080a 00001388 00000000 01030307"),
            bytes.fromhex("02040001 0303ff01"),
            bytes.fromhex("02040000"),
            bytes.fromhex("020405b4 01010402"),
        )[kind % 6]
        data = octets.tcp(
            bytes(kind >> 5 if kind & 16 else 0), sport=port, dport=dport, seq=(kind << 24) + 0xFFFFFF,
            flags=0x02 if kind & 8 else tape.pick((0x02, 0xC2, 0x03, 0x22, 0x06)), win=tape.pick(WINDOWS),
            options=raw, src=src, dst=side.addr,
        )  # fmt: skip
        self.arrive(side, octets.ip(data, octets.TCP, src=src, dst=side.addr))

    def honest(self) -> None:
        """What a well-behaved peer would say next: so that programs get far into a connection."""
        tape, side = self.tape, self.side()
        flow = self.flow(side)
        laddr, lport, faddr, fport = flow.key
        seqs, acks = self.numbers(side, flow)
        what = tape.octet()
        flags, seq, body = 0x10, seqs[0], b""
        fresh = flow.ack == 0 and flow.seq == (flow.iss + 1) & M32
        if fresh:  # it sent a SYN
            flags, seq = 0x12, 0x70000000
        elif what % 4 == 1:
            body = bytes((seq + i) & 255 for i in range(SIZES[what // 4 % len(SIZES)]))
        elif what % 4 == 2:
            flags = 0x11
        options = self.stamp(flow)
        if options and fresh:
            options = (
                bytes.fromhex("020405b4 0402080a 00001388")
                + struct.pack(">I", flow.ts)
                + b"\1\3\3\7"
            )
        data = octets.tcp(
            body, sport=fport, dport=lport, seq=seq, ack=acks[0], flags=flags, win=tape.pick(WINDOWS),
            options=options, src=faddr, dst=laddr,
        )  # fmt: skip
        self.arrive(side, octets.ip(data, octets.TCP, src=faddr, dst=laddr))

    def icmp(self) -> None:
        """An ICMP message: an error that quotes a connection, or anything."""
        tape, side = self.tape, self.side()
        flow = self.flow(side)
        laddr, lport, faddr, fport = flow.key
        _, acks = self.numbers(side, flow)
        kind, code = tape.pick((3, 3, 3, 4, 11, 12, 5, 8, 0, 13)), tape.octet() % 16
        quoted = octets.tcp(
            sport=lport,
            dport=fport,
            seq=(tape.pick(acks) + tape.offset()) & M32,
            src=laddr,
            dst=faddr,
        )
        inner = octets.ip(quoted, octets.TCP, src=laddr, dst=faddr, df=True)
        rest = tape.pick((0, 68, 296, 576, 1006, 1400, 1500, 65535, 0xFFFFFFFF))
        data = octets.icmp(kind, code, rest, inner[: tape.pick((28, 28, 40, 20, 24, 0, 27))])
        src = tape.pick(SOURCES)
        self.arrive(side, octets.ip(data, octets.ICMP, src=src, dst=side.addr))

    def udp(self) -> None:
        tape, side = self.tape, self.side()
        src, dst = tape.pick(SOURCES), tape.pick((side.addr, side.addr, NET + 255, 0xFFFFFFFF))
        n = tape.pick(SIZES)
        length = tape.octet() if tape.octet() > 200 else None
        data = octets.udp(
            bytes(n),
            sport=tape.pick(PORTS),
            dport=tape.pick(PORTS),
            length=length,
            src=src,
            dst=dst,
        )
        self.arrive(side, octets.ip(data, octets.UDP, src=src, dst=dst))

    def raw(self) -> None:
        """Octets of the program itself, with a header before them that may lie."""
        tape, side = self.tape, self.side()
        body = tape.octets(tape.octet() % 64)
        how = tape.octet()
        packet = octets.ip(
            body, tape.pick((6, 6, 17, 1, 2, 47, 255)), src=tape.pick(SOURCES), dst=tape.pick((side.addr, *SOURCES)),
            options=tape.octets(4 * (how & 3)) if how & 4 else b"", ttl=tape.pick((64, 1, 0, 255)),
            total=tape.number(2) if how & 16 else None, first=tape.octet() if how & 32 else None,
        )  # fmt: skip
        self.arrive(side, packet[: tape.octet()] if how & 64 else packet)

    def fragments(self) -> None:
        """One packet in pieces that overlap, repeat, contradict each other or never come."""
        tape, side = self.tape, self.side()
        flow = self.flow(side)
        laddr, lport, faddr, fport = flow.key
        seqs, acks = self.numbers(side, flow)
        n = tape.pick((16, 100, 1000, 3000))
        whole = octets.tcp(
            bytes(i & 255 for i in range(n)), sport=fport, dport=lport, seq=seqs[0], ack=acks[0],
            flags=tape.pick(FLAGS), src=faddr, dst=laddr,
        )  # fmt: skip
        ident = tape.octet() & 3
        step = tape.pick((8, 24, 512, 1024))
        order = list(range(0, len(whole), step))[:20]
        if tape.octet() & 1:
            order.reverse()
        wrong = tape.octet()
        for i, at in enumerate(order):
            by = SMALL[wrong % len(SMALL)] & ~7 if i == wrong >> 5 else 0
            start = max(0, at + by) if at + by <= 65528 else at
            last = at + step >= len(whole)
            piece = whole[at : at + step]
            packet = octets.ip(
                piece,
                octets.TCP,
                src=faddr,
                dst=laddr,
                ident=ident,
                mf=not last or wrong & 31 == 31,
                off=start,
            )
            self.arrive(side, packet)

    def forge(self) -> None:
        """A RST or other bare segment in one machine's name to the other, both ways at once."""
        tape = self.tape
        flags, flow = tape.pick((4, 20, 16, 18, 17, 2, 0)), self.flow(self.sides[0])
        _, lport, _, fport = flow.key
        seqs, acks = self.numbers(self.sides[0], flow)
        seq, ack = (tape.pick(seqs) + tape.offset()) & M32, (tape.pick(acks) + tape.offset()) & M32
        for side, sport, dport, a, b in (
            (self.sides[0], fport, lport, seq, ack),
            (self.sides[1], lport, fport, ack, seq),
        ):
            src = self.sides[1 - self.sides.index(side)].addr
            data = octets.tcp(
                sport=sport, dport=dport, seq=a, ack=b, flags=flags, src=src, dst=side.addr
            )
            self.arrive(side, octets.ip(data, octets.TCP, src=src, dst=side.addr))

    def mangle(self) -> None:
        """A packet that was caught on the cut wire comes after all: as it was, twice, changed or shortened."""
        tape = self.tape
        how = tape.octet()
        if not self.caught:
            return
        to, data = self.caught[how >> 3 & 15 if how >> 3 & 15 < len(self.caught) else -1]
        side = self.sides[to]
        if how & 7 == 1:
            data = data[: tape.octet()]
        elif how & 7 == 2:
            at = tape.octet() % len(data)
            data = data[:at] + bytes((tape.octet(),)) + data[at + 1 :]
        elif how & 7 in (3, 4) and data[9] == octets.TCP and len(data) >= 40:
            # changed with a good checksum
            at = tape.pick((33, 32, 24, 25, 27, 28, 31, 34, 35, 40, 44))
            body = data[20:]
            at = min(at - 20, len(body) - 1)
            body = body[:at] + bytes((tape.octet(),)) + body[at + 1 :]
            src, dst = struct.unpack_from(">II", data, 12)
            data = data[:20] + octets.with_pseudo(body, 16, octets.TCP, src, dst)
        for _ in range(1 + (how & 7 == 5)):
            self.arrive(side, data)

    # --- the program ------------------------------------------------------------------------------------------

    def check(self) -> None:
        for side in self.sides:
            stack_check.check(side.core, side.held, side.datagrams)

    def run(self) -> None:
        self.begin()
        operations = (
            self.listen, self.connect, self.accept, self.send, self.send, self.receive,
            self.shutdown, self.close, self.option, self.pause, self.pause, self.segment, self.segment,
            self.segment, self.segment, self.syn, self.honest, self.honest, self.honest,
            self.icmp, self.raw, self.fragments, self.udp, self.mangle, self.wire, self.forge,
        )  # fmt: skip
        self.check()
        for _ in range(OPERATIONS):
            operation = operations[self.tape.octet() % len(operations)]
            operation()
            self.check()

    def end(self) -> None:
        """All but the listeners is closed; a day later only they are left, and then nothing."""
        self.cut = False
        for _ in range(2):
            for side in self.sides:
                for t in [t for t in side.held if t.state == consts.LISTEN]:
                    while (child := self.call(side, opening.tcp_accept, t)) is not None:
                        self.finish(side, child)
                for t in [t for t in side.held if t.state != consts.LISTEN]:
                    self.finish(side, t)
                for d in side.datagrams:
                    self.call(side, datagrams.datagram_close, d)
            self.check()
            self.advance(self.now + DAY)
            self.check()
        for side in self.sides:
            stack_check.at_rest(side.core, side.held)
            for t in side.held:
                self.finish(side, t)
            stack_check.at_rest(side.core, [])
            assert side.core.demux.used == 0
            assert not side.core.udp
            assert not side.core.echo


def drive(data: bytes) -> str:
    """Run the program; answers the digest of all that came out. Raises AssertionError where something is wrong."""
    try:
        world = Program(data)
    except EndOfProgramError:
        return ""
    try:
        world.run()
    except EndOfProgramError:
        world.check()
    world.end()
    world.hash.update(str([list(side.core.drops) for side in world.sides]).encode())
    world.hash.update(str([side.core.stat.as_dict() for side in world.sides]).encode())
    return world.hash.hexdigest()
