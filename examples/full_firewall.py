"""Seeds 000 and 001: two firewalls whose tables are full, who owns their entries, and the knob in both spellings.

python examples/full_firewall.py
"""

from pystack.report.verdict import Verdict, verdict
from pystack.scenarios.load import load
from pystack.scenarios.run import run

SMALL = {
    "fin-wait-2-ipfw": [
        "web:net.inet.ip.fw.dyn_max=60",
        "traffic.forgetful.rate=0.12",
        "traffic.visitors.rate=0.06",
    ],
    "conntrack-table-full": [
        "fw:net.netfilter.nf_conntrack_max=2048",
        "traffic.visitors.rate=20",
    ],
}
"""Small enough for a second; leave them out for the size of the reports."""


def main() -> dict[str, Verdict]:
    """The same question to both."""
    found = {}
    for name, settings in SMALL.items():
        scenario = load(name, settings)
        found[name] = verdict(name, scenario, run(scenario))
        print(f"{name}: {found[name].sentence}")
        for heading, lines in found[name].paragraphs():
            if heading.startswith("Wh"):
                print(f"  {heading}")
                print(*(f"    {line}" for line in lines), sep="\n")
    return found


if __name__ == "__main__":
    main()
