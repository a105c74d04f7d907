"""What a real Linux kernel did at its socket limits: the records, and the counters that they tell of."""

import json
import re
from pathlib import Path

from pystack.views.counters import nstat

RECORDS = {
    record["name"]: record
    for record in map(
        json.loads, Path(__file__).with_name("linux-6.18-sockets.jsonl").read_text().splitlines()
    )
}
SEEN = {
    name
    for record in RECORDS.values()
    if record["name"] != "tcp_max_tw_buckets_3"
    for name in re.findall(r'"((?:Tcp|TcpExt)\w+)": \d', json.dumps(record))
}
"""The counters that the experiments looked at."""


def counted(core, before=None) -> dict[str, int]:
    """How much the counters that the experiments looked at have grown."""
    now = {name: value for name, value in nstat(core).items() if name in SEEN}
    return {
        k: v - (before or {}).get(k, 0) for k, v in now.items() if v != (before or {}).get(k, 0)
    }
