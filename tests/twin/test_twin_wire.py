"""Compiled and interpreted, the wire modules make the same of the same octets."""

from pathlib import Path

import pytest

from twin.twin import assert_twins


@pytest.mark.parametrize("seed", [1, 2])
def test_wire(seed: int):
    said = assert_twins(Path(__file__).with_name("wire_script.py"), str(seed)).splitlines()
    assert said[-1].startswith(b"in use 0 ")
    kinds = {line.split(b" ", 1)[0] for line in said}
    assert kinds >= {b"parse", b"split", b"fragment", b"after", b"late", b"built", b"error"}
    drops = {line.split()[FIELDS] for line in said if line.startswith(b"parse")}
    assert len(drops) > 10, "the damage is too small to say anything"


FIELDS = 38
"""Word of a line that is `drop`."""
