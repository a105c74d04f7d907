"""The reviewed table of goodputs is what the stack does today."""

from pathlib import Path

import pytest
from sim.goodput import goodput, table

from pystack._fast.consts import CC_NEWRENO

REVIEWED = Path(__file__).with_name("goodput.txt")


@pytest.mark.slow
def test_table():
    assert table() == REVIEWED.read_text(), "if it is meant: python -m sim.goodput > goodput.txt"


def test_a_window_a_round_trip():
    """Without loss a small buffer is the limit: some of it each 40 ms, and never more than all of it."""
    rate = goodput(CC_NEWRENO, 0.0, 16384, 200_000)
    assert 0.6 * 16384 * 8 / 40 < rate < 16384 * 8 / 40
