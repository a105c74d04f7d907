"""pytest: the fixture `pystack_net`, a `Network` for one test.

    def test_hello(pystack_net):
        web = pystack_net.host("web", "192.0.2.1/24")

`--pystack-seed=N` (or `random`) chooses its seed, 0 unless told; a failing test says which it was.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pystack.network import Network

_SEED = pytest.StashKey[int]()


def _seed(text: str) -> int:
    if text == "random":
        return int.from_bytes(os.urandom(4), "big")
    seed = int(text, 0)
    if not 0 <= seed < 2**64:
        raise ValueError(text)
    return seed


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pystack")
    group.addoption(
        "--pystack-seed",
        default="0",
        metavar="N",
        help="seed of the networks of pystack_net: a number, or 'random'",
    )


def pytest_configure(config: pytest.Config) -> None:
    text = config.getoption("--pystack-seed")
    try:
        config.stash[_SEED] = _seed(text)
    except ValueError:
        raise pytest.UsageError(
            f"--pystack-seed={text}: give a number from 0 to 2**64 - 1, or 'random'"
        ) from None


@pytest.fixture
def pystack_net(request: pytest.FixtureRequest) -> Iterator[Network]:
    """An empty network in virtual time, with the seed of the run; closed after the test."""
    from pystack.network import Network

    with Network(seed=request.config.stash[_SEED]) as net:
        yield net


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and "pystack_net" in getattr(item, "fixturenames", ()):
        seed = item.config.stash[_SEED]
        report.sections.append(("pystack", f"run again with --pystack-seed={seed}"))
    return report
