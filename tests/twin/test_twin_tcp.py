"""Compiled and interpreted, two stacks say the same octets at the same nanoseconds."""

from pathlib import Path

import pytest

from twin.twin import assert_twins


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_conversation(seed: int):
    said = assert_twins(Path(__file__).with_name("tcp_script.py"), str(seed)).splitlines()
    assert len(said) > 60


@pytest.mark.parametrize("seed", [1, 2])
def test_openings(seed: int):
    script = Path(__file__).with_name("opening_script.py")
    said = assert_twins(script, str(seed), str(script.parents[1])).splitlines()
    assert len(said) > 60
