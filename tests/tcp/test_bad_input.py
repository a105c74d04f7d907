"""Anything may arrive: segments with right checksums and learned numbers, in any state, between any calls.

Nothing raises, no invariant breaks, an answer to a segment is bounded, and when all is closed nothing is left.
"""

import pytest
from fuzz import octets
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp.peer import BITS, PROFILES, THEM, US, Machine, pattern

from pystack._fast import commands, consts
from pystack._fast.seq import dist

DELTA = st.one_of(
    st.integers(-3, 3),
    st.integers(-3000, 3000),
    st.integers(-70000, 70000),
    st.integers(-(2**31), 2**31),
)
OPTIONS = st.one_of(
    st.just(b""),
    st.sampled_from(
        ["nop,nop,TS", "nop,nop,TS val 1 ecr 0", "mss 1460", "mss 0", "mss 65535", "wscale 14"]
    ),
    st.lists(st.tuples(st.integers(-3, 30), st.integers(-3, 30)), min_size=1, max_size=3),
    st.binary(max_size=40).map(lambda b: b + bytes(-len(b) % 4)),
)
SEGMENT = st.tuples(
    st.just("segment"),
    st.sampled_from(("rcv_nxt", "edge", "irs")),
    DELTA,
    st.sampled_from(("snd_una", "snd_nxt", "snd_max", "iss")),
    DELTA,
    st.one_of(
        st.sampled_from([16, 24, 17, 25, 2, 18, 4, 20, 16 + 32, 16 + 64, 16 + 128, 1, 0]),
        st.integers(0, 255),
    ),
    st.one_of(st.integers(0, 5), st.integers(0, 4000), st.just(1460)),
    st.one_of(st.sampled_from([0, 1, 1000, 65535]), st.integers(0, 65535)),
    OPTIONS,
    st.integers(0, 3),
)
GOOD = st.tuples(
    st.just("good"), st.sampled_from(("ack", "data", "fin", "partial")), st.integers(0, 6000)
)
CALL = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 60000)),
    st.tuples(st.just("read"), st.integers(1, 70000)),
    st.tuples(st.just("shutdown"), st.integers(0, 2)),
    st.tuples(st.just("close"), st.just(0)),
    st.tuples(st.just("linger"), st.just(0)),
    st.tuples(st.just("time"), st.sampled_from([0.001, 0.05, 0.3, 1.0, 7.0, 70.0, 800.0])),
    st.tuples(
        st.just("icmp"),
        st.tuples(st.sampled_from([3, 4, 11, 12]), st.integers(0, 5), DELTA, st.integers(0, 2000)),
    ),
)


