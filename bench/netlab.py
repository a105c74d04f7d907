"""A network laboratory: namespaces, veth pairs and TUN devices that vanish with the `Lab`.

    with Lab() as lab:
        a, b = lab.namespace(), lab.namespace()
        lab.veth(a, "10.9.1.1/24", b, "10.9.1.2/24")
        a.run(["ping", "-c1", "10.9.1.2"])

Needs Linux, root, iproute2 and (for `open_tun`) /dev/net/tun; `why_not()` says what is missing.
Nothing in the caller's own namespace changes: devices are made inside the laboratory's namespaces,
and a TUN is opened by a thread that has stepped into one. (The descriptor belongs to the whole
process, and the device to the namespace in which /dev/net/tun was opened, so nothing has to be
moved and IFF_VNET_HDR with its offloads is set on the device that stays.)

Everything goes when the `with` block ends, however it ends: return, exception, Ctrl-C, SIGTERM,
or `sys.exit` (an atexit hook covers a laboratory that nobody closed).
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import functools
import itertools
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x4000_0000
TUNSETIFF = 0x4004_54CA
TUNSETOFFLOAD = 0x4004_54D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02

NO_OFFLOAD_QUEUE = 10_000
"""txqueuelen in packets for a device without offload; at the usual 500 a window overflows it."""

_numbers = itertools.count(1)


class LabError(RuntimeError):
    """The laboratory could not do what was asked; the text holds the tool's own words."""


def _ip(*args: str) -> str:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"ip {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


@functools.cache
def why_not() -> str | None:
    """Why no laboratory can be built here, or None. Tries one namespace and one TUN, once."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the `ip` command is missing (Debian package iproute2)"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is missing"
    try:
        with Lab() as lab:
            os.close(lab.namespace().open_tun("probe0"))
    except (LabError, OSError) as error:
        return str(error)
    return None


class Namespace:
    """One network namespace. Made by `Lab.namespace`; methods raise LabError when a tool refuses."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._congestion: tuple[str, ...] = ()  # options of every route, see use_cubic
        self._children: list[subprocess.Popen[str]] = []

    def ip(self, *args: str) -> str:
        """Standard output of `ip -n NAME ARGS…`."""
        return _ip("-n", self.name, *args)

    def address(self, device: str, *prefixes: str) -> None:
        """Add addresses such as `10.9.0.1/24`."""
        for prefix in prefixes:
            self.ip("address", "add", prefix, "dev", device)

    def up(self, device: str, *, mtu: int | None = None, txqueuelen: int | None = None) -> None:
        """Bring a device up, with its MTU in octets and its queue in packets set before."""
        options: list[str] = []
        if mtu is not None:
            options += ["mtu", str(mtu)]
        if txqueuelen is not None:
            options += ["txqueuelen", str(txqueuelen)]
        self.ip("link", "set", "dev", device, *options, "up")
        self._cubic_routes(device)

    def route(self, prefix: str, *, via: str | None = None, device: str | None = None) -> None:
        """Add a route through a gateway, a device, or both."""
        options = (["via", via] if via else []) + (["dev", device] if device else [])
        self.ip("route", "add", prefix, *options, *self._congestion)

    def use_cubic(self) -> None:
        """Make cubic the congestion control of every connection over devices brought up later.

        A host may keep cubic from being a namespace's default (it is not in the host's
        tcp_allowed_congestion_control, which is not ours to change). Then it is set on the routes,
        and reno, always allowed, is the default for what no route says.
        """
        try:
            self.sysctl("net.ipv4.tcp_congestion_control", "cubic")
        except LabError:
            self._congestion = ("congctl", "cubic")
            self.sysctl("net.ipv4.tcp_congestion_control", "reno")

    def _cubic_routes(self, device: str) -> None:
        if not self._congestion:
            return
        routes = json.loads(self.ip("-json", "route", "show", "dev", device, "proto", "kernel"))
        for route in routes:
            same = ("dev", device, "proto", "kernel", "scope", "link", "src", route["prefsrc"])
            self.ip("route", "change", route["dst"], *same, *self._congestion)

    def sysctl(self, name: str, value: str | int | None = None) -> str:
        """Set a `net.*` sysctl of this namespace (unless None is given) and return its value."""
        path = Path("/proc/sys", *name.split("."))

        def touch() -> str:
            if value is not None:
                path.write_text(f"{value}\n")
            return path.read_text().strip()

        try:
            return self.call(touch)
        except OSError as error:
            raise LabError(f"sysctl {name}={value}: {error}") from error

    def call(self, function: Callable[[], T]) -> T:
        """Result of `function()`, called by a thread of its own inside this namespace.

        Sockets and devices that it opens stay here, and can be used from anywhere.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if libc.setns(fd, CLONE_NEWNET) != 0:
                        code = ctypes.get_errno()
                        raise OSError(code, f"setns {self.name}: {os.strerror(code)}")
                finally:
                    os.close(fd)
                results.append(function())
            except BaseException as error:  # carried over to the caller's thread
                errors.append(error)

        thread = threading.Thread(target=inside, name=f"in-{self.name}")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def open_tun(self, device: str, *, vnet_hdr: bool = True, offload: bool = True) -> int:
        """Make a TUN device here and return its non-blocking descriptor; the caller closes it.

        `offload` asks for checksum and TSO4 and means nothing without `vnet_hdr`. The device is
        down and without an address. Raises OSError as open(2) and ioctl(2) do.
        """

        def make() -> int:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                flags = IFF_TUN | IFF_NO_PI | (IFF_VNET_HDR if vnet_hdr else 0)
                fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", device.encode(), flags))
                if vnet_hdr and offload:
                    fcntl.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
            except OSError:
                os.close(fd)
                raise
            return fd

        return self.call(make)

    def popen(self, argv: Sequence[str | Path]) -> subprocess.Popen[str]:
        """Start a program in this namespace, its output piped as text. Killed with the laboratory.

        `ip netns exec` becomes the program, so the process id is the program's own.
        """
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._children.append(child)
        return child

    def start(self, argv: Sequence[str | Path], *, ready: float = 5.0) -> subprocess.Popen[str]:
        """`popen`, then wait at most `ready` seconds for a first line of output reading `ready`."""
        child = self.popen(argv)
        assert child.stdout is not None
        readable, _, _ = select.select([child.stdout], [], [], ready)
        line = child.stdout.readline() if readable else ""
        if line != "ready\n":
            child.kill()
            _, complaint = child.communicate()
            raise LabError(f"{Path(argv[0]).name} did not start: {line}{complaint.strip()}")
        return child

    def run(self, argv: Sequence[str | Path], *, timeout: float = 30.0) -> str:
        """Standard output of a program run here to its end; LabError when it fails or hangs."""
        return self.finish(self.popen(argv), timeout=timeout)

    def finish(self, child: subprocess.Popen[str], *, timeout: float = 30.0) -> str:
        """What is left of a child's standard output, at its end; LabError when it fails or hangs."""
        name = Path(str(child.args[4])).name if isinstance(child.args, list) else "program"
        try:
            output, complaint = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            _, complaint = child.communicate()
            raise LabError(f"{name}: no end after {timeout:g} s: {complaint.strip()}") from None
        if child.returncode:
            raise LabError(
                f"{name}: exit {child.returncode}: {complaint.strip() or output.strip()}"
            )
        return output

    def stop(self) -> None:
        """End every program still running here: SIGTERM, and SIGKILL after two seconds."""
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            try:
                child.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()
            except ValueError:  # its pipes were read to the end and closed before
                child.wait()
        self._children.clear()


