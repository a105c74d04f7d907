"""Seed 002: a web server without descriptors, its line in the log, and the limit that bit.

python examples/too_many_files.py
"""

from pystack.scenarios.load import read
from pystack.scenarios.result import Result
from pystack.scenarios.run import run


def main() -> dict[str, Result]:
    """The story, then each of its cures."""
    source = read("too-many-files")
    cures = source.changed().cures
    found = {}
    for name in ("as it is", *cures):
        settings = cures[name].set if name in cures else []
        found[name] = result = run(source.changed(settings), views=False)
        limit = result.first.limit if result.first else "none"
        print(f"{name:18} {result.success:6.1%} answered; limit that bit: {limit}")
    print(*sorted({text for _, text in found["as it is"].log if "accept()" in text}), sep="\n")
    return found


if __name__ == "__main__":
    main()
