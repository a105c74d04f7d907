"""Two machines, a wire between them and an outsider who hears everything: the ground that `stack_driver` plays on.

Octets of a program are read from a `Tape`; `Flow` is what was heard of one conversation; `World` moves
packets and time.
"""

import hashlib
import struct

from fuzz import octets, stack_check

from pystack import profiles
from pystack._fast import commands, opening
from pystack._fast.core import Core
from pystack._fast.seq import dist
from pystack.sysctl.machine import Sysctl

PROFILES = ("freebsd-10", "freebsd-14", "linux-6")
NET = 0xC0000200
HOSTS = (NET + 1, NET + 2)
STRANGERS = (NET + 3, NET + 4, 0x0A010203)
SOURCES = (*STRANGERS, *HOSTS, NET + 255, NET, 0, 0xFFFFFFFF, 0x7F000001, 0xE0000001)
PORTS = (80, 81, 4000, 4001, 7)
MS = 1_000_000
SMALL = (0, 0, 0, 0, 1, -1, 2, -2, 7, -7, 536, -536, 1460, -1460, 1461, 5000, 65535, -65535)
LARGE = (1 << 20, -(1 << 20), (1 << 31) - 1, -(1 << 31), 1 << 30, -(1 << 30))
M32 = 0xFFFFFFFF
TURNS = 600
"""Packets that two machines may exchange in no time before it is a loop; more than any honest transfer here needs."""


class EndOfProgramError(Exception):
    """All octets of the program are used."""


class Tape:
    """The program: octets read one after another."""

    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def octet(self) -> int:
        if self.at >= len(self.data):
            raise EndOfProgramError
        self.at += 1
        return self.data[self.at - 1]

    def number(self, size: int) -> int:
        return int.from_bytes(bytes(self.octet() for _ in range(size)), "big")

    def pick(self, choices):
        return choices[self.octet() % len(choices)]

    def offset(self) -> int:
        """Where beside the true number: mostly near it."""
        x = self.octet()
        if x < 200:
            return SMALL[x % len(SMALL)]
        return LARGE[x % len(LARGE)] if x < 230 else dist(0, self.number(4))

    def octets(self, n: int) -> bytes:
        return bytes(self.octet() for _ in range(n))


class Flow:
    """What a wire-tapper knows of one conversation, from a machine's side."""

    def __init__(self, key: tuple[int, int, int, int]):
        self.key = key
        self.seq = self.iss = self.ack = self.ts = 0


