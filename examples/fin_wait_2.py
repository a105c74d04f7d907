"""Seed 003: 4,000 browsers that never close. How long does each system hold on to their connections?

python examples/fin_wait_2.py
"""

from pystack.scenarios import fin_wait_2_apache as apache

VISITORS = 4000
SYSTEMS = ("sunos-4", "hp-ux", "freebsd-10", "windows", "linux-6")


def line(words: str, result: apache.Result) -> None:
    """One row of the table."""
    if result.gone is None:
        end = f"{result.left:,} are there an hour later"
    else:
        end = f"the last one gone {(result.gone - result.last_visit) / 1e9:,.0f} s after the last visit"
    print(f"{words:28} {result.most:5,} at once, {end}")


def main() -> dict[str, apache.Result]:
    """The systems as they are, then what helps where nothing else does."""
    found = {profile: apache.run(profile, visitors=VISITORS) for profile in SYSTEMS}
    for profile, result in found.items():
        line(profile, result)
    for profile, cure in (("sunos-4", "keepalive off"), ("freebsd-10", "recycle")):
        found[cure] = apache.cured(profile, cure, visitors=VISITORS)
        line(f"{profile}, {cure}", found[cure])
    return found


if __name__ == "__main__":
    main()
