"""Inputs of the fuzzers as files, and the fuzzer itself."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def seeds(folder: Path) -> dict[str, bytes]:
    """Name and octets of each NAME.hex of `folder`: hex digits, and `#` comments."""
    found = {}
    for path in sorted(folder.glob("*.hex")):
        lines = (line.partition("#")[0] for line in path.read_text().splitlines())
        found[path.stem] = bytes.fromhex(" ".join(lines))
    return found


def fuzz(drive: Callable[[bytes], object], folder: Path) -> None:
    """Let libFuzzer call `drive` with what it makes of the seeds of `folder`; the command line is for it."""
    try:
        import atheris
    except ImportError:
        sys.exit(f"{Path(sys.argv[0]).name} needs atheris: pip install atheris")
    atheris.instrument_all()
    with tempfile.TemporaryDirectory(prefix="pystack-fuzz-") as corpus:
        for name, data in seeds(folder).items():
            Path(corpus, name).write_bytes(data)
        atheris.Setup([*sys.argv, corpus], drive)
        atheris.Fuzz()
