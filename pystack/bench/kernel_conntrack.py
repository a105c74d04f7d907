"""What tracking costs this system's kernel: the same packets written to a TUN device, with tracking on and off.

Needs root, /dev/net/tun and iptables.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pystack.bench.kernel_path import NotHere, in_namespace, run, write
from pystack.bench.report import Report

KNOBS = Path("/proc/sys/net/netfilter")
RULE = "-A FORWARD -m conntrack --ctstate INVALID -j ACCEPT"


def _measure(
    opening: list[bytes], talk: list[bytes], repeat: int, ends: list[int]
) -> tuple[float, float, int]:
    """Ns a packet of `talk` without tracking and with it, and how many flows there were then.

    Headers without payload have no right TCP checksum; what would not be tracked for it is told not to look.
    """
    plain = min(write(ends, talk) for _ in range(repeat))
    run(f"iptables {RULE}")
    (KNOBS / "nf_conntrack_checksum").write_text("0")
    write(ends, opening)
    flows = int((KNOBS / "nf_conntrack_count").read_text())
    if flows == 0:
        raise NotHere("the kernel tracks nothing here")
    tracked = min(write(ends, talk) for _ in range(repeat))
    return plain, tracked, flows


def figures(report: Report, opening: list[bytes], talk: list[bytes], repeat: int) -> None:
    """What the kernel takes, into a report; or, loudly, why that was not measured."""
    try:
        plain, tracked, flows = in_namespace(partial(_measure, opening, talk, repeat), "iptables")
    except NotHere as reason:
        report.notes["kernel_not_measured"] = str(reason)
        return
    report.reference("kernel_untracked_ns", plain, "the kernel without tracking")
    report.figure(
        "kernel_tracked_ns",
        tracked,
        f"the kernel with {flows:,} flows",
        "kernel_untracked_ns",
    )
    report.figure("kernel_tracking_ns", tracked - plain, "what tracking costs the kernel a packet")
