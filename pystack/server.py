"""`serve`: a machine on a TUN device, in real time, with services.

    host = pystack.Host("web", "10.9.0.2/24")
    pystack.serve(host, tun="tun0", services=[HttpService(80)])      # until Ctrl-C

`Server` is the same in parts, for those who want to look on, or to use sockets of the machine
themselves while it lives on the device:

    with pystack.Server(host, tun="tun0") as server:
        s = host.socket(); s.connect(("10.9.0.1", 8080))
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, Self

from pystack import units
from pystack._fast.consts import Drop
from pystack._fast.rng import Rng
from pystack._fast.wire import Wire
from pystack.addresses import dotted
from pystack.control.desk import Desk
from pystack.runner import Runner, utc_offset
from pystack.services.http import HttpService
from pystack.tun import DeviceError, Tun
from pystack.wired import Wired

if TYPE_CHECKING:
    from pystack.host import Host
    from pystack.services.base import Service

log = logging.getLogger("pystack")


class ServiceError(Exception):
    """A service cannot be started. The text is one line for the user."""


class _Machine:
    """The host as the loop sees it: what a callback raises is logged and does not end the loop."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.core = host.core

    def dispatch(self) -> int:
        """How many sockets had something happen."""
        ready: int = self.core.n_ready
        if ready:
            try:
                self.host.dispatch()
            except Exception:
                log.exception("a callback of a socket failed")
        return ready


class Server:
    """A host on a TUN device, from construction to `close`; `run` serves.

    `tun`: name of the device, which must be free. `kernel_address`: the kernel's end, by default the
    first other address of the host's prefix. `offload`: leave checksums and segmentation to the
    kernel, where it agrees. `loss`, `delay`, `jitter`: what befalls packets in each direction ("1%",
    "5ms"). `pcap`: path or binary file for a capture. `control`: a control socket, under the host's name
    or this one, so that `pystack netstat` and its kin can ask the machine; `desk` has the name that it got.

    Raises DeviceError (device or address cannot be had), ServiceError (a port cannot), ValueError (a
    value that cannot be meant), OSError (the capture's file), NoPlace (the control socket). Nothing stays
    behind then.
    """

    def __init__(
        self,
        host: Host,
        tun: str = "tun0",
        *,
        services: Iterable[Service] = (),
        kernel_address: str | None = None,
        routes: Iterable[str] = (),
        offload: bool = True,
        loss: float | str = 0.0,
        delay: int | str = 0,
        jitter: int | str = 0,
        pcap: str | os.PathLike[str] | IO[bytes] | None = None,
        control: bool | str = False,
    ) -> None:
        if len(host.interfaces) != 1:
            raise ValueError(f"{host.name} has {len(host.interfaces)} interfaces; a TUN is one")
        self.host = host
        self.services = list(services)
        with ExitStack() as stack:
            settings = (
                units.parse_time(delay, "delay"),
                units.parse_time(jitter, "jitter"),
                units.threshold(units.parse_probability(loss, "loss")),
            )
            face = host.interfaces[0]
            self.device = stack.enter_context(Tun(tun, offload=offload))
            self.device.configure(
                f"{dotted(face.addr)}/{face.prefix}",
                kernel_address=kernel_address,
                mtu=face.mtu,
                routes=routes,
            )
            self.wired = Wired(host.core, *self._wires(settings)) if any(settings) or pcap else None
            if self.wired is not None:
                stack.callback(self.wired.close)
            if pcap is not None:
                self._capture(stack, pcap)
            core = self.wired or host.core
            self.runner = stack.enter_context(Runner(_Machine(host), self.device, core=core))
            self.runner.before(host.core)
            host.epoch = utc_offset()
            host.join(self.runner)
            self._default_route()
            self.desk: Desk | None = None
            if control:
                name = control if isinstance(control, str) else None
                self.desk = stack.enter_context(Desk(host, self.runner, name))
            stack.callback(self._stop)
            for service in self.services:
                self._start(service)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Reset what is connected, complete the capture, give back the device. Again does nothing."""
        self._stack.close()

    def run(
        self, *, until: Callable[[], object] | None = None, timeout: float | None = None
    ) -> bool:
        """Serve until SIGINT or SIGTERM (False), `timeout` seconds (False) or `until()` is true (True).

        Raises DeviceGone when the device is taken away.
        """
        return self.runner.run(until=until, timeout=timeout)

    def _wires(self, settings: tuple[int, int, int]) -> list[Wire]:
        root = Rng(self.host.seed & (2**64 - 1))
        wires = []
        for number in range(2):
            wire = Wire(root.fork(b"serve %d" % number), number)
            wire.delay, wire.jitter, wire.loss = settings
            wires.append(wire)
        return wires

    def _capture(self, stack: ExitStack, target: str | os.PathLike[str] | IO[bytes]) -> None:
        from pystack.capture import Capture

        assert self.wired is not None
        capture = stack.enter_context(Capture(target))
        stack.callback(self._untap)
        device = capture.interface(self.device.name, description=f"{self.host.name} on TUN")
        offset = utc_offset()

        def tap(outbound: bool) -> Callable[[int, Any, int], None]:
            write = capture.tap(device, outbound=outbound)
            return lambda ns, packet, reason: write(ns + offset, packet, reason)

        inward: Any = self.wired.inward
        outward: Any = self.wired.outward
        inward.tap = tap(outbound=False)
        outward.tap = tap(outbound=True)
        dropped = capture.interface(f"{self.host.name} drops")

        def refuse(ns: int, packet: Any, reason: int) -> None:
            text = f"dropped: {Drop(reason).name}"
            capture.packet(ns + offset, dropped, packet, comment=text)

        self.host.core.tap = refuse

    def _untap(self) -> None:
        assert self.wired is not None
        self.wired.inward.tap = self.wired.outward.tap = self.host.core.tap = None

    def _default_route(self) -> None:
        """Whoever reaches the device through the kernel is answered through it."""
        if not any(network == "0.0.0.0/0" for network, _, _ in self.host.routes):
            gateway = self.device.kernel_address
            assert gateway is not None
            try:
                self.host.route("0.0.0.0/0", via=str(gateway))
            except ValueError:  # the kernel's address is none of the prefix
                self.host.route("0.0.0.0/0", dev=self.host.interfaces[0].name)

    def _start(self, service: Service) -> None:
        if isinstance(service, HttpService) and not service.epoch:
            service.epoch = utc_offset()
        try:
            service.start(self.host)
        except OSError as error:
            text = f"{service.name} cannot listen on port {service.port}: {error.strerror}"
            raise ServiceError(text) from None

    def _stop(self) -> None:
        """Services and what they have connected go; the kernel's clients are told."""
        for service in self.services:
            service.stop()
        try:
            self.device.transmit(
                self.host.core if self.wired is None else self.wired, self.host.now
            )
        except DeviceError:
            log.warning("%s is gone, nobody was told", self.device.name)


def serve(
    host: Host, tun: str = "tun0", *, services: Iterable[Service] = (), **options: Any
) -> None:
    """Serve on a TUN device until SIGINT or SIGTERM, then leave nothing behind. See `Server`."""
    with Server(host, tun, services=services, **options) as server:
        server.run()
