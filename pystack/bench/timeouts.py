"""The second question of the card: how full is a table, by the timeout of its entries?

Little's law says: arrivals a second times the seconds that each stays. Beside it stands what two machines had, whose
tables know nothing of the law: conntrack's flows in TIME_WAIT on Linux, and TCP's own TIME_WAIT on FreeBSD.
"""

from __future__ import annotations

from pystack.bench.report import Report
from pystack.scenarios.load import load
from pystack.scenarios.result import Result
from pystack.scenarios.run import run

TIMEOUTS = (10, 30, 60, 120)
RATE = 20.0
"""Connections a second at scale 1."""
SETTLED = 20
"""Seconds at the end over which the mean is taken."""
FLOWS = 2
"""Of conntrack for each request: the client's side of the proxy, and the server's."""


def measure(scale: float, repeat: int) -> Report:
    """Virtual time: the same on every computer, and in every round."""
    rate = max(1.0, round(RATE * min(1.0, scale)))
    report = Report(
        "timeouts", f"{rate:g} connections a second in virtual time, mean of the last {SETTLED} s"
    )
    for seconds in TIMEOUTS:
        lasting = [f"lasting={seconds + SETTLED + 5}s"]
        flows = [
            "fw:net.netfilter.nf_conntrack_max=1000000",
            f"fw:net.netfilter.nf_conntrack_tcp_timeout_time_wait={seconds}",
            f"traffic.visitors.rate={rate}",
            "traffic.visitors.arrivals=even",
        ]
        _row(
            report,
            "flows",
            seconds,
            FLOWS * rate,
            run(load("conntrack-table-full", [*lasting, *flows]), views=False),
        )
    for seconds in TIMEOUTS:
        lasting = [f"lasting={seconds + SETTLED + 5}s"]
        ports = [
            "balancer:net.inet.ip.portrange.first=1024",
            f"balancer:net.inet.tcp.msl={seconds * 500}",
            f"traffic.requests.rate={rate}",
        ]
        _row(
            report,
            "ports",
            seconds,
            rate,
            run(load("ephemeral-ports", [*lasting, *ports]), views=False),
        )
    return report


def _row(report: Report, what: str, seconds: int, rate: float, result: Result) -> None:
    """One timeout: measured, and by the law."""
    main = result.main
    assert main is not None
    assert not main.failed, f"{main.name} was full: the law is about tables that are not"
    settled = main.used[-SETTLED:]
    report.reference(f"little_{what}_{seconds}", rate * seconds, f"= {rate:g} / s × {seconds} s")
    title = {"flows": "conntrack, tcp_timeout_time_wait", "ports": "local ports, 2 × msl"}[what]
    mean = sum(settled) / len(settled)
    report.figure(f"{what}_{seconds}_s", mean, f"{title} {seconds} s", f"little_{what}_{seconds}")
