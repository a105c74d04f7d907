"""A network namespace with one TUN device, for the process that calls it; all of it ends with that process."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import struct
import subprocess
import time
from collections import deque
from pathlib import Path

from pystack.addresses import dotted
from pystack.host import Host
from pystack.packetdrill.settings import Settings
from pystack.profiles import Profile

CLONE_NEWNET = 0x4000_0000
TUNSETIFF = 0x4004_54CA
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
NO_OFFLOAD = bytes(10)
"""A struct virtio_net_hdr that says nothing."""
CONGESTION = "net.ipv4.tcp_congestion_control"


PR_SET_PDEATHSIG = 1
PRIORITY = 10


def die_with_parent() -> None:
    """This process is killed when the one that made it ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def urgent() -> None:
    """From now on other programs of the computer do not make this process late."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))


def enter() -> None:
    """This process gets a network namespace of its own. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")


class Sysctls:
    """The sysctls of this process's namespace."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway

    def read(self, name: str) -> str:
        """Raises OSError for one that there is not."""
        return " ".join(_path(name).read_text().split())

    def write(self, name: str, value: str) -> None:
        """Raises OSError where the kernel refuses.

        A host may keep a congestion control from being a namespace's default; then it is set on the route, which
        any connection that is made later goes by.
        """
        if name != CONGESTION:
            _path(name).write_text(f"{value}\n")
            return
        known = self.read("net.ipv4.tcp_available_congestion_control").split()
        if value not in known:
            raise OSError(f"this kernel has no {value}")
        route(self._gateway, value)

    def load(self, host: Host) -> list[str]:
        """All knobs of a machine that there are here; answers those that could not be set."""
        refused = []
        for name, value in host.sysctl.items():
            if not name.startswith("net.") or name in _COMPUTER or not _path(name).exists():
                continue
            text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            if name != CONGESTION and self.read(name) == " ".join(text.split()):
                continue
            try:
                self.write(name, text)
            except OSError as error:
                refused.append(f"{name}={text}: {error}")
        return refused


_COMPUTER = {
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_ehash_entries",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.udp_mem",
    "net.core.default_qdisc",
}
"""What is one for the whole computer, or tells of it."""


def _path(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))


def ip(*lines: str) -> None:
    """Commands of ip(8), all in one process. Raises OSError with its words."""
    done = subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(lines), text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")


def route(gateway: str, congestion: str) -> None:
    """The way to everywhere, and the congestion control of all connections."""
    ip(f"route replace default via {gateway} dev tun0 congctl {congestion}")


class World:
    """The bench of a script: the device's other end, and the real clock."""

    def __init__(self, profile: Profile, s: Settings) -> None:
        self.wire: deque[tuple[int, bytes]] = deque()
        self.host = Host("model", "192.168.0.1/16", profile=profile)
        """Never runs: it knows the values of the profile's knobs."""
        flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
        self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self._tun, TUNSETIFF, struct.pack("16sH22x", b"tun0", flags))
        base = s.local_ip & (0xFFFFFFFF << (32 - s.prefix)) & 0xFFFFFFFF
        gateway = dotted(base + (2 if s.local_ip != base + 2 else 3))
        for scope in ("all", "default"):
            off = _path(f"net.ipv6.conf.{scope}.disable_ipv6")
            if off.exists():
                off.write_text("1\n")
        ip(
            "link set dev lo up",
            f"address add {dotted(s.local_ip)}/{s.prefix} dev tun0",
            f"link set dev tun0 mtu {s.mtu} txqueuelen 10000 up",
        )
        route(gateway, "cubic")
        self.sysctls = Sysctls(gateway)
        self.refused = self.sysctls.load(self.host)
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._tun, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        self.settle()
        self.wire.clear()

    @property
    def now(self) -> int:
        """Ns of the monotonic clock."""
        return time.monotonic_ns()

    def wake(self) -> None:
        """From another thread: `step` ends."""
        os.write(self._wake, b"x")

    def settle(self) -> None:
        """What the kernel has sent until now is taken."""
        while True:
            try:
                data = os.read(self._tun, 65536)
            except BlockingIOError:
                return
            self.wire.append((time.monotonic_ns(), data[len(NO_OFFLOAD) :]))

    def step(self, limit: int) -> bool:
        """Until a packet comes, `wake` is called or `limit` is there; False for the last."""
        left = limit - time.monotonic_ns()
        # poll(2) counts milliseconds: the last one is spent in select(2), which counts nanoseconds
        if left > 2_000_000:
            ready = self._poll.poll((left - 1_000_000) // 1_000_000)
            if not ready:
                return True
        else:
            found, _, _ = select.select([self._tun, self._woken], [], [], max(left, 0) / 1e9)
            if not found:
                return False
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        self.settle()
        return True

    def spend(self, ns: int) -> None:
        """Real time needs no help."""

    def inject(self, data: bytes, gso_size: int) -> None:
        """The kernel receives this; with `gso_size` as one super-segment of pieces of that size."""
        head = NO_OFFLOAD
        if gso_size:
            words = (data[0] & 15) * 4
            size = words + (data[words + 12] >> 4) * 4
            # VIRTIO_NET_HDR_F_NEEDS_CSUM, GSO_TCPV4; the checksum field is to hold the pseudo header's sum
            head = struct.pack("=BBHHHH", 1, 1, size, gso_size, words, 16)
            data = _partial(data, words)
        os.write(self._tun, head + data)
        self.settle()

    def close(self) -> None:
        """The device goes."""
        os.close(self._tun)


def _partial(data: bytes, at: int) -> bytes:
    length = len(data) - at
    total = sum(struct.unpack(">HHHH", data[12:20])) + data[9] + length
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[: at + 16] + total.to_bytes(2, "big") + data[at + 18 :]
