"""One machine under test, and peers that speak to it in packets: a test reads as a packet trace.

    m = Machine("freebsd-14")
    listener = m.listen(80)
    p = m.peer()
    p.send("S 0:0(0) win 65535 <mss 1460>")
    p.expect("S. 0:0(0) ack 1 <mss 1460>")
    p.send(". 1:1(0) ack 1 win 65535")
    t = m.accept(listener)

Numbers are script numbers: both initial sequence numbers are 0. Time is virtual: `expect` lets it pass until
the machine sends, `after=` says how long that must take since the last thing that happened to this peer. The octets of
packets are made and read here, by `struct` alone (fuzz.octets), so that nothing under test is its own judge. Every
octet of data follows from its sequence number (`pattern`), so that a misplaced one is seen.
"""

import re
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

from fuzz import octets

from pystack import profiles
from pystack._fast import commands, consts, opening
from pystack._fast.consts import STATE_NAMES, Err
from pystack._fast.core import Core
from pystack.sysctl.machine import Sysctl

US = 0xC0000201
THEM = 0xC0000202
PROFILES = ("freebsd-10", "freebsd-14", "linux-6")
BITS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128}
LINE = re.compile(
    r"(?P<flags>[FSRP.UEW]+) (?P<seq>\d+):(?P<end>\d+)\((?P<len>\d+)\)"
    r"(?: ack (?P<ack>\d+))?(?: win (?P<win>\d+))?(?: urg (?P<urg>\d+))?(?: <(?P<options>[^>]*)>)?$"
)
_WAVE = bytes((i * 7 + (i >> 8) * 31 + (i >> 16) * 101) & 255 for i in range(1 << 17))
M32 = 0xFFFFFFFF
TICK = 20_000
"""Times are exact to this: the wheel's tick is about a microsecond, and a schedule may add up several."""


def ns(seconds: float) -> int:
    """Nanoseconds of seconds as they stand in a test, to the microsecond."""
    return round(seconds * 1e6) * 1000


def pattern(at: int, n: int) -> bytes:
    """The `n` octets of any stream at script sequence number `at`."""
    at &= 0x1FFFF
    out = _WAVE[at : at + n]
    while len(out) < n:
        out += _WAVE[: n - len(out)]
    return out


@dataclass
class Segment:
    """A TCP segment as it was on the wire."""

    time: int
    seq: int
    ack: int
    flags: int
    win: int
    urg: int
    options: list[str]
    payload: bytes
    sacks: list[tuple[int, int]] = field(default_factory=list)
    ts: tuple[int, int] | None = None
    tos: int = 0
    ttl: int = 64
    df: bool = True
    sport: int = 0
    dport: int = 0
    dst: int = 0


def read_options(raw: bytes, s: Segment) -> None:
    at = 0
    while at < len(raw):
        kind = raw[at]
        if kind == 0:
            s.options.append("eol")
            assert not any(raw[at:]), "padding is zero (MUST-69)"
            at += 1
            continue
        if kind == 1:
            s.options.append("nop")
            at += 1
            continue
        size = raw[at + 1]
        body = raw[at + 2 : at + size]
        at += size
        if kind == 2:
            s.options.append(f"mss {int.from_bytes(body, 'big')}")
        elif kind == 3:
            s.options.append(f"wscale {body[0]}")
        elif kind == 4:
            s.options.append("sackOK")
        elif kind == 5:
            edges = struct.unpack(f">{len(body) // 4}I", body)
            s.sacks = list(zip(edges[::2], edges[1::2], strict=True))
            s.options.append("sack")
        elif kind == 34:
            s.options.append(f"FO {body.hex()}".strip())
        elif kind == 254 and body[:2] == b"\xf9\x89":
            s.options.append(f"FOEXP {body[2:].hex()}".strip())
        elif kind == 8:
            s.ts = struct.unpack(">II", body)
            s.options.append("TS")
        else:
            s.options.append(f"kind {kind}")


