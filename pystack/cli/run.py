"""`pystack run` and `pystack scenarios`: an incident as one command, and what it means."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json, say, table, to_write

if TYPE_CHECKING:
    from pystack.report.verdict import Cured, Verdict
    from pystack.scenarios.load import Source
    from pystack.scenarios.model import Scenario
    from pystack.scenarios.result import Result

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="HOST:KNOB=VALUE",
        help="Change a knob, or a field of the file (traffic.visitors.rate=20); may be repeated.",
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="The same seed gives the same run.", show_default=False)
]
For = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="Virtual time: 5min.", show_default=False),
]


def scenarios(as_json: Json = False) -> None:
    """List the incidents that come with pystack: `pystack run NAME` plays one."""
    from pystack.scenarios.load import load, names

    found = {name: load(name) for name in names()}
    if as_json:
        print_json([_about(name, one) for name, one in found.items()])
        return
    rows = [
        (name, one.hosts[one.watch.host].profile, one.title, one.source)
        for name, one in found.items()
    ]
    table((("scenario", ""), ("system", ""), ("what happens", ""), ("from", "")), rows)


def _about(name: str, one: Scenario) -> dict[str, Any]:
    about = {"name": name, "title": one.title, "about": one.about.strip(), "source": one.source}
    return about | {"cures": {cure: each.words for cure, each in one.cures.items()}}


def run(
    scenario: Annotated[str, typer.Argument(help="A name of `pystack scenarios`, or a TOML file.")],
    settings: Settings = None,
    seed: Seed = None,
    for_: For = None,
    pcap: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all packets (pcapng).")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page of HTML, with plots.")
    ] = None,
    cures: Annotated[
        bool, typer.Option("--cures/--no-cures", help="Run each known cure beside it.")
    ] = True,
    tun: Annotated[
        str | None,
        typer.Option(
            metavar="DEV", help="The same machine on a TUN device, for real clients (root)."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play an incident in virtual time, and explain it: what clients saw, which limit bit, what helps.

    Ctrl-C ends it early and tells what is known by then.
    """
    source, chosen = _chosen(scenario, settings or [])
    if tun is not None:
        _serve(chosen, tun)
        return
    to_write(report)
    result = _play(source.name, chosen, settings or [], seed, for_, pcap, as_json)
    beside: dict[str, Result] = {}
    if cures and result.whole and chosen.cures:
        beside = _cures(source, chosen, settings or [], seed, for_, as_json)
    from pystack.report.verdict import verdict

    found = verdict(source.name, chosen, result, beside)
    if report is not None:
        from pystack.report.html import write

        try:
            write(report, found, chosen, source, beside)
        except OSError as error:
            fail(error)
    if as_json:
        print_json(found.as_dict())
    else:
        show(found, chosen)
        if report is not None:
            print(f"\nThe report is in {report}.")


def _chosen(name: str, settings: list[str]) -> tuple[Source, Scenario]:
    from pystack.scenarios.load import UnknownScenario, read
    from pystack.sysctl.strict_toml import TomlError

    try:
        source = read(name)
        return source, source.changed(settings)
    except (UnknownScenario, TomlError, OSError, ValueError) as error:
        fail(error)


def _span(text: str | None) -> int | None:
    from pystack.units import parse_time

    if text is None:
        return None
    try:
        return parse_time(text, "--for")
    except ValueError as error:
        fail(error)


def _play(
    name: str,
    chosen: Scenario,
    settings: list[str],
    seed: int | None,
    for_: str | None,
    pcap: Path | None,
    quiet: bool,
) -> Result:
    from pystack.cli.screen import Screen
    from pystack.scenarios.run import Play

    try:
        playing = Play(chosen, seed=seed, for_=_span(for_), pcap=pcap, settings=settings)
        with interruptible() as pressed, Screen(playing, name, quiet=quiet) as screen:
            for _ in playing:
                screen.look()
                if pressed:
                    break
    except OSError as error:
        fail(error)
    return playing.result


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Ctrl-C is noted in the list, and acts when there is something whole to show."""
    pressed: list[int] = []

    def note(number: int, _: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _cures(
    source: Source,
    chosen: Scenario,
    settings: list[str],
    seed: int | None,
    for_: str | None,
    quiet: bool,
) -> dict[str, Result]:
    from pystack.report.cures import side_by_side

    done: dict[str, Result] = {}

    def told(name: str, result: Result) -> None:
        done[name] = result
        if not quiet:
            print(f"{name}: {result.failed:,} failed", file=sys.stderr)

    try:
        found = side_by_side(source, settings, seed=seed, for_=_span(for_), told=told)
    except KeyboardInterrupt:
        return done
    except ValueError as error:
        fail(error)
    return dict(found)


# --- what it means, for people -----------------------------------------------------------------------


def show(found: Verdict, chosen: Scenario) -> None:
    """The verdict as text."""
    from pystack.report.verdict import commands, symptom

    result = found.result
    whole = "" if result.whole else ", interrupted"
    print(
        f"\n{chosen.title}\n{found.scenario}, seed {result.seed}: {result.seconds:,.0f} s of virtual "
        f"time in {result.wall / 1e9:.1f} s{whole}\n"
    )
    say(found.sentence)
    for heading, lines in found.paragraphs():
        print(f"\n{heading}")
        for line in lines:
            say(line, first="  ", indent="    ")
    if found.cures:
        print("\nWhat each cure would have done, with the same seed")
        columns = [("  cure", ""), ("answered", "right"), ("at the end", "right")]
        columns += [("failed", "right"), ("limit at most", "right")]
        columns += [(symptom(result.symptom), "right")] if result.symptom != "failures" else []
        table(
            [*columns, ("", "")], [_row(result), *(_cure_row(one, result) for one in found.cures)]
        )
        for one in found.cures:
            print(f"\n  {one.name}: {one.words}")
            for line in commands(one.settings):
                print(f"    {line}")
            if one.costs:
                say(one.costs, first="    ", indent="    ")


def _row(result: Result) -> tuple[str, ...]:
    main = result.main
    good, bad = result.late()
    late = f"{good / (good + bad):.1%}" if good + bad else ""
    most = f"{main.high_water:,}" if main else ""
    own = () if result.symptom == "failures" else (f"{result.suffering:,.4g}",)
    return "  as it is", f"{result.success:.1%}", late, f"{result.failed:,}", most, *own, ""


def _cure_row(one: Cured, result: Result) -> tuple[str, ...]:
    most = f"{one.high_water:,}" if one.high_water else ""
    own = () if result.symptom == "failures" else (f"{one.suffering:,.4g}",)
    seen = f"{one.success:.1%}", f"{one.late:.1%}", f"{one.failed:,}"
    return f"  {one.name}", *seen, most, *own, "helps" if one.helps else "does not help"


# --- on a device -------------------------------------------------------------------------------------


def _serve(chosen: Scenario, tun: str) -> None:
    from pystack.scenarios.live import NotAlone, on_a_device
    from pystack.server import ServiceError
    from pystack.tun import DeviceError

    try:
        server = on_a_device(chosen, tun)
    except (NotAlone, DeviceError, ServiceError, ValueError, OSError) as error:
        fail(error)
    host = server.host
    with server:
        ports = ", ".join(f"{one.name} {one.port}" for one in server.services)
        print(
            f"{host.name} ({host.profile.title}) is at {host.address} on {tun}: {ports}. Ctrl-C ends it."
        )
        print("Its limits: pystack limits; its log: pystack dmesg")
        server.run()
