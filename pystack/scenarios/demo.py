"""The demonstration: a web server inside a machine, and clients behind a lossy link, in virtual time.

`in_virtual_time` needs nothing but this package. `on_a_device` shows the same machine to the system's
own curl, through a TUN device in a network namespace that has no name and so cannot stay behind.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pystack._fast.consts import MS, SECOND
from pystack.capture import Capture
from pystack.host import Host
from pystack.network import Network
from pystack.server import Server
from pystack.services import HttpService
from pystack.traffic import Browser

T = TypeVar("T")

PATHS = ("/", "/bytes/2000", "/bytes/16000", "/bytes/60000")
_CLONE_NEWNET = 0x40000000
ADDRESS = "10.9.0.2/24"
BULK = 100_000_000
MARK = "----"


@dataclass
class Result:
    """What happened. Times in ns."""

    seed: int
    clients: int
    loss: float
    delay: str
    bandwidth: str
    requests: int = 0
    failed: int = 0
    octets: int = 0
    """Of bodies that clients received."""
    answer_times: list[int] = field(default_factory=list)
    """From each request to the last octet of its answer."""
    packets: int = 0
    """On the link, both directions."""
    lost: int = 0
    retransmitted: int = 0
    """Segments that the server sent again."""
    states: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    """Connection states of the server, as time went by."""
    traffic_ns: int = 0
    """Until the last client was done."""
    virtual_ns: int = 0
    wall_ns: int = 0
    trace_hash: str = ""
    capture: str = ""


def in_virtual_time(
    *,
    seed: int = 1,
    clients: int = 200,
    loss: float = 0.02,
    delay: str = "20ms",
    bandwidth: str = "50Mbit/s",
    capture: str | os.PathLike[str] | None = None,
) -> Result:
    """Let `clients` fetch a page and three files each, and watch the server until it is quiet again.

    They arrive within two seconds, at moments drawn from `seed`. Raises OSError for a capture that
    cannot be written.
    """
    result = Result(seed, clients, loss, delay, bandwidth)
    began = time.perf_counter_ns()
    net = Network(seed=seed, record=False)
    web = net.host("web", "192.0.2.1/24", profile="freebsd-14")
    crowd = net.host("clients", "192.0.2.2/24", profile="linux-6")
    link = net.link(web, crowd, delay=delay, bandwidth=bandwidth, loss=loss, queue=500)
    file = Capture(capture) if capture is not None else None
    if file is not None:
        there: Any = link.forward.wire
        back: Any = link.backward.wire
        there.tap = file.tap(file.interface("web", description="to the clients"))
        back.tap = file.tap(file.interface("clients", description="to the server"))
        result.capture = os.fspath(capture or "")
    service = HttpService(80)
    service.start(web)
    dice = random.Random(seed)
    left = clients

    def done(browser: Browser) -> None:
        nonlocal left
        left -= 1
        result.requests += len(browser.answers)
        result.failed += len(browser.paths) - len(browser.answers)
        result.octets += sum(octets for _, octets in browser.answers)
        result.answer_times += browser.times
        if left == 0:
            result.traffic_ns = net.now

    for _ in range(clients):
        browser = Browser(crowd, ("192.0.2.1", 80), PATHS, think="200ms", on_done=done)
        crowd.call_later(dice.randrange(2 * SECOND), browser.start)

    def look() -> None:
        states = dict(web.tcp_states())
        states.pop("LISTEN", None)
        result.states.append((net.now, states))

    look()
    pause = 500 * MS
    while left or sum(result.states[-1][1].values()):
        net.run(for_=pause)
        look()
        if not left:
            pause = 5 * SECOND
    service.stop()
    if file is not None:
        link.forward.wire.tap = link.backward.wire.tap = None
        file.close()
    ways = (link.forward.counters, link.backward.counters)
    result.packets = sum(way.sent for way in ways)
    result.lost = sum(sum(way.drops.values()) for way in ways)
    result.retransmitted = web.stats["sndrexmitpack"]
    result.virtual_ns = net.now
    result.trace_hash = net.trace_hash()
    result.wall_ns = time.perf_counter_ns() - began
    return result


def why_no_device() -> str | None:
    """Why `on_a_device` cannot be shown here, in one line; None where it can."""
    if sys.platform != "linux":
        return "TUN devices need Linux"
    if os.geteuid() != 0:
        return "a TUN device needs root"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    if shutil.which("curl") is None:
        return "there is no curl"
    try:
        in_own_namespace(lambda: None)
    except OSError as error:
        return f"no network namespace for us ({error.strerror})"
    return None


def in_own_namespace(call: Callable[[], T]) -> T:
    """`call()` in a new network namespace, which lasts as long as anything of it: a device, a program.

    Raises OSError where the system does not allow it, and what `call` raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def inside() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(_CLONE_NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            results.append(call())
        except BaseException as error:  # carried over to the caller
            errors.append(error)

    thread = threading.Thread(target=inside, name="own-namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


@dataclass
class Fetched:
    """What the system's curl was shown."""

    device: str
    """Device and address, for people."""
    commands: list[str]
    outputs: list[str]
    """Of each command, errors included."""
    status: int
    """0, or the exit status of the first that failed."""
    wall_ns: int


def on_a_device() -> Fetched:
    """A machine on a TUN device in a namespace of its own; curl fetches its page and 100 MB.

    Raises DeviceError or OSError where that cannot be (`why_no_device`).
    """
    began = time.perf_counter_ns()
    host = Host("web", ADDRESS, profile="freebsd-14")
    url = f"http://{host.address}"
    commands = [
        f"curl -sS -m 20 --include {url}/",
        "curl -sS -m 20 -o /dev/null -w '%{size_download} octets in %{time_total} s\\n' \\\n"
        f"  {url}/bytes/{BULK}",
    ]

    def start() -> tuple[Server, subprocess.Popen[bytes]]:
        server = Server(host, "tun0", services=[HttpService(80)])
        try:
            # a child is in the namespace of the thread that makes it
            return server, subprocess.Popen(
                ["sh", "-c", f" && echo {MARK} && ".join(commands)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except BaseException:
            server.close()
            raise

    server, curl = in_own_namespace(start)
    with server, curl:
        output = _serve_until_end(server, curl)
    offload = "offload" if server.device.offload else "no offload"
    return Fetched(
        f"{server.device.address} on {server.device.name}, {offload}",
        commands,
        output.decode(errors="replace").split(f"{MARK}\n"),
        curl.returncode,
        time.perf_counter_ns() - began,
    )


def _serve_until_end(server: Server, program: subprocess.Popen[bytes]) -> bytes:
    """What a program writes until it ends, which it must within 30 s; the machine serves meanwhile."""
    assert program.stdout is not None
    fd = program.stdout.fileno()
    parts: list[bytes] = []

    def read() -> None:
        parts.append(os.read(fd, 65536))
        if not parts[-1]:
            server.runner.remove_reader(fd)
            server.runner.stop()

    server.runner.add_reader(fd, read)
    try:
        server.run(timeout=30)
    finally:
        if not parts or parts[-1]:
            program.kill()
    return b"".join(parts)