def read_segment(time: int, data: bytes) -> Segment:
    """A packet's octets, checked as a strict receiver would."""
    assert data[0] == 0x45
    assert octets.checksum(data[:20]) == 0, "IP header checksum"
    total, frag = struct.unpack_from(">2xH2xH", data)
    assert total == len(data)
    assert frag & 0x3FFF == 0, "a segment is no fragment"
    src, dst = struct.unpack_from(">II", data, 12)
    tcp = data[20:]
    pseudo = struct.pack(">IIBBH", src, dst, 0, 6, len(tcp))
    assert octets.checksum(pseudo + tcp) == 0, "TCP checksum"
    sport, dport, seq, ack, off, flags, win, _, urg = struct.unpack_from(">HHIIBBHHH", tcp)
    s = Segment(
        time, seq, ack, flags, win, urg, [], tcp[(off >> 4) * 4 :],
        tos=data[1], ttl=data[8], df=bool(frag & 0x4000), sport=sport, dport=dport, dst=dst,
    )  # fmt: skip
    read_options(tcp[20 : (off >> 4) * 4], s)
    if flags & BITS["."] == 0:
        assert ack == 0, "no ACK flag, no ACK field"
    return s


class Machine:
    """The machine under test at 192.0.2.1/24. Keywords are attributes of its Config."""

    def __init__(
        self,
        profile: str = "freebsd-14",
        *,
        seed: int = 7,
        now: int = 0,
        mtu: int = 1500,
        **knobs: int,
    ):
        self.sysctl = Sysctl(profiles.load(profile))
        cfg = self.sysctl.config
        cfg.tcp_tso = 0
        # PSH where one trace serves all systems; what Linux does with it has traces of its own (test_push.py)
        cfg.policy_push = consts.PUSH_BSD
        for name, value in knobs.items():
            getattr(cfg, name)
            setattr(cfg, name, value)
        self.cfg = cfg
        self.core = Core(cfg, seed, now)
        self.core.add_interface("em0", US, 24, mtu)
        self.now = now
        self.peers: dict[tuple[int, int], Peer] = {}
        self.other: deque[tuple[int, bytes]] = deque()
        self.written: dict[int, int] = {}
        self.sent = 0

    # --- time ---------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """What the machine sends goes to its peers; whatever belongs to none, to `other`."""
        while (p := self.core.egress(self.now)) is not None:
            data = p.to_bytes()
            p.release()
            self.sent += 1
            if data[9] == 6 and data[20:22] != b"":
                sport, dport = struct.unpack_from(">HH", data, 20)
                peer = self.peers.get((sport, dport))
                if peer is not None:
                    peer.take(read_segment(self.now, data))
                    continue
            self.other.append((self.now, data))

    def run(self, seconds: float = 0.0, *, until: int = 0, stop=lambda: False) -> None:
        """Let time pass, deadline by deadline, until `stop()`."""
        until = until or self.now + ns(seconds)
        self.drain()
        while not stop():
            due = self.core.next_deadline()
            if due > until:
                self.now = until
                self.core.settle(until)
                return
            self.now = max(self.now, due)
            self.core.tick(self.now)
            self.drain()

    def inject(self, data: bytes) -> int:
        reason = self.core.ingress_bytes(0, data, self.now)
        self.drain()
        return reason

    # --- the application ----------------------------------------------------------------------------------------

    def socket(self):
        t = self.core.new_tcb()
        t.wanted = 0xFF
        return t

    def call(self, what, *arguments):
        self.core.settle(self.now)
        answer = what(self.core, *arguments)
        self.drain()
        return answer

    def listen(self, port: int = 80, backlog: int = 16, t=None):
        t = t or self.socket()
        assert self.call(opening.tcp_bind, t, 0, port) == 0
        assert self.call(opening.tcp_listen, t, backlog) == 0
        return t

    def connect(self, port: int = 80, t=None, local: int = 0):
        t = t or self.socket()
        if local:
            assert self.call(opening.tcp_bind, t, 0, local) == 0
        assert self.call(opening.tcp_connect, t, THEM, port) == -Err.EINPROGRESS
        return t

    def accept(self, listener):
        t = self.call(opening.tcp_accept, listener)
        if t is not None:
            t.wanted = 0xFF
        return t

    def write(self, t, n: int, more: bool = False) -> int:
        at = self.written.get(id(t), 1)
        done = self.call(commands.tcp_send, t, memoryview(pattern(at, n)), 0, n, more)
        if done > 0:
            self.written[id(t)] = at + done
        return done

    def read(self, t, n: int = 1 << 20):
        return self.call(commands.tcp_recv_bytes, t, n, False)

    def close(self, t) -> None:
        self.call(commands.tcp_close, t)

    def shutdown(self, t, how: int = commands.SHUT_WR) -> int:
        return self.call(commands.tcp_shutdown, t, how)

    # --- questions ----------------------------------------------------------------------------------------------

    def states(self) -> dict[str, int]:
        return {STATE_NAMES[i]: n for i, n in enumerate(self.core.states) if n}

    def stat(self, name: str) -> int:
        return getattr(self.core.stat, name)

    def drops(self) -> dict[str, int]:
        return {consts.Drop(i).name: n for i, n in enumerate(self.core.drops) if n}

    def peer(self, port: int = 4000, local: int = 80, isn: int = 0x10000000) -> "Peer":
        p = Peer(self, port, local, isn)
        self.peers[(local, port)] = p
        return p

    def peer_of(self, t, isn: int = 0x10000000) -> "Peer":
        """The peer that a connection of the machine goes to: it may have said its SYN already."""
        p = self.peer(t.fport, t.lport, isn)
        mine, self.other = self.other, deque()
        for time, data in mine:
            if data[9] == 6 and struct.unpack_from(">HH", data, 20) == (t.lport, t.fport):
                p.take(read_segment(time, data))
            else:
                self.other.append((time, data))
        return p

    def assert_clean(self) -> None:
        """Nothing is left: no buffers but the place where the next packet lands, no connections, no timers."""
        self.drain()
        left = {k: v for k, v in self.states().items() if k != "LISTEN"}
        assert left == {}, left
        self.core.make_room()  # made by this call at the latest
        assert self.core.pool.in_use == 1, self.core.pool.in_use


