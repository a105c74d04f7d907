"""The player: a script, event by event, in virtual time (docs/adr/0016).

Times are nanoseconds since the script began. What the script calls relative is relative to the moment at which
the event before it was really over; only an inbound packet after an inbound packet counts from that one's own
time.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from pystack._fast.consts import NEVER
from pystack.addresses import dotted
from pystack.host import Host
from pystack.packetdrill import match, snapshots
from pystack.packetdrill.bench import Bench, Workbench
from pystack.packetdrill.calls import Calls, Running
from pystack.packetdrill.numbers import Space
from pystack.packetdrill.script import (
    Code,
    Command,
    Event,
    IcmpPacket,
    Script,
    Syscall,
    TcpPacket,
    UdpPacket,
)
from pystack.packetdrill.segments import Segment, bad_checksum, read
from pystack.packetdrill.settings import Given, Settings, settings_of
from pystack.packetdrill.shell import Shell
from pystack.packetdrill.snippets import Snippet
from pystack.packetdrill.snippets import run as run_snippets
from pystack.packetdrill.symbols import Symbols, describe, error_name
from pystack.packetdrill.under_test import UnderTest
from pystack.packetdrill.verdict import Failure, Moment, Skip, Verdict
from pystack.profiles import Profile, load

US = 1_000
SECOND = 1_000_000_000
EVENT_COST = 1_000
"""Every event takes a microsecond, so that no round trip takes none."""
PATIENCE = 2 * SECOND
"""How long a packet may be late before it counts as one that never comes."""
ANY_TIME = 600 * SECOND
"""How long `*` waits."""
IDLE_PATIENCE = SECOND
"""How long a system call waits for the one before it to return."""
STEPS = 500_000
"""Most timers of the machine that may fire in one script."""


def play(
    script: Script,
    *,
    profile: str | Profile = "linux-6",
    options: Given | None = None,
    bench: Workbench | None = None,
    seed: int = 1,
) -> Verdict:
    """Play a script on a machine of `profile`, made for it; or on the one of `bench`.

    `options` are as on the command line of the tool, {"mtu": 1400}, and win over the script's. Never raises for
    what a script says: what is wrong with it is a failure, what is missing here a skip.
    """
    player = Player(script, profile, options or {}, bench, seed)
    return player.verdict()


class Player:
    """One run of one script."""

    def __init__(
        self,
        script: Script,
        profile: str | Profile,
        options: Given,
        bench: Workbench | None,
        seed: int,
    ) -> None:
        self.script = script
        self.profile = (
            bench.host.profile
            if bench
            else (load(profile) if isinstance(profile, str) else profile)
        )
        self.options = options
        self.given_bench = bench
        self.seed = seed
        self.moments: list[tuple[int, str, str | tuple[Segment, Space], bytes]] = []
        self.snippets: list[Snippet] = []
        self.blocked: tuple[Event, int, int, Running] | None = None
        """The call that has not returned yet: its event, when it was to begin and to return."""
        self.bad_checksum = ""
        """Of a packet since the last line that waited for one."""
        self.fault: Event | None = None
        self.steps = 0
        self.done = 0
        """The scripted time of the last event."""
        self.last: Event | None = None

    # --- the verdict -------------------------------------------------------------------------------

    def verdict(self) -> Verdict:
        """Play it."""
        outcome, message, failure, line = "passed", "", None, 0
        try:
            self.settings = settings_of(self.profile.system, self.script.options, self.options)
            if not self.settings.dry_run:
                self._prepare()
                try:
                    self._run()
                finally:
                    self._finish()
        except Skip as e:
            outcome, message, line = "skipped", e.feature, self._line()
        except Failure as e:
            outcome, message, failure, line = "failed", e.message, e, e.line or self._line()
        return Verdict(
            outcome,  # type: ignore[arg-type]
            self.script.path,
            line,
            message,
            failure.expected if failure else "",
            failure.actual if failure else "",
            tuple(_moment(*moment) for moment in self.moments),
        )

    def _line(self) -> int:
        if self.fault is not None:
            return self.fault.place.line
        return self.script.init.place.line if self.script.init else 1

    def _prepare(self) -> None:
        s = self.settings
        bench = self.given_bench
        if bench is None:
            bench = make_bench(self.profile, s, self.seed)
        self.bench: Workbench = bench
        self.begin = bench.now
        self.names = Symbols(self.profile.system)
        self.under = UnderTest(s, self.profile.system)
        self.calls = Calls(bench.host, self.names, self.under)
        self.shell = Shell(bench.host)

    def _finish(self) -> None:
        self.blocked = None
        self._note_unasked()
        self.calls.close_all()
        if self.given_bench is not None:
            if self.script.cleanup is not None:
                with suppress(
                    Skip, Failure
                ):  # the verdict is given, and a restore of knobs may name any file
                    self.shell.run(self.script.cleanup.text)
            self.bench.settle()
            for packet in self.under.resets():
                self.bench.inject(packet, 0)
        self.bench.close()

    # --- time --------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Ns since the script began."""
        return self.bench.now - self.begin

    def note(self, kind: str, text: str, octets: bytes = b"", at: int | None = None) -> None:
        """A line of the trace."""
        self.moments.append((self.now if at is None else at, kind, text, octets))

    def _tick(self, limit: int) -> bool:
        """Let time pass until something happens; False when `limit` came first. May raise what a call that
        returned meanwhile did wrong.
        """
        self.steps += 1
        if self.steps > STEPS:
            raise Failure(f"the machine did not come to rest: {STEPS} timers fired")
        end = self.begin + limit
        if self.blocked is not None:
            end = min(end, max(self.blocked[3].give_up, self.bench.now))
        happened = self.bench.step(end)
        if self.blocked is not None:
            self._ask_again()
        return happened or self.now < limit

    def _wait_until(self, time: int) -> None:
        while self.now < time:
            self._tick(time)

    def _tolerance(self, interval: int) -> int:
        s = self.settings
        return max(s.tolerance_usecs * US, int(max(interval, 0) * s.tolerance_percent / 100))

    def _resolve(self, event: Event) -> tuple[int, int | None, int | None]:
        """(time, end of range, end of the call) in ns since the begin."""
        time = event.time
        base = 0
        if time.kind == "relative":
            last = self.last
            both = last is not None and _inbound(last) and _inbound(event)
            base = self.done if both else self.now
        at = base + time.at * US
        until = None if time.until is None else base + time.until * US
        end = None if event.end is None else base + event.end * US
        return at, until, end

    def _start_calls(self) -> None:
        """The calls know what times in control messages count from, and how exact they are."""
        self.calls.started = self.begin
        self.calls.tolerance = self.settings.tolerance_usecs * US

    # --- the loop ----------------------------------------------------------------------------------

    def _run(self) -> None:
        for name in self.settings.init_scripts:
            self._command(name)
        if self.script.init is not None:
            self._command(self.script.init.text)
        self.begin = self.bench.now
        self._start_calls()
        for event in self.script.events:
            self.fault = event
            at, until, end = self._resolve(event)
            what = event.what
            match what:
                case TcpPacket() | UdpPacket() | IcmpPacket() if not what.inbound:
                    if event.time.kind == "any":
                        until = None
                    at = self._expect(event, what, at, until)
                case _:
                    self._begin_at(event, at)
                    self._act(event, what, at, end)
            self.done = at
            self.last = event
            self.bench.spend(EVENT_COST)
        self._last_call()
        if self.settings.strict:
            self._leftovers()
        self.fault = self.script.events[-1] if self.script.events else None
        run_snippets(
            self.snippets,
            self.profile.system,
            self.script.path,
            lambda text: self.note("code", text),
        )

    def _begin_at(self, event: Event, at: int) -> None:
        self._wait_until(at)
        late = self.now - at
        tolerance = self._tolerance(at - self.done)
        if late > tolerance:
            raise Failure(
                f"timing error: expected {_kind(event)} at {at / 1e9:.6f} sec but happened at"
                f" {self.now / 1e9:.6f} sec; tolerance {tolerance / 1e9:.6f} sec"
            )

    def _act(self, event: Event, what: object, at: int, end: int | None) -> None:
        match what:
            case TcpPacket() | UdpPacket() | IcmpPacket():
                self._inject(what)
            case Syscall():
                try:
                    self._call(event, what, at, end)
                except Failure as e:
                    if not self.settings.non_fatal_syscall:
                        raise
                    self.note("warning", e.message)
            case Command():
                self._command(what.text)
            case Code():
                text = what.text
                snapshot = snapshots.of(self.under.sut, self.bench.host)
                self.snippets.append(Snippet(text, _first_line(self.script.text, what), snapshot))
                self.note("code", "%{ … }%")

    def _command(self, text: str) -> None:
        self.note("command", f"`{text}`")
        self.shell.run(text)
        for note in self.shell.notes:
            self.note("warning", note)
        self.shell.notes.clear()
        self.bench.settle()
        if self.shell.sleep:
            pause, self.shell.sleep = self.shell.sleep, 0
            self._wait_until(self.now + pause)

    # --- packets -----------------------------------------------------------------------------------

    def _inject(self, p: TcpPacket | UdpPacket | IcmpPacket) -> None:
        try:
            data, text = self.under.inject(p)
        except Failure as e:
            raise Failure(f"error handling packet: {e.message}") from e
        except (struct.error, OverflowError, ValueError) as e:
            raise Failure(f"semantic error: {match.show_packet(p)} cannot be sent: {e}") from e
        self.note("<", text, data)
        gso = 0
        if isinstance(p, TcpPacket) and self.settings.mss and p.length > self.settings.mss:
            gso = self.settings.mss
        self.bench.inject(data, gso)
        if self.blocked is not None:
            self._ask_again()

    def _expect(
        self, event: Event, p: TcpPacket | UdpPacket | IcmpPacket, at: int, until: int | None
    ) -> int:
        """The next packet of the socket under test has to be this one. Answers the event's time."""
        anytime = event.time.kind == "any"
        begin = self.now
        deadline = begin + ANY_TIME if anytime else (at if until is None else until) + PATIENCE
        self.bad_checksum = ""
        live = self._next(p, deadline)
        if live is not None and isinstance(p, TcpPacket) and not self.settings.strict_segments:
            live = self._glued(p, live, deadline)
        expected = f"{self._stamp(event, at, until)} > {match.show_packet(p)}"
        try:
            if live is None:
                raise Failure("Timed out waiting for packet")
            if self.bad_checksum:
                raise Failure(f"live packet: bad {self.bad_checksum} checksum")
            self.under.expect(p, live, self.settings, self._tolerance(live.time))
        except Failure as e:
            failure = Failure(f"error handling packet: {e.message}", expected)
            if live is not None:
                shown = match.show_live(live, self.under.space(p), p)
                failure.actual = f"{live.time / 1e9:.6f} > {shown}"
            if not self.settings.non_fatal_packet:
                raise failure from None
            self.note("warning", failure.message)
            return self.now if anytime else at
        if anytime:
            return live.time
        tolerance = self._tolerance(at - self.done)
        if not at - tolerance <= live.time <= (at if until is None else until) + tolerance:
            limit = "" if until is None else f"~{until / 1e9:.6f}"
            shown = match.show_live(live, self.under.space(p), p)
            raise Failure(
                f"timing error: expected outbound packet at {at / 1e9:.6f}{limit} sec but happened at"
                f" {live.time / 1e9:.6f} sec; tolerance {tolerance / 1e9:.6f} sec",
                expected,
                f"{live.time / 1e9:.6f} > {shown}",
            )
        return at

    def _stamp(self, event: Event, at: int, until: int | None) -> str:
        if event.time.kind == "any":
            return "*"
        return f"{at / 1e9:.6f}" + (f"~{until / 1e9:.6f}" if until is not None else "")

    def _next(self, p: TcpPacket | UdpPacket | IcmpPacket, deadline: int) -> Segment | None:
        """The next packet on the wire that is the socket's, None if none comes until `deadline`."""
        wire = self.bench.wire
        while True:
            while wire:
                ns, data = wire.popleft()
                live = read(ns - self.begin, data)
                mine = self.under.owns(p, live)
                self.moments.append(self._sent(live, p if mine else None))
                if mine:
                    self.bad_checksum = self.bad_checksum or bad_checksum(live)
                    return live
            if self.now >= deadline:
                return None
            self._tick(deadline)

    def _glued(self, p: TcpPacket, live: Segment, deadline: int) -> Segment:
        """With following packets, until it has as many octets as the line says."""
        first = len(live.payload)
        while 0 < len(live.payload) < p.length:
            piece = self._next(p, deadline)
            if piece is None:
                break
            if not match.continues(live, piece, first, p.length):
                self._put_back(piece)
                break
            live = match.glue(live, piece)
        return live

    def _sent(self, live: Segment, p: object) -> tuple[int, str, tuple[Segment, Space], bytes]:
        """A packet for the trace; put into words at the end, when its numbers are known."""
        return live.time, ">", (live, Space() if p is None else self.under.space(p)), live.data

    def _put_back(self, piece: Segment) -> None:
        self.bench.wire.appendleft((piece.time + self.begin, piece.data))
        self.moments.pop()

    def _leftovers(self) -> None:
        """--strict: nothing of the socket may be on the wire that no line asked for."""
        for ns, data in self.bench.wire:
            live = read(ns - self.begin, data)
            if self.under.owns(None, live):
                shown = match.show_live(live, self.under.space())
                raise Failure(
                    "packet left over at the end of the script",
                    "none",
                    f"{live.time / 1e9:.6f} > {shown}",
                )

    def _note_unasked(self) -> None:
        """What the machine sent and no line asked for is in the trace too, at its time."""
        space = self.under.space()
        for ns, data in self.bench.wire:
            live = read(ns - self.begin, data)
            if self.under.owns(None, live):
                shown = f"{match.show_live(live, space)}  (no line asks for it)"
                self.note(">", shown, data, live.time)
        self.moments.sort(key=lambda moment: moment[0])

    # --- calls -------------------------------------------------------------------------------------

    def _call(self, event: Event, call: Syscall, at: int, end: int | None) -> None:
        if self.blocked is not None:
            self._await_blocked(self.now + IDLE_PATIENCE)
            self.fault = event
        begun = self.now
        running = self.calls.begin(call)
        self.bench.settle()
        if end is not None:
            self.blocked = (event, at, end, running)
            if not running.done:
                self.note("call", f"{_call_text(call)} ...")
            self._ask_again()
            return
        # A call without an end time holds everything up, as it does in the tool's only thread.
        while not running.again():
            limit = min(running.give_up, self.bench.now + ANY_TIME) - self.begin
            if running.give_up == NEVER and self.now >= begun + ANY_TIME:
                raise Failure(
                    f"runtime error in {call.name} call: it blocks, and the line gives no time at which it"
                    " returns"
                )
            self._tick(limit)
        self._returned(running)

    def _returned(self, running: Running) -> None:
        self.bench.settle()
        value = f"{running.value}"
        if running.error:
            value += f" {error_name(running.error)}"
        elif running.made is not None and running.call.result is not None:
            value = describe(running.call.result)  # descriptors have the numbers of the script
        self.note("call", f"{_call_text(running.call)} = {value}")
        self.calls.verify(running)

    def _ask_again(self) -> None:
        """Has the call that was waiting returned?"""
        assert self.blocked is not None
        event, at, end, running = self.blocked
        if not running.again():
            return
        self.blocked = None
        before, self.fault = self.fault, event
        now = self.now
        tolerance = self._tolerance(end - at)
        try:
            self._returned(running)
            if abs(now - end) > tolerance:
                raise Failure(
                    f"timing error: expected system call return at {end / 1e9:.6f} sec but happened at"
                    f" {now / 1e9:.6f} sec; tolerance {tolerance / 1e9:.6f} sec"
                )
        except Failure as e:
            if not self.settings.non_fatal_syscall:
                raise
            self.note("warning", e.message)
        self.fault = before

    def _await_blocked(self, deadline: int) -> None:
        while self.blocked is not None:
            if self.now >= deadline:
                self.fault = self.blocked[0]
                name = self.blocked[3].call.name
                raise Failure(f"runtime error in {name} call: it did not return")
            self._tick(deadline)

    def _last_call(self) -> None:
        """The script is over; a call that is to return later gets its time."""
        if self.blocked is not None:
            _, at, end, _ = self.blocked
            self._await_blocked(end + self._tolerance(end - at) + 1)


