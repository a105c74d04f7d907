"""Packets under hypothesis: nothing raises or reads too far, and what is written is read back.

Run interpreted, an index out of range raises; `fuzz_wire.one` holds the invariants of a packet.
"""

import random

from fuzz import fuzz_wire, octets
from fuzz.octets import ICMP, TCP, UDP, A, B
from hypothesis import given
from hypothesis import strategies as st

from pystack._fast import ip4, tcp_wire, udp_icmp
from pystack._fast.consts import OPTIONS_BSD, OPTIONS_LINUX, SECOND, Drop
from pystack._fast.frag import Reassembler
from pystack._fast.packet import COOKIE_ROOM, Packet

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
port = st.integers(1, 0xFFFF)
words = st.integers(0, 10).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))
body = st.binary(max_size=600)
layouts = st.sampled_from([OPTIONS_BSD, OPTIONS_LINUX])

segments = st.builds(
    octets.tcp, body, sport=u16, seq=u32, ack=u32, flags=u8, win=u16, urg=u16, options=words
)
datagrams = st.builds(octets.udp, body, dport=u16, no_checksum=st.booleans())
messages = st.builds(octets.icmp, u8, u8, u32, body)
quotes = st.builds(
    lambda kind, quote: octets.icmp(kind, 0, 0, quote),
    st.sampled_from([3, 4, 5, 11, 12]),
    st.builds(octets.ip, segments, st.just(TCP)),
)
ip_options = st.one_of(st.just(b""), words)


@st.composite
def packets(draw) -> bytes:
    proto, part = draw(
        st.sampled_from([(TCP, segments), (UDP, datagrams), (ICMP, messages), (ICMP, quotes)])
    )
    mf, off = draw(st.sampled_from([(False, 0)] * 5 + [(True, 0), (True, 80), (False, 4000)]))
    return octets.ip(draw(part), proto, tos=draw(u8), options=draw(ip_options), mf=mf, off=off)


@st.composite
def damaged(draw) -> bytes:
    """A packet with octets changed, cut out or put in, and checksums made good or not."""
    data = bytearray(draw(packets()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 100)))
        kind = draw(st.sampled_from("change cut end insert".split()))
        if kind == "change" and at < len(data):
            data[at] = draw(st.one_of(st.sampled_from([0, 1, 0xFF, 0x45, 0x4F, 0xF0]), u8))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 20))]
        elif kind == "end":
            del data[at:]
        else:
            data[at:at] = draw(st.binary(max_size=8))
    return fuzz_wire.repaired(bytes(data)) if draw(st.booleans()) else bytes(data)


@given(st.binary(max_size=200))
def test_random_octets(data: bytes):
    fuzz_wire.fuzz(data)


@given(packets())
def test_good_packets(data: bytes):
    fuzz_wire.fuzz(data)


@given(damaged())
def test_damaged_packets(data: bytes):
    fuzz_wire.fuzz(data)


@given(packets(), st.integers(0, 8))
def test_nothing_behind_the_packet_is_read(data: bytes, off: int):
    """The same answer whatever lies before and behind."""
    answers = []
    for filler in (b"\0", b"\xff"):
        p = Packet()
        around = filler * off + data + filler * 100
        reason = ip4.parse(p, memoryview(around), off, len(data))
        answers.append((reason, bytes(p.head), p.length, p.sack_n, p.opt_ts, p.ts_val, p.tfo_off))
    assert answers[0] == answers[1]


# --- options ---------------------------------------------------------------------------------------


@st.composite
def with_options(draw) -> Packet:
    p = Packet()
    p.src, p.dst, p.proto, p.sport, p.dport = A, B, TCP, 1234, 80
    p.seq, p.ack, p.flags, p.win, p.urg = draw(u32), draw(u32), draw(u8), draw(u16), draw(u16)
    p.opt_mss = draw(st.one_of(st.just(-1), u16))
    p.opt_wscale = draw(st.integers(-1, 14))
    p.opt_sack_ok, p.opt_ts = draw(st.booleans()), draw(st.booleans())
    p.ts_val, p.ts_ecr = draw(u32), draw(u32)
    p.sack_n = draw(st.integers(0, 4))
    for i in range(8):
        p.sack[i] = draw(u32)
    cookie = draw(st.sampled_from([None, 0, 4, 6, 8, 10, 12, 14, 16]))
    if cookie is not None:
        p.tfo_off, p.tfo_len = COOKIE_ROOM, cookie
        p.head[COOKIE_ROOM : COOKIE_ROOM + cookie] = draw(
            st.binary(min_size=cookie, max_size=cookie)
        )
    return p


