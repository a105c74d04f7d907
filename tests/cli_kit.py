"""What tests of commands as programs share."""

import contextlib
import time
from pathlib import Path


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
