"""Fixtures that several unit tests share."""

from collections.abc import Iterator

import pytest
from wire_kit import Maker


@pytest.fixture
def make() -> Iterator[Maker]:
    """Makes packets; all of their mbufs must be given back."""
    maker = Maker()
    yield maker
    assert maker.pool.in_use == 0, "mbufs leaked"