class Peer:
    """The other end of one connection, as a script plays it."""

    def __init__(self, m: Machine, port: int, local: int, isn: int):
        self.m = m
        self.port = port
        self.local = local
        self.isn = isn
        self.their_isn: int | None = None
        self.inbox: deque[Segment] = deque()
        self.history: list[str] = []
        self.last = m.now
        self.sent_ts = self.got_ts = False
        self.their_ts = 0
        self.scale = 0
        self.their_scale = 0
        self.ts_skew = 5000
        self.dst = US
        self.compare = True

    # --- from the machine ---------------------------------------------------------------------------------------

    def take(self, s: Segment) -> None:
        if s.flags & BITS["S"]:
            self.their_isn = s.seq
            self.got_ts = s.ts is not None
        if s.ts:
            self.their_ts = s.ts[0]
        at = self.theirs(s.seq) + (s.flags & BITS["S"] != 0)
        if s.payload and self.compare:
            assert s.payload == pattern(at, len(s.payload)), f"wrong octets at {at}"
        self.inbox.append(s)

    def theirs(self, seq: int) -> int:
        """A sequence number of the machine's as a script number; before its first SYN, the number itself."""
        return seq if self.their_isn is None else (seq - self.their_isn) & M32

    def mine(self, seq: int) -> int:
        return (seq - self.isn) & M32

    def text(self, s: Segment) -> str:
        letters = "".join(c for c in "FSRPUEW." if s.flags & BITS[c]) or "-"
        seq = self.theirs(s.seq)
        n = len(s.payload)
        out = f"{letters} {seq}:{(seq + n) & M32}({n})"
        if s.flags & BITS["."]:
            out += f" ack {self.mine(s.ack)}"
        out += f" win {s.win}"
        if s.flags & BITS["U"]:
            out += f" urg {s.urg}"
        options = [
            "sack " + " ".join(f"{self.mine(a)}:{self.mine(b)}" for a, b in s.sacks)
            if o == "sack"
            else o
            for o in s.options
        ]
        return out + (f" <{','.join(options)}>" if options else "")

    def next(self, within: float = 1000.0) -> Segment:
        """The next segment from the machine, letting time pass until there is one."""
        self.m.run(within, stop=lambda: bool(self.inbox))
        assert self.inbox, f"nothing came in {within} s\n" + self.log()
        s = self.inbox.popleft()
        self.history.append(f"{s.time / 1e9:.6f} > {self.text(s)}")
        return s

    def expect(
        self, line: str, *, after: float | None = None, within: float = 0.0, tos: int | None = None
    ) -> Segment:
        """The machine sends this next: now, `within` so many seconds, or exactly `after` so many."""
        want = LINE.match(line)
        assert want, f"cannot read {line!r}"
        before = self.last
        s = self.next(within if after is None else after + 2e-5)
        waited = s.time - before
        self.last = s.time
        got = LINE.match(self.text(s))
        assert got
        problem = (
            f"expected {line!r}\nbut saw  {self.text(s)!r}, after {waited / 1e9:.6f} s\n"
            + self.log()
        )
        for name in ("flags", "seq", "end", "len"):
            a, b = want[name], got[name]
            assert (sorted(a) == sorted(b)) if name == "flags" else a == b, problem
        assert (want["ack"] or "0") == (got["ack"] or "0"), problem
        assert want["win"] in (None, got["win"]), problem
        assert (want["urg"] or "0") == (got["urg"] or "0"), problem
        if want["options"] is not None:
            assert want["options"] == (got["options"] or ""), problem
        elif not s.flags & BITS["S"]:
            assert "sack" not in (got["options"] or ""), problem
        if after is not None:
            assert abs(waited - ns(after)) < TICK, problem
        if tos is not None:
            assert s.tos == tos, problem
        return s

    def quiet(self, seconds: float = 0.0) -> None:
        """The machine says nothing to this peer for so long."""
        self.m.run(seconds, stop=lambda: bool(self.inbox))
        assert not self.inbox, f"expected silence but saw {self.text(self.inbox[0])}\n" + self.log()
        self.last = self.m.now

    def log(self) -> str:
        return "\n".join(self.history[-40:])

    # --- to the machine -----------------------------------------------------------------------------------------

    def options(self, spec: str) -> bytes:
        out = b""
        for item in filter(None, (x.strip() for x in spec.split(","))):
            word, _, rest = item.partition(" ")
            if word == "nop":
                out += b"\1"
            elif word == "eol":
                out += b"\0"
            elif word == "mss":
                out += struct.pack(">BBH", 2, 4, int(rest))
            elif word == "wscale":
                out += struct.pack(">BBB", 3, 3, int(rest))
            elif word == "sackOK":
                out += b"\4\2"
            elif word == "sack":
                edges = [int(x) for pair in rest.split() for x in pair.split(":")]
                edges = [(x + (self.their_isn or 0)) & M32 for x in edges]
                out += struct.pack(f">BB{len(edges)}I", 5, 2 + 4 * len(edges), *edges)
            elif word == "FO":
                out += bytes((34, 2 + len(rest) // 2)) + bytes.fromhex(rest)
            elif word == "FOEXP":
                out += bytes((254, 4 + len(rest) // 2, 0xF9, 0x89)) + bytes.fromhex(rest)
            elif word == "TS":
                val, ecr = self.clock(), self.their_ts
                if rest:
                    words = rest.split()
                    val, ecr = int(words[1]), int(words[3])
                out += struct.pack(">BBII", 8, 10, val, ecr)
            else:
                raise AssertionError(f"what is the option {item!r}?")
        return out + b"\0" * (-len(out) % 4)

    def clock(self) -> int:
        """Our own timestamp clock, in milliseconds."""
        return (self.m.now // 1_000_000 + self.ts_skew) & M32

    def send(
        self,
        line: str,
        *,
        tos: int = 0,
        payload: bytes | None = None,
        src: int = THEM,
        wait: float = 0.0,
    ) -> int:
        """Our segment arrives at the machine, now or after `wait`; answers the machine's drop reason."""
        if wait:
            self.m.run(wait)
        words = LINE.match(line)
        assert words, f"cannot read {line!r}"
        seq, n = int(words["seq"]), int(words["len"])
        assert int(words["end"]) == (seq + n) & M32, line
        flags = 0
        for c in words["flags"]:
            flags |= BITS[c]
        spec = words["options"]
        if flags & BITS["S"]:
            spec = spec or ""
            self.sent_ts = "TS" in spec
            if "wscale" in spec:
                self.scale = int(spec.split("wscale ")[1].split(",")[0])
        elif spec is None:
            spec = "nop,nop,TS" if self.sent_ts and self.got_ts else ""
        elif "TS" not in spec and self.sent_ts and self.got_ts:
            spec = "nop,nop,TS," + spec
        ack = (int(words["ack"]) + (self.their_isn or 0)) & M32 if words["ack"] is not None else 0
        segment = octets.tcp(
            pattern(seq + ("S" in words["flags"]), n) if payload is None else payload,
            sport=self.port, dport=self.local, seq=(seq + self.isn) & M32, ack=ack, flags=flags,
            win=int(words["win"]) if words["win"] else 65535, urg=int(words["urg"] or 0),
            options=self.options(spec), src=src, dst=self.dst,
        )  # fmt: skip
        self.history.append(f"{self.m.now / 1e9:.6f} < {line}")
        self.last = self.m.now
        return self.m.inject(octets.ip(segment, octets.TCP, src=src, dst=self.dst, tos=tos))

    # --- openings -----------------------------------------------------------------------------------------------

    SYN: ClassVar = {
        "none": "",
        "sack": "mss 1460,nop,nop,sackOK",
        "plain": "mss 1460",
        "all": "mss 1460,sackOK,TS,nop,wscale 7",
        "scale": "mss 1460,nop,wscale 7",
        "ts": "mss 1460,nop,nop,TS",
        "sackscale": "mss 1460,nop,nop,sackOK,nop,wscale 7",
    }

    def passive(
        self, listener, kind: str = "plain", win: int = 65535, rtt: float = 0.0, mss: int = 1460
    ):
        """The machine accepts us; answers its side of the connection."""
        self.send(f"S 0:0(0) win {win} <{self.SYN[kind].replace('1460', str(mss))}>")
        s = self.next(0)
        assert s.flags & 0x3F == BITS["S"] | BITS["."], self.text(s)
        self.their_win(s)
        self.send(f". 1:1(0) ack 1 win {win >> self.scale}", wait=rtt)
        t = self.m.accept(listener)
        assert t is not None, "not accepted\n" + self.log()
        return t

    def active(self, t, kind: str = "plain", win: int = 65535, rtt: float = 0.0) -> None:
        """We accept the machine's connection, whose SYN has been said."""
        s = self.next(0)
        assert s.flags & 0x3F == BITS["S"], self.text(s)
        self.send(f"S. 0:0(0) ack 1 win {win} <{self.SYN[kind]}>", wait=rtt)
        s = self.next(0)
        assert s.flags == BITS["."], self.text(s)
        assert t.state == consts.ESTABLISHED

    def fill(self, t) -> int:
        """Send until the window of `t` is shut, from octet 1 on. Answers the number of the next octet."""
        at = 1
        while (n := min(1460, self.mine(t.rcv_adv) - at)) > 0:
            self.send(f". {at}:{at + n}({n}) ack 1 win 65535")
            at += n
        return at

    def their_win(self, s: Segment) -> int:
        for o in s.options:
            if o.startswith("wscale"):
                self.their_scale = int(o.split()[1])
        return s.win


def isn_near(
    profile: str, target: int, *, fport: int = 80, lport: int = 1025, seed: int = 7
) -> int:
    """When to start a machine so that its connection from `lport` to `fport` gets the ISN `target`.

    An ISN is a keyed hash plus a clock of 4 us (RFC 6528), so the time chooses it.
    """
    now = Machine(profile, seed=seed).core.new_isn(US, lport, THEM, fport)
    return ((target - now) & M32) * 4000


def opened(
    profile: str = "freebsd-14",
    kind: str = "plain",
    *,
    win: int = 65535,
    rtt: float = 0.0,
    mss: int = 1460,
    **knobs: int,
):
    """A machine with one accepted connection: (machine, peer, its socket)."""
    m = Machine(profile, **knobs)
    listener = m.listen()
    p = m.peer()
    return m, p, p.passive(listener, kind, win, rtt, mss)
