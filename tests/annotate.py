"""What the compiler made of each line: which lines of which function still call into Python.

The build lets Cython write an HTML page for every module, beside its C. `make annotate` prints a table of functions
from them; test_annotate.py asks for the functions that must have no such line.

A line touches Python when its C calls a function of the Python or Cython API. Counting references of
a typed object is not a touch: it is an increment, and unavoidable where an object is held.
"""

import ast
import html
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
FAST = ROOT / "pystack" / "_fast"
OUTPUT = ROOT / "build" / "cython" / "pystack" / "_fast"

_LINE = re.compile(r'<pre class="cython line score-\d+"[^>]*>\W*(?:&#xA0;)?<span class="">0*(\d+)<')
_CALL = re.compile(r"<span class='pyx?_c_api'>(\w+)</span>")


def load_setup() -> ModuleType:
    """setup.py as a module: the directives that a real build uses."""
    spec = importlib.util.spec_from_file_location("pystack_setup", ROOT / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.FAST = FAST  # there relative to the root, and tests run anywhere
    return module


def annotated(source: Path, output: Path = OUTPUT) -> str:
    """Cython's annotated HTML of a module: the build's, or made here if a source has changed since."""
    setup = load_setup()
    sources = {file.name: setup.digest(file) for file in sorted(setup.sources_of(source))}
    kept = output / f"{source.stem}.html"
    record = kept.with_suffix(".json")
    known = json.loads(record.read_text()) if kept.is_file() and record.is_file() else None
    if known != [setup.flags(), sources]:
        output.mkdir(parents=True, exist_ok=True)
        directives = [f"-X{name}={value}" for name, value in setup.DIRECTIVES.items()]
        shared = f"--shared=pystack._fast.{setup.SHARED}"
        with tempfile.TemporaryDirectory(dir=output) as work:  # two test runs may do the same
            c_file = Path(work, f"{source.stem}.c")
            command = [
                sys.executable,
                "-m",
                "cython",
                "-a",
                shared,
                *directives,
                "-o",
                c_file,
                source,
            ]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise AssertionError(f"cython {source.name}:\n{done.stderr}")
            c_file.with_suffix(".html").replace(kept)
        setup.record_page(kept, sources)
    return kept.read_text()


def touching_lines(page: str) -> dict[int, list[str]]:
    """{line number: API functions that its C calls} of an annotated page, only lines with such calls."""
    marks = list(_LINE.finditer(page))
    assert marks, "not a page of Cython's annotate, or its form has changed"
    ends = [*(m.start() for m in marks[1:]), len(page)]
    found = {}
    for mark, end in zip(marks, ends, strict=True):
        if calls := _CALL.findall(page, mark.end(), end):
            found[int(mark[1])] = [html.unescape(call) for call in dict.fromkeys(calls)]
    return found


def functions(source: str) -> dict[str, range]:
    """{qualified name: its body's lines}. The `def` line belongs to the wrapper that Python calls."""
    found = {}

    def walk(nodes: Iterable[ast.stmt], prefix: str) -> None:
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                found[prefix + node.name] = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            elif isinstance(node, ast.If) and ast.unparse(node.test) != "not cython.compiled":
                walk([*node.body, *node.orelse], prefix)

    walk(ast.parse(source).body, "")
    return found


def touches(source: Path, output: Path = OUTPUT) -> dict[str, dict[int, list[str]]]:
    """{function: {line: calls into Python}} of a module, for every function of it."""
    lines = touching_lines(annotated(source, output))
    return {
        name: {n: lines[n] for n in body if n in lines}
        for name, body in functions(source.read_text()).items()
    }


def many(names: Iterable[str]) -> dict[str, Future[str]]:
    """{module: future of its page} for modules of `_fast`, translated side by side.

    Wait for a page, then ask for its `touches`: CPython 3.11 does not survive `ast.parse` in two threads at a time.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    futures = {name: pool.submit(annotated, FAST / f"{name}.py") for name in names}
    pool.shutdown(wait=False)
    return futures


def main() -> None:
    for module, future in many(sorted(path.stem for path in FAST.glob("[!_]*.py"))).items():
        future.result()
        for name, lines in touches(FAST / f"{module}.py").items():
            calls = ", ".join(f"{n}: {' '.join(c)}" for n, c in lines.items())
            print(f"{len(lines):4}  {module}.{name}  {calls[:100]}")
    print(f"lines that touch Python, by function; the pages are in {OUTPUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
