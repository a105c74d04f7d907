"""Scripts on the kernel, each in a process that has a namespace for itself and ends in time."""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pystack.packetdrill.parse import ScriptError, parse_file
from pystack.packetdrill.script import Script
from pystack.packetdrill.settings import Given
from pystack.packetdrill.source import named_profiles
from pystack.packetdrill.verdict import Verdict
from tests.kernel import player as kernel
from tests.kernel import world

PROFILE = "linux-6"
ANY_TIME = 2
"""Seconds that `*` is thought to wait: it is nearly always for the answer to what came just before."""
GRACE = 5
"""Seconds that a script may take beyond its own time."""


@dataclass(slots=True)
class Attempt:
    """One run that is under way."""

    path: Path
    pid: int
    pipe: int
    give_up: float
    tries: int
    octets: bytes = b""


def own_time(script: Script) -> float:
    """Seconds that a script takes if all goes well, at most."""
    now = 0.0
    for event in script.events:
        t = event.time
        last = max(t.at, t.until or 0, event.end or 0) / 1e6
        if t.kind == "any":
            now += ANY_TIME
        elif t.kind == "absolute":
            now = max(now, last)
        else:
            now += last
    return now


def play_here(path: Path, options: Given) -> Verdict:
    """In this very process, whose network is gone afterwards."""
    try:
        script = parse_file(path, profile=PROFILE)
    except OSError as error:
        return Verdict("failed", str(path), 0, f"cannot be read: {error.strerror}")
    except ScriptError as error:
        return Verdict("failed", str(path), error.line, error.said)
    try:
        world.enter()
        return kernel.KernelPlayer(script, options).verdict()
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
        return Verdict("failed", str(path), 0, f"the tool itself failed: {said}")


def begin(path: Path, options: Given, limit: float, tries: int) -> Attempt:
    """Start a process for a script."""
    taken, given = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(taken)
        code = 1
        try:
            world.die_with_parent()
            gc.disable()
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            answer = pickle.dumps(play_here(path, options))
            while answer:
                answer = answer[os.write(given, answer) :]
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(given)
    return Attempt(path, pid, taken, time.monotonic() + limit, tries)


def collect(attempts: Sequence[Attempt]) -> list[tuple[Attempt, Verdict]]:
    """Wait until something is over; what is overdue is ended."""
    first = min(a.give_up for a in attempts)
    pipes = {a.pipe: a for a in attempts}
    ready, _, _ = select.select(list(pipes), [], [], max(first - time.monotonic(), 0))
    done = []
    for pipe in ready:
        a = pipes[pipe]
        octets = os.read(pipe, 1 << 20)
        a.octets += octets
        if not octets:
            done.append((a, _end(a, "the process that played it died")))
    if not ready:
        for a in attempts:
            if a.give_up <= time.monotonic():
                os.kill(a.pid, signal.SIGKILL)
                a.octets = b""
                done.append((a, _end(a, "it took too long and was ended")))
    return done


def _end(a: Attempt, otherwise: str) -> Verdict:
    os.close(a.pipe)
    os.waitpid(a.pid, 0)
    if not a.octets:
        return Verdict("failed", str(a.path), 0, otherwise)
    found: Verdict = pickle.loads(a.octets)
    return found


def play_all(
    paths: Sequence[Path], *, options: Given, side_by_side: int, tries: int, longest: float
) -> Iterator[tuple[Path, int, Verdict]]:
    """(path, how many tries it took, the last verdict), in the order in which they end."""
    left = [(path, 1) for path in paths]
    running: list[Attempt] = []
    limits: Mapping[Path, float | Verdict] = {path: _limit(path, longest) for path in paths}
    try:
        yield from _played(left, running, limits, options, side_by_side, tries)
    finally:
        for a in running:
            os.kill(a.pid, signal.SIGKILL)
            _end(a, "")


def _played(
    left: list[tuple[Path, int]],
    running: list[Attempt],
    limits: Mapping[Path, float | Verdict],
    options: Given,
    side_by_side: int,
    tries: int,
) -> Iterator[tuple[Path, int, Verdict]]:
    while left or running:
        while left and len(running) < side_by_side:
            path, number = left.pop(0)
            limit = limits[path]
            if isinstance(limit, Verdict):
                yield path, 0, limit
                continue
            running.append(begin(path, options, limit + GRACE, number))
        if not running:
            continue
        for a, verdict in collect(running):
            running.remove(a)
            if verdict.outcome == "failed" and a.tries < tries:
                left.append((a.path, a.tries + 1))
            else:
                yield a.path, a.tries, verdict


def _limit(path: Path, longest: float) -> float | Verdict:
    """The script's own seconds, or why it is not played."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        named = named_profiles(text)
        if named and PROFILE not in named:
            return Verdict("skipped", str(path), 0, f"the script is for {' and '.join(named)}")
        script = parse_file(path, profile=PROFILE)
    except (OSError, ScriptError):
        return 0.0  # playing it will tell
    needed = own_time(script)
    if needed > longest:
        return Verdict(
            "skipped", str(path), 0, f"it takes {needed:.0f} s, the limit is {longest:g}"
        )
    return needed