def make_bench(profile: Profile, settings: Settings, seed: int) -> Bench:
    """A machine with one interface, and the way to the remote address."""
    host = Host(
        "script",
        f"{dotted(settings.local_ip)}/{settings.prefix}",
        profile=profile,
        seed=seed,
        mtu=settings.mtu,
    )
    if profile.system != "linux":
        host.core.cfg.tcp_tso = 0
    base = settings.local_ip & (0xFFFFFFFF << (32 - settings.prefix)) & 0xFFFFFFFF
    offset = 2 if settings.local_ip != base + 2 else 3
    host.route("0.0.0.0/0", via=dotted(base + offset))
    return Bench(host)


def _moment(ns: int, kind: str, what: str | tuple[Segment, Space], octets: bytes) -> Moment:
    return Moment(ns, kind, what if isinstance(what, str) else match.show_live(*what), octets)


def _inbound(event: Event) -> bool:
    return bool(getattr(event.what, "inbound", False))


def _first_line(text: str, code: Code) -> int:
    """The line of a snippet's first word: blanks behind the brace were stripped."""
    line = code.place.line
    below = "\n".join(text.split("\n")[line - 1 :])
    inside = below[below.find("%{", code.place.column - 1) + 2 :]
    return line + inside[: len(inside) - len(inside.lstrip())].count("\n")


def _kind(event: Event) -> str:
    match event.what:
        case Syscall():
            return "system call"
        case Command():
            return "command"
        case Code():
            return "code"
    return "inbound packet"


def _call_text(call: Syscall) -> str:
    return f"{call.name}({', '.join(map(describe, call.args))})"
