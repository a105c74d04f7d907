"""python -m tests.kernel FILE|DIR…: play scripts for linux-6 against the kernel of this computer."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from pystack.packetdrill.showing import told
from pystack.packetdrill.suite import find
from tests.kernel import run


def main() -> int:
    """Exit status 1 if any script failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("-j", "--jobs", type=int, default=4, help="scripts side by side")
    parser.add_argument("--tries", type=int, default=3, help="a script fails if it fails so often")
    parser.add_argument("--longest", type=float, default=150, help="skip what takes more seconds")
    parser.add_argument("-v", "--verbose", action="store_true", help="every script, with its trace")
    given = parser.parse_args()
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        parser.error("needs root and /dev/net/tun")
    counts: Counter[str] = Counter()
    for _, tries, verdict in run.play_all(
        find(given.paths),
        options={},
        side_by_side=given.jobs,
        tries=given.tries,
        longest=given.longest,
    ):
        counts[verdict.outcome] += 1
        if given.verbose or not verdict.passed:
            print("\n".join(told(verdict, trace=given.verbose)), flush=True)
        elif tries > 1:
            print(f"passed  {verdict.file}, try {tries}", flush=True)
    print(", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped")))
    return int(counts["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
