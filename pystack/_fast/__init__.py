"""The hot core of pystack: ordinary Python files, compiled by Cython or run as they are.

Which of the two is never an accident. Compiled is the rule, and a module that is not compiled is an
ImportError. Interpreted is chosen with `PYSTACK_PURE=1`, at build time or at run time, and says so
once on stderr. `docs/adr/0001-pure-mode.md` has the reasons.
"""

import json
import os
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path

_FOLDER = Path(__file__).parent
_HOW = (
    "Build it (`make build` in a source tree, or reinstall with a C compiler), "
    "or choose the interpreted speed, some 50 times slower, with PYSTACK_PURE=1."
)


def _record() -> dict:
    """What setup.py left here: how this tree was built, from which contents."""
    try:
        return json.loads((_FOLDER / "_build.json").read_text())
    except FileNotFoundError:
        return {}


_build = _record()
COMPILED: bool = os.environ.get("PYSTACK_PURE") != "1" and not _build.get("pure", False)
"""Whether the modules of this package run compiled. There is no mixture: all or none."""

CHECKED: bool = COMPILED and bool(_build.get("checked"))
"""Whether they were compiled with bounds and overflow checks (`PYSTACK_CHECKED=1`)."""


class _OneSpeed:
    """Meta-path finder that finds modules of this package at the chosen speed only."""

    def __init__(self) -> None:
        kind = (
            (ExtensionFileLoader, EXTENSION_SUFFIXES)
            if COMPILED
            else (SourceFileLoader, SOURCE_SUFFIXES)
        )
        self._files = FileFinder(str(_FOLDER), kind)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.rpartition(".")[0] != __name__:
            return None
        spec = self._files.find_spec(name)
        if spec is None and (_FOLDER / f"{name.rpartition('.')[2]}.py").is_file():
            raise ImportError(f"{name} is not compiled. {_HOW}", name=name)
        return spec


def stale_modules() -> list[str]:
    """Compiled modules imported so far whose sources have changed since they were compiled.

    Tests and benchmarks ask before they believe a result. Reads files: not for every start.
    """
    import hashlib

    def digest(path: Path) -> str | None:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None

    record = _record().get("modules", {})
    return sorted(
        name
        for name in (m.removeprefix(__name__ + ".") for m in sys.modules if __name__ + "." in m)
        if COMPILED
        and any(
            digest(_FOLDER / file) != known
            for file, known in record.get(name, {f"{name}.py": "never recorded"}).items()
        )
    )


if COMPILED and not _build:
    raise ImportError(f"pystack is not compiled. {_HOW}", name=__name__)
if not COMPILED:
    try:
        import cython  # noqa: F401
    except ImportError as e:
        raise ImportError("pystack runs interpreted only beside Cython: pip install Cython") from e
    sys.stderr.write("pystack: interpreted (PYSTACK_PURE), some 50 times slower than compiled\n")
sys.meta_path.insert(0, _OneSpeed())
