"""Our conntrack beside the kernel's: the same packets, drawn by hypothesis, and everything that shows is alike.

A few scripts of each setting, the same each time; `python -m tests.kernel.twin -n 5000` plays more. Only a 6.18 is
what linux-6 is recorded from: another kernel may rightly differ, so there the twin is skipped.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.kernel import router, twin, twin_settings, twin_steps

pytestmark = pytest.mark.system

KERNEL = "6.18."
EXAMPLES = 8
QUICK = [name for name, setting in twin_settings.SETTINGS.items() if not setting.clock]


@pytest.fixture(scope="module")
def reason() -> str | None:
    release = os.uname().release
    if not release.startswith(KERNEL):
        return f"the kernel here is {release}, and it is a {KERNEL}x that linux-6 plays"
    return twin.why_not()


@pytest.mark.parametrize("name", QUICK)
def test_the_kernel_does_the_same(name: str, reason: str | None, skip_loudly) -> None:  # type: ignore[no-untyped-def]
    if reason:
        skip_loudly(reason)
    twin.compare(name, EXAMPLES)


def test_a_difference_is_noticed(reason: str | None, skip_loudly) -> None:  # type: ignore[no-untyped-def]
    if reason:
        skip_loudly(reason)
    with router.netlab.Lab() as lab:
        kernel = router.KernelRouter(lab, twin_settings.DSCP, {})
        ours = router.OurRouter(twin_settings.DSCP, {f"{twin_settings.NF}tcp_loose": 0})
        try:
            script = [twin_steps.Segment(0, 0, twin_settings.ACK)]
            found = twin.lasting(kernel, ours, twin_settings.SETTINGS["plain"], script)
        finally:
            kernel.close()
    assert found.startswith(f"{script[0]!r}\nsent on:\n")
