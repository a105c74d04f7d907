"""Scripts with one thing changed that the machine does: a player that lets one pass compares nothing.

What the language itself does not compare has no mutants (docs/packetdrill.md, "What is not compared"):

- the sequence number of an outbound SYN: it says what the script calls its first number
- a window of which the line says nothing, the options of `<...>`, the number of `...(LEN)`, the time of `*`
- values and echoes of outbound timestamps, unless an option asks for them
- descriptors that `socket`, `accept`, `open`, `epoll_create` and `pipe` return, and the notes of calls
- inbound packets and the arguments of calls: they are what is done, not what is expected
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from pystack.packetdrill.script import (
    ACK,
    SYN,
    Arg,
    Code,
    Ellipsis_,
    Event,
    Field,
    IpInfo,
    List_,
    Number,
    Opt,
    Script,
    Struct,
    Symbol,
    Syscall,
    TcpPacket,
    Time,
)

FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
MAKES_DESCRIPTORS = {"socket", "accept", "accept4", "open", "epoll_create", "epoll_create1", "pipe"}
SECOND = 1_000_000
_U32 = 0xFFFF_FFFF

Change = tuple[str, int, tuple[Event, ...]]
"""What is changed, the index of an event, and the events that stand there instead."""


def changes(script: Script, *, complete: bool) -> Iterator[Change]:
    """All of them. `complete`: no packet comes behind the last line."""
    for at, event in enumerate(script.events):
        for what, changed in of_event(event):
            yield f"line {event.place.line}: {what}", at, (changed,)
        if complete and isinstance(event.what, TcpPacket) and not event.what.inbound:
            again = replace(event, time=Time("relative", 0))
            yield f"line {event.place.line}: twice", at, (event, again)


def mutant(script: Script, change: Change) -> Script:
    _, at, events = change
    return replace(script, events=(*script.events[:at], *events, *script.events[at + 1 :]))


def of_event(event: Event) -> Iterator[tuple[str, Event]]:
    what = event.what
    changed: Iterator[tuple[str, Any]] = iter(())
    if isinstance(what, TcpPacket) and not what.inbound:
        changed = of_packet(what)
        yield from of_time(event)
    elif isinstance(what, Syscall):
        changed = of_call(what)
        if event.end is not None:
            yield "returns a second later", replace(event, end=event.end + SECOND)
    elif isinstance(what, Code) and what.text.startswith("assert ") and "\n" not in what.text:
        condition = what.text.removeprefix("assert ").partition(",")[0]
        changed = iter([("assert not", replace(what, text=f"assert not ({condition})"))])
    for name, other in changed:
        yield name, replace(event, what=other)


def of_time(event: Event) -> Iterator[tuple[str, Event]]:
    """A second later; and where there is room, half as late."""
    time = event.time
    if time.kind == "any":
        return
    length = 0 if time.until is None else time.until - time.at
    later = time.at + length + 2 * SECOND
    later += later // 2  # beyond any tolerance_percent
    yield "later", replace(event, time=replace(time, at=later, until=_plus(time.until, later)))
    if time.kind == "relative" and time.at >= SECOND // 2:
        early = time.at // 2
        until = None if time.until is None else early
        yield "earlier", replace(event, time=replace(time, at=early, until=until))


def _plus(until: int | None, at: int) -> int | None:
    return None if until is None else at


# --- packets --------------------------------------------------------------------------------------


def of_packet(p: TcpPacket) -> Iterator[tuple[str, TcpPacket]]:
    for bit, name in enumerate(FLAGS):
        yield name, replace(p, flags=p.flags ^ (1 << bit))
    yield "AE", replace(p, ae=not p.ae)
    if p.seq_mode != "ignored" and not p.flags & SYN:
        for step in (1, -1, 1 << 31):
            seq, end = (p.seq + step) & _U32, (p.end + step) & _U32
            yield f"seq {seq}", replace(p, seq=seq, end=end)
    yield "one octet more", replace(p, end=(p.end + 1) & _U32, length=p.length + 1)
    if p.length:
        yield "one octet less", replace(p, end=(p.end - 1) & _U32, length=p.length - 1)
    ack = p.ack or 0
    for other in ((ack + 1) & _U32, (ack - 1) & _U32):
        yield f"ack {other}", replace(p, ack=other)
    if p.flags & ACK and ack:
        yield "no ack", replace(p, ack=None)
    if p.win is not None:
        yield "win", replace(p, win=p.win + 1 if p.win < 0xFFFF else p.win - 1)
        yield "win 0" if p.win else "win 1", replace(p, win=0 if p.win else 1)
    yield "urg", replace(p, urg=(p.urg or 0) + 1)
    ip = p.ip or IpInfo()
    yield "ecn", replace(p, ip=replace(ip, ecn="noecn" if ip.ecn == "ce" else "ce"))
    yield "ttl", replace(p, ip=replace(ip, ttl=1))
    yield "tos", replace(p, ip=replace(ip, tos=0xFC))
    if p.options is not None:
        for name, options in of_options(p.options):
            yield f"options {name}", replace(p, options=tuple(options))


def of_options(options: tuple[Opt, ...]) -> Iterator[tuple[str, list[Opt]]]:
    """One more, one less, another order, another value."""
    yield "with four nops", [*options, *[Opt("nop")] * 4]
    yield "with an mss", [*options, Opt("mss", (1,))]
    for at, option in enumerate(options):
        yield f"without {option.kind}", [*options[:at], *options[at + 1 :]]
        for value in other_values(option):
            yield str(value), [*options[:at], value, *options[at + 1 :]]
    for at, (left, right) in enumerate(pairwise(options)):
        if left != right:
            swapped = [*options[:at], right, left, *options[at + 2 :]]
            yield f"{right.kind} before {left.kind}", swapped
    if options:
        yield "none", []


def other_values(option: Opt) -> Iterator[Opt]:
    match option.kind:
        case "mss" | "wscale":
            (value,) = option.values
            assert isinstance(value, int)
            yield replace(option, values=(value - 1 if value else 1,))
        case "sack":
            blocks: list[Any] = list(option.values)
            for at, (left, right) in enumerate(blocks):
                for other in ((left - 1, right), (left, right + 1)):
                    yield replace(option, values=(*blocks[:at], other, *blocks[at + 1 :]))
            if len(blocks) > 1:
                yield replace(option, values=tuple(reversed(blocks)))
                yield replace(option, values=tuple(blocks[:-1]))
        case "nop" | "eol":
            yield Opt("eol" if option.kind == "nop" else "nop")
        case "FO" | "FOEXP" | "raw":
            (data,) = option.values
            if isinstance(data, bytes) and data:
                yield replace(option, values=(data[:-1] + bytes([data[-1] ^ 1]),))


# --- system calls ---------------------------------------------------------------------------------


def of_call(call: Syscall) -> Iterator[tuple[str, Syscall]]:
    if isinstance(call.result, Number) and call.name not in MAKES_DESCRIPTORS:
        value = call.result.value
        yield "result", replace(call, result=number(0 if value < 0 else value + 1), errno=None)
    if call.errno is not None:
        other = "EINVAL" if call.errno != "EINVAL" else "EBADF"
        yield f"errno {other}", replace(call, errno=other)
    elif isinstance(call.result, Number) and call.result.value >= 0:
        yield "an error", replace(call, result=number(-1), errno="EINVAL")
    if call.name == "getsockopt" and len(call.args) == 5:
        for at in (3, 4):
            for what, arg in other_args(call.args[at]):
                args = (*call.args[:at], arg, *call.args[at + 1 :])
                yield f"getsockopt {what}", replace(call, args=args)
    if call.name == "recvmsg" and isinstance(call.args[1], Struct) and call.errno is None:
        for what, message in other_messages(call.args[1]):
            yield f"recvmsg {what}", replace(call, args=(call.args[0], message, *call.args[2:]))
    if call.name == "poll" and isinstance(call.args[0], List_):
        for what, arg in other_events(call.args[0]):
            yield f"poll {what}", replace(call, args=(arg, *call.args[1:]))


def number(value: int) -> Number:
    return Number(value, str(value))


def other_args(arg: Arg) -> Iterator[tuple[str, Arg]]:
    """Another number in `[number]`."""
    match arg:
        case List_((Number(value),)):
            yield f"[{value + 1}]", List_((number(value + 1),))
        case List_((Symbol(name),)):
            yield f"not {name}", List_((number(12345),))
        case Ellipsis_():
            return


def other_messages(message: Struct) -> Iterator[tuple[str, Struct]]:
    """Other flags; a control message less, one more, one with another number in it, or at another time."""
    for at, each in enumerate(message.fields):
        if each.name == "msg_flags" and not isinstance(each.value, Ellipsis_):
            for flag in ("MSG_CTRUNC", "MSG_TRUNC"):
                if flag not in repr(each.value):
                    yield f"with {flag}", _with(message, at, Symbol(flag))
        elif each.name == "msg_control" and isinstance(each.value, List_):
            items = each.value.items
            for i, item in enumerate(items):
                yield "a message less", _with(message, at, List_((*items[:i], *items[i + 1 :])))
                for what, other in other_fields(item):
                    yield what, _with(message, at, List_((*items[:i], other, *items[i + 1 :])))
            if items:
                yield "a message twice", _with(message, at, List_((*items, items[-1])))


def other_fields(arg: Arg) -> Iterator[tuple[str, Struct]]:
    """One number of a control message is another; a second later, the number of whoever else has it."""
    if not isinstance(arg, Struct):
        return
    for at, each in enumerate(arg.fields):
        match each.value:
            case Number(value) if each.name != "scm_nsec":
                yield f"{each.name} {value + 1}", _with(arg, at, number(value + 1))
            case Number(value):
                yield f"{each.name} later", _with(arg, at, number(value + 500_000_000))
            case Symbol(name):
                yield f"not {name}", _with(arg, at, number(12345))
            case Struct():
                for what, inner in other_fields(each.value):
                    yield what, _with(arg, at, inner)


def _with(struct: Struct, at: int, value: Arg) -> Struct:
    """The structure with another value in one field."""
    changed = replace(struct.fields[at], value=value)
    return Struct((*struct.fields[:at], changed, *struct.fields[at + 1 :]))


def other_events(fds: List_) -> Iterator[tuple[str, List_]]:
    for at, each in enumerate(fds.items):
        if isinstance(each, Struct):
            fields = tuple(f for f in each.fields if f.name != "revents")
            given = each.get("revents")
            other: Arg = Symbol("POLLPRI")
            if isinstance(given, Symbol) and given.name == "POLLPRI":
                other = Symbol("POLLIN")
            changed = Struct((*fields, Field("revents", other)))
            yield "revents", List_((*fds.items[:at], changed, *fds.items[at + 1 :]))
