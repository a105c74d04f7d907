"""Many scripts: finding them, playing them side by side, and keeping the packets of those that fail."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pystack.capture import Capture
from pystack.packetdrill.parse import parse_file
from pystack.packetdrill.play import play
from pystack.packetdrill.settings import Given
from pystack.packetdrill.source import ScriptError, named_profiles
from pystack.packetdrill.verdict import Verdict

__all__ = ["Job", "find", "jobs_for", "keep", "play_file", "play_files", "profiles_of"]

DEFAULT_PROFILE = "linux-6"
"""Where neither the script nor anybody else names one."""

_AHEAD = 64
"""Scripts that each process is given before the first result was taken."""


@dataclass(frozen=True, slots=True)
class Job:
    """One script on one profile. `options` and `defines` are those of the command line."""

    path: Path
    profile: str
    options: Given = field(default_factory=dict)
    defines: Mapping[str, str] = field(default_factory=dict)
    pcap: Path | None = None
    """Where the packets of a failure are kept: a directory."""
    trace: bool = False
    """Whether the verdict brings its trace along; it is much larger then."""
    why_not: str = ""
    """Not played but skipped, for this reason."""


def find(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The scripts: files as they are, and every `*.pkt` below directories, in the order of their names.

    Raises FileNotFoundError for what is not there, and for a directory without scripts.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            below = sorted(each for each in path.rglob("*.pkt") if each.is_file())
            if not below:
                raise FileNotFoundError(f"{path}: no *.pkt in this directory")
            found |= dict.fromkeys(below)
        elif path.exists():
            found[path] = None
        else:
            raise FileNotFoundError(f"{path}: no such file or directory")
    return list(found)


def profiles_of(path: Path) -> tuple[str, ...]:
    """The profiles that a script names; none for a file that cannot be read, which playing it will tell."""
    try:
        return named_profiles(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ()


def jobs_for(path: Path, profile: str | None, **settings: Any) -> list[Job]:
    """A job for `profile`; without one for each that the script names, or else for the default.

    A script that names profiles is skipped on others. `settings` are fields of `Job`.
    """
    named = profiles_of(path)
    if profile is None:
        return [Job(path, each, **settings) for each in named or (DEFAULT_PROFILE,)]
    why_not = f"the script is for {' and '.join(named)}" if named and profile not in named else ""
    return [Job(path, profile, why_not=why_not, **settings)]


def play_file(job: Job) -> Verdict:
    """Read, parse and play one. Whatever is wrong with the script or its file is a failure."""
    name = str(job.path)
    if job.why_not:
        return Verdict("skipped", name, 0, job.why_not)
    try:
        script = parse_file(job.path, profile=job.profile, defines=job.defines)
    except OSError as error:
        return Verdict("failed", name, 0, f"cannot be read: {error.strerror}")
    except ScriptError as error:
        return Verdict("failed", name, error.line, error.said, column=error.column)
    try:
        verdict = play(script, profile=job.profile, options=job.options)
    except Exception as error:  # a mistake of ours: that script has failed, the others are played
        at = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
        return Verdict("failed", name, 0, f"pystack itself failed: {said}")
    if job.pcap is not None and verdict.outcome == "failed":
        keep(verdict, job.pcap / f"{_flat(job.path)}.{job.profile}.pcapng")
    return verdict if job.trace else replace(verdict, trace=())


def _flat(path: Path) -> str:
    """A path as one name."""
    parts = [part for part in path.with_suffix("").parts if part not in ("/", ".", "..")]
    return "-".join(parts)


def keep(verdict: Verdict, path: Path) -> None:
    """The packets of a run as pcapng, the message as a comment of the last. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packets = [moment for moment in verdict.trace if moment.octets]
    with Capture(path) as capture:
        interface = capture.interface("tun0", description=verdict.file)
        for moment in packets:
            comment = f"line {verdict.line}: {verdict.message}" if moment is packets[-1] else ""
            capture.packet(
                moment.ns,
                interface,
                moment.octets,
                comment=comment,
                outbound=moment.kind == ">",
            )


def play_files(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Job, Verdict]]:
    """The verdicts, in the order of the jobs, as soon as they are there; `workers` processes play.

    A process that dies takes one script with it, which failed; the rest are played all the same.
    """
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, play_file(job)
        return
    left = list(jobs)
    while left:
        done = 0
        try:
            for verdict in _played(left, min(workers, len(left))):
                yield left[done], verdict
                done += 1
        except BrokenProcessPool:
            yield left[done], _alone(left[done])
            done += 1
        left = left[done:]


def _played(jobs: Sequence[Job], workers: int) -> Iterator[Verdict]:
    waiting: list[Future[Verdict]] = []
    with _pool(workers) as pool:
        try:
            for at in range(len(jobs)):
                while len(waiting) < len(jobs) and len(waiting) < at + _AHEAD * workers:
                    waiting.append(pool.submit(play_file, jobs[len(waiting)]))
                yield waiting[at].result()
        except BaseException:  # nobody asks for more, or somebody pressed Ctrl-C
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _alone(job: Job) -> Verdict:
    """One script in a process of its own: did it die because of this one?"""
    try:
        return next(_played([job], 1))
    except BrokenProcessPool:
        return Verdict("failed", str(job.path), 0, "the process that played it died")


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that have all modules already, where the system can do that."""
    method = "fork" if sys.platform == "linux" else None
    context = multiprocessing.get_context(method)
    ignore = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that prints
    return ProcessPoolExecutor(workers, context, signal.signal, ignore)
