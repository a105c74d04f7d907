"""Fuzzer of the parsers: any octets go in, and the packet through all that reads or cuts one.

    PYSTACK_PURE=1 python tests/fuzz/fuzz_wire.py [-max_total_time=60] [CORPUS]

needs atheris (`pip install pystack-net[fuzz]`); arguments are libFuzzer's. The inputs of `wire/` are
its seeds, and `test_fuzz_wire.py` runs them without atheris: put what it found there. Interpreted,
because there an index out of range raises (CONTRIBUTING.md, the traps).
"""

import struct
import sys
from pathlib import Path

sys.path.extend(str(folder) for folder in Path(__file__).resolve().parents[1:3])

from fuzz import corpus, octets

from pystack._fast import ip4, tcp_wire, udp_icmp
from pystack._fast.consts import OPTIONS_BSD, OPTIONS_LINUX, Drop
from pystack._fast.frag import Reassembler
from pystack._fast.mbuf import Pool
from pystack._fast.packet import Packet, PacketQueue

SEEDS = Path(__file__).with_name("wire")
REASONS = frozenset(Drop)
_pool = octets.pool()
_quote = udp_icmp.Quote()


def repaired(data: bytes) -> bytes:
    """The same packet with good checksums and total, as far as it is one: to come past the gates."""
    size = (data[0] & 15) * 4 if data else 0
    if not 20 <= size <= len(data) or data[0] >> 4 != 4 or len(data) > 65535:
        return data
    head = data[:2] + struct.pack(">H", len(data)) + data[4:10] + b"\0\0" + data[12:size]
    head = head[:10] + struct.pack(">H", octets.checksum(head)) + head[12:]
    body = data[size:]
    src, dst = struct.unpack_from(">II", data, 12)
    if data[9] == octets.TCP and len(body) >= 20:
        body = octets.with_pseudo(body, 16, octets.TCP, src, dst)
    elif data[9] == octets.UDP and len(body) >= 8:
        length = struct.unpack_from(">H", body, 4)[0]
        body = octets.with_pseudo(body[:length], 6, octets.UDP, src, dst) + body[length:]
    elif data[9] == octets.ICMP and len(body) >= 8:
        body = body[:2] + b"\0\0" + body[4:]
        body = body[:2] + struct.pack(">H", octets.checksum(body)) + body[4:]
    return head + body


def canonical(p: Packet, data: bytes) -> bytes:
    """A checksum of ones and one of zeros are the same number (RFC 1071); zeros then."""
    at = p.checksum_at()
    ones = at and p.proto != octets.UDP and data[at : at + 2] == b"\xff\xff"
    return data[:at] + b"\0\0" + data[at + 2 :] if ones else data


def one(data: bytes, pool: Pool = _pool) -> Packet | None:
    """Everything that can happen to a packet; nothing may raise, leak, or change the octets.

    Answers the packet as it was read, without its payload, or None if it was refused.
    """
    # exactly `n` octets, so that reading one more is an error
    alone = Packet()
    reason = ip4.parse(alone, memoryview(data), 0, len(data))
    p = ip4.load(pool, data)
    assert p.drop == reason or (p.drop == Drop.MBUF and reason == 0)
    assert reason in REASONS
    if reason:
        assert p.m == 0
        return None
    assert p.length == alone.length == pool.chain_length(p.m)
    assert p.head_len + p.length == p.total <= len(data)
    if p.total == struct.unpack_from(">H", data, 2)[0]:
        assert canonical(p, p.to_bytes()) == canonical(p, data[: p.total])
    _answer(p, pool)
    _cut(p, pool)
    _rebuild(p)
    _reassemble(p, pool)
    p.release()
    assert pool.in_use == 0, "leaked"
    return alone


def _answer(p: Packet, pool: Pool) -> None:
    """What it quotes, and an error about it, which must be readable itself."""
    if p.proto == octets.ICMP and p.head_len > p.ip_len:
        assert udp_icmp.parse_quote(p, _quote) in REASONS
    if udp_icmp.may_answer(p):
        out = Packet()
        assert udp_icmp.build_error(p, out, pool, 3, 3, 0, p.ttl)
        out.src = octets.B
        ip4.build(out)
        back = ip4.load(pool, out.to_bytes())
        assert back.drop == 0
        assert udp_icmp.parse_quote(back, _quote) in (0, Drop.ICMP_QUOTE)
        back.release()
        out.release()


def _cut(p: Packet, pool: Pool) -> None:
    """Split as a super-segment: the parts are good packets and together the same payload."""
    if p.proto != octets.TCP or p.head_len == p.ip_len or p.length == 0:
        return
    p.gso_size = p.length // 3 + 1
    body = b""
    for i in range(ip4.split_count(p)):
        out = Packet()
        if ip4.split_count(p) > 1:
            assert ip4.split(p, i, out)
            raw = out.to_bytes()
            again = Packet()
            assert ip4.parse(again, memoryview(raw), 0, len(raw)) == 0
            body += raw[again.head_len :]
            out.release()
    assert ip4.split_count(p) == 1 or body == pool.to_bytes(p.m, 0, p.length)
    p.gso_size = 0


def _rebuild(p: Packet) -> None:
    """What was read can be written by either system and read again."""
    if p.proto != octets.TCP or p.head_len == p.ip_len or p.ip_len != 20:
        return
    for layout in (OPTIONS_BSD, OPTIONS_LINUX):
        q = Packet()
        q.copy_headers(p)
        size = tcp_wire.option_length(q, layout)
        assert size == tcp_wire.build(q, layout) <= 40
        ip4.build(q)
        raw = bytes(q.to_bytes())
        again = Packet()
        assert ip4.parse(again, memoryview(raw), 0, len(raw)) == 0
        for name in "seq ack flags win urg opt_mss opt_wscale opt_sack_ok opt_ts sack_n".split():
            assert getattr(again, name) == getattr(q, name), name


def _reassemble(p: Packet, pool: Pool) -> None:
    """Fragments of it, last one first, are the packet again."""
    if p.mf or p.frag_off or p.total - p.ip_len < 9:
        return
    wanted = p.to_bytes()
    free, parts = PacketQueue(), PacketQueue()
    left = p.csum_ok
    if ip4.fragment(p, p.ip_len + 64, free, parts) > 1:
        r = Reassembler(pool, max_per_packet=-1 if p.total > 1000 else 17)
        stack = []
        while (part := parts.pop()) is not None:
            stack.append(part)
        while stack:
            part = stack.pop()
            answer = r.add(part, 0)
            if answer == 0:
                assert canonical(p, part.to_bytes())[p.ip_len :] == canonical(p, wanted)[p.ip_len :]
            part.release()
        r.flush()
    while (part := parts.pop()) is not None:
        part.release()
    p.csum_ok = left


def fuzz(data: bytes) -> None:
    """One input: as it is, and with its checksums made good."""
    one(data)
    one(repaired(data))


if __name__ == "__main__":
    corpus.fuzz(fuzz, SEEDS)
