"""What tracking costs this system's kernel: the same packets written to a TUN device, with tracking on and off.

A namespace of its own forwards from one device to another; what leaves piles up there and is dropped behind the last
hook, in both cases alike. CPU time of the writes, which do all of it. Needs root, /dev/net/tun and iptables.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

from pystack.bench.report import Report

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
RULE = "-A FORWARD -m conntrack --ctstate INVALID -j ACCEPT"
DEVICES = (("ctin", "10.255.255.1/32", "10.0.0.0/8"), ("ctout", "11.255.255.1/32", "11.0.0.0/8"))


class NotHere(Exception):
    """It cannot be measured on this system; the text says why."""


def why_not() -> str:
    """What is missing, or nothing."""
    if os.geteuid() != 0:
        return "it takes root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    for tool in ("iptables", "ip"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    return ""


def measure(opening: list[bytes], talk: list[bytes], repeat: int) -> tuple[float, float, int]:
    """Ns a packet of `talk` without tracking and with it, and how many flows there were then. Raises NotHere."""
    if reason := why_not():
        raise NotHere(reason)
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        status = 1
        try:
            os.write(theirs, json.dumps(_child(opening, talk, repeat)).encode())
            status = 0
        except (OSError, subprocess.SubprocessError, NotHere) as error:
            os.write(theirs, json.dumps(str(error)).encode())
        finally:
            os._exit(status)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    found = json.loads(said) if said else "the child said nothing"
    if isinstance(found, str):
        raise NotHere(found)
    return found[0], found[1], found[2]


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"{command}: {done.stderr.strip()}")


def _device(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def _child(opening: list[bytes], talk: list[bytes], repeat: int) -> tuple[float, float, int]:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise NotHere(f"no namespace: {os.strerror(ctypes.get_errno())}")
    ends = []
    for name, address, network in DEVICES:
        ends.append(_device(name))
        _run(f"ip address add {address} dev {name}")
        _run(f"ip link set {name} up")
        _run(f"ip route add {network} dev {name}")
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0")
    plain = min(_write(ends, talk) for _ in range(repeat))
    _run(f"iptables {RULE}")
    _write(ends, opening)
    flows = int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())
    tracked = min(_write(ends, talk) for _ in range(repeat))
    return plain, tracked, flows


def _write(ends: list[int], packets: list[bytes]) -> float:
    """CPU ns a packet: clients are in 10.0.0.0/8 and come in at the first device."""
    write = os.write
    turned = [(ends[0 if packet[12] == 10 else 1], packet) for packet in packets]
    begin = time.process_time_ns()
    for fd, packet in turned:
        write(fd, packet)
    return (time.process_time_ns() - begin) / len(packets)


def figures(report: Report, opening: list[bytes], talk: list[bytes], repeat: int) -> None:
    """What the kernel takes, into a report; or, loudly, why that was not measured."""
    try:
        plain, tracked, flows = measure(opening, talk, repeat)
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
