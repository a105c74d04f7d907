"""The live screen of `pystack run`, and its plain lines where no terminal is."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pystack.scenarios.run import Play

PAUSE = 0.1
"""Seconds between two pictures."""
LINES = 6
"""Of the log."""
BARS = 8
PLAIN = 12
"""Lines where no terminal is."""


class Screen:
    """`with Screen(playing) as screen: for _ in playing: screen.look()`."""

    def __init__(self, playing: Play, name: str, *, quiet: bool = False) -> None:
        self.playing = playing
        self.name = name
        self.quiet = quiet
        self._live: Any = None
        self._shown = 0.0
        self._next = 0

    def __enter__(self) -> Self:
        if not self.quiet and sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def look(self) -> None:
        """Show what there is, not too often."""
        if self.quiet:
            return
        if self._live is None:
            self._line()
        elif time.monotonic() - self._shown > PAUSE:
            self._shown = time.monotonic()
            self._live.update(self._picture(), refresh=True)

    def _line(self) -> None:
        """A line each twelfth of the time."""
        result, end = self.playing.result, self.playing.end
        now = result.times[-1]
        if now >= self._next:
            self._next = now + end // PLAIN
            main = result.main
            said = f"; {main.name} {main.used[-1]:,} of {main.maximum or 0:,}" if main else ""
            print(
                f"{now / 1e9:8,.1f} s  {result.answered:,} answered, {result.failed:,} failed{said}"
            )

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        from pystack.cli.limits import bar

        playing = self.playing
        result = playing.result
        now, end = result.times[-1], playing.end
        head = Text(f"{now / 1e9:,.1f} s of {end / 1e9:,.0f} s   ", style="bold")
        head.append(_rates(result))
        table = Table(box=None, pad_edge=False, show_header=False)
        found = [each for each in playing.now_limits if each.maximum and each.used]
        found.sort(key=lambda each: (not each.name.startswith(result.limit), -each.share))
        for each in found[:BARS]:
            most = f"{each.used:,} / {each.maximum:,}"
            failed = f"{each.failures:,} refused" if each.failures else ""
            table.add_row(each.name, bar(each), most, failed)
        states = "  ".join(f"{n:,} {name}" for name, n in _newest(result.states))
        log = [Text(f"[{ns / 1e9:9.3f}] {text}", style="dim") for ns, text in result.log[-LINES:]]
        return Panel(Group(head, Text(states), table, *log), title=self.name, title_align="left")


def _newest(states: dict[str, list[int]]) -> list[tuple[str, int]]:
    return [(name, column[-1]) for name, column in states.items() if column[-1]]


def _rates(result: Any) -> str:
    """Arrivals and failures a second, over the last ten looks."""
    back = min(11, len(result.times))
    span = (result.times[-1] - result.times[-back]) / 1e9 or 1
    come = sum(one.started[-1] - one.started[-back] for one in result.seen)
    gone = sum(one.failed[-1] - one.failed[-back] for one in result.seen)
    return f"{come / span:,.1f} come and {gone / span:,.1f} fail a second"
