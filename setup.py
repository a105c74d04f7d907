"""Compiles `pystack/_fast/*.py` with Cython; everything else stands in pyproject.toml.

PYSTACK_PURE=1      compiles nothing and records that this was chosen.
PYSTACK_CHECKED=1   compiles with bounds, wraparound and overflow checks, and records it.
build_ext --only a,b    compiles only these modules (for development).

What was compiled from what is recorded by content in `_build.json` beside the modules: only changed
modules (or those whose .pxd files changed) are compiled again, and tests can tell a stale build. A
failed compile is an error; there is no silent way back to the interpreted speed (docs/adr/0001).
"""

import contextlib
import fcntl
import hashlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

FAST = Path("pystack", "_fast")
PURE = os.environ.get("PYSTACK_PURE") == "1"
CHECKED = os.environ.get("PYSTACK_CHECKED") == "1"
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": CHECKED,
    "wraparound": CHECKED,
    "overflowcheck": CHECKED,
    "initializedcheck": CHECKED,
    "nonecheck": CHECKED,
    "cdivision": True,
    "embedsignature": False,
}
C_FLAGS = ["-O1" if CHECKED else "-O3", "-g0"]
ATTRIBUTES = "config"
"""A module of hundreds of attributes that C reads as fields: what Python reads them with takes gcc half a minute at -O3
and a third of that at -O1."""
C_FILES = Path("build", "cython-checked" if CHECKED else "cython")
PAGES = C_FILES / FAST
"""Where Cython puts its annotated pages: beside the C."""
DIMENSIONS = 2
"""`Options.buffer_max_dims`, 8 unless told. A memoryview is passed by value, and stands in an object, with three arrays
of this many lengths: 64 octets instead of 208. All are one-dimensional; Cython wants one more than there are."""
SHARED = "_cyutility"
"""The module with Cython's own helpers (memoryviews). Each module would carry its copy of them
otherwise, at three times the compile time and seven times the size."""

CYTHON = f"""from Cython.Compiler import Main, Options
Options.buffer_max_dims = {DIMENSIONS}
Main.main(command_line=1)
"""
"""The command `cython` with the option that it has no word for."""
INTERPRET = """import importlib, json, sys, types
sys.modules["pystack"] = package = types.ModuleType("pystack")
package.__path__ = [sys.argv[1]]
names = {}
for name in sys.argv[2:]:
    every = vars(importlib.import_module(f"pystack._fast.{name}")).items()
    names[name] = {k: int(v) for k, v in every if k.isupper() and isinstance(v, int)}
print(json.dumps(names))
"""
"""Prints what `constants` answers. A bare package stands in for pystack, which would import what a build lacks."""


def digest(path):
    """SHA-256 of a file in hex, or None where there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def flags():
    """All that decides the compiled result beside the sources."""
    import Cython

    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return [Cython.__version__, suffix, SHARED, C_FLAGS, ATTRIBUTES, DIRECTIVES, DIMENSIONS]


CIMPORT = re.compile(r"^[ \t]*(?:from|c?import)\b[^\n(]*\bcimports?\b[^\n(]*(?:\([^)]*\))?", re.M)


def sources_of(module):
    """A module's .py, its .pxd, and every .pxd that one of them cimports, directly or not.

    Cython's own dependency tracking overlooks `from pystack._fast cimport module`. Here each word of
    a cimport that is the name of a .pxd counts as one: too many is harmless, one missed is not.
    """
    todo, found = [module, module.with_suffix(".pxd")], set()
    while todo:
        file = todo.pop()
        if file not in found and file.is_file():
            found.add(file)
            words = re.findall(r"\w+", " ".join(CIMPORT.findall(file.read_text())))
            todo += [FAST / f"{word}.pxd" for word in words]
    return found | {module.with_suffix(".pxd")}  # the .pxd also while there is none


def constants(modules):
    """{module: {NAME: number}} of these modules, as they are when Python runs them."""
    run = subprocess.run(
        [sys.executable, "-c", INTERPRET, str(FAST.parent), *modules],
        env={**os.environ, "PYSTACK_PURE": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise SystemExit(f"setup.py: the sources cannot be run:\n{run.stderr}")
    return json.loads(run.stdout)


def fold(file, module, numbers):
    """A C variable that the module sets once, when it is imported, becomes its number wherever it is read.

    Cython has no constants that the same source could import (docs/adr/0012), and the compiler must not assume that a
    variable stays as it is.
    """
    text = file.read_text()
    place = "".join(f"{len(part)}{part}_" for part in f"pystack._fast.{module}".split("."))
    written = {}
    for name, value in numbers.items():
        variable = f"__pyx_v_{place}{name}"
        declared = re.search(rf"^static ((?:\w+ )*?\w+) {variable};$", text, re.M)
        if declared and len(re.findall(rf"(?<![\w&]){variable} = ", text)) == 1:
            size = "" if abs(value) < 1 << 31 else "LL" if abs(value) < 1 << 63 else "ULL"
            written[name] = f"(({declared[1]}){value}{size})"
    read = re.compile(rf"(?<![\w&])__pyx_v_{place}(\w+)\b(?! = )")
    lines = [
        line if line.startswith("static ") else read.sub(lambda m: written.get(m[1], m[0]), line)
        for line in text.split("\n")
    ]
    file.write_text("\n".join(lines))


def record_page(page, sources):
    """Note beside Cython's annotated page what it was made of; tests/annotate.py reads it."""
    page.with_suffix(".json").write_text(json.dumps([flags(), sources]))


