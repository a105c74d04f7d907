"""What a type checker sees of files.py; the meaning of each name is documented there."""

from collections.abc import Callable
from typing import Any

UNLIMITED: int

class Files:
    used: int
    high_water: int
    failures: int
    last_failure: int
    programs: dict[int, Any]

class Descriptors:
    files: Files
    pid: int
    uid: int
    nofile: int
    used: int
    high_water: int
    failures: int
    last_failure: int
    owner: Any
    handler: Callable[[int], object] | None
    ready: int
    queued: bool
    asleep: bool
    held: list[Any]

    def __init__(self, files: Files, pid: int, uid: int, nofile: int) -> None: ...
    def limit(self, s: Any) -> int: ...
    def take(self, s: Any) -> int: ...
    def give(self, fd: int) -> None: ...
