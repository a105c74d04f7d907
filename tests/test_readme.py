"""What README.md shows works: its Python block prints what it says, its commands and files exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from pystack.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BIN = ".venv/bin/"
QUIET = ("--version", "profiles", "knobs", "scenarios")
"""Subcommands that look and change nothing: they are run, not only looked up."""


def blocks(kind: str, text: str = README) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)


def shell_lines(text: str = README) -> list[str]:
    """All command lines: of the shell blocks, of indented blocks, and of tables that tell what to run."""
    lines = "\n".join(blocks("sh", text)).splitlines()
    lines += re.findall(
        r"^    (\S.*)$", "".join(re.split(r"^```.*?^```", text, flags=re.M | re.S)), re.M
    )
    lines += re.findall(r"\| `(\.venv/bin/[^`]+)` \|$", text, re.M)
    return [line for line in lines if line.strip() and not line.startswith("#")]


def words_of(line: str) -> list[str]:
    """The words of a command without what stands before the command."""
    words = shlex.split(line, comments=True)
    while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
        words.pop(0)
    return words


def python(*arguments: str, where: Path) -> str:
    """What a fresh interpreter prints that sees the same pystack as this one."""
    parts = [os.environ.get("PYTHONPATH", ""), str(ROOT)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, parts)), "COLUMNS": "200"}
    run = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, cwd=where, env=env
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def wrong_with(line: str) -> str | None:
    """What in a command line does not exist, in words."""
    command, *rest = words_of(line)
    command = command.removeprefix(BIN)
    if command == "make":
        missing = [word for word in rest if word not in make_targets()]
        return f"make has no {missing[0]}" if missing else None
    if command == "pystack":
        return wrong_with_pystack(rest)
    if command == "pytest":
        missing = [word for word in rest if not (ROOT / word).exists()]
        return f"there is no {missing[0]}" if missing else None
    if command == "curl":
        return None  # the kernel's client; what it fetches is tests/system's business
    return f"who is {command}?"


def wrong_with_pystack(rest: list[str]) -> str | None:
    """A subcommand or an option that `pystack` does not have."""
    group: Any = typer.main.get_command(app)
    command = group
    if rest and not rest[0].startswith("-"):
        if rest[0] not in group.commands:
            return f"pystack has no {rest[0]}"
        command = group.commands[rest[0]]
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    missing = [word for word in rest if word.startswith("--") and word not in options]
    return f"{command.name} has no {missing[0]}" if missing else None


def test_the_python_block_prints_what_it_says(tmp_path: Path):
    """A comment behind a `print` is what it prints."""
    (code,) = blocks("python")
    said = re.findall(r"^ *print\(.*\)  # (.*)$", code, re.M)
    assert len(said) == len(re.findall(r"\bprint\(", code)) >= 5
    assert python("-W", "error", "-c", code, where=tmp_path).splitlines() == said
    assert [p.name for p in tmp_path.iterdir()] == ["run.pcapng"]


def test_there_are_commands():
    assert len(shell_lines()) >= 20
    assert any("serve" in line for line in shell_lines())


@pytest.mark.parametrize("line", shell_lines())
def test_every_command_exists(line: str):
    assert wrong_with(line) is None


@pytest.mark.parametrize("line", [x for x in shell_lines() if words_of(x)[0] == BIN + "pystack"])
def test_commands_that_only_look_run(line: str, tmp_path: Path):
    rest = words_of(line)[1:]
    if rest[0] not in QUIET:
        return
    assert python("-m", "pystack", *rest, where=tmp_path).strip()


def test_every_path_exists():
    paths = re.findall(
        r"`((?:docs|pystack|tests|bench|examples)/[\w./-]*|[A-Z]+(?:\.md)?|\.ci/run)`", README
    )
    assert len(paths) > 15
    known = {"EINVAL", "ENOBUFS"}
    assert [p for p in paths if p not in known and not (ROOT / p).exists()] == []


def test_no_machine_paths_and_no_hosts_of_registries():
    for paper in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")):
        assert not re.search(
            r"/(?:root|home|work|tmp)/|pypi\.org|files\.pythonhosted", paper.read_text()
        ), paper


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("make test", None),
        ("make tests", "make has no tests"),
        ("sudo .venv/bin/pystack serve --http 80", None),
        ("pystack serve --gopher 70", "serve has no --gopher"),
        ("pystack swerve", "pystack has no swerve"),
        ("pystack --version  # says so", None),
        ("PYSTACK_PURE=1 .venv/bin/pytest tests/tcp", None),
        (".venv/bin/pytest tests/udp", "there is no tests/udp"),
        ("frobnicate", "who is frobnicate?"),
    ],
)
def test_a_wrong_command_is_seen(line: str, wrong: str | None):
    assert wrong_with(line) == wrong
