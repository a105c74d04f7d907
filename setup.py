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
import os
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


def digest(path):
    """SHA-256 of a file in hex, or None where there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def flags():
    """All that decides the compiled result beside the sources."""
    import Cython

    return [Cython.__version__, sysconfig.get_config_var("EXT_SUFFIX"), C_FLAGS, DIRECTIVES]


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
        names = self.only.split(",") if self.only else [e.name for e in self.extensions]
        names = {name.rpartition(".")[2] for name in names}
        if unknown := names - {e.name.rpartition(".")[2] for e in self.extensions}:
            raise SystemExit(f"build_ext --only: no such module: {', '.join(sorted(unknown))}")
        self.extensions = [
            e
            for e in self.extensions
            if e.name.rpartition(".")[2] in names
            and not self._fresh(e, folder, modules.get(e.name.rpartition(".")[2]))
        ]
        if self.extensions:
            sources = self._cythonize()
            super().run()
            modules |= sources
        present = {p.stem for p in FAST.glob("*.py")}
        record = {
            "pure": False,
            "checked": CHECKED,
            "flags": flags(),
            "modules": {name: modules[name] for name in sorted(modules.keys() & present)},
        }
        record_file.parent.mkdir(parents=True, exist_ok=True)
        record_file.write_text(json.dumps(record, indent=1) + "\n")

    def _fresh(self, ext, folder, sources):
        library = folder / Path(self.get_ext_filename(ext.name)).name
        return bool(sources) and library.is_file() and all(
            digest(FAST / name) == known for name, known in sources.items()
        )

    def _cythonize(self):
        """Translate the chosen modules to C; the answer is {module: {source file: digest}}."""
        from Cython.Build import cythonize
        from Cython.Build.Dependencies import create_dependency_tree
        from Cython.Compiler import Options

        Options.warning_errors = True
        tree = create_dependency_tree(quiet=True)
        sources = {}
        for ext in self.extensions:
            files = {Path(f) for f in tree.all_dependencies(ext.sources[0])}
            files |= {Path(ext.sources[0]), Path(ext.sources[0]).with_suffix(".pxd")}
            sources[ext.name.rpartition(".")[2]] = {
                f.name: digest(f) for f in sorted(files) if f.parent == FAST
            }
        done = cythonize(
            self.extensions,
            nthreads=min(self.parallel, len(self.extensions)),
            force=True,
            build_dir=f"build/cython{'-checked' if CHECKED else ''}",
            compiler_directives=DIRECTIVES,
        )
        translated = {ext.name: ext.sources for ext in done}
        for ext in self.extensions:
            ext.sources = translated[ext.name]
        return sources


class BuildPython(build_py):
    """build_py that remembers that the interpreted speed was chosen."""

    def run(self):
        super().run()
        if PURE:
            folder = FAST if self.editable_mode else Path(self.build_lib, FAST)
            (folder / "_build.json").write_text('{"pure": true}\n')


EXTENSIONS = [
    Extension(f"pystack._fast.{path.stem}", [str(path)], extra_compile_args=C_FLAGS)
    for path in sorted(FAST.glob("*.py"))
    if path.name != "__init__.py"
]

sys.stdout.reconfigure(line_buffering=True)
setup(
    ext_modules=[] if PURE else EXTENSIONS,
    cmdclass={"build_ext": BuildFast, "build_py": BuildPython},
)
