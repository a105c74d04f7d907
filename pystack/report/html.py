"""The report: one page of HTML with everything inside, for whoever was not there. jinja2 is loaded here only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pystack import __version__, profiles
from pystack.report import plots
from pystack.report.verdict import Verdict, commands, symptom
from pystack.scenarios.load import Source
from pystack.scenarios.model import Scenario
from pystack.scenarios.result import Result

HERE = Path(__file__).parent


def render(template: str, **values: Any) -> str:
    """A page from one of the templates beside this file; what is put in is escaped unless it is marked."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    room = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room.filters["drawn"] = Markup
    return room.get_template(template).render(version=__version__, **values)


def page(
    found: Verdict, scenario: Scenario, source: Source, cures: Mapping[str, Result] | None = None
) -> str:
    """The whole page."""
    result = found.result
    return render(
        "run.html",
        found=found,
        symptom=symptom(result.symptom),
        result=result,
        scenario=scenario,
        plots=plots.all_of(result, cures or {}),
        commands={one.name: commands(one.settings) for one in found.cures},
        machines={name: _system(table.profile) for name, table in scenario.hosts.items()},
        text="\n".join(source.document.lines),
    )


def _system(profile: str) -> str:
    return profiles.load(profile).title if profile in profiles.names() else "no system"


def write(
    path: Path,
    found: Verdict,
    scenario: Scenario,
    source: Source,
    cures: Mapping[str, Result] | None = None,
) -> None:
    """The page into a file. Raises OSError."""
    path.write_text(page(found, scenario, source, cures), "utf-8")
