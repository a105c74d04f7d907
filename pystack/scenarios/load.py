"""Scenario files: found by name or path, read, changed by settings, checked. Errors name file, line and column.

    chosen = load("fin-wait-2-ipfw", ["web:net.inet.ip.fw.dyn_max=8192"])

A setting is HOST:KNOB=VALUE, or a field of the file as traffic.visitors.rate=20. A cure is a list of them.
"""

from __future__ import annotations

import copy
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pystack import profiles
from pystack.host import Host
from pystack.scenarios.fields import TAG, Table, end_of
from pystack.scenarios.model import HostTable, Scenario
from pystack.scenarios.world import BARE, RuleError, machines
from pystack.sysctl.errors import KnobError, NoEffect
from pystack.sysctl.near import near
from pystack.sysctl.strict_toml import Document, TomlError

HERE = Path(__file__).parent


class SettingError(ValueError):
    """A setting points at nothing, or at what it may not set."""


class UnknownScenario(KeyError):
    """There is no scenario of this name, and no file; the text names those that are near."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Source:
    """A scenario file as it was read: `changed` gives the scenario, with settings or without."""

    name: str
    document: Document = field(compare=False)

    def changed(self, settings: Iterable[str] = ()) -> Scenario:
        """The scenario. Raises TomlError for the file, SettingError for a setting."""
        data = copy.deepcopy(self.document.data)
        given = list(settings)
        for text in given:
            _set(data, text)
        try:
            scenario = Scenario(**data)
            _check(scenario)
        except ValidationError as error:
            raise self._told(error, data, given) from None
        except _Wrong as wrong:
            raise self._placed(wrong.place, str(wrong), given, wrong.line) from None
        return scenario

    def _told(self, error: ValidationError, data: Any, given: list[str]) -> ValueError:
        found = error.errors(include_url=False)
        found.sort(key=lambda each: each["type"] == "missing")  # it may be there, misspelt
        first = found[0]
        place = _path(data, first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        key = str(place[-1]) if place else ""
        if first["type"] == "union_tag_not_found":
            text = f"{'.'.join(map(str, place))} needs 'kind'"
        elif first["type"] == "union_tag_invalid":
            words = first["ctx"]["expected_tags"].replace(TAG, "").replace("'", "")
            text = f"kind: {first['input']['kind']!r} is none of {words}"
            place = (*place, "kind")
        elif first["type"] == "extra_forbidden":
            tags = [part for part in map(str, first["loc"]) if part.startswith(TAG)]
            kind = tags[0][len(TAG) :] if tags else ""
            text = f"unknown key {key!r}{near(key, _known())}"
            if kind and key in _known():
                text = f"{kind} has no {key!r}"
        elif first["type"] == "missing":
            text = f"{'.'.join(map(str, place[:-1])) or 'the file'} needs {key!r}"
            place = place[:-1]
        else:
            text = f"{key}: {text}"
        return self._placed(tuple(map(str, place)), text, given)

    def _placed(
        self, place: tuple[str, ...], text: str, given: list[str], line: int = 0
    ) -> ValueError:
        """Where in the file, or by which setting; `line` of a text that begins there."""
        name = ".".join(place)
        for setting in given:
            field_name = setting.partition("=")[0]
            host, colon, knob = field_name.partition(":")
            if field_name == name or (colon and place[1:2] == (host,) and place[-1] == knob):
                return SettingError(f"{setting}: {text}")
        where = self.where(place)
        if line:
            where = f"{self.document.name}:{int(where.split(':')[-2]) + line}:1"
        return TomlError(f"{where}: {text}")

    def where(self, place: tuple[str, ...]) -> str:
        """file:line:column of what is called so, or of the nearest table around it."""
        document = self.document
        start = f"{document.name}:1:1"
        for n in range(len(place) - 1, -1, -1):
            found = document.where(".".join(place[:n]), place[n])
            if found == start:
                found = document.where(".".join(place[: n + 1]))
            if found != start:
                return found
        return start


class _Wrong(ValueError):
    """A scenario cannot be, because of what stands at `place`."""

    def __init__(self, place: tuple[str, ...], text: str, line: int = 0) -> None:
        super().__init__(text)
        self.place = place
        self.line = line


def names() -> list[str]:
    """The scenarios that come with pystack."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def read(name: str | Path) -> Source:
    """A scenario by its name, or a file by its path. Raises UnknownScenario, TomlError, OSError."""
    text = str(name)
    if text in names():
        path = HERE / f"{text}.toml"
    elif text.endswith(".toml") or "/" in text:
        path = Path(text)
    else:
        known = names()
        meant = near(text, known) or "; `pystack scenarios` lists those that there are"
        raise UnknownScenario(f"no scenario {text!r}{meant} (a file is NAME.toml)")
    return Source(
        path.stem,
        Document(path.read_text("utf-8"), str(path) if text not in names() else path.name),
    )


def load(name: str | Path, settings: Iterable[str] = ()) -> Scenario:
    """The same, changed by settings."""
    return read(name).changed(settings)


# --- settings ----------------------------------------------------------------------------------------


