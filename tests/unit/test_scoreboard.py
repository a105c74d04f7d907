"""The scoreboard's answers in small pictures; tests/property has the model."""

from pystack._fast.scoreboard import Scoreboard


def board(*blocks: tuple[int, int]) -> Scoreboard:
    b = Scoreboard(8)
    for left, right in blocks:
        b.add_block(left, right)
    return b


def test_blocks_grow_together():
    b = board((10, 20), (30, 40))
    assert b.ranges() == [(10, 20), (30, 40)]
    assert b.add_block(20, 30) == 10
    assert b.ranges() == [(10, 40)]
    assert b.add_block(15, 35) == 0
    assert b.add_block(5, 50) == 15
    assert (b.ranges(), b.sacked) == ([(5, 50)], 45)


def test_nothing_is_lost_below_the_threshold():
    assert board((10, 20)).lost_edge(0, 10, 3) == 0
    assert board((10, 30)).lost_edge(0, 10, 3) == 0
    assert board((10, 31)).lost_edge(0, 10, 3) == 10
    assert board((10, 12), (20, 22), (30, 32)).lost_edge(0, 10, 3) == 10


def test_pipe():
    b = board((10, 40))
    edge = b.lost_edge(0, 10, 3)
    assert edge == 10
    assert b.pipe(0, 60, edge) == 20  # 0 to 10 is lost, 40 to 60 is on its way
    b.high_rxt = 10
    assert b.pipe(0, 60, edge) == 30  # and 0 to 10 again


def test_holes():
    b = board((10, 20), (30, 40))
    assert b.next_hole(0)
    assert (b.hole_left, b.hole_right) == (0, 10)
    assert b.next_hole(10)
    assert (b.hole_left, b.hole_right) == (20, 30)
    assert not b.next_hole(30)
    assert b.highest() == 40
    b.clear()
    assert (b.n, b.sacked) == (0, 0)
