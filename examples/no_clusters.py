"""Seed 002: people who do not read what they asked for take every mbuf cluster, and nobody else is answered.

python examples/no_clusters.py
"""

from pystack.report.cures import side_by_side
from pystack.report.verdict import verdict
from pystack.scenarios.load import read
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

SMALL = [
    "web:kern.ipc.nmbclusters=1024",
    "web:kern.ipc.nsfbufs=300",
    "traffic.readers.rate=2",
    "traffic.readers.visits=80",
]


def main() -> dict[str, Result]:
    """As it is, and with each cure, on all processors."""
    source = read("mbuf-exhaustion")
    scenario = source.changed(SMALL)
    ill = run(scenario)
    cures = side_by_side(source, SMALL)
    found = verdict(source.name, scenario, ill, cures)
    print(found.sentence)
    for cure in found.cures:
        print(f"{cure.words:95} {cure.failed:4} failed, {cure.high_water:5} clusters")
    assert ill.worst is not None
    print("\n" + ill.worst.views["netstat -m"])
    return {"": ill, **cures}


if __name__ == "__main__":
    main()
