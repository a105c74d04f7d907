"""Two machines, two wires and what an application does with them: the ground of the tests beside."""

import hashlib
import random
from dataclasses import dataclass

from pystack import profiles
from pystack._fast import commands, consts, opening
from pystack._fast.consts import SECOND, STATE_NAMES, Err
from pystack._fast.core import Core
from pystack._fast.fabric import Fabric
from pystack._fast.rng import Rng
from pystack._fast.wire import Wire
from pystack.sysctl.machine import Sysctl

A, B = 0xC0000201, 0xC0000202


def threshold(chance: float) -> int:
    return int(chance * 2**64)


def machine(
    fabric: Fabric, profile: str, addr: int, seed: int, knobs: dict[str, int] | None = None
) -> Core:
    sysctl = Sysctl(profiles.load(profile))
    for name, value in (knobs or {}).items():
        getattr(sysctl.config, name)
        setattr(sysctl.config, name, value)
    core = Core(sysctl.config, seed)
    core.add_interface("em0", addr, 24, 1500)
    fabric.add_core(core)
    return core


class World:
    """Machine `a` and machine `b`, one wire each way with the same settings."""

    def __init__(
        self, left: str, right: str, seed: int, knobs: dict[str, int] | None = None, **wire: int
    ):
        self.fabric = Fabric(0)
        self.a = machine(self.fabric, left, A, seed, knobs)
        self.b = machine(self.fabric, right, B, seed + 1, knobs)
        self.wires = [
            self.join(self.a, self.b, seed, wire),
            self.join(self.b, self.a, seed + 1, wire),
        ]

    def join(self, x: Core, y: Core, seed: int, settings: dict[str, int]) -> Wire:
        wire = Wire(Rng(seed), seed)
        for name, value in settings.items():
            setattr(wire, name, value)
        w = self.fabric.add_wire(wire, y.number, 0, None)
        self.fabric.attach(x.number, 0, y.interfaces[0].addr, w)
        return wire

    @property
    def now(self) -> int:
        return self.fabric.now

    def do(self, core: Core, command, *arguments):
        """One call of an application; what it made sendable is on its way afterwards."""
        core.settle(self.fabric.now)
        answer = command(core, *arguments)
        self.fabric.after(core)
        return answer

    def wait(self, seconds: float) -> int:
        """Until a socket is ready, at most so long."""
        for core in (self.a, self.b):
            core.take_ready()
        return self.fabric.run(self.fabric.now + int(seconds * SECOND), True)

    def run(self, seconds: float) -> None:
        self.fabric.run(self.fabric.now + int(seconds * SECOND), False)

    def connect(self, port: int = 80, limit: float = 300):
        """(client on a, server on b), or (None, error)."""
        listener = self.b.new_tcb()
        assert self.do(self.b, opening.tcp_bind, listener, 0, port) == 0
        assert self.do(self.b, opening.tcp_listen, listener, 10) == 0
        client = self.a.new_tcb()
        client.wanted = listener.wanted = 0xFF
        assert self.do(self.a, opening.tcp_connect, client, B, port) == -Err.EINPROGRESS
        end = self.now + int(limit * SECOND)
        while self.now < end:
            self.wait(1)
            server = self.do(self.b, opening.tcp_accept, listener)
            if server is not None:
                server.wanted = 0xFF
                self.do(self.b, commands.tcp_close, listener)
                return client, server
            if client.so_error:
                break
        return None, client.so_error

    def states(self) -> dict[str, int]:
        out: dict[str, int] = {}
        for core in (self.a, self.b):
            for i, n in enumerate(core.states):
                if n:
                    out[STATE_NAMES[i]] = out.get(STATE_NAMES[i], 0) + n
        return out

    def assert_clean(self) -> None:
        """Everything is as before the first packet."""
        assert self.states() == {}
        for core in (self.a, self.b):
            core.make_room()  # made by this call at the latest
            assert core.pool.in_use == 1, core.pool.in_use
            assert core.demux.used == 0
            assert core.timewait.used == 0
            assert core.listeners.cache.used == 0
            assert not any(core.demux.port_users(port) for port in range(65536))
            assert core.next_deadline() == consts.NEVER


@dataclass
class Flow:
    """One direction: what is to be sent, what came."""

    core: Core
    t: object
    total: int
    seed: int

    def __post_init__(self) -> None:
        self.source = random.Random(self.seed)
        self.sent = self.got = 0
        self.out = hashlib.sha256()
        self.into = hashlib.sha256()
        self.held = b""
        self.shut = self.ended = False
        self.error = 0


def pump(world: World, up: Flow, down: Flow, limit: float) -> bool:
    """Write and read at both ends until both streams ended; False when the time is over first."""
    end = world.now + int(limit * SECOND)
    buf = memoryview(bytearray(65536))
    while not (up.ended and down.ended):
        busy = False
        for mine, theirs in ((up, down), (down, up)):
            while mine.sent < mine.total and not mine.error:
                if not mine.held:
                    mine.held = mine.source.randbytes(
                        min(mine.source.randint(1, 20000), mine.total - mine.sent)
                    )
                n = world.do(
                    mine.core,
                    commands.tcp_send,
                    mine.t,
                    memoryview(mine.held),
                    0,
                    len(mine.held),
                    False,
                )
                if n <= 0:
                    if n != -Err.EAGAIN:
                        mine.error = -n
                    break
                mine.out.update(mine.held[:n])
                mine.held = mine.held[n:]
                mine.sent += n
                busy = True
            if (mine.sent == mine.total or mine.error) and not mine.shut:
                mine.shut = True
                world.do(mine.core, commands.tcp_shutdown, mine.t, commands.SHUT_WR)
            while not theirs.ended:
                size = theirs.source.randint(1, 65536)
                n = world.do(mine.core, commands.tcp_recv_into, mine.t, buf, 0, size, False)
                if n > 0:
                    theirs.into.update(buf[:n])
                    theirs.got += n
                    busy = True
                elif n == -Err.EAGAIN:
                    break
                else:
                    theirs.ended = True
                    theirs.error = theirs.error or -n
        if not busy and not (up.ended and down.ended):
            if world.now >= end:
                return False
            world.wait(min(10.0, (end - world.now) / SECOND + 0.001))
    return True