@given(with_options(), layouts)
def test_options_written_are_read(p: Packet, layout: int):
    blocks = p.sack_n
    asked = p.tfo_off >= 0
    cookie = bytes(p.head[COOKIE_ROOM : COOKIE_ROOM + p.tfo_len])
    size = tcp_wire.option_length(p, layout)
    assert (p.sack_n, p.tfo_off >= 0) == (blocks, asked)
    assert tcp_wire.build(p, layout) == size <= 40
    assert size % 4 == 0
    ip4.build(p)
    raw = p.to_bytes()
    q = Packet()
    assert ip4.parse(q, memoryview(raw), 0, len(raw)) == 0
    for name in """sport dport seq ack flags win urg opt_mss opt_wscale opt_sack_ok opt_ts sack_n
            tfo_off""".split():
        assert getattr(q, name) == getattr(p, name), name
    if p.opt_ts:
        assert (q.ts_val, q.ts_ecr) == (p.ts_val, p.ts_ecr)
    assert list(q.sack[: 2 * p.sack_n]) == list(p.sack[: 2 * p.sack_n])
    if p.tfo_off >= 0:
        assert bytes(q.head[q.tfo_off : q.tfo_off + q.tfo_len]) == cookie
    # nothing is left out that there was room for
    fixed = 12 * p.opt_ts + 4 * (p.opt_mss >= 0) + 4 * (p.opt_wscale >= 0) + 4 * p.opt_sack_ok
    if fixed + (8 * blocks + 4 if blocks else 0) + (len(cookie) + 4 if asked else 0) <= 40:
        assert p.sack_n == blocks
        assert (p.tfo_off >= 0) == asked


def read_options(data: bytes) -> dict[str, object]:
    """The model: options as RFC 9293 section 3.1 and MUST-7 read, one at a time."""
    found: dict[str, object] = {}
    while data and data[0] != 0:
        if data[0] == 1:
            data = data[1:]
            continue
        if len(data) < 2 or data[1] < 2 or data[1] > len(data):
            break
        kind, value, data = data[0], data[2 : data[1]], data[data[1] :]
        number = int.from_bytes(value, "big")
        if (kind, len(value)) == (2, 2):
            found["mss"] = number
        elif (kind, len(value)) == (3, 1):
            found["wscale"] = min(number, 14)
        elif (kind, len(value)) == (4, 0):
            found["sack_ok"] = True
        elif (kind, len(value)) == (8, 8):
            found["ts"] = (number >> 32, number & 0xFFFFFFFF)
        elif kind == 5 and value and len(value) % 8 == 0:
            found["sack"] = [
                int.from_bytes(value[i : i + 4], "big") for i in range(0, len(value), 4)
            ]
        elif kind == 34 and len(value) in (0, 4, 6, 8, 10, 12, 14, 16):
            found["cookie"] = value
    return found


one_option = st.one_of(
    st.sampled_from(
        [b"\0", b"\1", b"\2\4\5\xb4", b"\3\3\7", b"\4\2", b"\x08\x0a12345678", b"\5\x0a12345678"]
    ),
    st.builds(lambda k, v: bytes((k, len(v) + 2)) + v, u8, st.binary(max_size=18)),
    st.builds(
        lambda k, n, v: bytes((k, n)) + v,
        st.sampled_from([2, 3, 4, 5, 8, 34, 99]),
        u8,
        st.binary(max_size=9),
    ),
)


@given(st.lists(one_option, max_size=8).map(b"".join))
def test_options_are_read_as_the_model_reads(data: bytes):
    data = data[:40]
    data += bytes(-len(data) % 4)
    raw = octets.ip(octets.tcp(options=data), TCP)
    p = Packet()
    assert ip4.parse(p, memoryview(raw), 0, len(raw)) == 0
    got: dict[str, object] = {}
    if p.opt_mss >= 0:
        got["mss"] = p.opt_mss
    if p.opt_wscale >= 0:
        got["wscale"] = p.opt_wscale
    if p.opt_sack_ok:
        got["sack_ok"] = True
    if p.opt_ts:
        got["ts"] = (p.ts_val, p.ts_ecr)
    if p.sack_n:
        got["sack"] = list(p.sack[: 2 * p.sack_n])
    if p.tfo_off >= 0:
        got["cookie"] = bytes(p.head[p.tfo_off : p.tfo_off + p.tfo_len])
    assert got == read_options(data)


