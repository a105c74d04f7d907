"""The verdict of a run: what clients saw, which limit bit first, who owns it, what to turn, what cures would have done.

`Verdict.paragraphs` are for people, `as_dict` for programs; both say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pystack import profiles
from pystack._fast.consts import SECOND
from pystack.report.spelling import other
from pystack.scenarios.model import Scenario
from pystack.scenarios.result import Result, Seen
from pystack.sysctl.registry import registry


@dataclass
class Cured:
    """One cure, beside the run without it."""

    name: str
    words: str
    settings: list[str]
    costs: str
    success: float
    failed: int
    late: float
    """Share of answers in the last quarter of the run."""
    high_water: int
    maximum: int | None
    refused: int
    suffering: float
    helps: bool


@dataclass
class Verdict:
    """What a run means."""

    scenario: str
    result: Result
    cures: list[Cured] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """All in one line."""
        result = self.result
        said = symptom(result.symptom)
        if result.symptom != "failures":
            text = f"{result.suffering:,.4g} {said}"
            if result.symptom != "chain":
                text += f" (at most {result.high(result.symptom):,})"
            return f"{text}; {_share(result.success)} of the clients were answered."
        if result.first is None:
            return f"No limit was reached; {_share(result.success)} of the clients were answered."
        first = result.first
        return (
            f"{first.limit} ({first.knob}) ran out at {_when(first.after, first.before)}; "
            f"{result.failed:,} of {result.answered + result.failed:,} clients failed."
        )

    def paragraphs(self) -> list[tuple[str, list[str]]]:
        """(heading, lines) for people."""
        found = [
            ("What clients saw", self._clients()),
            ("Which limit bit first", self._limits()),
            ("What the machine said", self._log()),
            ("Who owns its entries", self._owners()),
            ("What to turn", self._knobs()),
        ]
        return [(heading, lines) for heading, lines in found if lines]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        plain: dict[str, Any] = {"scenario": self.scenario, "verdict": self.sentence}
        plain["paragraphs"] = dict(self.paragraphs())
        plain["cures"] = [asdict(one) for one in self.cures]
        return plain | {"result": self.result.as_dict()}

    # --- its parts ---------------------------------------------------------------------------------

    def _clients(self) -> list[str]:
        result = self.result
        total = result.answered + result.failed
        if not total:
            return ["Nobody has been answered, nobody has failed yet."]
        lines = [f"{result.answered:,} of {total:,} were answered ({_share(result.success)})."]
        if result.failed:
            said = ", ".join(f"{name} {n:,}" for name, n in result.errors.most_common())
            lines.append(f"{result.failed:,} failed, from {_at(result.first_failure)} on: {said}.")
            good, bad = result.late()
            if good + bad:
                lines.append(f"In the last quarter {_share(good / (good + bad))} were answered.")
        times = result.latencies.summary()
        if times:
            said = ", ".join(f"{name} {_ms(ns)}" for name, ns in times.items())
            lines.append(f"Time of an answer: {said}.")
        if len(result.clients) > 1:
            lines += [_seen(one) for one in result.clients.values() if one.started]
        return lines

    def _limits(self) -> list[str]:
        result = self.result
        lines = []
        for bite in result.bites:
            column = result.limits[bite.limit]
            most = f"{column.maximum:,}" if column.maximum is not None else "no maximum"
            lines.append(
                f"{_when(bite.after, bite.before)}: {bite.limit} of {bite.host}, at most "
                f"{column.high_water:,} of {most}; it refused {column.failed:,} times."
            )
        main = result.main
        if main is not None and not main.failed:
            most = f" of {main.maximum:,}" if main.maximum is not None else ""
            lines.append(f"{main.name} held: at most {main.high_water:,}{most}.")
        return lines or ["None."]

    def _log(self) -> list[str]:
        words = Counter(text for _, text in self.result.log)
        return [f"{n:,} × {text}" for text, n in words.most_common(4) if n > 1 or len(words) < 5]

    def _owners(self) -> list[str]:
        worst = self.result.worst
        if worst is None:
            return []
        lines = [f"At {_at(worst.ns)}:"]
        for kind, rows in worst.owners.items():
            lines += [f"by {kind}: {n:,} × {name}" for name, n in rows[:3]]
        return lines

    def _knobs(self) -> list[str]:
        result = self.result
        title = profiles.load(result.profile).title
        lines = []
        for knob in dict.fromkeys(b.knob for b in result.bites if b.knob):
            family, names, note = other(knob)
            lines.append(f"{title}: {knob}")
            if names:
                lines.append(f"{family}: {names}{f' ({note})' if note else ''}")
        return lines


def verdict(
    name: str, scenario: Scenario, result: Result, cures: Mapping[str, Result] | None = None
) -> Verdict:
    """What a run means, with its cures where they ran."""
    found = []
    for each, cured in (cures or {}).items():
        table = scenario.cures[each]
        main = cured.main
        good, bad = cured.late()
        found.append(
            Cured(
                each,
                table.words,
                list(table.set),
                table.costs,
                cured.success,
                cured.failed,
                good / (good + bad) if good + bad else 1.0,
                main.high_water if main else 0,
                main.maximum if main else None,
                main.failed if main else 0,
                cured.suffering,
                helps(result, cured),
            )
        )
    return Verdict(name, result, found)


def helps(ill: Result, well: Result) -> bool:
    """Does a cure help? Nine tenths of the symptom are gone (of chains, half), and clients are answered."""
    share = 2 if ill.symptom == "chain" else 10
    fails = well.failed > ill.failed + 0.1 * (ill.answered + ill.failed)
    gone = ill.suffering > 0 and well.suffering * share <= ill.suffering
    return gone and not fails and well.answered > 0


def symptom(kind: str) -> str:
    """What is wrong, in words behind a number."""
    if kind == "failures":
        return "failed"
    return "entries to find one" if kind == "chain" else f"in {kind} at the end"


FILES = {"net.netfilter.nf_conntrack_buckets": "/sys/module/nf_conntrack/parameters/hashsize"}
"""Knobs that are written to a file: the sysctl of conntrack's chains could only be read before Linux 4.7."""


