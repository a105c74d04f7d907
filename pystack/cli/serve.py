"""`pystack serve`: a machine on a TUN device, with services, until Ctrl-C."""

from __future__ import annotations

import gc
import logging
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import fail, told_warnings

if TYPE_CHECKING:
    from rich.console import Console

    from pystack.cli.settings import Settings
    from pystack.server import Server

log = logging.getLogger("pystack")

Port = int | None


def _port(service: str, usual: int) -> Any:
    return typer.Option(
        help=f"Port of the {service} service (usually {usual}).", show_default=False
    )


def serve(
    file: Annotated[
        Path | None, typer.Argument(help="TOML file with the same settings; options win.")
    ] = None,
    tun: Annotated[str | None, typer.Option(help="Name of the device. (tun0)")] = None,
    address: Annotated[
        str | None, typer.Option(help="Address and prefix of the machine. (10.9.0.2/24)")
    ] = None,
    kernel_address: Annotated[
        str | None, typer.Option(help="This system's end. (first other of the prefix)")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the machine. (web)")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Operating system (`pystack profiles`). (freebsd-14)")
    ] = None,
    http: Annotated[Port, _port("web", 80)] = None,
    http_root: Annotated[
        str | None, typer.Option(help="Directory to serve; /bytes/N is there in any case.")
    ] = None,
    http_like: Annotated[
        str | None,
        typer.Option(
            metavar="SERVER",
            help="Whose habits: apache-1.1, apache-1.3, apache-2.4, nginx, pystack. (pystack)",
        ),
    ] = None,
    http_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Change a habit: keepalive=off, linger=plain, sndbuf=16KiB, …; may be repeated.",
        ),
    ] = None,
    echo: Annotated[Port, _port("echo", 7)] = None,
    discard: Annotated[Port, _port("discard", 9)] = None,
    chargen: Annotated[Port, _port("chargen", 19)] = None,
    sysctl: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Set a knob (`pystack knobs`); may be repeated."),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WORD",
            help="Behave other than the profile (`pystack profiles NAME`): ct_evict=lru; may be repeated.",
        ),
    ] = None,
    loader_conf: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Knobs for the boot, as FreeBSD's /boot/loader.conf."),
    ] = None,
    sysctl_conf: Annotated[
        str | None, typer.Option(metavar="FILE", help="Knobs as its /etc/sysctl.conf.")
    ] = None,
    iptables: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Rules as iptables-save writes them (Linux profiles)."),
    ] = None,
    ipfw: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Rules of ipfw, a command a line (FreeBSD profiles)."),
    ] = None,
    offload: Annotated[
        bool | None,
        typer.Option(
            "--offload/--no-offload",
            help="Leave segmentation and checksums to the kernel. (offload)",
            show_default=False,
        ),
    ] = None,
    mtu: Annotated[int | None, typer.Option(help="Of the device, octets. (1500)")] = None,
    loss: Annotated[
        str | None, typer.Option(help="Share of packets lost each way: 0.01, 1%.")
    ] = None,
    delay: Annotated[str | None, typer.Option(help="Delay of packets each way: 5ms.")] = None,
    jitter: Annotated[str | None, typer.Option(help="Up to so much more, by chance: 1ms.")] = None,
    pcap: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a capture (pcapng).")
    ] = None,
    netns: Annotated[
        str | None, typer.Option(metavar="NAME", help="Network namespace for the device.")
    ] = None,
    control: Annotated[
        bool | None,
        typer.Option(
            "--control/--no-control",
            help="Let `pystack netstat` and its kin ask and change the machine. (control)",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Bring a machine up on a TUN device, with services, until Ctrl-C.

    Needs root (CAP_NET_ADMIN) and /dev/net/tun. Nothing stays behind. For example:

    sudo pystack serve --http 80 --echo 7 --discard 9 --chargen 19
    """
    from pystack.cli.settings import read_settings

    given = {key: value for key, value in locals().items() if value is not None}
    given.pop("file", None)
    given.pop("read_settings")
    try:
        with told_warnings() as lines:
            settings = read_settings(file, given)
        _serve(settings, lines)
    except KeyboardInterrupt:  # before the loop took the signal over, or while it closes
        return


def _serve(settings: Settings, warnings: list[str]) -> None:
    from rich.console import Console

    from pystack.server import Server, ServiceError
    from pystack.tun import DeviceError, DeviceGone

    console = Console(stderr=True, highlight=False)
    with ExitStack() as stack:
        stack.enter_context(_Logging(console))
        try:
            with told_warnings() as more:
                if settings.netns is not None:
                    enter_namespace(settings.netns)
                host = settings.host()
                services = settings.services()
                settings.control = settings.control and _may_be_asked(warnings)
                server = stack.enter_context(
                    Server(host, settings.tun, services=services, **settings.device())
                )
        except (DeviceError, ServiceError, ValueError, KeyError, OSError) as error:
            fail(error)
        gc.collect()
        gc.freeze()  # what is there now stays: the collector need not look at it again
        gc.set_threshold(50_000, 20, 20)
        for line in warnings + more:
            log.warning("%s", line)
        _greet(server)
        try:
            if console.is_terminal:
                _run_with_status(server, console)
            else:
                server.run()
        except DeviceGone as error:
            fail(error, 1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is impatient need not ask twice
        log.info("stopped: %s", _Status(server).totals())


def _may_be_asked(warnings: list[str]) -> bool:
    """Is there a place for a control socket? Serving goes on without one."""
    from pystack.control import NoPlace
    from pystack.control.place import directory

    try:
        directory()
    except NoPlace as error:
        warnings.append(f"nobody can ask this machine: {error}")
        return False
    return True


def enter_namespace(name: str) -> None:
    """This process is in a named network namespace from now on (`ip netns`). Raises OSError."""
    from pyroute2 import netns

    try:
        netns.setns(name, flags=0)
    except OSError as error:
        raise OSError(f"no network namespace {name}: {error.strerror or error}") from None


class _Through(logging.Handler):
    """Log lines above the status line."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self.console.print(self.format(record), markup=False, soft_wrap=True)


class _Logging:
    """The library's log on the console, for the time of a `with`."""

    def __init__(self, console: Console) -> None:
        self.handler = _Through(console)

    def __enter__(self) -> None:
        log.addHandler(self.handler)
        log.setLevel(logging.INFO)

    def __exit__(self, *_: object) -> None:
        log.removeHandler(self.handler)


def _greet(server: Server) -> None:
    device = server.device
    offload = "offload" if device.offload else f"no offload ({device.why})"
    log.info(
        "%s (%s) is %s on %s, %s; this system is %s",
        server.host.name,
        server.host.profile.title,
        device.address,
        device.name,
        offload,
        device.kernel_address,
    )
    for service in server.services:
        if service.name == "http":
            port = "" if service.port == 80 else f":{service.port}"
            log.info("http://%s%s/", server.host.address, port)
        else:
            log.info("%s on port %d", service.name, service.port)
    if server.desk is not None:
        name = server.desk.name
        log.info("ask it: pystack netstat -an -M %s, pystack limits -M %s", name, name)


def _run_with_status(server: Server, console: Console) -> None:
    from rich.live import Live
    from rich.text import Text

    status = _Status(server)
    with Live(
        Text(""), console=console, auto_refresh=False, transient=True, redirect_stdout=False
    ) as live:

        def show() -> None:
            live.update(Text(status.line(), no_wrap=True, overflow="ellipsis"), refresh=True)

        ticking = server.runner.call_every(0.5, show)
        show()
        try:
            server.run()
        finally:
            ticking.cancel()


class _Status:
    """What goes through the machine, in one line."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.face = server.host.interfaces[0]
        self.at = server.runner.clock.now
        self.before = (0, 0)

    def line(self) -> str:
        """Rates since the last call."""
        face = self.face
        now = self.server.runner.clock.now
        seconds = (now - self.at) / 1e9
        octets = (face.ibytes, face.obytes)
        rates = [
            (new - old) / seconds if seconds > 0 else 0.0
            for new, old in zip(octets, self.before, strict=True)
        ]
        self.at, self.before = now, octets
        states = self.server.host.tcp_states()
        states.pop("LISTEN", None)
        shown = " ".join(f"{name} {n}" for name, n in states.most_common()) or "no connections"
        retransmitted = self.server.host.stats["sndrexmitpack"]
        return (
            f"in {short(face.ipackets)} pkt {short(rates[0])}B/s · "
            f"out {short(face.opackets)} pkt {short(rates[1])}B/s · "
            f"{shown} · rexmit {short(retransmitted)}"
        )

    def totals(self) -> str:
        """All of it."""
        face = self.face
        return (
            f"{face.ipackets} packets in ({short(face.ibytes)}B), "
            f"{face.opackets} out ({short(face.obytes)}B), "
            f"{self.server.host.stats['sndrexmitpack']} retransmitted"
        )


def short(number: float) -> str:
    """Three digits and a prefix: 12, 1.23k, 45.6M."""
    for prefix in ("", "k", "M", "G", "T"):
        if number < 999.5 or prefix == "T":
            break
        number /= 1000
    digits = f"{number:.0f}" if not prefix or number >= 99.95 else f"{number:.3g}"
    return digits + prefix
