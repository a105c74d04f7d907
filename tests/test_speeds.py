"""Which of the two speeds runs is never an accident (docs/adr/0001)."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import pystack._fast as fast

ASK = (
    "from pystack import _fast; from pystack._fast import seq; print(_fast.COMPILED, _fast.CHECKED)"
)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A `_fast` with one module that is not compiled, and no record of a build."""
    folder = tmp_path / "pystack" / "_fast"
    folder.mkdir(parents=True)
    (tmp_path / "pystack" / "__init__.py").touch()
    for name in ("__init__.py", "seq.py"):
        shutil.copy(Path(fast.__path__[0], name), folder)
    return folder


def ask(package: Path, pure: str = "", code: str = ASK) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": str(package.parents[1]), "PYSTACK_PURE": pure},
        capture_output=True,
        text=True,
        check=False,
    )


def test_not_built_is_an_error_that_says_what_to_do(package: Path):
    done = ask(package)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: pystack is not compiled.")
    assert "make build" in last
    assert "PYSTACK_PURE=1" in last


def test_one_module_that_is_not_compiled_is_an_error(package: Path):
    (package / "_build.json").write_text('{"pure": false, "modules": {}}')
    done = ask(package)
    assert done.returncode == 1
    assert "ImportError: pystack._fast.seq is not compiled." in done.stderr


def test_interpreted_by_choice_says_so_once(package: Path):
    done = ask(package, pure="1")
    assert done.stdout == "False False\n"
    assert done.stderr.count("\n") == 1
    assert "interpreted" in done.stderr


def test_the_choice_of_the_build_is_remembered(package: Path):
    (package / "_build.json").write_text('{"pure": true}')
    assert ask(package).stdout == "False False\n"


def test_interpreted_runs_the_source_beside_a_compiled_module(package: Path):
    (package / f"seq{EXTENSION_SUFFIXES[0]}").write_bytes(b"not even a library")
    assert ask(package, pure="1").stdout == "False False\n"


def test_a_module_that_does_not_exist_is_just_that(package: Path):
    done = ask(package, pure="1", code="import pystack._fast.nowhere")
    assert "ModuleNotFoundError" in done.stderr


def test_a_changed_source_makes_its_module_stale(tmp_path: Path):
    folder = tmp_path / "pystack" / "_fast"
    shutil.copytree(fast.__path__[0], folder)
    (tmp_path / "pystack" / "__init__.py").touch()
    code = "from pystack import _fast; from pystack._fast import seq; print(_fast.stale_modules())"
    assert ask(folder, code=code).stdout == "[]\n"
    (folder / "seq.pxd").write_text((folder / "seq.pxd").read_text() + "\n# changed\n")
    assert ask(folder, code=code).stdout == "['seq']\n"
