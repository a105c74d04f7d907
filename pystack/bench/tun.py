"""A machine on a TUN device, and this system's own programs as its clients.

Through the public face: `Server`, services, sockets with `on_ready`. Needs Linux, root and a source checkout:
the loads and the references are the C programs of `bench/reference`. The physical limit for bulk is a program that
only acknowledges, or only sends from one buffer, over the same device; what a user would pick instead is
the kernel's own TCP over a veth pair. Kernel clients use cubic.
"""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pystack import bench
from pystack._fast.consts import EV_READ, EV_WRITE
from pystack.bench.report import Report, Target
from pystack.host import Host
from pystack.server import Server
from pystack.services import Connection, HttpService, Service
from pystack.sockets import StreamSocket

PROFILE = "linux-6"
SECONDS = 2.0
BULK_PORT, HTTP_PORT = 9, 80
CHUNK = 256 * 1024
SYSCTL = {
    "net.core.somaxconn": 4096,
    "net.ipv4.tcp_rmem": "4096 2097152 2097152",
    "net.ipv4.tcp_wmem": "4096 1048576 1048576",
    "net.ipv4.tcp_max_tw_buckets": 262_144,
}
"""The machine is tuned as one tunes it for bulk and for many short connections."""

_FOLDER = Path(__file__).resolve().parents[2] / "bench"


def references() -> ModuleType:
    """bench/reference_tun.py. Raises `bench.Unavailable`: no source checkout, no root, no compiler."""
    if not (_FOLDER / "reference_tun.py").is_file():
        raise bench.Unavailable("tun: needs a source checkout (bench/reference), this is none")
    if str(_FOLDER) not in sys.path:
        sys.path.insert(0, str(_FOLDER))
    module = import_module("reference_tun")
    if reason := module.why_not():
        raise bench.Unavailable(f"tun: {reason}")
    try:
        module.build()
    except (module.LabError, OSError) as error:
        raise bench.Unavailable(f"tun: {error}") from None
    return module


class _Sink(Connection):
    """Reads what comes, into one buffer."""

    def __init__(self, service: Service, sock: StreamSocket) -> None:
        super().__init__(service, sock)
        self._room = memoryview(bytearray(CHUNK))
        sock.wanted = EV_READ

    def ready(self, events: int) -> None:
        receive, room = self.sock.recv_into, self._room
        try:
            while receive(room):
                pass
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)
            return
        self.close()


class _Source(Connection):
    """Writes one buffer again and again."""

    def __init__(self, service: Service, sock: StreamSocket) -> None:
        super().__init__(service, sock)
        self._data = memoryview(bytes(CHUNK))
        sock.wanted = EV_WRITE

    def ready(self, events: int) -> None:
        send, data = self.sock.send, self._data
        try:
            while True:
                send(data)
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)


class _Bulk(Service):
    """`direction` as the server sees it."""

    def __init__(self, direction: str) -> None:
        super().__init__(BULK_PORT)
        self.direction = direction

    def connection(self, sock: StreamSocket) -> Connection:
        return _Sink(self, sock) if self.direction == "receive" else _Source(self, sock)


def serve(
    ref: Any, service: Service, load: Callable[[Any], Any], *, offload: bool, limit: float
) -> Any:
    """The result of `load(namespace)` while a machine with `service` is on a device there."""
    with ref.Lab() as lab:
        namespace = lab.namespace()

        def make() -> Server:
            host = Host("bench", f"{ref.PEER}/24", profile=PROFILE, sysctl=SYSCTL)
            return Server(
                host,
                "tun0",
                services=[service],
                kernel_address=ref.KERNEL,
                offload=offload,
            )

        server = namespace.call(make)
        found: list[Any] = []
        errors: list[BaseException] = []

        def client() -> None:
            try:
                ref.widen_ports(namespace, "tun0")
                found.append(load(namespace))
            except BaseException as error:  # carried over to the caller's thread
                errors.append(error)
            finally:
                server.runner.stop()

        thread = threading.Thread(target=client, name="bench client")
        with server:
            thread.start()
            ended = server.run(until=lambda: bool(found or errors), timeout=limit)
            thread.join(limit)
        if errors:
            raise errors[0]
        assert found, f"no end after {limit:g} s ({ended})"
        return found[0]


