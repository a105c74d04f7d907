"""A script of the live twin on one machine: its steps made into packets, by what has come so far."""

from __future__ import annotations

import struct
from typing import Any

from pystack.addresses import dotted, parse_host
from pystack.packetdrill.segments import checksum as internet_checksum
from tests.kernel.router import Heard, Router
from tests.kernel.twin_settings import ACK, FIN, GRE, ICMP, PORTS, SYN, TCP, UDP, UDPLITE, Setting
from tests.kernel.twin_steps import (
    FLOWS,
    OURS,
    Datagram,
    Knob,
    Pieces,
    Segment,
    Step,
    Trouble,
    Wait,
)


def checksum(data: bytes) -> bytes:
    """The two octets of it."""
    return internet_checksum(data).to_bytes(2, "big")


def ip(proto: int, src: str, dst: str, payload: bytes) -> bytes:
    """An IPv4 packet."""
    ends = (parse_host(src), parse_host(dst))
    total = 20 + len(payload)
    head = struct.pack(">BBHHHBBHII", 0x45, 0, total, 1, 0x4000, 64, proto, 0, *ends)
    return head[:10] + checksum(head) + head[12:] + payload


def summed(proto: int, src: str, dst: str, l4: bytes, at: int) -> bytes:
    """L4 octets with their checksum over the pseudo header, at `at`."""
    pseudo = struct.pack(">IIBBH", parse_host(src), parse_host(dst), 0, proto, len(l4))
    return l4[:at] + checksum(pseudo + l4) + l4[at + 2 :]


