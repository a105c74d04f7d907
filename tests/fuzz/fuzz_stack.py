"""Coverage-guided fuzzing of the whole stack: programs of `stack_driver` that reach new code are kept and changed.

    python -m venv --system-site-packages /tmp/fuzz && /tmp/fuzz/bin/pip install atheris   # once
    PYSTACK_PURE=1 /tmp/fuzz/bin/python tests/fuzz/fuzz_stack.py -max_total_time=600 -max_len=700 [CORPUS]

needs atheris and pystack in the same environment; arguments are libFuzzer's, and CORPUS is a folder where it keeps
what it found. The inputs of `stack/` are its seeds. An input that fails is written to `crash-...`: make it smaller with

    PYSTACK_PURE=1 python tests/fuzz/fuzz_stack.py --shrink crash-...

which prints it as hex digits; put it in `stack/` as NAME.hex with a comment that says what was wrong, and
`test_fuzz_stack.py` replays it for ever. Interpreted, because there an index out of range raises (CONTRIBUTING.md,
the traps).
"""

import sys
from pathlib import Path

sys.path.extend(str(folder) for folder in Path(__file__).resolve().parents[1:3])

from fuzz import corpus
from fuzz.stack_driver import drive

SEEDS = Path(__file__).with_name("stack")


def complaint(data: bytes) -> str:
    """What is wrong with this input, and where; empty when nothing is."""
    try:
        drive(data)
    except Exception as error:  # whatever it is, it is the finding
        place = error.__traceback__
        while place.tb_next is not None:
            place = place.tb_next
        return f"{place.tb_frame.f_code.co_name}: {type(error).__name__}: {error}"
    return ""


def shrink(data: bytes) -> bytes:
    """A shorter input with the same complaint."""
    wanted = complaint(data)
    assert wanted, "nothing is wrong with this input"
    step = len(data) // 2
    while step:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + step :]
            if complaint(shorter) == wanted:
                data = shorter
            else:
                at += step
        step //= 2
    return data


def main() -> None:
    if sys.argv[1:2] == ["--shrink"]:
        data = shrink(Path(sys.argv[2]).read_bytes())
        print("#", complaint(data))
        print(data.hex(" "))
        return
    corpus.fuzz(drive, SEEDS)


if __name__ == "__main__":
    main()