class Attack:
    def __init__(self, profile: str, how: str):
        self.m = Machine(profile)
        self.closed = False
        if how == "listen":
            self.listener = self.m.listen(backlog=3)
            self.peer = self.m.peer()
            self.t = self.listener
        elif how == "connect":
            self.listener = None
            self.t = self.m.connect(80)
            self.peer = self.m.peer_of(self.t)
        else:
            self.listener = self.m.listen()
            self.peer = self.m.peer()
            self.t = self.peer.passive(self.listener, how)

        self.peer.compare = False  # what is written here is no pattern

    def step(self, op, *arguments) -> None:
        before = self.m.sent
        getattr(self, op)(*arguments)
        if op in ("segment", "icmp"):
            assert self.m.sent - before <= 2 + 200_000 // 400, "one segment, a flood of answers"
        self.peer.inbox.clear()
        self.check()

    def check(self) -> None:
        t = self.t
        for i, n in enumerate(self.m.core.states):
            assert n >= 0, consts.STATE_NAMES[i]
        if t.row:
            assert 0 <= t.state <= 10
            if t.state > consts.LISTEN:
                assert dist(t.snd_una, t.snd_nxt) >= 0
                assert dist(t.snd_nxt, t.snd_max) >= 0
                assert dist(t.snd_una, t.snd_max) <= t.sndq.cc + 2
            assert t.cwnd >= 0
            if t.state >= consts.ESTABLISHED:
                assert t.maxseg > 0
            outstanding = t.state > consts.LISTEN and t.snd_una != t.snd_max
            if outstanding:
                assert (t.at_rexmt, t.at_persist) != (consts.NEVER, consts.NEVER), (
                    "nothing would ever send it again"
                )

    def segment(self, seq_at, seq_by, ack_at, ack_by, flags, n, win, options, tos) -> None:
        t = self.t
        seq = {"rcv_nxt": t.rcv_nxt, "edge": t.rcv_adv, "irs": t.irs}[seq_at]
        ack = getattr(t, ack_at)
        seq, ack = (seq + seq_by) & 0xFFFFFFFF, (ack + ack_by) & 0xFFFFFFFF
        raw = b""
        if isinstance(options, bytes):
            raw = options
        elif isinstance(options, str):
            raw = self.peer.options(options)
        else:
            edges = [(t.snd_una + 700 * x) & 0xFFFFFFFF for pair in options for x in pair]
            raw = (
                b"\1\1"
                + bytes((5, 2 + 4 * len(edges)))
                + b"".join(e.to_bytes(4, "big") for e in edges)
            )
        data = octets.tcp(
            pattern((seq - self.peer.isn) & 0xFFFFFFFF, n), sport=self.peer.port, dport=self.peer.local, seq=seq,
            ack=ack, flags=flags, win=win, urg=n, options=raw, src=THEM, dst=US,
        )  # fmt: skip
        self.m.inject(octets.ip(data, octets.TCP, src=THEM, dst=US, tos=tos))

    def good(self, what, n) -> None:
        """What an honest peer would say now."""
        t = self.t
        if t.row == 0 or t.state <= consts.LISTEN:
            return
        ack = (
            t.snd_max
            if what != "partial"
            else (t.snd_una + min(n, max(0, dist(t.snd_una, t.snd_max)))) & 0xFFFFFFFF
        )
        flags = BITS["."] | (BITS["F"] if what == "fin" else 0)
        body = pattern((t.rcv_nxt - self.peer.isn) & 0xFFFFFFFF, n if what == "data" else 0)
        seq = t.rcv_nxt
        if t.state == consts.SYN_SENT:
            flags, seq, body = BITS["S"] | BITS["."], self.peer.isn, b""
        data = octets.tcp(
            body,
            sport=self.peer.port,
            dport=self.peer.local,
            seq=seq,
            ack=ack,
            flags=flags,
            win=65535,
            src=THEM,
            dst=US,
        )
        self.m.inject(octets.ip(data, octets.TCP, src=THEM, dst=US))

    def icmp(self, spec) -> None:
        kind, code, by, mtu = spec
        t = self.t
        inner = octets.tcp(
            sport=self.peer.local,
            dport=self.peer.port,
            seq=(t.snd_una + by) & 0xFFFFFFFF,
            src=US,
            dst=THEM,
        )
        quoted = octets.ip(inner, octets.TCP, src=US, dst=THEM)[:28]
        message = octets.icmp(kind, code, mtu, quoted)
        self.m.inject(octets.ip(message, octets.ICMP, src=THEM, dst=US))

    def write(self, n) -> None:
        self.m.call(commands.tcp_send, self.t, memoryview(pattern(0, n)), 0, n, False)

    def read(self, n) -> None:
        self.m.read(self.t, n)

    def shutdown(self, how) -> None:
        self.m.shutdown(self.t, how)

    def linger(self, _) -> None:
        self.t.linger = 0

    def close(self, _) -> None:
        if not self.closed and self.t is not self.listener:
            self.closed = True
            self.m.close(self.t)

    def time(self, seconds) -> None:
        self.m.run(seconds)

    def end(self) -> None:
        if self.listener is not None:
            while (child := self.m.accept(self.listener)) is not None:
                self.m.close(child)
            if self.t is not self.listener:
                self.m.close(self.listener)
        if not self.closed:
            self.m.close(self.t)
        self.m.run(40_000)
        self.m.assert_clean()
        assert self.m.core.next_deadline() == consts.NEVER


@pytest.mark.parametrize("how", ["listen", "connect", "plain", "all", "sack"])
@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=40)
@given(steps=st.lists(st.one_of(SEGMENT, SEGMENT, GOOD, GOOD, CALL), max_size=30))
def test_anything_may_arrive(profile, how, steps):
    attack = Attack(profile, how)
    for step in steps:
        attack.step(*step)
    attack.end()
