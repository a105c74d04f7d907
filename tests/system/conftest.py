"""Fixtures of the tests that need the real system: root, network namespaces, /dev/net/tun.

Where those are missing the tests are skipped, and the end of the run says so in red: a green line
above thousands of unit tests must not read as if the device had been tried.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import netlab
import reference_tun

_REASONS: dict[str, int] = {}


def _skip(reason: str) -> None:
    _REASONS[reason] = _REASONS.get(reason, 0) + 1
    pytest.skip(f"system test not run: {reason}")


@pytest.fixture
def skip_loudly() -> Callable[[str], None]:
    """Skip for a reason that the end of the run repeats."""
    return _skip


@pytest.fixture
def system_ready() -> None:
    """Skip, loudly, where no network laboratory can be built."""
    reason = netlab.why_not()
    if reason is not None:
        _skip(reason)


@pytest.fixture
def lab(system_ready: None) -> Iterator[netlab.Lab]:
    """A laboratory whose namespaces vanish after the test."""
    with netlab.Lab() as made:
        yield made


@pytest.fixture
def reference_programs(system_ready: None) -> Path:
    """The folder of the compiled programs of bench/reference."""
    for tool in ("make", "cc"):
        if shutil.which(tool) is None:
            _skip(f"`{tool}` is missing, which builds bench/reference")
    reference_tun.build()
    return reference_tun.PROGRAMS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reason, count in _REASONS.items():
        terminalreporter.write_line(
            f"SYSTEM TESTS DID NOT RUN: {count} skipped, because {reason}", red=True, bold=True
        )
