"""What tests of commands as programs share."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from typer.testing import CliRunner

from pystack.cli.app import app


def until_it_waits(pid: int) -> None:
    """Return when a command has sent its question to a machine: it has a socket, and sleeps."""
    for _ in range(200):
        time.sleep(0.1)
        with contextlib.suppress(FileNotFoundError):
            links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
            if state == "S" and any(link.startswith("socket:") for link in links):
                return
    raise AssertionError("it never asked")


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(home), "COLUMNS": "80", "TERM": "dumb"}


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pystack", *words],
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def pystack(home: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    done = CliRunner().invoke(app, words, env=environment(home))
    return done.exit_code, done.stdout, done.stderr
