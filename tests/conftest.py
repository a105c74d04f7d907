"""What every test run must know and say: which of the two speeds it tests, and of which sources.

`PYSTACK_EXPECT=compiled|interpreted|checked` makes a run fail at once when it is not that speed, so
that a leg of the gate cannot pass by testing something else.
"""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

import pystack._fast as fast

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", parent=settings.get_profile("ci"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def speed() -> str:
    if fast.CHECKED:
        return "checked"
    return "compiled" if fast.COMPILED else "interpreted"


def pytest_report_header(config: pytest.Config) -> str:
    return f"pystack: {speed()}, from {fast.__path__[0]}"


def pytest_configure(config: pytest.Config) -> None:
    expected = os.environ.get("PYSTACK_EXPECT", speed())
    if expected != speed():
        raise pytest.UsageError(f"this run should be {expected}, but pystack is {speed()}")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell that runs us in the background ignores Ctrl-C, and so would the commands that we send it to
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _refuse_stale() -> None:
    if stale := fast.stale_modules():
        only = ",".join(stale)
        raise pytest.UsageError(
            f"compiled modules older than their sources: {only}\n"
            f"`make build`, or: python setup.py build_ext --inplace --only {only}"
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    _refuse_stale()


def pytest_sessionfinish(session: pytest.Session) -> None:
    _refuse_stale()