class Talk:
    """A script on one machine: what is sent depends on what came out, because answers go to where NAT has put it."""

    def __init__(self, router: Router, setting: Setting) -> None:
        self.router, self.setting = router, setting
        self.next = {n: [1000 + (n % 3) * 0x7FFFFF00 & 0xFFFFFFFF, 5000] for n in range(len(FLOWS))}
        self.seen: dict[tuple[int, int], tuple[str, int, str, int]] = {}
        """(protocol, flow): addresses and ports of its last packet on the far side."""
        self.names: dict[int, str] = {}
        self.parts = 0
        """What the ports that NAT has drawn are called in what is compared."""
        self.before = router.counters()

    def ends(self, proto: int, flow: int, way: int) -> tuple[int, str, int, str, int]:
        """Side where a packet comes in, and its addresses and ports."""
        f = FLOWS[flow]
        if way == 0:
            return f.side, f.src, f.sport, f.dst, f.dport
        src, sport, dst, dport = self.seen.get((proto, flow), (f.src, f.sport, f.dst, f.dport))
        return 1 - f.side, dst, dport, src, sport

    def take(self, step: Step) -> Heard:
        """One step; what came out."""
        if isinstance(step, Wait):
            self.router.wait(step.seconds)
            return []
        if isinstance(step, Knob):
            self.router.set(step.name, step.value)
            return []
        if isinstance(step, Pieces):
            return self.in_pieces(step)
        if isinstance(step, Segment):
            side, packet = self.segment(step)
            proto = TCP
        elif isinstance(step, Trouble):
            side, packet = self.trouble(step)
            routed = step.kind == 5 or (step.kind, step.code) == (3, 4)
            if dotted_at(packet, 12) in OWN or (routed and dotted_at(packet, 16) in OWN):
                return []  # martians; and what a kernel remembers about its routes
            return self.router.send(side, packet)
        else:
            side, packet = self.datagram(step)
            proto = step.proto
        if dotted_at(packet, 12) in OWN:
            return []  # martians: not what is compared here
        heard = self.router.send(side, packet)
        for where, data in heard:
            if data[4:6] == OURS and data[9] == proto:
                self.learn(proto, step.flow, step.way, data, through=where != side)
        return heard

    def in_pieces(self, step: Pieces) -> Heard:
        """The fragments of a datagram; what came out when the last was there."""
        side, packet = self.datagram(step.whole)
        if dotted_at(packet, 12) in OWN:
            return []
        parts = []
        self.parts += 1
        for at in range(20, len(packet), step.size):
            more = at + step.size < len(packet)
            part = packet[at : at + step.size]
            word = (0x2000 if more else 0) | (at - 20) >> 3
            head = struct.pack(">BBHHH", 0x45, 0, 20 + len(part), 1000 + self.parts, word)
            head += packet[8:10] + b"\0\0" + packet[12:20]
            parts.append(head[:10] + checksum(head) + head[12:] + part)
        heard: Heard = []
        for part in reversed(parts) if step.backwards else parts:
            heard += self.router.send(side, part)
        for where, data in heard:
            if data[6:8] in (b"\0\0", b"\x20\0") and data[9] == step.whole.proto:
                whole = step.whole
                self.learn(whole.proto, whole.flow, whole.way, data, through=where != side)
        return heard

    def learn(self, proto: int, flow: int, way: int, data: bytes, *, through: bool) -> None:
        """Where a flow's packets come out, and the names of ports that were drawn."""
        f = FLOWS[flow]
        ports: tuple[int, int] = (0, 0)
        if len(data) < 28:
            return
        if proto in PORTS:
            ports = struct.unpack_from(">HH", data, 20)
        elif proto == ICMP:
            ports = (struct.unpack_from(">H", data, 24)[0], 0)
        if way == 0 and through:
            self.seen[proto, flow] = (dotted_at(data, 12), ports[0], dotted_at(data, 16), ports[1])
        if proto in (*PORTS, ICMP) and ports[0] not in (f.sport, f.dport):
            low, high = self.setting.low, self.setting.high
            if not low <= ports[0] <= high or not low:
                low, high = next(c for c in CLASSES if c[0] <= ports[0] <= c[1])
            self.names[ports[0]] = f"<{low}-{high}>"

    def segment(self, s: Segment) -> tuple[int, bytes]:
        side, src, sport, dst, dport = self.ends(TCP, s.flow, s.way)
        nxt = self.next[s.flow]
        seq, ack = (nxt[s.way] + s.seq) & 0xFFFFFFFF, (nxt[1 - s.way] + s.ack) & 0xFFFFFFFF
        seq = seq if s.isn is None else s.isn
        ack = ack if s.acked is None else s.acked
        end = (seq + s.size + bool(s.flags & SYN) + bool(s.flags & FIN)) & 0xFFFFFFFF
        if (end - nxt[s.way]) & 0xFFFFFFFF < 100_000 or (s.isn is not None and s.flags & SYN):
            nxt[s.way] = end
        options = b""
        if s.flags & SYN:
            options = struct.pack(">BBH", 2, 4, 1460)
            options += b"\x04\x02" if s.sack_ok else b""
            options += bytes((3, 3, s.wscale)) if s.wscale is not None else b""
        elif s.sack:
            left = (ack + s.sack[0]) & 0xFFFFFFFF
            options = struct.pack(">BBII", 5, 10, left, (left + s.sack[1]) & 0xFFFFFFFF)
        if not (s.sack and s.extra[:1] == b"\x05"):
            options += s.extra  # of two lists of blocks only the last is read here
        options += b"\x01" * (-len(options) % 4)
        words = (20 + len(options)) // 4
        body = bytes(s.size)
        if s.spoilt == "offset":
            words = 4
        elif s.spoilt == "beyond":
            words, body = min(words + 1, 15), b""
        flags = s.flags & 0x1FF
        ack = ack if flags & ACK else 0
        head = struct.pack(">HHIIHHHH", sport, dport, seq, ack, words << 12 | flags, s.win, 0, 0)
        whole = summed(TCP, src, dst, head + options + body, 16)
        if s.spoilt == "sum":
            whole = whole[:16] + bytes((whole[16] ^ 1,)) + whole[17:]
        elif s.spoilt == "short":
            whole = whole[: 8 + s.size % 12]
        packet = ip(TCP, src, dst, whole)
        return side, packet + (bytes(6) if s.spoilt == "pad" else b"")

    def datagram(self, d: Datagram) -> tuple[int, bytes]:
        side, src, sport, dst, dport = self.ends(d.proto, d.flow, d.way)
        body = bytes(range(d.size))
        whole = self.message(d, src, sport, dst, dport, body)
        at = {UDP: 6, UDPLITE: 6, ICMP: 2}.get(d.proto)
        if at is not None and d.spoilt == "sum":
            whole = whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]
        elif d.proto == UDP and d.spoilt == "nosum":
            whole = whole[:6] + b"\0\0" + whole[8:]
        elif d.proto == UDP and d.spoilt == "length":
            whole = whole[:4] + b"\x03\x00" + whole[6:]
        elif d.spoilt == "short":
            whole = whole[: 2 + d.size % 6]
        elif d.spoilt == "tiny":
            whole = b""
        return side, ip(d.proto, src, dst, whole)

    def message(
        self, d: Datagram, src: str, sport: int, dst: str, dport: int, body: bytes
    ) -> bytes:
        """What is behind the IP header."""
        if d.proto == UDP:
            head = struct.pack(">HHHH", sport, dport, 8 + d.size, 0)
            return summed(UDP, src, dst, head + body, 6)
        if d.proto == UDPLITE:
            head = struct.pack(">HHHH", sport, dport, 0, 0)
            return summed(UDPLITE, src, dst, head + body, 6)
        if d.proto == ICMP:
            kind = d.kind if d.way == 0 or d.kind not in ANSWERS else ANSWERS[d.kind]
            number = dport if d.way else sport
            message = struct.pack(">BBHHH", kind, d.code, 0, number, 1) + body
            return message[:2] + checksum(message) + message[4:]
        if d.proto == GRE:
            if d.code == 0:
                return struct.pack(">HHI", 0, 0x800, 0) + body
            # version 1, as PPTP has it: the key is that of a call
            proto = 0x880B if d.code == 1 else 0x800
            return struct.pack(">HHHH", 0x2001, proto, d.size, dport) + body
        return struct.pack(">I", 1) + body

    def trouble(self, t: Trouble) -> tuple[int, bytes]:
        """Who gets the packets of direction `way` sends the error, and quotes one as it came to him."""
        f = FLOWS[t.flow]
        src, sport, dst, dport = f.src, f.sport, f.dst, f.dport
        if t.way == 0 and not t.inside:
            src, sport, dst, dport = self.seen.get((t.proto, t.flow), (src, sport, dst, dport))
        elif t.way == 1 and not t.inside:
            src, sport, dst, dport = dst, dport, src, sport
        elif t.way == 1:
            dst, dport, src, sport = self.seen.get((t.proto, t.flow), (src, sport, dst, dport))
        if t.wrong:
            sport = 9
        at, quoted = (1 - f.side if t.way == 0 else f.side), struct.pack(">HHI", sport, dport, 1000)
        if t.inside:
            at = 1 - at
        if t.proto == ICMP:
            kind, number = (8, sport) if t.way == 0 else (0, dport)
            quoted = struct.pack(">BBHHH", kind, 0, 0, number, 1)
            quoted = quoted[:2] + checksum(quoted) + quoted[4:]
        inner = ip(t.proto, src, dst, quoted)
        if t.spoilt == "quote":
            inner = inner[:10] + b"\x12\x34" + inner[12:]
        elif t.spoilt == "version":
            inner = b"\x65" + inner[1:]
        elif t.spoilt == "fragment":
            inner = inner[:6] + b"\0\x10" + inner[8:]
        elif t.spoilt == "options":
            inner = b"\x46" + inner[1:20] + b"\1\1\1\1" + inner[20:]
        inner = inner[: t.cut]
        message = struct.pack(">BBHI", t.kind, t.code, 0, 0) + inner
        message = message[:2] + checksum(message) + message[4:]
        if t.spoilt == "sum":
            message = message[:2] + bytes((message[2] ^ 1,)) + message[3:]
        teller = ("10.9.1.99", "10.9.2.99")[at] if t.other else dst
        return at, ip(ICMP, teller, src, message)

    # --- what is compared -----------------------------------------------------------------------------------------

    def counted(self) -> dict[str, int]:
        """Since the beginning. How often NAT has found a port taken is chance once it draws."""
        now = self.router.counters()
        return {k: now[k] - self.before[k] for k in now if k != "found" or not self.names}

    def heard(self, packets: Heard) -> list[Any]:
        """Packets in words: those with a port that was drawn without it and its checksums, others as they are."""
        return [(side, self.said(data)) for side, data in packets]

    def said(self, data: bytes) -> Any:
        if data[4:6] != OURS and checksum(data[:20]) == b"\0\0":
            # of the machine itself: the two number their packets differently
            data = data[:4] + bytes(2) + data[6:10] + bytes(2) + data[12:]
        elif not self.names:
            return data.hex(" ", 4)
        elif checksum(data[:20]) != b"\0\0":
            return "wrong IP checksum", data.hex(" ", 4)
        proto, fields = data[9], [data[:10].hex(" ", 4), dotted_at(data, 12), dotted_at(data, 16)]
        if proto == ICMP and len(data) >= 48 and data[20] in (3, 4, 5, 11, 12):
            return [*fields, data[20:22].hex(), self.said(data[28:])]
        if proto in PORTS and len(data) >= 24:
            ports = struct.unpack_from(">HH", data, 20)
            at = {TCP: 36, UDP: 26, UDPLITE: 26}[proto]
            return [*fields, *map(self.name, ports), (data[24:at] + data[at + 2 :]).hex(" ", 4)]
        if proto == ICMP and len(data) >= 26:
            number = struct.unpack_from(">H", data, 24)[0]
            return [*fields, data[20:22].hex(), self.name(number), data[26:].hex(" ", 4)]
        return [*fields, data[20:].hex(" ", 4)]

    def name(self, port: int) -> int | str:
        return self.names.get(port, port)

    def entries(self) -> list[tuple[str, int]]:
        """Lines of the table without their timeouts, and these."""
        out = []
        for line in self.router.entries():
            words = line.split()
            timeout = int(words.pop(4))
            for i, word in enumerate(words):
                key, equals, number = word.partition("=")
                if equals and key in ("sport", "dport", "id"):
                    words[i] = f"{key}={self.name(int(number))}"
            out.append((" ".join(words), timeout))
        return sorted(out)


OWN = ("10.9.1.1", "10.9.2.1")
"""Addresses of the machine."""
ANSWERS = {8: 0, 13: 14, 15: 16, 17: 18}
CLASSES = ((1, 511), (512, 599), (600, 1023), (1024, 65535))
"""Where NAT looks for a port."""


def dotted_at(data: bytes, at: int) -> str:
    return dotted(struct.unpack_from(">I", data, at)[0])
