"""Twin runs: the same script compiled and interpreted, every byte of its output compared.

A test writes a script that prints all it can about what happened (packets, counters, columns) and says

    from twin.twin import assert_twins
    assert_twins('''
    from pystack._fast import seq
    print(seq.add(0xFFFFFFFF, 2))
    ''')

The two runs also have different string hash seeds, so that an answer that depends on the order of a
set differs too: same inputs, same outputs.
"""

import os
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path

import pystack._fast as fast

_TESTS = Path(__file__).resolve().parents[1]
_PACKAGE = Path(fast.__path__[0]).resolve().parents[1]
_START = """
import runpy, sys
from pystack import _fast
path, compiled, *arguments = sys.argv[1:]
assert _fast.COMPILED is (compiled == "True"), f"{_fast.COMPILED=} from {_fast.__path__}"
sys.argv = [path, *arguments]
runpy.run_path(path, run_name="__main__")
assert not _fast.stale_modules(), f"compiled before its source changed: {_fast.stale_modules()}"
"""


@dataclass(frozen=True, slots=True)
class Twins:
    """What the two runs wrote to stdout."""

    compiled: bytes
    interpreted: bytes

    def difference(self, lines: int = 40) -> str:
        """The first lines of a unified diff; empty when both are the same."""
        if self.compiled == self.interpreted:
            return ""
        old, new = (
            o.decode(errors="replace").splitlines() for o in (self.compiled, self.interpreted)
        )
        diff = unified_diff(old, new, "compiled", "interpreted", lineterm="")
        return "\n".join(islice(diff, lines)) or "they differ in line ends or undecodable octets"


def run_once(script: Path, *arguments: str, compiled: bool, timeout: float = 50) -> bytes:
    """The stdout of one run. Raises AssertionError with its stderr when it fails."""
    environment = os.environ | {
        "PYSTACK_PURE": "" if compiled else "1",
        "PYTHONHASHSEED": "1" if compiled else "2",
        "PYTHONPATH": f"{_PACKAGE}{os.pathsep}{_TESTS}",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", _START, str(script), str(compiled), *arguments],
        env=environment,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        speed = "compiled" if compiled else "interpreted"
        raise AssertionError(f"the {speed} twin failed:\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def run_twins(script: str | Path, *arguments: str, timeout: float = 50) -> Twins:
    """Run a script file (a Path) or the text of one (a str, indented or not) at both speeds.

    `timeout` is seconds for each run.
    """
    if isinstance(script, Path):
        return Twins(
            *(run_once(script, *arguments, compiled=c, timeout=timeout) for c in (True, False))
        )
    with tempfile.TemporaryDirectory(prefix="pystack-twin-") as folder:
        path = Path(folder, "script.py")
        path.write_text(textwrap.dedent(script))
        return run_twins(path, *arguments, timeout=timeout)


def assert_twins(script: str | Path, *arguments: str, timeout: float = 50) -> bytes:
    """`run_twins`, and assert that both wrote the same, and something. Returns what they wrote."""
    twins = run_twins(script, *arguments, timeout=timeout)
    assert twins.compiled == twins.interpreted, twins.difference()
    assert twins.compiled, "a twin script that writes nothing compares nothing"
    return twins.compiled