class Side:
    """One of the two machines with its application."""

    def __init__(self, number: int, profile: str, tape: Tape):
        knobs = tape.octet()
        cfg = Sysctl(profiles.load(profile)).config
        cfg.maxsockets, cfg.tcp_max_tw = 48, 6
        cfg.syncache_cachelimit, cfg.syncache_hashsize, cfg.syncache_bucketlimit = 24, 8, 4
        cfg.tcp_tso = knobs & 1
        cfg.nmbufs, cfg.nmbclusters = (3000, 1500) if knobs & 6 else (40, 12)
        cfg.tcp_syncookies = knobs >> 3 & 1
        cfg.tcp_ecn = knobs >> 4 & 1
        cfg.tcp_drop_synfin = knobs >> 5 & 1
        cfg.ip_forwarding = knobs >> 6 & 1
        if knobs & 128:
            cfg.tcp_sendspace = cfg.tcp_recvspace = 5000
        self.addr = HOSTS[number]
        self.core = Core(cfg, number + 5, 0)
        self.core.add_interface("em0", self.addr, 24, 1500 if knobs & 4 else 576)
        self.core.routes.add(0, 0, 0, NET + 3)
        self.held: list = []
        self.datagrams: list = []
        self.flows: dict[tuple[int, int, int, int], Flow] = {}

    def throttled(self) -> bool:
        """Has this system a limit for all its answers to segments that it cannot take? FreeBSD's is for challenges:
        an acknowledgment of what was never sent is answered each time (tcp_input.c, dropafterack).
        """
        return self.core.cfg.tcp_invalid_ratelimit > 0

    def bound(self) -> int:
        """Packets that one packet may bring about: answers, and the data that it sets free."""
        data = sum(t.sndq.cc // max(t.maxseg, 200) + 3 for t in self.core.tcbs if t is not None)
        return data + 16


class World:
    """Two machines, a wire between them that may be cut, and an outsider who says what the program says."""

    def __init__(self, data: bytes):
        tape = self.tape = Tape(data)
        self.hash = hashlib.sha256()
        self.now = 0
        self.sent = 0
        self.cut = False
        self.caught: list[tuple[int, bytes]] = []
        first = tape.octet()
        self.sides = [
            Side(i, PROFILES[n % len(PROFILES)], tape) for i, n in enumerate((first, first // 3))
        ]

    # --- the wire ----------------------------------------------------------------------------------------------

    def collect(self, side: Side) -> list[bytes]:
        """What the machine sends now, checked, written down and learned from."""
        out = []
        while (p := side.core.egress(self.now)) is not None:
            data = bytes(p.to_bytes())
            p.release()
            stack_check.check_wire(data)
            self.hash.update(struct.pack(">QBH", self.now, side.addr & 255, len(data)) + data)
            self.sent += 1
            self.learn(side, data)
            out.append(data)
        return out

    def learn(self, side: Side, data: bytes) -> None:
        if data[9] != octets.TCP or struct.unpack_from(">H", data, 6)[0] & 0x1FFF:
            return
        at = (data[0] & 15) * 4
        src, dst = struct.unpack_from(">II", data, 12)
        sport, dport, seq, ack, off, flags = struct.unpack_from(">HHIIBB", data, at)
        flow = side.flows.setdefault((src, sport, dst, dport), Flow((src, sport, dst, dport)))
        if flags & 2:
            flow.iss = seq
        if not flags & 4:
            flow.seq = (seq + len(data) - at - (off >> 4) * 4 + bool(flags & 2) + (flags & 1)) & M32
            flow.ack = ack
        where = data.find(b"\x08\x0a", at + 20, at + (off >> 4) * 4)
        if where > 0 and where + 10 <= at + (off >> 4) * 4:
            flow.ts = struct.unpack_from(">I", data, where + 2)[0]

    def exchange(self) -> None:
        """What both send reaches the other, and what that brings about, until nothing more comes."""
        turns = 0
        while True:
            on_the_way = [
                (1 - i, data) for i, side in enumerate(self.sides) for data in self.collect(side)
            ]
            if not on_the_way:
                return
            for to, data in on_the_way:
                if struct.unpack_from(">I", data, 16)[0] != self.sides[to].addr:
                    continue
                if self.cut:
                    self.caught = [*self.caught[-15:], (to, data)]
                    continue
                turns += 1
                if turns >= TURNS and not any(side.throttled() for side in self.sides):
                    return  # so would the systems: their answers have no limit
                assert turns < TURNS, "two machines answer each other for ever"
                self.arrive(self.sides[to], data, learn=False)

    def arrive(self, side: Side, data: bytes, learn: bool = True) -> None:
        """One packet reaches a machine; its answers are few."""
        most = side.bound()
        before = side.core.txq.count
        side.core.ingress_bytes(0, data, self.now)
        if not learn:
            return
        answers = self.collect(side)
        assert len(answers) - before <= most, f"one packet, {len(answers)} answers"
        self.give(1 - self.sides.index(side), answers)
        self.exchange()

    def give(self, to: int, data: list[bytes]) -> None:
        for one in data:
            if struct.unpack_from(">I", one, 16)[0] == self.sides[to].addr:
                if self.cut:
                    self.caught = [*self.caught[-15:], (to, one)]
                else:
                    self.arrive(self.sides[to], one, learn=False)

    def advance(self, until: int, most: int = 100_000) -> None:
        """Time passes, deadline by deadline."""
        self.exchange()
        for _ in range(most):
            due = min(side.core.next_deadline() for side in self.sides)
            if due > until:
                break
            self.now = max(self.now, due)
            for side in self.sides:
                side.core.tick(self.now)
            self.exchange()
        else:
            raise AssertionError("timers without an end")
        self.now = until
        for side in self.sides:
            side.core.settle(until)

    # --- who -------------------------------------------------------------------------------------------------

    def side(self) -> Side:
        """The first machine most of the time: there the interesting things meet."""
        return self.sides[self.tape.octet() % 4 == 3]

    def socket(self, side: Side):
        return self.tape.pick(side.held) if side.held else None

    def call(self, side: Side, what, *arguments):
        side.core.settle(self.now)
        answer = what(side.core, *arguments)
        self.exchange()
        return answer

    def new(self, side: Side):
        t = side.core.new_tcb()
        if t is not None:
            t.wanted = 0xFF
            side.held.append(t)
        return t

    # --- where it begins --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A listener on each machine, and perhaps a connection already: accepted, made, or between the two."""
        scene = self.tape.octet()
        if scene & 7 == 7:
            return
        a, b = self.sides
        for side in self.sides:
            t = self.new(side)
            assert self.call(side, opening.tcp_bind, t, 0, 80) == 0
            assert self.call(side, opening.tcp_listen, t, 2) == 0
        if scene & 1:
            t = self.new(a)
            self.call(a, opening.tcp_connect, t, b.addr, 80)
            self.accept_all(b)
        if scene & 2:
            self.open(scene >> 3)
            self.accept_all(a)
        if scene & 4:
            t = self.new(a)
            self.call(a, opening.tcp_connect, t, STRANGERS[0], 4000)
            flow = next(reversed(a.flows.values()))
            options = (
                bytes.fromhex("020405b4 0402080a 00001388")
                + struct.pack(">I", flow.ts)
                + b"\1\3\3\7"
            )
            data = octets.tcp(
                sport=4000, dport=t.lport, seq=0xFFFFFF00, ack=flow.seq, flags=0x12,
                options=options[: (0, 4, 20)[scene >> 3 & 3 if scene >> 3 & 3 < 3 else 0]],
                src=STRANGERS[0], dst=a.addr,
            )  # fmt: skip
            self.arrive(a, octets.ip(data, octets.TCP, src=STRANGERS[0], dst=a.addr))
        if scene & 64:
            for t in a.held:
                self.call(a, commands.tcp_send, t, memoryview(bytes(9000)), 0, 9000, False)

    def open(self, kind: int) -> None:
        """A stranger connects to the first machine, by the rules."""
        a = self.sides[0]
        raw = ("", "020405b4", "020405b4 0402080a 00001388 00000000 01030307", "020405b4 01010402")[
            kind & 3
        ]
        where = {"sport": 3999, "dport": 80, "src": STRANGERS[0], "dst": a.addr}
        data = octets.tcp(seq=0xFFFFFFF0, flags=2, options=bytes.fromhex(raw), **where)
        self.arrive(a, octets.ip(data, octets.TCP, src=STRANGERS[0], dst=a.addr))
        flow = a.flows.get((a.addr, 80, STRANGERS[0], 3999))
        if flow is not None:
            data = octets.tcp(seq=0xFFFFFFF1, ack=flow.seq, options=self.stamp(flow), **where)
            self.arrive(a, octets.ip(data, octets.TCP, src=STRANGERS[0], dst=a.addr))

    def accept_all(self, side: Side) -> None:
        for t in [t for t in side.held if t.accept_first is not None]:
            child = self.call(side, opening.tcp_accept, t)
            if child is not None:
                child.wanted = 0xFF
                side.held.append(child)