def bulk(ref: Any, direction: str, *, offload: bool, seconds: float) -> float:
    """Gbit/s of one connection."""
    result = serve(
        ref,
        _Bulk(direction),
        lambda space: ref.bulk_load(
            space, direction, address=ref.PEER, port=BULK_PORT, seconds=seconds
        ),
        offload=offload,
        limit=seconds + 20,
    )
    return float(result["gbit"])


def short(ref: Any, closer: str, *, seconds: float) -> float:
    """HTTP conversations a second, 64 at a time, with a connection each."""
    result = serve(
        ref,
        HttpService(HTTP_PORT, backlog=4096),
        lambda space: ref.short_load(
            space, closer, address=ref.PEER, port=HTTP_PORT, seconds=seconds
        ),
        offload=True,
        limit=seconds + 20,
    )
    return float(result["per_second"])


def keepalive(ref: Any, *, seconds: float) -> float:
    """HTTP requests a second on 64 kept connections."""
    result = serve(
        ref,
        HttpService(HTTP_PORT, backlog=4096),
        lambda space: ref.keepalive_load(space, address=ref.PEER, port=HTTP_PORT, seconds=seconds),
        offload=True,
        limit=seconds + 20,
    )
    return float(result["per_second"])


def _measures(ref: Any, seconds: float) -> dict[str, Callable[[], float]]:
    """In the order of a round: each reference beside what it is compared with."""

    def of(function: Callable[..., dict[str, Any]], field: str, *args: Any) -> Callable[[], float]:
        return lambda: float(function(*args, seconds=seconds)[field])

    found: dict[str, Callable[[], float]] = {}
    for direction in ("receive", "send"):
        limit = ref.reference_receive if direction == "receive" else ref.reference_send
        for offload in (True, False):
            end = "" if offload else "_no_offload"
            found[f"reference_{direction}_gbit{end}"] = of(limit, "gbit", offload)
            found[f"{direction}_gbit{end}"] = partial(
                bulk, ref, direction, offload=offload, seconds=seconds
            )
        key = "kernel_veth_gbit" if direction == "receive" else "kernel_veth_send_gbit"
        found[key] = of(ref.kernel_veth_bulk, "gbit", direction)
    for closer in ("server", "client"):
        key = f"short_{closer}_closes_per_second"
        found[f"kernel_veth_{key}"] = of(ref.kernel_short, "per_second", closer)
        found[key] = partial(short, ref, closer, seconds=seconds)
    found["kernel_veth_keepalive_per_second"] = of(ref.kernel_keepalive, "per_second")
    found["keepalive_per_second"] = partial(keepalive, ref, seconds=seconds)
    return found


_TITLES = {
    "receive_gbit": ("receive, offload", Target(least=0.5, ratio=True, aim=0.8)),
    "send_gbit": ("send, offload", Target(least=0.3, ratio=True, aim=0.6)),
    "receive_gbit_no_offload": ("receive, no offload", Target(least=0.7, ratio=True)),
    "send_gbit_no_offload": ("send, no offload", Target(least=0.6, ratio=True)),
    "short_server_closes_per_second": (
        "short HTTP, server closes",
        Target(least=0.6, ratio=True, aim=1.0),
    ),
    "short_client_closes_per_second": (
        "short HTTP, client closes",
        Target(least=0.6, ratio=True, aim=1.0),
    ),
    "keepalive_per_second": ("requests on 64 connections", Target(least=0.3, ratio=True, aim=1.0)),
}


def measure(scale: float, repeat: int) -> Report:
    """`SECONDS` for each figure of a round at scale 1."""
    ref = references()
    seconds = max(0.3, SECONDS * scale)
    try:
        runs = bench.interleaved(repeat, _measures(ref, seconds))
    except ref.LabError as error:
        raise bench.Unavailable(f"tun: {error}") from None
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise bench.Unavailable(f"tun: {error}") from None
        raise
    best = {key: max(values) for key, values in runs.items()}
    report = Report(
        "tun", f"{seconds:g} s each, best of {repeat}; kernel clients, profile {PROFILE}"
    )
    for key, value in best.items():
        if key.startswith("reference_"):
            report.reference(key, value, "C program")
        elif key.startswith("kernel_"):
            report.reference(key, value, "kernel over veth")
    for key, (title, target) in _TITLES.items():
        reference = f"reference_{key}"
        if reference not in best:
            reference = f"kernel_veth_{key}"
        report.figure(key, best[key], title, reference, target)
    return report