def commands(settings: Iterable[str]) -> list[str]:
    """What to type for settings: sysctl lines as they are, fields of the scenario in words."""
    lines = []
    for text in settings:
        name, _, value = text.partition("=")
        host, colon, knob = name.partition(":")
        if colon:
            do = f"sysctl {knob}={value}"
            if knob in FILES:
                do = f"echo {value} > {FILES[knob]}"
            elif knob in registry() and registry()[knob].when == "boot":
                do = f"echo '{knob}=\"{value}\"' >> /boot/loader.conf"
            lines.append(f"{host}# {do}")
            continue
        place = name.split(".")
        if place[0] == "hosts" and place[-1] in ("ipfw", "iptables"):
            lines += [
                f"{place[1]}# {_rule(place[-1], line)}" for line in value.strip().splitlines()
            ]
        else:
            where = ".".join(place[1:-1]).replace(".options", "")
            lines.append(f"{where}: {place[-1]} {' '.join(value.split())}")
    return lines


def _rule(tool: str, line: str) -> str:
    return line if line.startswith(tool) else f"{tool} {line}"


def _seen(one: Seen) -> str:
    share = one.success
    if share is None:
        return f"{one.name}: {one.started[-1]:,} begun, none has ended."
    waits = f", {one.in_flight:,} under way" if one.in_flight else ""
    return f"{one.name}: {one.answered[-1]:,} of {one.total:,} answered ({_share(share)}){waits}."


def _share(share: float) -> str:
    return f"{share:.1%}"


def _ms(ns: int) -> str:
    return f"{ns / 1e6:,.0f} ms" if ns >= 10_000_000 else f"{ns / 1e6:.1f} ms"


def _at(ns: int | None) -> str:
    return "no time" if ns is None else f"{ns / SECOND:,.0f} s"


def _when(after: int, before: int) -> str:
    return _at(before) if after == before else f"{after / SECOND:,.0f} to {_at(before)}"
