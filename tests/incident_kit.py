"""What tests of incidents share: a story played once, at full size compiled and thinned out interpreted."""

from __future__ import annotations

from functools import cache

from pystack._fast import COMPILED
from pystack.scenarios.load import Source, read
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

THIN: dict[str, tuple[str, ...]] = {
    "fin-wait-2-ipfw": (
        "web:net.inet.ip.fw.dyn_max=60",
        "traffic.forgetful.rate=0.12",
        "traffic.visitors.rate=0.06",
        "sample=10s",
    ),
}
"""Settings that make a story small enough for the interpreted speed, and leave it the same story."""


@cache
def story(name: str, *settings: str, small: bool = False, for_: int | None = None) -> Result:
    """The run of a scenario with these settings. `small` is thin at both speeds."""
    source = read(name)
    thin = THIN.get(name, ()) if small or not COMPILED else ()
    given = [*thin, *settings]
    return run(source.changed(given), for_=for_, settings=given)


def cured(name: str, cure: str, *, small: bool = False) -> Result:
    """The same with a cure."""
    source: Source = read(name)
    return story(name, *source.changed().cures[cure].set, small=small)
