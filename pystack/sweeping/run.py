"""The work of a sweep on any `concurrent.futures` executor: what is done is kept, what a dead worker had done anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from typing import Any

from pystack.report.cures import processors
from pystack.scenarios.load import Source, read
from pystack.scenarios.model import Scenario
from pystack.scenarios.run import run
from pystack.sweeping.plan import Point, Vary, plan
from pystack.sweeping.store import Store
from pystack.sweeping.table import Table

ATTEMPTS = 3
"""How often a point is tried whose worker went."""


class WorkLost(RuntimeError):
    """A point could not be finished: its worker went each time."""


def work(scenario: Scenario, seed: int, for_: int | None = None) -> dict[str, Any]:
    """One point: what a row holds."""
    result = run(scenario, seed=seed, for_=for_, views=False)
    times = result.latencies.summary()
    main = result.main
    return {
        "answered": result.answered,
        "failed": result.failed,
        "success": result.success,
        "suffering": result.suffering,
        "high_water": main.high_water if main else 0,
        "refused": main.failed if main else 0,
        "first": result.first.limit if result.first else None,
        "p50": times.get("p50", 0) / 1e6,
        "p99": times.get("p99", 0) / 1e6,
        "trace_hash": result.trace_hash,
    }


def sweep(
    scenario: str | os.PathLike[str] | Source,
    vary: Vary,
    *,
    seeds: int | Iterable[int] = 1,
    settings: Iterable[str] = (),
    for_: int | None = None,
    executor: Executor | Any = None,
    out: str | os.PathLike[str] = "",
    told: Callable[[int, int], object] | None = None,
) -> Table:
    """Run a scenario for every combination of values and every seed; the table of all results.

    `vary`: NAME -> values, names as for `pystack run --set`. `seeds`: how many, or which. `executor`: anything with the
    `submit` of concurrent.futures (a Dask client's `get_executor()` too); processes of this machine unless given.
    `out`: a SQLite file that gets each result as it comes: what it has already is not run again. `told(done, all)` is
    called as they come.

    Raises PlanError, what `Source.changed` raises, and WorkLost.
    """
    source = scenario if isinstance(scenario, Source) else read(os.fspath(scenario))
    base = list(settings)
    first = source.changed(base).seed
    numbers = range(first, first + seeds) if isinstance(seeds, int) else seeds
    points = plan(vary, numbers)
    changed = {p.values: source.changed([*base, *p.settings]) for p in points}
    with ExitStack() as stack:
        about = "\n".join([*source.document.lines, *base, str(for_)])
        store = Store(out, about)
        stack.callback(store.close)
        done = store.rows(points)
        todo = [point for point in points if point not in done]
        if told is not None:
            told(len(done), len(points))

        def submit(pool: Any, point: Point) -> Future[Any]:
            future: Future[Any] = pool.submit(work, changed[point.values], point.seed, for_)
            return future

        def keep(pool: Any) -> None:
            left = [point for point in points if point not in done]
            for point, row in _finished(left, partial(submit, pool)):
                if store.add(point, row):
                    done[point] = row
                if told is not None:
                    told(len(done), len(points))

        if executor is not None:
            keep(executor)
        else:
            _in_processes(keep, len(todo))
    return Table(list(vary), {point: done[point] for point in points})


def _in_processes(keep: Callable[[Any], None], n: int) -> None:
    """`keep(pool)` with processes of this machine; with new ones where one of them was killed, which ends its pool."""
    for attempt in range(ATTEMPTS if n else 0):
        try:
            with ProcessPoolExecutor(min(processors(), n)) as pool:
                keep(pool)
            return
        except BrokenExecutor as error:
            if attempt + 1 == ATTEMPTS:
                raise WorkLost(f"processes end before their work is done: {error}") from error


def _finished(
    todo: list[Point], submit: Callable[[Point], Future[Any]]
) -> Iterable[tuple[Point, Any]]:
    """(point, row) as they come. A point whose worker went is given out again, a few times."""
    ready: SimpleQueue[tuple[Point, Future[Any]]] = SimpleQueue()
    tries = dict.fromkeys(todo, 0)
    pending: set[Future[Any]] = set()

    def give(point: Point) -> None:
        tries[point] += 1
        future = submit(point)
        pending.add(future)
        future.add_done_callback(lambda done: ready.put((point, done)))

    try:
        for point in todo:
            give(point)
        while pending:
            point, future = ready.get()
            pending.discard(future)
            error = future.exception()
            if error is None:
                yield point, future.result()
            elif not _went(error):
                raise error
            elif tries[point] >= ATTEMPTS:
                raise WorkLost(
                    f"{', '.join(point.settings)}, seed {point.seed}: {error}"
                ) from error
            else:
                give(point)
    finally:
        for future in pending:
            future.cancel()


def _went(error: BaseException) -> bool:
    """Did the worker go, not the work fail? Executors have names of their own for it."""
    return type(error).__name__ in ("KilledWorker", "CancelledError", "FutureCancelledError")