class Lab:
    """A set of namespaces with one end. Use it as a context manager."""

    def __init__(self) -> None:
        self._namespaces: list[Namespace] = []
        self._old_sigterm: signal.Handlers | Callable[[int, FrameType | None], object] | None
        self._old_sigterm = None
        atexit.register(self.close)

    def __enter__(self) -> Lab:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._old_sigterm = signal.SIG_DFL
            signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def namespace(self) -> Namespace:
        """A fresh namespace with loopback up, cubic for congestion control and no IPv6.

        IPv6 is off because its router solicitations are packets that nobody asked for.
        """
        made = Namespace(f"ps-{os.getpid()}-{next(_numbers)}")
        self._namespaces.append(made)  # before it exists: Ctrl-C may come in between
        _ip("netns", "add", made.name)
        made.ip("link", "set", "dev", "lo", "up")
        for scope in ("all", "default"):
            if Path("/proc/sys/net/ipv6").exists():
                made.sysctl(f"net.ipv6.conf.{scope}.disable_ipv6", 1)
        made.use_cubic()
        return made

    def veth(
        self,
        a: Namespace,
        a_prefix: str,
        b: Namespace,
        b_prefix: str,
        *,
        device: str = "veth0",
        mtu: int = 1500,
    ) -> None:
        """Join two namespaces by a pair of devices of one name, up and with addresses."""
        ends = ("type", "veth", "peer", "name", device, "netns", b.name)
        a.ip("link", "add", "name", device, *ends)
        for end, prefix in ((a, a_prefix), (b, b_prefix)):
            end.address(device, prefix)
            end.up(device, mtu=mtu)

    def close(self) -> None:
        """End the programs and remove the namespaces. May be called again."""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            while self._namespaces:
                namespace = self._namespaces[-1]
                namespace.stop()
                if Path("/run/netns", namespace.name).exists():
                    _ip("netns", "delete", namespace.name)
                self._namespaces.pop()
        finally:
            atexit.unregister(self.close)
            if self._old_sigterm is not None:
                signal.signal(signal.SIGTERM, self._old_sigterm)
                self._old_sigterm = None
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
