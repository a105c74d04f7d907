"""A way through this system's kernel: a namespace of its own forwards what is written to one TUN device to another.

What leaves piles up there and is dropped behind the last hook. CPU time of the writes, which do all of it. Needs root
and /dev/net/tun.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
DEVICES = (("ctin", "10.255.255.1/32", "10.0.0.0/8"), ("ctout", "11.255.255.1/32", "11.0.0.0/8"))


class NotHere(Exception):
    """It cannot be measured on this system; the text says why."""


def why_not(tools: Sequence[str]) -> str:
    """What is missing, or nothing."""
    if os.geteuid() != 0:
        return "it takes root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    for tool in ("ip", *tools):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    return ""


def in_namespace(work: Callable[[list[int]], Any], *tools: str) -> Any:
    """What `work(devices)` finds in a namespace that forwards, as JSON has it. Raises NotHere."""
    if reason := why_not(tools):
        raise NotHere(reason)
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        status = 1
        try:
            os.write(theirs, json.dumps(work(_road())).encode())
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
    return found


def run(command: str, text: str = "") -> None:
    """A command, and what it reads. Raises NotHere with what it said."""
    done = subprocess.run(command.split(), input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(f"{command}: {done.stderr.strip()}")


def _device(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def _road() -> list[int]:
    """A namespace with two devices, between which it forwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise NotHere(f"no namespace: {os.strerror(ctypes.get_errno())}")
    ends = []
    for name, address, network in DEVICES:
        ends.append(_device(name))
        run(f"ip address add {address} dev {name}")
        run(f"ip link set {name} up")
        run(f"ip route add {network} dev {name}")
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0")
    return ends


def write(ends: list[int], packets: list[bytes]) -> float:
    """CPU ns a packet: clients are in 10.0.0.0/8 and come in at the first device."""
    put = os.write
    turned = [(ends[0 if packet[12] == 10 else 1], packet) for packet in packets]
    begin = time.process_time_ns()
    for fd, packet in turned:
        put(fd, packet)
    return (time.process_time_ns() - begin) / len(packets)
