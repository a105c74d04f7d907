"""A machine's knobs, and how they refuse."""

import pytest

from pystack import profiles
from pystack._fast.config import DEFAULTS
from pystack.sysctl import (
    KnobError,
    Sysctl,
)


def machine(name: str = "freebsd-10", **how: object) -> Sysctl:
    return Sysctl(profiles.load(name), **how)  # type: ignore[arg-type]


def refusal(sysctl: Sysctl, name: str, value: object) -> KnobError:
    before = {a: getattr(sysctl.config, a) for a in DEFAULTS}
    with pytest.raises(KnobError) as caught:
        sysctl[name] = value
    assert {a: getattr(sysctl.config, a) for a in DEFAULTS} == before
    return caught.value
