"""Seed 002: an Apache whose children are all busy. Is it the queue that is too short, or the children too few?

python examples/listen_overflow.py
"""

from pystack.scenarios.load import read
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

SMALL = [
    "services.apache.options.worker_connections=16",
    "web:kern.ipc.soacceptqueue=8",
    "traffic.visitors.rate=2.5",
]
CURES = {
    "as it is": [],
    "a longer queue": ["web:kern.ipc.soacceptqueue=1024"],
    "more children": ["services.apache.options.worker_connections=1024"],
    "KeepAliveTimeout 2": ["services.apache.options.keepalive=2s"],
}


def main() -> dict[str, Result]:
    """Who is answered, and how long it takes."""
    source = read("listen-overflow")
    found = {}
    for name, settings in CURES.items():
        found[name] = result = run(source.changed([*SMALL, *settings]), views=False)
        wait = result.latencies.percentile(90) / 1e9
        print(f"{name:19} {result.success:6.1%} answered, nine of ten within {wait:5.2f} s")
    return found


if __name__ == "__main__":
    main()
