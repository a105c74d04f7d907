"""A Linux machine that forwards between two taps, and the packets to send through it: the lab of the recordings.

Clients are 10.9.1.x and 10.10.x.x, servers 10.9.2.x, as in linux-6.18-netfilter.jsonl.
"""

import json
import struct
from pathlib import Path

import pystack
from pystack.addresses import parse_host
from pystack.packetdrill import segments

RECORDS = {
    record["name"]: record
    for record in map(
        json.loads, Path(__file__).with_name("linux-6.18-netfilter.jsonl").read_text().splitlines()
    )
}
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = "10.9.1.2", "10.9.2.2"
MS = 1_000_000
SECOND = 1_000 * MS
NF = "net.netfilter.nf_conntrack_"


def checksum(data):
    """The two octets of it."""
    return segments.checksum(data).to_bytes(2, "big")


def ip(src, dst, proto, payload):
    """An IPv4 packet."""
    head = struct.pack(
        ">BBHHHBBHII",
        0x45,
        0,
        20 + len(payload),
        0,
        0x4000,
        64,
        proto,
        0,
        parse_host(src),
        parse_host(dst),
    )
    return head[:10] + checksum(head) + head[12:] + payload


def tcp(src, sport, dst, dport, flags, seq=1000, ack=0, payload=b"", window=8192):
    """A TCP segment without options."""
    head = struct.pack(">HHIIHHHH", sport, dport, seq, ack, 0x5000 | flags, window, 0, 0) + payload
    pseudo = struct.pack(">IIBBH", parse_host(src), parse_host(dst), 0, 6, len(head))
    return ip(src, dst, 6, head[:16] + checksum(pseudo + head) + head[18:])


def udp(src, sport, dst, dport, payload=b"x"):
    """A datagram without a checksum."""
    return ip(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload)


def icmp(src, dst, kind, code=0, rest=0, payload=b""):
    """An ICMP message."""
    message = struct.pack(">BBHI", kind, code, 0, rest) + payload
    return ip(src, dst, 1, message[:2] + checksum(message) + message[4:])


class Gateway:
    """The machine `gw` between the taps `a` (clients) and `b` (servers); knobs without their common prefix."""

    def __init__(self, profile="linux-6", policy=None, **knobs):
        self.net = pystack.Network(seed=7)
        self.gw = self.net.host(
            "gw",
            ["10.9.1.1/24", "10.9.2.1/24"],
            profile=profile,
            policy=policy,
            forwarding=True,
        )
        self.a = self.net.tap(f"{CLIENT}/24")
        self.b = self.net.tap(f"{SERVER}/24")
        self.net.link(self.a, self.gw)
        self.net.link(self.b, self.gw)
        self.gw.route("10.10.0.0/16", via=CLIENT)
        for name, value in knobs.items():
            self.gw.sysctl[NF + name] = value
        self.gw.conntrack.track()
        self.begin = self.net.now

    @property
    def t(self):
        """Seconds since the start."""
        return (self.net.now - self.begin) / SECOND

    def at(self, seconds):
        """Let time pass until so many seconds after the start."""
        self.net.run(for_=self.begin + round(seconds * SECOND) - self.net.now)

    def send(self, packet, back=False, wait=MS // 10):
        """Send a packet; what came out on the other side, or None."""
        here, there = (self.b, self.a) if back else (self.a, self.b)
        before = len(there.received)
        here.send(packet)
        self.net.run(for_=wait)
        return there.received[before][1] if len(there.received) > before else None

    def syn(self, number, sport=1024, dport=80):
        """A SYN of a client of its own; was it forwarded?"""
        return self.send(tcp(client(number), sport, SERVER, dport, SYN)) is not None

    def establish(self, number, sport=1024, dport=80):
        """The three segments of a handshake."""
        who = client(number)
        assert self.syn(number, sport, dport)
        assert self.send(tcp(SERVER, dport, who, sport, SYN | ACK, 5000, 1001), back=True)
        assert self.send(tcp(who, sport, SERVER, dport, ACK, 1001, 5001))

    def finish(self, number, sport=1024, dport=80):
        """An established flow is closed by both sides: TIME_WAIT."""
        who = client(number)
        assert self.send(tcp(who, sport, SERVER, dport, FIN | ACK, 1001, 5001))
        assert self.send(tcp(SERVER, dport, who, sport, FIN | ACK, 5001, 1002), back=True)
        assert self.send(tcp(who, sport, SERVER, dport, ACK, 1002, 5002))

    def stream(self, number, sport=1024, dport=53):
        """A UDP flow that is ASSURED: three packets, the last after two seconds."""
        who = client(number)
        self.send(udp(who, sport, SERVER, dport))
        self.send(udp(SERVER, dport, who, sport), back=True)

    @property
    def count(self):
        """nf_conntrack_count."""
        return self.gw.sysctl[NF + "count"]

    @property
    def counters(self):
        """`conntrack -S` without zeros."""
        return {name: n for name, n in self.gw.conntrack.counters().items() if n}

    @property
    def lines(self):
        """/proc/net/nf_conntrack, runs of blanks made one."""
        return [
            " ".join(line.split()) for line in self.gw.proc("/proc/net/nf_conntrack").splitlines()
        ]

    @property
    def states(self):
        """Flows by protocol, state, A or U, as the recordings have them."""
        out = {}
        for one in self.gw.conntrack.flows():
            mark = "A" if one.assured else "U" if one.unreplied else ""
            key = f"{one.name} {one.state} {mark}".rstrip()
            out[key] = out.get(key, 0) + 1
        return out


def client(number):
    """An address of 10.10.0.0/16."""
    return f"10.10.{number >> 8 & 255}.{number & 255}"
