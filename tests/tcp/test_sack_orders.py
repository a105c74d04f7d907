"""What a receiver reports for every order of overlapping segments (RFC 2018 section 4, RFC 2883 section 4).

The segments are all runs of four pieces of a stream that begins one piece after RCV.NXT, and those that fill the first
piece. Every sequence of three of them is sent; each answer is held against a model that knows octets and order, and no
more: what is acknowledged, that every block was received, what must come first, and what came twice.
"""

from itertools import product

import pytest
from tcp.peer import Machine

PIECE = 25
RUNS = [(a, b) for a in range(5) for b in range(a + 1, 6)]
"""Segments, in pieces: [a, b)."""


class Receiver:
    """Octets by number, in pieces from 1 on; and the islands in the order in which they were touched last."""

    def __init__(self):
        self.held = set()
        self.touched = []

    def take(self, a, b):
        """A segment; the pieces of it that were known before."""
        known = self.held & set(range(a, b))
        self.held |= set(range(a, b))
        self.touched.append((a, b))
        return known

    def next(self):
        n = 0
        while n in self.held:
            n += 1
        return n

    def islands(self):
        """The islands beyond the acknowledgment, that of the newest segment first."""
        out = []
        for a, b in reversed(self.touched):
            if a < self.next():
                continue
            lo, hi = a, b
            while lo - 1 in self.held:
                lo -= 1
            while hi in self.held:
                hi += 1
            if (lo, hi) not in out and lo > self.next():
                out.append((lo, hi))
        return out


def pieces(block):
    """A block of the option in pieces."""
    left, right = block
    assert (left - 1) % PIECE == (right - 1) % PIECE == 0
    return (left - 1) // PIECE, (right - 1) // PIECE


def check(receiver, known, segment, answer, peer, *, dsack):
    """One answer against the model."""
    nxt = receiver.next()
    assert (peer.mine(answer.ack) - 1) // PIECE == nxt
    blocks = [pieces((peer.mine(a), peer.mine(b))) for a, b in answer.sacks]
    islands = receiver.islands()
    if known and dsack:
        first = blocks.pop(0)
        assert set(range(*first)) <= known, "what is said to be a duplicate was one"
        assert first[0] == min(known), "and it is the first (RFC 2883 section 4, 2)"
    # FreeBSD goes on reporting a duplicate beyond RCV.NXT as if it were an island, within the island that it is part of
    blocks = [
        x
        for i, x in enumerate(blocks)
        if not any(y != x and y[0] <= x[0] and x[1] <= y[1] for y in blocks) and x not in blocks[:i]
    ]
    assert blocks == [x for x in islands if x[0] > nxt][: len(blocks)], "the newest first"
    assert len(blocks) == len(islands), "and all of them"


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
@pytest.mark.parametrize("first", RUNS, ids=str)
def test_every_order(profile, first):
    m = Machine(profile, tcp_comp_sack_nr=0)
    listener = m.listen()
    port = 4000
    for rest in product(RUNS, repeat=2):
        port += 1
        p = m.peer(port)
        t = p.passive(listener, "sack")
        receiver = Receiver()
        for a, b in (first, *rest):
            known = receiver.take(a, b)
            left, right = 1 + a * PIECE, 1 + b * PIECE
            p.send(f". {left}:{right}({right - left}) ack 1 win 65535")
            m.run(0.3)
            answer = p.inbox.pop()
            p.inbox.clear()
            check(receiver, known, (a, b), answer, p, dsack=profile != "freebsd-10")
        have = receiver.next() * PIECE
        assert len(m.read(t) if have else b"") == have
        p.send("R 1:1(0)") if not have else p.send(f"R {have + 1}:{have + 1}(0)")
        m.close(t)
    m.run(1)
    m.assert_clean()
