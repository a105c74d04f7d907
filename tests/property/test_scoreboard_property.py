"""The scoreboard against a model of RFC 6675 that knows every octet by itself."""

from hypothesis import given
from hypothesis import strategies as st

from pystack._fast.scoreboard import Scoreboard

M32 = 0xFFFFFFFF
MSS = 10
BLOCKS = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 60)), max_size=25)
BASES = st.sampled_from([0, 2**31 - 100, 2**32 - 150, 2**32 - 1, 77])


def ranges_of(held: set[int]) -> list[tuple[int, int]]:
    out: list[list[int]] = []
    for at in sorted(held):
        if out and out[-1][1] == at:
            out[-1][1] += 1
        else:
            out.append([at, at + 1])
    return [(a, b) for a, b in out]


def is_lost(held: set[int], octet: int) -> bool:
    """IsLost: three discontiguous SACKed ranges above, or more than two segments' worth of octets."""
    above = [(max(a, octet), b) for a, b in ranges_of(held) if b > octet]
    return len(above) >= 3 or sum(b - a for a, b in above) > 2 * MSS


@given(base=BASES, blocks=BLOCKS, steps=st.lists(st.integers(0, 60), max_size=5))
def test_blocks_and_advance(base, blocks, steps):
    board = Scoreboard(128)
    held: set[int] = set()
    for left, n in blocks:
        new = set(range(left, left + n)) - held
        held |= new
        assert board.add_block((base + left) & M32, (base + left + n) & M32) == len(new)
        assert board.ranges() == [((base + a) & M32, (base + b) & M32) for a, b in ranges_of(held)]
        assert board.sacked == len(held)
    una = 0
    for step in steps:
        una += step
        held = {x for x in held if x >= una}
        board.advance((base + una) & M32)
        assert board.ranges() == [((base + a) & M32, (base + b) & M32) for a, b in ranges_of(held)]
        assert board.sacked == len(held)


@given(
    base=BASES,
    blocks=BLOCKS,
    una=st.integers(0, 100),
    beyond=st.integers(0, 60),
    rxt=st.integers(0, 400),
)
def test_questions(base, blocks, una, beyond, rxt):
    board = Scoreboard(128)
    held: set[int] = set()
    for left, n in blocks:
        board.add_block((base + left) & M32, (base + left + n) & M32)
        held |= set(range(left, left + n))
    board.advance((base + una) & M32)
    held = {x for x in held if x >= una}
    if una in held:  # what is acknowledged ends where something is missing
        end = next(b for a, b in ranges_of(held) if a <= una < b)
        held -= set(range(una, end))
        una = end
        board.advance((base + una) & M32)
    top = max(held, default=una) + 1 + beyond
    rxt = min(max(rxt, una), top)
    board.high_rxt = (base + rxt) & M32
    edge = board.lost_edge((base + una) & M32, MSS, 3)
    lost = [x for x in range(una, top) if x not in held and is_lost(held, x)]
    for x in range(una, top):
        if x not in held:
            assert (((base + x) & M32) in {(base + y) & M32 for y in lost}) == (
                ((edge - base) & M32) > x
            )
    # SetPipe: octets that are not SACKed count once if not lost, and once more if retransmitted
    pipe = sum((x not in lost) + (x < rxt) for x in range(una, top) if x not in held)
    assert board.pipe((base + una) & M32, (base + top) & M32, edge) == pipe
    for start in range(una, top + 1, 7):
        missing = [x for x in range(start, max(held, default=0)) if x not in held]
        found = board.next_hole((base + start) & M32)
        assert found == bool(missing)
        if missing:
            end = next(x for x in range(missing[0], top + 1) if x in held)
            assert (board.hole_left, board.hole_right) == (
                (base + missing[0]) & M32,
                (base + end) & M32,
            )


@given(blocks=BLOCKS, maximum=st.integers(1, 5))
def test_limit(blocks, maximum):
    """A range too many is not noted; what is noted is true."""
    board = Scoreboard(maximum)
    held: set[int] = set()
    for left, n in blocks:
        board.add_block(left, left + n)
        held |= set(range(left, left + n))
        assert board.n <= maximum
        assert board.sacked == sum(b - a for a, b in board.ranges())
        for a, b in board.ranges():
            assert set(range(a, b)) <= held
