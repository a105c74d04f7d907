"""`Network`: hosts, taps and links under one virtual clock and one seed.

    net = pystack.Network(seed=7)
    web = net.host("web", "192.0.2.1/24", profile="freebsd-10")
    me = net.host("client", "192.0.2.2/24", profile="linux-6")
    net.link(web, me, delay="5ms", loss=0.01)

Time passes only in `run` and while a blocking call waits, and jumps from event to event. All randomness
comes from the seed: the same program gives the same packets at the same nanoseconds (`trace_hash`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from pystack._fast.consts import NEVER
from pystack._fast.fabric import Fabric, MachineClock
from pystack._fast.mbuf import Pool
from pystack._fast.record import Record
from pystack._fast.rng import Rng
from pystack._fast.trace import Trace
from pystack.addresses import dotted, parse_interface
from pystack.errors import DeadlockError
from pystack.host import Host
from pystack.link import Link
from pystack.recording import Recording
from pystack.tap import Tap
from pystack.timer import Timer
from pystack.units import format_time, parse_size, parse_time

if TYPE_CHECKING:
    from pystack.packetdrill import Verdict

__all__ = ["Network", "Tap"]

PATIENCE = 7 * 86_400 * 10**9
"""Virtual time after which a call that waits without a timeout gives up when no socket was told anything."""

CLOCKS = ("ran", "stood")
"""What the clock of a paused machine did."""

RECORD = 32 << 20
"""Octets of the newest traffic that a network keeps unless it is told otherwise (docs/adr)."""

_TAP_ARENA = 64 << 20


class Network:
    """A network in virtual time. The same `seed` and the same calls give the same run.

    `record`: how much of the newest traffic is kept for `capture` ("32MiB"); False for none, which is
    faster. `trace`: whether `trace_hash` is kept up. `with Network() as net:` closes captures at the end.
    """

    def __init__(
        self, seed: int = 0, *, record: bool | int | str = True, trace: bool = True
    ) -> None:
        self.seed = seed
        self._rng = Rng(seed & (2**64 - 1))
        self.clock = self.driver = self._fabric = Fabric(0)
        self._fabric.patience = PATIENCE
        self._fabric.deadlock = self._deadlock
        self.hosts: dict[str, Host] = {}
        self.taps: dict[str, Tap] = {}
        self.links: list[Link] = []
        self._machines: list[Host] = []
        self._used: set[tuple[str, int]] = set()
        self._trace = Trace() if trace else None
        self._pool = Pool(0, 0, 0, 0, 0, _TAP_ARENA)
        self._record: Record | None = None
        if record is not False:
            octets = RECORD if record is True else parse_size(record, "record")
            self._record = Record(octets)
        self._wires: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = ", ".join([*self.hosts, *self.taps])
        return f"<Network seed {self.seed} at {format_time(self.now)}: {names or 'empty'}>"

    # --- what it is made of ------------------------------------------------------------------------

    def host(self, name: str, addresses: str | Iterable[str] = (), **options: Any) -> Host:
        """A new machine (see `Host`); its seed comes from the network's and its name. Raises ValueError."""
        self._new_name(name)
        options.setdefault("seed", self._rng.fork(b"host " + name.encode()).seed)
        host = Host(name, addresses, **options)
        self._fabric.add_core(host.core)
        self._machines.append(host)
        self.hosts[name] = host
        if self._record is not None:
            host.core.tap = partial(self._refused, host.core)
        host.join(self)
        clock: Any = MachineClock(self._fabric, host.core)
        host.clock = clock
        return host

    def tap(self, address: str, name: str | None = None) -> Tap:
        """A bare end: raw IP packets in and out, no stack."""
        name = f"tap{len(self.taps)}" if name is None else name
        self._new_name(name)
        addr, prefix = parse_interface(address)
        tap = self.taps[name] = Tap(name, addr, prefix, self._fabric, self._pool)
        return tap

    def _new_name(self, name: str) -> None:
        if not name or name in self.hosts or name in self.taps:
            raise ValueError(f"the name {name!r} is {'taken' if name else 'empty'}")

    def link(self, a: Host | Tap, b: Host | Tap, **settings: Any) -> Link:
        """A cable between two machines, or a machine and a tap; settings are those of `Link`.

        The interfaces are those whose networks contain each other's addresses. Raises ValueError where
        there are none.
        """
        ends = self._ends(a, b)
        number = len(self.links)
        link = Link(
            a.name,
            b.name,
            seed=self._rng.fork(b"links").seed,
            number=number,
            trace=self._trace,
            **settings,
        )
        self.links.append(link)
        for way, (source, target) in zip(
            (link.forward, link.backward), (ends, ends[::-1]), strict=True
        ):
            self._lay(way.wire, *source, *target)
        return link

    def _lay(self, wire: Any, source: Any, out: Any, target: Any, into: Any) -> None:
        """One wire from an interface (None: of a tap) to another."""
        if isinstance(target, Tap):
            wire.offload = False
            number = self._fabric.add_wire(wire, -1, -1, target)
        else:
            number = self._fabric.add_wire(wire, target.core.number, into.number, None)
        wire.record = self._record
        name = source.name if out is None else f"{source.name}.{out.name}"
        self._wires.append((name, f"{source.name} to {target.name}"))
        peer = target.addr if into is None else into.addr
        if isinstance(source, Tap):
            source.attach(peer, number, wire)
        else:
            self._fabric.attach(source.core.number, out.number, peer, number)

    def _ends(self, a: Host | Tap, b: Host | Tap) -> list[tuple[Any, Any]]:
        """[(a, its interface), (b, its interface)]; interfaces without a link are preferred."""
        for end in (a, b):
            if self.hosts.get(end.name) is not end and self.taps.get(end.name) is not end:
                raise ValueError(f"{end.name} is not of this network")
        if a is b or (isinstance(a, Tap) and isinstance(b, Tap)):
            raise ValueError(f"a link between {a.name} and {b.name} joins nothing")
        pairs = [
            ((a, x), (b, y))
            for x in _interfaces(a)
            for y in _interfaces(b)
            if x[1] != y[1] and _within(x, y[1]) and _within(y, x[1])
        ]
        if not pairs:
            raise ValueError(
                f"no interface of {a.name} ({_list(a)}) is in a network of {b.name} ({_list(b)})"
            )
        for pair in pairs:
            if not any((end.name, face[1]) in self._used for end, face in pair):
                break
        else:
            pair = pairs[0]
        self._used |= {(end.name, face[1]) for end, face in pair}
        return [(end, face[0]) for end, face in pair]

    # --- time --------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Nanoseconds since the network was made."""
        return int(self._fabric.now)

    def run(
        self,
        for_: int | str | None = None,
        *,
        until: Callable[[], object] | None = None,
        until_ns: int | None = None,
    ) -> bool:
        """Let time pass: `for_` "60s" (or int ns), to `until_ns`, or until `until()` is true.

        Answers whether `until()` became true; True without it. `until` is asked after every event.
        Raises DeadlockError where it is not true and nothing will happen any more.
        """
        if for_ is None and until is None and until_ns is None:
            raise TypeError(
                "run for how long? run(for_='60s'), run(until=callable), run(until_ns=…)"
            )
        end = NEVER if until_ns is None else until_ns
        if for_ is not None:
            end = min(end, self.now + parse_time(for_, "for_"))
        if until is not None:
            return self.run_until(until, end)
        fabric = self._fabric
        while True:
            result = fabric.run(end, True)
            if result == 0:
                fabric.now = max(fabric.now, end)
                return True
            if result == 1:
                fabric.dispatch()

    def run_until(self, condition: Callable[[], object], deadline: int = NEVER) -> bool:
        """`run(until=condition)`, with a time at which it ends in any case."""
        fabric = self._fabric
        while not condition():
            due = min(fabric.next_time(), deadline)
            if due == NEVER:
                raise self._deadlock()
            result = fabric.run(due, True)
            if result == 1:
                fabric.dispatch()
            elif result == 0 and due >= deadline:
                fabric.now = max(fabric.now, deadline)
                return bool(condition())
        return True

    def _deadlock(self) -> DeadlockError:
        if self._fabric.next_time() == NEVER:
            return DeadlockError(
                f"at {format_time(self.now)} nothing is on its way and no timer runs: this would wait for ever"
            )
        return DeadlockError(
            f"no socket became ready in {format_time(PATIENCE)} of virtual time: this would wait for ever"
        )

    def call_at(self, time: int, fn: Callable[[], object]) -> None:
        """Call `fn()` at `time`, ns."""
        self._fabric.call_at(time, fn)

    def call_later(self, delay: int | str, fn: Callable[..., object], *args: Any) -> Timer:
        """Call fn(*args) after `delay`; the answer has `cancel()`."""
        timer = Timer(self.now + parse_time(delay, "delay"), fn, args)
        self._fabric.call_at(timer.time, timer)
        return timer

    # --- machines that stop, and their clocks -------------------------------------------------------

    def pause(self, host: Host, *, ring: int = 256) -> None:
        """The machine executes nothing from now on, as a virtual machine that is being moved: no packet, no timer, no
        program. `ring` packets wait at its network card, later ones are lost (`Drop.RX_RING`). What is asked of it
        meanwhile raises RuntimeError, and so does this for one that is paused.
        """
        self._ours(host)
        if host.halted:
            raise RuntimeError(f"{host.name} is paused already")
        if ring < 0:
            raise ValueError(f"a ring of {ring} packets cannot be")
        host.halted = True
        self._fabric.halt(host.core, ring)

    def resume(self, host: Host, *, clock: str = "ran") -> None:
        """A paused machine goes on. Its clock "ran" meanwhile (the host was busy, or stopped the emulator): every timer
        that has come due fires at once, before the packets that wait. Or it "stood" (a hypervisor that hides the gap:
        QEMU's stop and cont): the machine knows of nothing, and its clock is behind from now on.
        """
        self._ours(host)
        if clock not in CLOCKS:
            raise ValueError(f"clock {clock!r}: it {' or '.join(CLOCKS)}")
        if not host.halted:
            raise RuntimeError(f"{host.name} is not paused")
        held, host.held, host.halted = host.held, [], False
        stood = clock == "stood"
        self._fabric.go_on(host.core, stood)
        if stood:
            host.shifted()
            self._replan(host)
        for call in held:
            at = call.time - host.core.ahead if stood and isinstance(call, Timer) else self.now
            self._fabric.call_at(at, call)

    def jump(self, host: Host, by: int | str) -> None:
        """The machine's clock jumps ahead ("10s"), the monotonic one too: of so much time it has seen nothing, and
        every timer that has come due fires at once. Raises RuntimeError where it is paused.
        """
        self._ours(host)
        if host.halted:
            raise RuntimeError(f"{host.name} is paused: its clock is looked at when it goes on")
        self._fabric.jump(host.core, parse_time(by, "by"))
        host.shifted()
        self._replan(host)

    def _ours(self, host: Host) -> None:
        if self.hosts.get(host.name) is not host:
            raise ValueError(f"{host.name} is not of this network")

    def _replan(self, host: Host) -> None:
        """The timers of a machine's programs come by its own clock, which was shifted."""
        calls = self._fabric.calls
        for slot, timer in list(enumerate(calls)):
            if isinstance(timer, Timer) and timer.active and _machine(timer.owner) is host:
                calls[slot] = _nothing
                self._fabric.call_at(timer.time - host.core.ahead, timer)

    # --- what happened -----------------------------------------------------------------------------

    def trace_hash(self) -> str:
        """32 hex digits over every packet and its nanosecond so far."""
        if self._trace is None:
            raise RuntimeError("this network was made with trace=False")
        return self._trace.hexdigest()

    def capture(self, path: str | os.PathLike[str]) -> Recording:
        """Write the newest traffic (see `record`) to a pcapng file; each packet once for each wire it was
        given to, dropped ones with a comment, and once more with a comment where a machine refused it.

        As a context manager the file gets all that happens inside of the block instead:
        `with net.capture("run.pcapng"): ...`. Raises OSError, and RuntimeError with record=False.
        """
        if self._record is None:
            raise RuntimeError("this network was made with record=False: it kept no traffic")
        recording = Recording(self._record, path, self._interface)
        recording.write()
        return recording

    def _interface(self, wire: int) -> tuple[str, str]:
        if wire < 0:
            return self._machines[-wire - 1].name, "refused by the machine"
        return self._wires[wire]

    def _refused(self, core: Any, now: int, packet: Any, reason: int) -> None:
        """A machine dropped a packet, when its own clock said `now`."""
        record = self._record
        if record is not None and packet.head_len:
            record.add(packet, now - core.ahead, -core.number - 1)
            record.note(-1, reason)

    def play(
        self,
        script: str | os.PathLike[str],
        *,
        host: Host | str,
        options: dict[str, str | int | float | bool | None] | None = None,
        defines: dict[str, str] | None = None,
        check: bool = True,
    ) -> Verdict:
        """Play a packetdrill script, its text or the path of a file, against one of the machines.

        The machine keeps its address and all that it does besides; the script's peer is a new tap next to
        it. `options` and `defines` are those of the command line (docs/packetdrill.md). Raises ScriptError,
        OSError, and NotPassed, an AssertionError, for a failure or a skip, which check=False answers instead.
        """
        from pystack import packetdrill

        return packetdrill.play_in(self, script, host, options or {}, defines or {}, check)

    def close(self) -> None:
        """Nothing of the network is used any more; a second time does nothing."""
        self._record = None


def _nothing() -> None:
    """A call that takes place at another time."""


def _machine(owner: Any) -> Any:
    """Whose machine: an owner of timers is one, or a program on one."""
    return getattr(owner, "host", owner)


def _interfaces(end: Host | Tap) -> list[tuple[Any, int, int]]:
    """[(interface, address, mask)]; a tap has one that is None."""
    if isinstance(end, Tap):
        return [(None, end.addr, (0xFFFFFFFF << (32 - end.prefix)) & 0xFFFFFFFF)]
    return [(iface, iface.addr, iface.mask) for iface in end.interfaces]


def _within(face: tuple[Any, int, int], addr: int) -> bool:
    return face[1] & face[2] == addr & face[2]


def _list(end: Host | Tap) -> str:
    faces = [f"{dotted(addr)}/{bin(mask).count('1')}" for _, addr, mask in _interfaces(end)]
    return ", ".join(faces) or "none"
