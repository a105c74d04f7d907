"""Prints what the wire modules make of a thousand packets, good and damaged: see test_twin_wire.py."""

import random
import sys

from fuzz import fuzz_wire, octets
from fuzz.octets import ICMP, TCP, UDP

from pystack._fast import ip4, tcp_wire, udp_icmp
from pystack._fast.frag import Reassembler
from pystack._fast.packet import COOKIE_ROOM, Packet, PacketQueue

FIELDS = """
head_len ip_len m length gso_size csum_ok csum_none src dst proto tos ttl ip_id frag_off total df mf sport dport
icmp_type icmp_code icmp_rest seq ack flags win urg opt_mss opt_wscale opt_sack_ok opt_ts ts_val ts_ecr sack_n tfo_off
opt_md5 tfo_len drop
""".split()
QUOTED = "q_proto q_src q_dst q_sport q_dport q_seq q_ip_id q_total q_mtu".split()
COUNTERS = "octets received completed duplicates overlapped evicted timed_out".split()

chance = random.Random(int(sys.argv[1]))
pool = octets.pool()
home = PacketQueue()
quote = udp_icmp.Quote()
reassembler = Reassembler(pool, max_packets=5, max_bytes=4000, timeout_ns=1000)


def show(what: str, p: Packet) -> None:
    """All that is known of a packet, numbers as numbers (True is 1 at one speed only)."""
    values = " ".join(str(int(getattr(p, name))) for name in FIELDS)
    print(what, values, list(p.sack), bytes(p.head[: p.head_len]).hex(), p.to_bytes().hex())


def some(n: int) -> bytes:
    return chance.randbytes(chance.randrange(n + 1))


def options() -> bytes:
    parts = [b"\2\4\5\xb4", b"\1", b"\3\3\x0f", b"\4\2", b"\1\1\x08\x0a" + chance.randbytes(8)]
    parts += [b"\5\x12" + chance.randbytes(16), b"\x22\x0aABCDEFGH", chance.randbytes(3)]
    joined = b"".join(chance.sample(parts, chance.randrange(5)))[:40]
    return joined + bytes(-len(joined) % 4)


def packet() -> bytes:
    proto = chance.choice((TCP, TCP, TCP, UDP, ICMP, 89))
    if proto == TCP:
        body = octets.tcp(
            some(900), seq=chance.getrandbits(32), ack=chance.getrandbits(32),
            flags=chance.getrandbits(8), options=options(),
        )  # fmt: skip
    elif proto == UDP:
        body = octets.udp(some(900), no_checksum=chance.random() < 0.2)
    elif proto == ICMP:
        body = octets.icmp(
            chance.choice((0, 3, 8, 11)), 4, chance.getrandbits(32),
            octets.ip(octets.tcp(some(30)), TCP, options=bytes(4 * chance.randrange(3))),
        )  # fmt: skip
    else:
        body = some(100)
    return octets.ip(
        body, proto, ident=chance.getrandbits(16), tos=chance.getrandbits(8), ttl=chance.randrange(4),
        df=chance.random() < 0.3, options=bytes(4 * chance.randrange(0, 3)),
    )  # fmt: skip


def damage(data: bytes) -> bytes:
    if chance.random() < 0.5:
        return data
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(min(60, len(changed)))] = chance.getrandbits(8)
    if chance.random() < 0.2:
        del changed[chance.randrange(len(changed)) :]
    return fuzz_wire.repaired(bytes(changed)) if chance.random() < 0.7 else bytes(changed)


def read() -> None:
    """Read a packet; forward, split, fragment and quote it."""
    p = home.take_free()
    data = damage(packet())
    p.csum_ok = chance.random() < 0.3
    ip4.parse(p, memoryview(data), 0, len(data))
    show("parse", p)
    p.release()
    p = ip4.load(pool, data)
    show("load", p)
    if p.drop == 0:
        print("quote", udp_icmp.parse_quote(p, quote), [getattr(quote, name) for name in QUOTED])
        print("forward", ip4.forward(p), udp_icmp.may_answer(p) + 0)
        if udp_icmp.may_answer(p):
            error = home.take_free()
            udp_icmp.build_error(p, error, pool, 11, 0, 7, 28)
            ip4.build(error)
            show("error", error)
            error.release()
        cut(p)
    p.release()


def cut(p: Packet) -> None:
    p.gso_size = chance.randrange(1, 400)
    if p.proto == TCP and p.head_len > p.ip_len and p.length > 0:
        p.csum_ok = chance.random() < 0.5
        for i in range(ip4.split_count(p)):
            out = home.take_free()
            if ip4.split_count(p) > 1:
                print(int(ip4.split(p, i, out)))
                show("split", out)
            out.release()
        p.csum_ok = True
    parts = PacketQueue()
    print("fragments", ip4.fragment(p, chance.randrange(20, 300), home, parts))
    while (part := parts.pop()) is not None:
        show("fragment", part)
        if (part.mf or part.frag_off) and chance.random() < 0.95:
            print("reassembly", reassembler.add(part, now))
            show("after", part)
        part.release()


def write() -> None:
    """Build a segment with any set of options in either layout."""
    p = home.take_free()
    p.pool = pool
    p.src, p.dst, p.proto, p.sport, p.dport = octets.A, octets.B, TCP, 1, 65535
    p.seq, p.ack, p.flags, p.win = (chance.getrandbits(n) for n in (32, 32, 8, 16))
    p.opt_mss = chance.choice((-1, 1460))
    p.opt_wscale = chance.choice((-1, 7))
    p.opt_sack_ok, p.opt_ts = chance.random() < 0.5, chance.random() < 0.5
    p.ts_val, p.ts_ecr, p.sack_n = (
        chance.getrandbits(32),
        chance.getrandbits(32),
        chance.randrange(5),
    )
    for i in range(8):
        p.sack[i] = chance.getrandbits(32)
    if chance.random() < 0.3:
        p.tfo_off, p.tfo_len = COOKIE_ROOM, chance.choice((0, 4, 8, 16))
        p.head[COOKIE_ROOM : COOKIE_ROOM + 16] = chance.randbytes(16)
    body = some(60)
    if body:
        p.m, p.length = pool.new_chain(memoryview(body), 0, len(body)), len(body)
    p.csum_ok = chance.random() < 0.5
    layout = chance.randrange(2)
    print("options", tcp_wire.option_length(p, layout), tcp_wire.build(p, layout))
    ip4.build(p)
    show("built", p)
    print("pseudo", ip4.pseudo(p))
    ip4.finish(p)
    show("finished", p)
    p.release()


for now in range(0, 10000, 20):
    read()
    write()
    late = home.take_free()
    while reassembler.expire(now, late):
        show("late", late)
        late.clear()
    late.release()
    print([getattr(reassembler, name) for name in COUNTERS], reassembler.waiting())
reassembler.flush()
print("in use", pool.in_use, home.count)
