"""pytest: the fixture `pystack_net`, a `Network` for one test; and packetdrill scripts as tests.

    def test_hello(pystack_net):
        web = pystack_net.host("web", "192.0.2.1/24")

`--pystack-seed=N` (or `random`) chooses its seed, 0 unless told; a failing test says which it was.

Every `*.pkt` file is collected, with a test for each profile that it names (`// profiles: linux-6
freebsd-14` at its head), or else for those of the ini option `packetdrill_profiles`.
`packetdrill_options` are options of the tool for all of them (`--tolerance_usecs=10000 -D SYM=1`),
`--packetdrill-pcap=DIR` keeps the packets of failing ones.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pystack.network import Network
    from pystack.packetdrill.suite import Job

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
    group.addoption(
        "--packetdrill-pcap",
        type=Path,
        metavar="DIR",
        help="keep the packets of failing *.pkt files there, as pcapng",
    )
    parser.addini(
        "packetdrill_profiles",
        "systems that *.pkt files are played on which name none themselves",
        type="args",
        default=["linux-6"],
    )
    parser.addini(
        "packetdrill_options",
        "options of packetdrill for all *.pkt files, such as --tolerance_usecs=10000",
        type="args",
        default=[],
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


# --- packetdrill scripts --------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A `*.pkt` file is a test for each of its profiles."""
    if file_path.suffix != ".pkt":
        return None
    return PktFile.from_parent(parent, path=file_path)


class PktFile(pytest.File):
    """A packetdrill script."""

    def collect(self) -> Iterable[pytest.Item]:
        """An item for each profile."""
        from pystack.packetdrill.suite import Job, profiles_of

        options, defines = _tool_options(self.config.getini("packetdrill_options"))
        for profile in profiles_of(self.path) or self.config.getini("packetdrill_profiles"):
            job = Job(
                self.path,
                profile,
                options=options,
                defines=defines,
                pcap=self.config.getoption("--packetdrill-pcap"),
                trace=True,
            )
            yield PktItem.from_parent(self, name=profile, job=job)


def _tool_options(texts: list[str]) -> tuple[dict[str, str | None], dict[str, str]]:
    """(options, symbols) of an ini value. Raises UsageError."""
    from pystack.packetdrill.settings import settings_of
    from pystack.packetdrill.source import split_option
    from pystack.packetdrill.verdict import Failure, Skip

    options: dict[str, str | None] = {}
    defines: dict[str, str] = {}
    joined = " ".join(texts).replace("-D ", "-D").split()
    for text in joined:
        name, value = split_option(text) if text.startswith("-") else ("", "")
        if name == "define":
            symbol, _, defines_as = value.partition("=")
            defines[symbol] = defines_as
        elif name:
            options[name] = value or None
        else:
            raise pytest.UsageError(
                f"packetdrill_options: {text}: give --name=value or -D SYM=value"
            )
    try:
        settings_of("", (), options)
    except (Failure, Skip) as error:
        raise pytest.UsageError(f"packetdrill_options: {error}") from None
    return options, defines


class PktItem(pytest.Item):
    """A script on one profile."""

    def __init__(self, *, job: Job, **more: Any) -> None:
        super().__init__(**more)
        self._job = job
        self._line = 0

    def runtest(self) -> None:
        """Play it."""
        from pystack import profiles
        from pystack.packetdrill import NotPassed
        from pystack.packetdrill.suite import play_file

        try:
            profiles.load(self._job.profile)
        except profiles.UnknownProfile as error:
            pytest.fail(str(error), pytrace=False)
        verdict = play_file(self._job)
        verdict = replace(verdict, file=self.nodeid.partition("::")[0])
        self._line = max(verdict.line - 1, 0)
        if verdict.outcome == "skipped":
            raise pytest.skip.Exception(verdict.message, _use_item_location=True)
        if verdict.outcome == "failed":
            raise NotPassed(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What was expected and what came, instead of a traceback through the player."""
        from pystack.packetdrill import NotPassed
        from pystack.packetdrill.showing import told

        if not isinstance(excinfo.value, NotPassed):
            return super().repr_failure(excinfo, style)

        verdict = excinfo.value.verdict
        if verdict.trace:
            lines = "\n".join(map(str, verdict.trace))
            self.add_report_section("call", "run", lines)
        return "\n".join(told(verdict))

    def reportinfo(self) -> tuple[Path, int, str]:
        """The line where the run ended, once it has."""
        return self.path, self._line, f"{self.path.name} on {self.name}"
