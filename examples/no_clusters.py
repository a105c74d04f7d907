"""Seed 002: people who do not read what they asked for take every mbuf cluster, and nobody else is answered.

python examples/no_clusters.py
"""

from pystack.scenarios import mbuf_exhaustion as mbufs

HOW = {"readers": 80, "clusters": 1024, "watched": "30s"}


def line(words: str, result: mbufs.Result) -> None:
    """One row of the table."""
    full = "never full" if result.full is None else f"full after {result.full / 1e9:.0f} s"
    if result.asleep is not None:
        full += ", server in zoneli"
    share = f"{result.unanswered} of everybody else's requests were not answered"
    print(f"{words:48} {result.most:5} clusters, {full}; {share}")


def main() -> dict[str, mbufs.Result]:
    """As it is, and with each cure."""
    found = {"": mbufs.run(**HOW)}
    line("as it is", found[""])
    for name, cure in mbufs.CURES.items():
        found[name] = mbufs.cured(name, **HOW)
        line(cure.words, found[name])
    print("\nnetstat -m, as it is:\n" + found[""].netstat)
    return found


if __name__ == "__main__":
    main()
