"""The live twin of conntrack: hypothesis makes packets, the kernel of this computer and pystack get the same.

python -m tests.kernel.twin [-n EXAMPLES] [SETTING…]

After each packet everything must be alike: what came out on which side, octet for octet (a rule writes the ct state
into DSCP), all lines of /proc/net/nf_conntrack, timeouts within a second, and the counters of `conntrack -S`. Ports
that NAT draws at random are compared by their range only. What differs on purpose is in docs/conntrack.md, "The live
twin". Needs Linux, root, nf_conntrack and iptables 1.8; makes its own namespace.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, note, settings

from tests.kernel.router import KernelRouter, OurRouter, Router, netlab
from tests.kernel.twin_settings import DSCP, NF, SETTINGS, Setting
from tests.kernel.twin_steps import KNOBS, Step, scripts
from tests.kernel.twin_talk import Talk


def difference(kernel: Router, ours: Router, setting: Setting, script: Sequence[Step]) -> str:
    """What is not alike, with the steps up to there; empty where all is."""
    talks = []
    for router in (kernel, ours):
        router.flush()
        for name in router.changed:
            router.set(name, setting.knobs.get(name, DEFAULTS[name]))
        router.changed.clear()
        talks.append(Talk(router, setting))
    for n, step in enumerate(script):
        heard = [talk.take(step) for talk in talks]
        told = [talk.heard(packets) for talk, packets in zip(talks, heard, strict=True)]
        found = ""
        if told[0] != told[1]:
            found = f"sent on:\n  kernel  {told[0]}\n  pystack {told[1]}"
        elif wrong := unlike(talks[0].entries(), talks[1].entries()):
            found = wrong
        elif talks[0].counted() != talks[1].counted():
            found = f"counted:\n  kernel  {talks[0].counted()}\n  pystack {talks[1].counted()}"
        if found:
            return "\n".join([*map(repr, script[: n + 1]), found])
    return ""


def unlike(kernel: list[tuple[str, int]], ours: list[tuple[str, int]]) -> str:
    """How two listings differ: in a line, or in a timeout by more than a second."""
    same = [line for line, _ in kernel] == [line for line, _ in ours]
    if same and all(abs(a[1] - b[1]) <= 1 for a, b in zip(kernel, ours, strict=True)):
        return ""
    rows = [f"  kernel  {left} {line}" for line, left in kernel]
    return "\n".join(["entries:", *rows, *(f"  pystack {left} {line}" for line, left in ours)])


def lasting(kernel: Router, ours: Router, setting: Setting, script: Sequence[Step]) -> str:
    """A difference that is there three times: the kernel is now and then late. Where ports are few, chance decides
    who takes over whose: twelve times.
    """
    found = ""
    for _ in range(12 if setting.low and setting.high - setting.low < 10 else 3):
        found = difference(kernel, ours, setting, script)
        if not found:
            return ""
    return found


def why_not() -> str | None:
    """Why there can be no twin here."""
    if reason := netlab.why_not():
        return reason
    with netlab.Lab() as lab:
        try:
            KernelRouter(lab, DSCP, {}).close()
        except (OSError, netlab.LabError) as error:
            return f"no conntrack to compare with: {error}"
    return None


DEFAULTS = {f"{NF}{name}": values[0] for name, values in KNOBS.items()}
DEFAULTS |= {f"{NF}tcp_loose": 1, f"{NF}tcp_max_retrans": 3, f"{NF}tcp_timeout_established": 432000}


def with_states(setting: Setting) -> str:
    """The rules of a setting, and those that write the ct state into DSCP."""
    if "*mangle" in setting.rules:  # a table stands in a file once
        return DSCP.removesuffix("COMMIT\n") + setting.rules.removeprefix("*mangle\n")
    return DSCP + setting.rules


def compare(name: str, examples: int, *, random: bool = False, rich: bool = False) -> None:
    """So many scripts under one setting. Raises AssertionError with the shortest that differs."""
    setting = SETTINGS[name]
    rules = with_states(setting)
    with netlab.Lab() as lab:
        kernel, ours = KernelRouter(lab, rules, setting.knobs), OurRouter(rules, setting.knobs)

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=not random,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(scripts(setting, rich=rich))
        def alike(script: list[Step]) -> None:
            found = lasting(kernel, ours, setting, script)
            note(found)
            assert not found, found

        try:
            alike()
        finally:
            kernel.close()


def main() -> int:
    """Exit status 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.twin", description=__doc__)
    parser.add_argument("settings", nargs="*", default=list(SETTINGS), help=" ".join(SETTINGS))
    parser.add_argument("-n", "--examples", type=int, default=500, help="scripts of each setting")
    parser.add_argument("-r", "--rich", action="store_true", help="faults, odd numbers, knobs")
    asked = parser.parse_args()
    if reason := why_not():
        parser.error(reason)
    status = 0
    for name in asked.settings:
        try:
            compare(name, asked.examples, random=True, rich=asked.rich)
        except AssertionError as error:
            status = 1
            print(f"{name}: DIFFERS\n{re.sub('^assert not.*', '', str(error), flags=re.S)}")
        else:
            print(f"{name}: {asked.examples} alike", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
