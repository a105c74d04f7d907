"""What each known cure would have done: the same scenario and seed with its settings, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import nullcontext

from pystack.scenarios.load import Source
from pystack.scenarios.result import Result
from pystack.scenarios.run import run


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(
    source: Source,
    settings: Iterable[str] = (),
    *,
    seed: int | None = None,
    for_: int | None = None,
    executor: Executor | None = None,
    told: Callable[[str, Result], object] | None = None,
) -> Mapping[str, Result]:
    """The result of each cure of a scenario that was changed by `settings`, in the scenario's order.

    `executor`: where they run; processes of this machine unless given. `told(name, result)` is called as they come.
    A cure that cannot be together with the settings raises its SettingError.
    """
    base = list(settings)
    cures = source.changed(base).cures
    changed = {name: source.changed([*base, *cure.set]) for name, cure in cures.items()}
    if not changed:
        return {}
    pool = executor or ProcessPoolExecutor(min(processors(), len(changed)))
    done: dict[str, Result] = {}
    with pool if executor is None else nullcontext():
        futures: dict[Future[Result], str] = {
            pool.submit(run, one, seed=seed, for_=for_, views=False): name
            for name, one in changed.items()
        }
        try:
            for future in as_completed(futures):
                name = futures[future]
                done[name] = future.result()
                if told is not None:
                    told(name, done[name])
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return {name: done[name] for name in changed}