def _set(data: dict[str, Any], text: str) -> None:
    """HOST:KNOB=VALUE or FIELD.OF.THE.FILE=VALUE, into the tables as they were read."""
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise SettingError(
            f"{text!r}: write HOST:KNOB=VALUE, or a field of the file as lasting=60s"
        )
    host, colon, knob = name.partition(":")
    if colon:
        hosts = data.get("hosts", {})
        if host not in hosts:
            raise SettingError(f"{text}: no host {host!r}{near(host, hosts)}")
        _knob(hosts[host], host, knob, text)
        hosts[host].setdefault("sysctl", {})[knob] = value.strip()
        return
    place = name.split(".")
    if place[0] not in _known():
        for host, about in data.get("hosts", {}).items():
            profile = str(about.get("profile", ""))
            known = profiles.load(profile).knobs if profile in profiles.names() else ()
            for knob in known:
                if knob == name or knob.endswith(f".{name}"):
                    raise SettingError(f"{text}: of which machine? {host}:{knob}={value.strip()}")
    table: Any = data
    for part in place[:-1]:
        if not isinstance(table, dict) or (part not in table and part not in _known()):
            raise SettingError(f"{text}: no {part!r} there{near(part, table)}")
        table = table.setdefault(part, {})
    if not isinstance(table, dict):
        raise SettingError(f"{text}: {'.'.join(place[:-1])} has no fields")
    table[place[-1]] = _value(value.strip())


def _value(text: str) -> Any:
    """A value as TOML has it (5, true, ["a"]), or else text."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _knob(host: Mapping[str, Any], name: str, knob: str, text: str) -> None:
    profile = str(host.get("profile", ""))
    if profile in profiles.names():
        chosen = profiles.load(profile)
        if chosen.find(knob) is None:
            raise SettingError(f"{text}: {profile} has no knob {knob!r}{near(knob, chosen.knobs)}")


# --- what no table sees alone ------------------------------------------------------------------------


def _check(scenario: Scenario) -> None:
    """Raises _Wrong where tables do not fit together."""
    hosts = scenario.hosts
    for name, host in hosts.items():
        if host.profile == BARE:
            continue
        if host.profile not in profiles.names():
            text = f"no profile {host.profile!r}{near(host.profile, profiles.names())}"
            raise _Wrong(("hosts", name, "profile"), text)
        chosen = profiles.load(host.profile)
        for knob in host.sysctl:
            if chosen.find(knob) is None:
                text = f"{host.profile} has no knob {knob!r}{near(knob, chosen.knobs)}"
                raise _Wrong(("hosts", name, "sysctl", knob), text)
        for rules, system in (("ipfw", "freebsd"), ("iptables", "linux")):
            if getattr(host, rules) and chosen.system != system:
                raise _Wrong(("hosts", name, rules), f"{chosen.title} has no {rules}")
        _boots(name, host)
    joined = _joined(scenario)
    for name, service in scenario.services.items():
        _known_name(service.host, hosts, ("services", name, "host"), "host")
        for backend in service.backends:
            _reachable(scenario, joined, service.host, backend, ("services", name, "backends"))
    for name, traffic in scenario.traffic.items():
        place = ("traffic", name)
        _known_name(traffic.source, hosts, (*place, "from"), "host")
        _reachable(scenario, joined, traffic.source, traffic.to, (*place, "to"))
    for name, fault in scenario.faults.items():
        place = ("faults", name)
        for key, table in (
            ("link", scenario.links),
            ("host", hosts),
            ("service", scenario.services),
        ):
            value = getattr(fault, key, None)
            if value is not None:
                _known_name(value, table, (*place, key), key)
        machine = fault.machine(scenario)
        if machine and hosts[machine].profile == BARE:
            raise _Wrong((*place, "host"), f"{machine} is bare: an end of a link, and no machine")
    _known_name(scenario.watch.host, hosts, ("watch", "host"), "host")
    for name in scenario.watch.clients:
        _known_name(name, scenario.traffic, ("watch", "clients"), "traffic")


def _boots(name: str, table: HostTable) -> None:
    """One such machine can be made: its knobs take their values, its rules are rules."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoEffect)  # told when it runs
            machines(name, table.model_copy(update={"machines": 1}), Host)
    except RuleError as error:
        raise _Wrong(("hosts", name, error.table), str(error), error.line) from None
    except KnobError as error:
        raise _Wrong(("hosts", name, "sysctl", error.knob), f"{error.knob}: {error}") from None
    except ValueError as error:
        raise _Wrong(("hosts", name), str(error)) from None


def _known_name(name: str, table: Mapping[str, Any], place: tuple[str, ...], what: str) -> None:
    if name not in table:
        raise _Wrong(place, f"no {what} {name!r}{near(name, table)}")


def _joined(scenario: Scenario) -> dict[str, set[str]]:
    """Who is reached from whom, over any number of links."""
    groups = {name: {name} for name in scenario.hosts}
    for name, link in scenario.links.items():
        for end in link.between:
            _known_name(end, scenario.hosts, ("links", name, "between"), "host")
        a, b = link.between
        if a == b:
            raise _Wrong(("links", name, "between"), f"a link between {a} and {b} joins nothing")
        merged = groups[a] | groups[b]
        for each in merged:
            groups[each] = merged
    return groups


def _reachable(
    scenario: Scenario, joined: dict[str, set[str]], source: str, to: str, place: tuple[str, ...]
) -> None:
    host, _ = end_of(to)
    if host not in scenario.hosts and not host[0].isdigit():
        raise _Wrong(place, f"no host {host!r}{near(host, scenario.hosts)}")
    if host in scenario.hosts and host not in joined[source]:
        raise _Wrong(place, f"no link joins {source} and {host}")


@cache
def _known() -> frozenset[str]:
    """The keys of all tables."""
    return frozenset(
        one.alias or name for each in _below(Table) for name, one in each.model_fields.items()
    )


def _below(table: type[Table]) -> list[type[Table]]:
    """All tables."""
    return [each for one in table.__subclasses__() for each in (one, *_below(one))]


def _path(data: Any, place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The part of a validator's place that is in the file: it also names alternatives of a type."""
    out: list[int | str] = []
    table = data
    for number, part in enumerate(place):
        if isinstance(table, dict) and (part in table or number == len(place) - 1):
            out.append(part)
            table = table.get(part)
    return tuple(out)