def record_pure(folder):
    """Note that nothing is compiled, and on purpose."""
    (folder / "_build.json").write_text('{"pure": true}\n')


class BuildFast(build_ext):
    """build_ext that compiles by content, in parallel, and records what it did."""

    user_options = [*build_ext.user_options, ("only=", None, "compile only these modules (a,b)")]

    def initialize_options(self):
        super().initialize_options()
        self.only = None

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()
        self.force = True  # what to compile is decided in run(), by content and not by age

    def run(self):
        if PURE:
            record_pure(FAST)
            return
        Path("build").mkdir(exist_ok=True)
        with Path("build", ".lock").open("w") as lock, contextlib.ExitStack() as stack:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two builds of one tree would mix their files
            stack.callback(setattr, self, "extensions", self.extensions)
            self._run()

    def _run(self):
        folder = FAST if self.inplace else Path(self.build_lib, FAST)
        record_file = folder / "_build.json"
        record = json.loads(record_file.read_text()) if record_file.is_file() else {}
        modules = record.get("modules", {}) if record.get("flags") == flags() else {}
        every = {ext.name.rpartition(".")[2]: ext for ext in self.extensions}
        names = {*self.only.split(","), SHARED} if self.only else set(every)
        if unknown := names - every.keys():
            raise SystemExit(f"build_ext --only: no such module: {', '.join(sorted(unknown))}")
        numbers = constants(sorted(every.keys() - {SHARED}))
        known = {name: was for name, was in record.get("constants", {}).items() if name in every}
        # also with --only: one number must not have two values
        changed = {name for name, was in known.items() if was != numbers.get(name, {})}
        todo = {
            name: every[name]
            for name in sorted(names | changed)
            if name in changed or not self._fresh(folder, every[name], modules.get(name))
        }
        if todo:
            modules |= self._translate(todo, numbers)
            self.extensions = list(todo.values())
            super().run()
        for library in folder.glob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"):
            if library.name.partition(".")[0] not in every:
                library.unlink()  # its module is gone, and must not be importable without it
        record = {
            "pure": False,
            "checked": CHECKED,
            "flags": flags(),
            "modules": {name: modules[name] for name in sorted(modules.keys() & every.keys())},
            "constants": known | {name: numbers.get(name, {}) for name in todo},
        }
        record_file.write_text(json.dumps(record, indent=1) + "\n")

    def _fresh(self, folder, ext, sources):
        library = folder / Path(self.get_ext_filename(ext.name)).name
        return (
            sources is not None
            and library.is_file()
            and all(digest(FAST / name) == known for name, known in sources.items())
        )

    def _translate(self, todo, numbers):
        """Write the C of these modules; the answer is {module: {source file: digest}}."""
        from Cython.Build import cythonize
        from Cython.Compiler import Options
        from Cython.Compiler.Errors import CompileError

        C_FILES.mkdir(parents=True, exist_ok=True)
        Options.warning_errors = True
        Options.buffer_max_dims = DIMENSIONS
        # so that Cython's workers have these options
        multiprocessing.set_start_method("fork", force=True)
        sources = {}
        for name, ext in todo.items():
            if name == SHARED:
                write_shared = [sys.executable, "-c", CYTHON, f"--generate-shared={ext.sources[0]}"]
                subprocess.run(write_shared, check=True)
                sources[name] = {}
                continue
            files = sorted(sources_of(Path(ext.sources[0])))
            sources[name] = {file.name: digest(file) for file in files}
        try:
            done = cythonize(
                list(todo.values()),
                nthreads=min(self.parallel, len(todo)),
                force=True,
                build_dir=str(C_FILES),
                annotate=True,
                compiler_directives=DIRECTIVES,
                shared_utility_qualified_name=f"pystack._fast.{SHARED}",
            )
        except CompileError as e:
            hint = "warnings are errors; the traps are in CONTRIBUTING.md"
            raise SystemExit(f"setup.py: Cython cannot compile {e} ({hint})") from None
        for ext in done:
            todo[ext.name.rpartition(".")[2]].sources = ext.sources
            if re.search(
                rf"Py_ssize_t shape\[(?!{DIMENSIONS}\])", Path(ext.sources[0]).read_text()
            ):
                raise SystemExit(f"setup.py: {ext.name} was translated with other options")
        for name in sources.keys() - {SHARED}:
            fold(Path(todo[name].sources[0]), name, numbers[name])
            record_page(PAGES / f"{name}.html", sources[name])
        return sources


class BuildPython(build_py):
    """build_py that remembers that the interpreted speed was chosen."""

    def run(self):
        super().run()
        if PURE:
            record_pure(FAST if self.editable_mode else Path(self.build_lib, FAST))


def extensions():
    """The modules that are compiled: all of `_fast`, and Cython's helpers."""
    files = [C_FILES / f"{SHARED}.c", *sorted(FAST.glob("[!_]*.py"))]
    return [
        Extension(
            f"pystack._fast.{file.stem}",
            [str(file)],
            extra_compile_args=[*C_FLAGS, "-O1"] if file.stem == ATTRIBUTES else C_FLAGS,
        )
        for file in files
    ]


if __name__ == "__main__":  # tests/annotate.py imports the directives
    sys.stdout.reconfigure(line_buffering=True)
    setup(
        ext_modules=[] if PURE else extensions(),
        cmdclass={"build_ext": BuildFast, "build_py": BuildPython},
    )
