"""`Host`: one machine, a core with its knobs, interfaces, routes and sockets.

A host lives in a world: a `Network` in virtual time, or a `Runner` on a real device. The world says
what time it is, carries packets away, and lets time pass while a call waits.
"""

from __future__ import annotations

import functools
import os
import socket as std
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, overload

from pystack import firewall as fw
from pystack import live_knobs, profiles
from pystack._fast.consts import ICMP_ECHO, PROTO_ICMP, STATE_NAMES, Drop
from pystack._fast.core import Core
from pystack.addresses import dotted, parse_host, parse_interface, parse_network
from pystack.datagram import DatagramSocket
from pystack.firewall.conntrack import Conntrack
from pystack.firewall.ipfw.machine import HostIpfw
from pystack.firewall.machine import HostFirewall
from pystack.kernlog import KernelLog
from pystack.limits import Limit, limits
from pystack.process import Process
from pystack.sockets import StreamSocket
from pystack.sysctl import Sysctl
from pystack.timer import Timer
from pystack.units import parse_shift, parse_size, parse_time
from pystack.views.tools import UsageError, file, run, show
from pystack.world import Clock, Nowhere, World

INTERFACES: Mapping[str, str] = {"freebsd": "em", "linux": "eth"}
LOOPBACK: Mapping[str, str] = {"freebsd": "lo0", "linux": "lo"}
"""What a machine's way to itself is called."""
"""What the first kind of network card is called on each system."""

FIRST_PID = 700
"""The number of a machine's first process: those before it are the system's."""


