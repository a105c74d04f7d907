"""The page at `/`: what the machine is and does."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from pystack.units import format_time

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.services.http import HttpService

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;max-width:44em;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}"
    "td{padding:.1em 1.5em .1em 0}td+td{text-align:right;font-variant-numeric:tabular-nums}"
)


def machine_page(host: Host, service: HttpService) -> bytes:
    """HTML, UTF-8."""
    title = f"{escape(host.name)}: {escape(host.profile.title)}"
    answers = [(f"answers {status}", n) for status, n in sorted(service.answers.items())]
    own = [
        ("connections accepted", service.accepted),
        ("connections open", len(service.connections)),
    ]
    return (
        "<!doctype html>\n"
        f'<html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>\n'
        f"<h1>{title}</h1>\n"
        f"<p>A TCP stack in Python, at {format_time(host.now // 10**6 * 10**6)} of its clock. "
        'Try <a href="/bytes/100000">/bytes/100000</a>.</p>\n'
        f"<h2>Web server</h2>\n{_table([*own, *answers])}"
        f"<h2>Connections</h2>\n{_table(sorted(host.tcp_states().items()))}"
        f"<h2>TCP</h2>\n{_table((name, n) for name, n in host.stats.items() if n)}"
        f"<h2>Packets dropped</h2>\n{_table(sorted(host.drops().items()))}"
        "</html>\n"
    ).encode()


def _table(rows: Iterable[tuple[str, int]]) -> str:
    cells = "".join(f"<tr><td>{escape(name)}<td>{n:,}\n" for name, n in rows)
    return f"<table>\n{cells}</table>\n" if cells else "<p>none</p>\n"
