"""A NAT that forgets idle connections sooner than they speak: who fails, and how, with each setting.

python examples/nat_forgets.py
"""

from pystack.scenarios.load import read
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

SMALL = ["traffic.work.rate=0.25", "lasting=2min"]


def main() -> dict[str, Result]:
    """The story, then each of its cures."""
    source = read("nat-forgets")
    settings = {"as it is": []} | {name: cure.set for name, cure in source.changed().cures.items()}
    found = {}
    for name, given in settings.items():
        found[name] = result = run(source.changed([*SMALL, *given]), views=False)
        errors = ", ".join(f"{count} {error}" for error, count in result.errors.items())
        print(f"{name:16} {result.answered:3} done, {result.failed:3} failed {errors}")
    return found


if __name__ == "__main__":
    main()