class Host:
    """One machine.

    `addresses`: "192.0.2.1/24" or several, one interface each (em0, em1 … on FreeBSD, eth0 … on
    Linux). `profile`: the operating system (`pystack profiles`). `seed`: an int, or None for one that
    nobody knows. `ram`: "8GiB"; sizes follow from it. `sysctl`: knobs as the boot loader sets them, before it
    runs: those that nothing can change later included; `loader_conf`: the text of a /boot/loader.conf, likewise.
    `policy`: behaviour other than the profile's, such as {"ct_evict": "lru"} (`pystack profiles NAME` shows them).
    `forwarding`: it is a router.

    Raises ValueError, and what `Sysctl` raises, for what cannot be.
    """

    def __init__(
        self,
        name: str,
        addresses: str | Iterable[str] = (),
        *,
        profile: str | profiles.Profile = "freebsd-10",
        seed: int | None = None,
        forwarding: bool = False,
        ram: int | str | None = None,
        sysctl: Mapping[str, object] | None = None,
        policy: Mapping[str, object] | None = None,
        mtu: int = 1500,
        loader_conf: str = "",
    ) -> None:
        self.name = name
        self.profile = profiles.load(profile) if isinstance(profile, str) else profile
        if policy:
            self.profile = profiles.behaving(self.profile, policy)
        self.seed = int.from_bytes(os.urandom(8), "big") if seed is None else seed
        given = dict(sysctl or {})
        if forwarding:
            given.setdefault(self._knob_of("ip_forwarding"), 1)
        self.sysctl = Sysctl(
            self.profile,
            ram=None if ram is None else parse_size(ram, "ram"),
            boot=given,
            loader_conf=loader_conf,
        )
        self.system = self.profile.system
        self.core = Core(self.sysctl.config, self.seed, 0)
        self.epoch = 0
        """Nanoseconds between 1970 and the start of the machine's clock: 0 where time is virtual, until it is set."""
        self.clock_set: list[Callable[[int], object]] = []
        """Who is told by how much the wall clock was set (`set_clock`)."""
        self.halted = False
        """Is it paused (`Network.pause`)?"""
        self.held: list[Callable[[], object]] = []
        """What waits until it goes on."""
        self._shifts: list[tuple[int, int]] = []
        """(by its own clock from then on, how far that is ahead of the world's)."""
        self._enter(Nowhere())
        self.log = KernelLog(
            self.core, self.sysctl, self.profile.messages, self.system == "linux", self._uptime
        )
        files: Any = self.core.files
        self.processes: dict[int, Process] = files.programs
        self.program = self.process("pystack")
        self.mtu = mtu
        self.loopback.name = LOOPBACK[self.system]
        if self.system == "linux":  # 64 KiB came with 3.8
            self.loopback.mtu = 65536 if float(self.profile.tools) >= 3.8 else 16436
        live_knobs.connect(self)
        for address in [addresses] if isinstance(addresses, str) else addresses:
            self.add_interface(address)

    def __repr__(self) -> str:
        where = ", ".join(f"{i.name} {dotted(i.addr)}/{i.prefix}" for i in self.interfaces)
        return f"<Host {self.name}: {self.profile.name}{', ' if where else ''}{where}>"

    # --- knobs -------------------------------------------------------------------------------------

    def _knob_of(self, attribute: str) -> str:
        """The knob of this system that sets an attribute of the core's configuration."""
        for name, knob in self.profile.knobs.items():
            if attribute in knob.attributes:
                return name
        raise ValueError(f"{self.profile.title} has no knob for {attribute}")

    def load_sysctl_conf(self, text: str) -> list[str]:
        """Set what a sysctl.conf says; the names that were set. Errors name line and column."""
        return self.sysctl.load_sysctl_conf(text)

    # --- interfaces and routes ---------------------------------------------------------------------

    @property
    def interfaces(self) -> list[Any]:
        """The interfaces, by number: name, addr, prefix, mtu, up, counters."""
        return list(self.core.interfaces)

    @property
    def loopback(self) -> Any:
        """The interface that what the machine says to itself goes over; not one of `interfaces`."""
        return self.core.lo

    def add_interface(self, address: str, name: str | None = None, mtu: int | None = None) -> Any:
        """A new interface with "192.0.2.1/24"; the route to its own network comes with it."""
        addr, prefix = parse_interface(address)
        if any(i.addr == addr for i in self.core.interfaces):
            raise ValueError(f"{self.name} has {dotted(addr)} already")
        if name is None:
            name = f"{INTERFACES[self.profile.system]}{len(self.core.interfaces)}"
        if any(i.name == name for i in self.core.interfaces):
            raise ValueError(f"{self.name} has an interface {name} already")
        number = self.core.add_interface(name, addr, prefix, mtu or self.mtu)
        return self.core.interfaces[number]

    def set_up(self, interface: str, up: bool = True) -> None:
        """Switch an interface on or off: what leaves by one that is off is lost, and so are flows that were masqueraded
        there. Raises ValueError where there is none of this name.
        """
        face = self._face(interface)
        face.up = up
        if not up:
            self._masquerade_lost(face, 0)

    def set_address(self, interface: str, address: str | None) -> None:
        """Another address with its prefix for an interface, or None: it loses its own, the route to its network, and
        flows that were masqueraded with it. Raises ValueError where there is none of this name, or it has that already.
        """
        face = self._face(interface)
        addr, prefix = parse_interface(address) if address is not None else (0, 32)
        if addr and any(i.addr == addr for i in self.core.interfaces):
            raise ValueError(f"{self.name} has {dotted(addr)} already")
        old = face.addr
        if old:
            self.core.routes.delete(old & face.mask, face.prefix)
        face.addr = addr
        face.prefix, face.mask = prefix, 0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF
        if addr:
            self.core.routes.add(addr, prefix, face.number, 0)
        if old:
            self._masquerade_lost(face, old)

    def _face(self, name: str) -> Any:
        for face in self.core.interfaces:
            if face.name == name:
                return face
        raise ValueError(f"{self.name} has no interface {name}")

    def _masquerade_lost(self, face: Any, address: int) -> None:
        if "conntrack" in self.__dict__:
            self.conntrack.present()
            self.conntrack.table.face_lost(face.number, address)

    @property
    def address(self) -> str:
        """The address of the first interface."""
        if not self.core.interfaces:
            raise ValueError(f"{self.name} has no interface")
        return dotted(self.core.interfaces[0].addr)

    def route(self, network: str, via: str | None = None, dev: str | None = None) -> None:
        """Add a route: route("0.0.0.0/0", via="192.0.2.254"), or through an interface by its name.

        Raises ValueError where the gateway is on none of the own networks.
        """
        net, prefix = parse_network(network)
        gateway = parse_host(via) if via else 0
        if not via and not dev:
            raise ValueError(f"a route to {network} needs a gateway (via=) or an interface (dev=)")
        for iface in self.core.interfaces:
            if dev in (None, iface.name) and (not gateway or _covers(iface, gateway)):
                self.core.routes.add(net, prefix, iface.number, gateway)
                return
        if dev and not any(i.name == dev for i in self.core.interfaces):
            raise ValueError(f"{self.name} has no interface {dev}")
        raise ValueError(f"{self.name} has no interface in the network of gateway {via}")

    def delete_route(self, network: str) -> None:
        """Remove the route to a network. Raises ValueError where there is none."""
        if not self.core.routes.delete(*parse_network(network)):
            raise ValueError(f"{self.name} has no route to {network}")

    @property
    def routes(self) -> list[tuple[str, str, str]]:
        """(network, gateway or "", interface), in order of match."""
        return [
            (
                f"{dotted(net)}/{bin(mask).count('1')}",
                dotted(gateway) if gateway else "",
                self.core.interfaces[iface].name,
            )
            for net, mask, gateway, iface in self.core.routes.rows()
        ]

    # --- sockets -----------------------------------------------------------------------------------

    @overload
    def socket(
        self, type: Literal[std.SocketKind.SOCK_STREAM] = ..., proto: int = ..., *, uid: int = ...
    ) -> StreamSocket: ...

    @overload
    def socket(self, type: int, proto: int = ..., *, uid: int = ...) -> Any: ...

    def socket(self, type: int = std.SOCK_STREAM, proto: int = 0, *, uid: int = 0) -> Any:
        """A new socket: TCP, with SOCK_DGRAM UDP, with SOCK_DGRAM and IPPROTO_ICMP for pings.

        `uid` is the owner: any but 0 may not bind a reserved port. Raises OSError: ENOBUFS at kern.ipc.maxsockets,
        EMFILE and ENFILE for want of a descriptor or a file; EPROTONOSUPPORT does not occur, other types are a
        ValueError.
        """
        return self.program.socket(type, proto, uid=uid)

    def process(self, name: str, *, uid: int = 0, nofile: int | None = None) -> Process:
        """A new program, with sockets (`Process.socket`), a user and a limit of descriptors of its own."""
        made = Process(self, name, max(self.processes, default=FIRST_PID - 1) + 1, uid, nofile)
        self.processes[made.pid] = made
        return made

    def dispatch(self) -> int:
        """Call `on_ready` of the sockets for which something happened; how many calls that were.

        The world does it. What a callback raises is raised when all have been called.
        """
        calls: int = self.core.dispatch()
        return calls

    def ping(
        self,
        address: str,
        count: int = 1,
        timeout: int | str = "1s",
        *,
        size: int = 56,
        interval: int | str = "1s",
    ) -> list[int | None]:
        """Send `count` echo requests with `size` octets, one each `interval`; round-trip times in ns, None
        for each one that was not answered within `timeout`.
        """
        wait, pause = parse_time(timeout, "timeout"), parse_time(interval, "interval")
        data = bytes(i & 0xFF for i in range(size))
        answers: list[int | None] = []
        with self.socket(std.SOCK_DGRAM, PROTO_ICMP) as sock:
            for number in range(count):
                begin = self.world.clock.now
                sent = bytes((ICMP_ECHO, 0, 0, 0, 0, 0)) + (number & 0xFFFF).to_bytes(2, "big")
                answers.append(self._ping_once(sock, address, sent + data, begin, begin + wait))
                if number + 1 < count and self.world.clock.now < begin + pause:
                    self.world.run_until(lambda: False, begin + pause)
        return answers

    def _ping_once(
        self, sock: DatagramSocket, address: str, message: bytes, begin: int, end: int
    ) -> int | None:
        try:
            sock.sendto(message, (address, 0))
            clock = self.world.clock
            while clock.now < end:
                sock.settimeout((end - clock.now) / 1e9)
                reply, _ = sock.recvfrom(65535)
                if reply[6:] == message[6:]:
                    return clock.now - begin
        except OSError as e:
            if e.errno is not None and not isinstance(e, TimeoutError):
                return None
            if e.errno is not None:
                raise
        return None

    # --- time --------------------------------------------------------------------------------------

    def join(self, world: World) -> None:
        """The host is in this world from now on; its owner calls this."""
        self._enter(world)
        self.after(self.core)

    def _enter(self, world: World) -> None:
        self.world: World = world
        self.clock: Clock = world.clock
        driver = self.core.driver = world.driver
        self.before: Callable[[Any], object] = driver.before
        self.after: Callable[[Any], object] = driver.after

    @property
    def now(self) -> int:
        """The present by the machine's own clock, ns: the world's, unless it was paused or has jumped."""
        return int(self.clock.now)

    def call_later(self, delay: int | str, fn: Callable[..., object], *args: Any) -> Timer:
        """Call fn(*args) after `delay` ("5s", or int ns); the answer has `cancel()`."""
        return self.call_at(self.now + parse_time(delay, "delay"), fn, *args)

    def call_at(self, time: int, fn: Callable[..., object], *args: Any) -> Timer:
        """Call fn(*args) at `time`, ns of the machine's clock; while it is paused nothing is called."""
        return self.plan(Timer(time, fn, args, self))

    def plan(self, timer: Timer) -> Timer:
        """A timer of the machine, or of one of its programs, is called at its time."""
        self.world.call_at(timer.time - self.core.ahead, timer)
        return timer

    def later(self, call: Callable[[], object]) -> None:
        """Call when the machine goes on."""
        self.held.append(call)

    def set_clock(self, by: int | str) -> None:
        """The wall clock is set by so much ("1h", "-30s"), as date(1) does it. No timer of the kernel looks at it;
        programs may, and the sequence numbers with which Linux begins connections.
        """
        step = parse_shift(by, "by")
        self.epoch += step
        if self.system == "linux":
            self.core.isn_ahead = (self.core.isn_ahead + step // 4000) & 0xFFFFFFFF
        for told in list(self.clock_set):
            told(step)

    def shifted(self) -> None:
        """The clock was shifted against the world's; who did it calls this."""
        self._shifts.append((self.now, self.core.ahead))

    def when(self, time: int) -> int:
        """What the world's clock said when the machine's said `time`."""
        for begin, ahead in reversed(self._shifts):
            if time >= begin:
                return time - int(ahead)
        return time

    def _uptime(self) -> int:
        """Nanoseconds since the machine was switched on."""
        return int(self.core.now)

    # --- what the machine tells --------------------------------------------------------------------

    def dmesg(self) -> list[str]:
        """The lines of the kernel's log, oldest first, as `dmesg` prints them."""
        return self.log.lines()

    def netstat(self, arguments: str = "-an") -> str:
        """What netstat prints: "-an", "-anx", "-anT", "-Lan", "-m" on FreeBSD, "-tan", "-ltn" on Linux; "-s", "-rn"
        and "-in" on both; "--json": values.

        Raises `views.tools.UsageError` (ValueError) for what the tool of this system does not know.
        """
        return show(self, "netstat", arguments)

    def ss(self, arguments: str = "-tan") -> str:
        """What Linux's ss prints: "-tan", "-ltn", "-tanomp", "-tn state time-wait", "-s"; "--json" for values."""
        return show(self, "ss", arguments)

    def nstat(self, arguments: str = "-az") -> str:
        """What Linux's nstat prints: every counter."""
        return show(self, "nstat", arguments)

    def vmstat(self, arguments: str = "-z") -> str:
        """What FreeBSD's `vmstat -z` prints: the zones of the network."""
        return show(self, "vmstat", arguments)

    def sockstat(self, arguments: str = "-4") -> str:
        """What FreeBSD's sockstat prints: "-4", "-4l", "-4c", "-4s"."""
        return show(self, "sockstat", arguments)

    @functools.cached_property
    def conntrack(self) -> Conntrack:
        """Netfilter's connection tracking on Linux: host.conntrack("-L"), and its table as Python.

        Raises `firewall.conntrack.NoNetfilter` (ValueError) on other systems.
        """
        return Conntrack(self)

    def iptstate(self, arguments: str = "", *, columns: int = 80) -> str:
        """What `iptstate -1 arguments` prints in a terminal so wide: the flows as a table, sorted and filtered.

        Raises `views.tools.UsageError` (ValueError) with the tool's words.
        """
        return self._told("iptstate", [*arguments.split(), f"--columns={columns}"])

    def ip(self, arguments: str = "tcp_metrics show") -> str:
        """What Linux's `ip tcp_metrics [show|delete|flush] …` prints: what is remembered of other hosts.

        Raises `views.tools.UsageError` (ValueError) with the tool's words.
        """
        return self._told("ip", arguments.split())

    def _told(self, tool: str, words: list[str]) -> str:
        """What a command prints that has words of its own for what it refuses."""
        done = run(self, tool, words)
        if done.status:
            raise UsageError(done.err.strip())
        return done.out

    @functools.cached_property
    def ipfw(self) -> HostIpfw:
        """FreeBSD's firewall, loaded with the first look at it: host.ipfw("add allow ip from any to any").

        Raises `firewall.ipfw.NoIpfw` (ValueError) on other systems.
        """
        return HostIpfw(self)

    @functools.cached_property
    def firewall(self) -> HostFirewall:
        """The tables of iptables (docs/firewall.md). Raises NoNetfilter (ValueError) on other systems than Linux."""
        return HostFirewall(self)

    def iptables(self, arguments: str) -> str:
        """One iptables command, as on a command line; what it prints.

        Raises `FirewallError` (ValueError) with the tool's message and exit status; then nothing has changed.
        """
        return fw.iptables(self.firewall, arguments)

    def iptables_save(self, arguments: str = "") -> str:
        """What `iptables-save [-c] [-t TABLE]` prints."""
        return fw.iptables_save(self.firewall, arguments)

    def iptables_restore(self, text: str, arguments: str = "") -> str:
        """`iptables-restore [-n] [-c] [--test]` with this text; what it prints.

        Raises `FirewallError` with line and column; the table of that line is then as it was.
        """
        return fw.iptables_restore(self.firewall, text, arguments)

    def proc(self, path: str) -> str:
        """A file of Linux's /proc: net/sockstat, snmp, netstat, tcp, udp, route, dev; knobs under sys.

        Raises FileNotFoundError for others, and on other systems.
        """
        return file(self, path)[0]

    def limits(self) -> list[Limit]:
        """All that the machine can run out of: used, maximum, high-water mark, failures, when, knob."""
        return limits(self)

    def tcp_states(self) -> Counter[str]:
        """How many connections are in each state, by netstat's names; TIME_WAIT and half-open included."""
        counts = self.core.tcp_states()
        return Counter({name: n for name, n in zip(STATE_NAMES, counts, strict=True) if n})

    @property
    def stats(self) -> dict[str, int]:
        """TCP's counters, by FreeBSD's names of `struct tcpstat`."""
        return dict(self.core.stat.as_dict())

    def drops(self) -> Counter[str]:
        """How many packets went no further, by the name of the reason."""
        drops = self.core.drops
        return Counter({drop.name: int(drops[drop]) for drop in Drop if drops[drop]})


def _covers(iface: Any, addr: int) -> bool:
    """Is `addr` in the interface's own network?"""
    return bool(iface.mask & addr == iface.mask & iface.addr)