# --- forwarding, reassembly ------------------------------------------------------------------------


@given(packets(), st.integers(1, 255))
def test_forwarded_header_checksums_are_good(data: bytes, hops: int):
    p = Packet()
    if ip4.parse(p, memoryview(data), 0, len(data)):
        return
    for _ in range(min(hops, 63)):
        assert ip4.forward(p) == 0
    assert octets.checksum(bytes(p.head[: p.ip_len])) == 0


class Model:
    """Reassembly with a dict of octets: the policy in the fewest words."""

    def __init__(self, size: int) -> None:
        self.parts: dict[tuple[int, int, bool], bytes] = {}
        self.end: int | None = None
        self.dead = False

    def add(self, lo: int, data: bytes, mf: bool) -> str:
        if not data or (mf and len(data) % 8):
            return "bad"
        if self.dead:
            return "overlap"
        hi = lo + len(data)
        if self.parts.get((lo, hi, mf)) == data:
            return "held"
        taken = {i for a, b, _ in self.parts for i in range(a, b)}
        ends = {b for _, b, more in self.parts if not more} | ({hi} if not mf else set())
        if (
            taken & set(range(lo, hi))
            or len(ends) > 1
            or (ends and max(taken | {hi - 1}) >= min(ends))
        ):
            self.dead = True
            return "overlap"
        self.parts[lo, hi, mf] = data
        total = len(taken) + len(data)
        return "whole" if ends == {total} else "held"


NAMES = {0: "whole", Drop.FRAG_HELD: "held", Drop.FRAG_OVERLAP: "overlap", Drop.FRAG_BAD: "bad"}
pieces = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 34), st.booleans(), st.booleans()), max_size=14
)


@given(pieces, st.booleans())
def test_reassembly_is_that_of_the_model(cuts: list, aligned: bool):
    pool = octets.pool()
    r = Reassembler(pool)
    model = Model(0)
    data = bytes(range(120))
    for place, size, mf, changed in cuts:
        lo = 8 * place
        part = data[lo : lo + (size & ~7 if aligned else size)]
        if changed and part:
            part = b"\xff" + part[1:]
        if not mf and lo == 0:
            continue  # no fragment
        p = ip4.load(pool, octets.ip(part, 99, off=lo, mf=mf))
        assert p.drop == 0
        answer = r.add(p, 0)
        assert NAMES[answer] == model.add(lo, part, mf)
        if answer == 0:
            whole = b"".join(model.parts[key] for key in sorted(model.parts))
            assert p.to_bytes()[20:] == whole
            model = Model(0)
        p.release()
    r.flush()
    assert (pool.in_use, r.octets, r.waiting()) == (0, 0, 0)


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(100, 2000), st.integers(1, 40))
def test_interleaved_datagrams_within_limits(seed: int, limit: int, octets_max: int, count: int):
    """Limits hold at every step, and time empties everything."""
    chance = random.Random(seed)
    pool = octets.pool()
    r = Reassembler(pool, max_packets=limit, max_bytes=octets_max, max_per_packet=4)
    now = 0
    for _ in range(count):
        now += chance.randrange(8 * SECOND)
        out = Packet()
        while r.expire(now, out):
            error = Packet()
            assert udp_icmp.build_error(out, error, pool, 11, 1, 0, 8)
            error.release()
            out = Packet()
        part = bytes(8 * chance.randrange(1, 30))
        raw = octets.ip(
            part,
            99,
            ident=chance.randrange(8),
            off=8 * chance.randrange(60),
            mf=chance.random() < 0.8,
        )
        p = ip4.load(pool, raw)
        if p.mf or p.frag_off:
            r.add(p, now)
        p.release()
        assert r.waiting() <= limit
        assert r.octets <= octets_max
        assert r.next_deadline() > now
    while r.expire(now + 30 * SECOND, Packet()):
        pass
    assert (pool.in_use, r.octets, r.waiting()) == (0, 0, 0)
