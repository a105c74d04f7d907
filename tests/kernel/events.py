"""The events of conntrack: what `conntrack -E` prints of the kernel beside what ours prints, after each packet.

python -m tests.kernel.events [-n EXAMPLES] [-r] [SETTING…]

The scripts and settings are those of the twin. Exit status 1 if anything differed. Times are compared roughly, ids and
`[USERSPACE]` not at all. Needs what the twin needs, and conntrack-tools 1.4.7.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import sys
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings

from tests.kernel import twin, twin_settings, twin_steps, twin_talk
from tests.kernel.router import KernelRouter, OurRouter, netlab

LATE = 0.2
"""Seconds that the tool may take to print what ours has told."""


class Heard:
    """A `conntrack -E` in the kernel's namespace."""

    def __init__(self, router: KernelRouter) -> None:
        child = router.space.popen(["stdbuf", "-oL", "conntrack", "-E"])
        assert child.stdout is not None
        self.child = child
        self.descriptor = child.stdout.fileno()
        os.set_blocking(self.descriptor, False)
        time.sleep(LATE)  # until it listens

    def lines(self, number: int) -> list[str]:
        """What it has printed: `number` of lines, or what there is after a while."""
        text, end = b"", time.monotonic() + LATE
        while text.count(b"\n") < number and (left := end - time.monotonic()) > 0:
            if select.select([self.descriptor], [], [], left)[0]:
                text += os.read(self.descriptor, 65536)
        if select.select([self.descriptor], [], [], 0.003)[0]:
            text += os.read(self.descriptor, 65536)
        return text.decode().splitlines()


def plain(lines: Sequence[str], talk: twin_talk.Talk) -> list[str]:
    """What is compared of them."""
    out = []
    for line in lines:
        text = re.sub(r" \[USERSPACE\].*", "", line).rstrip()
        text = re.sub(
            r"^(\s*\[\w+\] \w+ +\d+ )(\d+)", lambda m: f"{m[1]}{(int(m[2]) + 5) // 10}0", text
        )
        text = re.sub(r"delta-time=\d+", "delta-time", text)
        text = re.sub(r"(sport|dport|id)=(\d+)", lambda m: f"{m[1]}={talk.name(int(m[2]))}", text)
        out.append(text)
    return out


class Both:
    """The kernel and ours under one setting, and what each tells."""

    def __init__(self, lab: netlab.Lab, setting: twin_settings.Setting) -> None:
        rules = twin.with_states(setting)
        self.setting = setting
        self.kernel, self.ours = (
            KernelRouter(lab, rules, setting.knobs),
            OurRouter(rules, setting.knobs),
        )
        self.heard = Heard(self.kernel)
        self.ours.host.conntrack("-E")

    def told(self) -> list[str]:
        """By ours, since the last time."""
        lines = list(self.ours.host.conntrack("-E").splitlines())
        self.ours.host.conntrack.events.clear()
        return lines

    def difference(self, script: Sequence[twin_steps.Step]) -> str:
        """The steps up to the first after which something else was told; empty where all is alike."""
        for router in (self.kernel, self.ours):
            router.flush()
        self.heard.lines(len(self.told()))
        talks = twin_talk.Talk(self.kernel, self.setting), twin_talk.Talk(self.ours, self.setting)
        for n, step in enumerate(script):
            if isinstance(step, (twin_steps.Knob, twin_steps.Wait)):
                continue
            for talk in talks:
                talk.take(step)
            mine = self.told()
            real = self.heard.lines(len(mine))
            if plain(real, talks[0]) != plain(mine, talks[1]):
                rows = [
                    *(f"  kernel  {line}" for line in real),
                    *(f"  pystack {line}" for line in mine),
                ]
                return "\n".join([*map(repr, script[: n + 1]), *rows])
        return ""


def compare(name: str, examples: int, *, rich: bool) -> None:
    """So many scripts under one setting. Raises AssertionError with the shortest that differs three times."""
    setting = twin_settings.SETTINGS[name]
    with netlab.Lab() as lab:
        both = Both(lab, setting)

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(twin_steps.scripts(setting, rich=rich))
        def alike(script: list[twin_steps.Step]) -> None:
            found = both.difference(script) and both.difference(script) and both.difference(script)
            assert not found, found

        try:
            alike()
        finally:
            both.kernel.close()


def main() -> int:
    """Exit status 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.events", description=__doc__)
    parser.add_argument("settings", nargs="*", default=["plain", "masquerade", "marks", "counted"])
    parser.add_argument("-n", "--examples", type=int, default=100, help="scripts of each setting")
    parser.add_argument("-r", "--rich", action="store_true", help="as the twin's")
    asked = parser.parse_args()
    if reason := twin.why_not():
        parser.error(reason)
    status = 0
    for name in asked.settings:
        try:
            compare(name, asked.examples, rich=asked.rich)
        except AssertionError as error:
            status = 1
            print(f"{name}: DIFFERS\n{re.sub('^assert not.*', '', str(error), flags=re.S)}")
        else:
            print(f"{name}: events of {asked.examples} alike", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
