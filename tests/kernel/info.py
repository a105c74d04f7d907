"""TCP_INFO at every code snippet of a script, the kernel's beside pystack's: python -m tests.kernel.info FILE…

Prints the fields that differ. Times may: the kernel's are measured by a clock that runs, so a field of time is shown
where it is off by more than `NEAR` of its unit and by more than an eighth.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

from pystack.packetdrill.parse import parse_file
from pystack.packetdrill.play import Player
from tests.kernel import player, world

PROFILE = "linux-6"
NEAR = {
    "rto": 9000, "ato": 5000, "rtt": 3000, "rttvar": 3000, "min_rtt": 2000, "rcv_rtt": 9000, "busy_time": 9000,
    "rwnd_limited": 9000, "sndbuf_limited": 9000, "last_data_sent": 9, "last_data_recv": 9, "last_ack_recv": 9,
    "last_ack_sent": 9, "total_rto_time": 9,
}  # fmt: skip
RATES = {"pacing_rate", "delivery_rate"}


def of_kernel(path: Path) -> list[tuple[int, dict[str, int]]] | str:
    """(line, fields) of each snippet, from a process of its own; or why not."""
    taken, given = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            world.die_with_parent()
            script = parse_file(path, profile=PROFILE)
            world.enter()
            one = player.KernelPlayer(script, {})
            verdict = one.verdict()
            found = [(s.line, dict(s.snapshot)) for s in one.snippets]
            with os.fdopen(given, "wb") as pipe:
                pipe.write(pickle.dumps(found if verdict.passed else str(verdict)))
        finally:
            os._exit(0)
    os.close(given)
    with os.fdopen(taken, "rb") as pipe:
        octets = pipe.read()
    os.waitpid(pid, 0)
    answer: list[tuple[int, dict[str, int]]] | str = (
        pickle.loads(octets) if octets else "the process died"
    )
    return answer


def _differ(name: str, kernel: int, ours: int | None) -> bool:
    if ours is None:
        return True
    near = NEAR.get(name.removeprefix("tcpi_"), 0)
    if name.removeprefix("tcpi_") in RATES:
        return abs(kernel - ours) * 4 > kernel
    return abs(kernel - ours) > near and (not near or abs(kernel - ours) * 8 > kernel)


def main(paths: list[Path]) -> int:
    """Exit status 1 if anything differs."""
    wrong = 0
    for path in paths:
        theirs = of_kernel(path)
        one = Player(parse_file(path, profile=PROFILE), PROFILE, {}, None, 1)
        verdict = one.verdict()
        if isinstance(theirs, str) or not verdict.passed:
            print(
                f"{path}: kernel {theirs if isinstance(theirs, str) else 'passed'}, pystack {verdict}"
            )
            wrong += 1
            continue
        for (line, kernel), snippet in zip(theirs, one.snippets, strict=True):
            for name, value in kernel.items():
                ours = snippet.snapshot.get(name)
                if _differ(name, value, ours):
                    wrong += 1
                    print(f"{path}:{line}: {name}: kernel {value}, pystack {ours}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
