"""`pipe | queue | sched N config | delete` and which command it is (sbin/ipfw/dummynet.c)."""

from __future__ import annotations

from typing import Any

from pystack._fast.ipfw_codel import Codel, FlowSet
from pystack._fast.ipfw_kinds import NO_MASK
from pystack._fast.ipfw_pipe import Pipe
from pystack.firewall.ipfw.cnumbers import starts_digit, strtol
from pystack.firewall.ipfw.commands import confirmed
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_UNAVAILABLE, EX_USAGE, Refusal
from pystack.firewall.ipfw.pipe_show import LOST, MS, TYPES, US, show
from pystack.firewall.ipfw.run import Run
from pystack.firewall.ipfw.words import Words

KINDS = ("pipe", "queue", "sched")
_ABSENT = {
    "red": "RED",
    "gred": "RED",
    "pie": "PIE",
    "profile": "delay profiles",
    "fq_pie": "FQ-PIE",
    "qfq": "QFQ",
    "prio": "the scheduler prio",
}
_FIELDS = ("proto", "src-ip", "src-port", "dst-ip", "dst-port")
_FULL = (0xFF, 0xFFFFFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFF)
_UNITS = {"us": US, "ms": MS, "": MS, "s": 1000 * MS}
_TARGET_MAX, _INTERVAL_MAX = 10_000 * MS, 100_000 * MS
_NUMBERS = 65535
_FAIR = {"quantum": 9000, "limit": 20480, "flows": 65536}
"""What FQ-CoDel may be told, and the most of it."""


def pipes(run: Run, kind: str, words: Words, net: Any) -> None:
    """A command about pipes (or `queue`, `sched`: `kind`); `net`: the machine's dummynet."""
    asked = [words.take()] if starts_digit(words.peek() or "") else []
    command = words.need("missing command")
    words.take()
    words = run.words(asked + words.rest())
    if "config".startswith(command):
        _config(run, kind, words, net)
    elif "show".startswith(command) or "list".startswith(command):
        show(run, kind, words, net)
    elif "delete".startswith(command):
        _delete(run, kind, words, net)
    elif "flush".startswith(command):
        if confirmed(run):
            for number in list(net.sets):
                _drop_set(net, number)
            for number in list(net.pipes):
                _drop_pipe(net, number)
            if not run.flags.quiet:
                run.say("Flushed all pipes.")
    else:
        raise Refusal(EX_USAGE, f"bad command `{command}'")


# --- config ------------------------------------------------------------------------------------------------------


def _config(run: Run, kind: str, words: Words, net: Any) -> None:
    """`config`: options that are not named get their defaults."""
    number, rest = strtol(words.peek() or "")
    if not starts_digit(words.peek() or "") or rest or not 0 < number <= _NUMBERS:
        raise Refusal(EX_USAGE, "missing pipe/flowset/sched number")
    words.take()
    pipe: Any = Pipe(number)
    fs: Any = FlowSet(number) if kind == "queue" else pipe.own
    while words:
        _option(run, kind, words, pipe, fs, net)
    if fs.octets > net.byte_limit:
        raise Refusal(EX_DATAERR, f"queue size must be < {net.byte_limit}B")
    if not fs.octets and not 2 <= fs.slots <= net.slot_limit:
        raise Refusal(EX_DATAERR, f"2 <= queue size <= {net.slot_limit}")
    if fs.mask == NO_MASK:
        fs.buckets = 1
    elif fs.buckets == 1:
        fs.buckets = net.hash_size
    if kind == "sched" and fs.pipe not in (0, number):
        raise Refusal(EX_UNAVAILABLE, f"sched {number}: it is pipe {number} that it belongs to")
    if kind == "queue" and not fs.pipe:
        raise Refusal(EX_DATAERR, "queue without a pipe: config pipe N")
    if run.flags.test_only:
        return
    if kind == "queue":
        _set_queue(net, number, fs)
    else:
        _set_pipe(net, kind, number, pipe)


def _set_queue(net: Any, number: int, fs: Any) -> None:
    """A queue; what waits in one of the same number stays there."""
    old = net.sets.get(number)
    if old is None or old.pipe != fs.pipe:
        net.sets[number] = fs
        return
    for name in ("slots", "octets", "plr", "mask", "weight", "silent", "buckets", "codel"):
        setattr(old, name, getattr(fs, name))


def _set_pipe(net: Any, kind: str, number: int, new: Any) -> None:
    """A pipe or, of one, the scheduler; what is on its way goes on."""
    pipe = net.pipes.setdefault(number, Pipe(number))
    if kind == "sched":
        pipe.queue_mask = new.own.mask
        pipe.queue_buckets = new.own.buckets
        if pipe.kind != new.kind:
            _close(net, pipe.queue_lines)
        pipe.kind = new.kind
        _tell(pipe.fair, new.fair)
        return
    for name in ("rate", "delay", "burst"):
        setattr(pipe, name, getattr(new, name))
    pipe.mask = new.own.mask
    for name in ("slots", "octets", "plr", "silent", "buckets", "codel"):
        setattr(pipe.own, name, getattr(new.own, name))


def _option(run: Run, kind: str, words: Words, pipe: Any, fs: Any, net: Any) -> None:
    word = words.take()
    if word == "codel" and kind != "sched":
        _is_known(run, "CoDel", word)
        fs.codel = Codel(net.codel.target, net.codel.interval)
        _codel(words, fs.codel)
        return
    if word in _ABSENT:
        raise Refusal(EX_UNAVAILABLE, f"{word}: there is no {_ABSENT[word]} on this machine")
    if word in ("bw", "bandwidth") and kind == "pipe":
        pipe.rate = _bandwidth(words.need("needs bandwidth or interface\n", EX_USAGE))
    elif word == "delay" and kind == "pipe":
        text = words.need("needs delay argument 0..10000ms\n", EX_USAGE)
        value, rest = strtol(text, 0)
        if rest not in ("", "ms") or not 0 <= value <= 10000:
            raise Refusal(EX_DATAERR, f"delay must be 0..10000ms: {text}")
        pipe.delay = value * MS
    elif word == "burst" and kind == "pipe":
        pipe.burst = 8 * _octets(words.need("needs burst argument\n", EX_USAGE))
    elif word == "plr" and kind != "sched":
        fs.plr = _loss(words.need("needs plr argument 0..1\n", EX_USAGE))
    elif word == "queue" and kind != "sched":
        _size(fs, words.need("needs queue size\n", EX_USAGE))
    elif word == "mask":
        fs.mask = _mask(words)
        return
    elif (word == "pipe" and kind != "pipe") or (word == "sched" and kind == "queue"):
        fs.pipe = _number(words.need("needs pipe_number\n", EX_USAGE), 1, _NUMBERS, "pipe_number")
    elif word == "weight" and kind == "queue":
        fs.weight = _number(
            words.need("needs weight argument 1..100\n", EX_USAGE), 1, 100, "weight"
        )
    elif word == "type" and kind == "sched":
        name = words.need("needs type argument\n", EX_USAGE).lower()
        if name in _ABSENT:
            raise Refusal(
                EX_UNAVAILABLE, f"type {name}: there is no {_ABSENT[name]} on this machine"
            )
        if name not in TYPES:
            raise Refusal(EX_DATAERR, f"unrecognised scheduler type {name}")
        pipe.kind = TYPES[name]
        words.take()
        if name == "fq_codel":
            _is_known(run, "FQ-CoDel", f"type {name}")
            _tell(pipe.fair, net.fair)
            _fair_queues(words, pipe.fair)
        return
    elif word == "buckets":
        fs.buckets = _number(words.need("needs argument\n", EX_USAGE), 1, 65536, "buckets")
    elif word == "noerror":
        fs.silent = True
        return
    else:
        raise Refusal(EX_DATAERR, f"unrecognised option ``{word}''")
    words.take()


def _is_known(run: Run, what: str, word: str) -> None:
    if run.era < Era.E12:
        raise Refusal(EX_UNAVAILABLE, f"{word}: there is no {what} before FreeBSD 11")


def _codel(words: Words, codel: Any) -> bool:
    """`target T`, `interval T`, `ecn`, `noecn`, as long as there are such; False: there was none."""
    found = False
    while (word := words.peek()) in ("target", "interval", "ecn", "noecn"):
        words.take()
        found = True
        if word == "target":
            codel.target = _time(words, "target", _TARGET_MAX)
        elif word == "interval":
            codel.interval = _time(words, "interval", _INTERVAL_MAX)
        else:
            codel.ecn = word == "ecn"
    return found


def _fair_queues(words: Words, fair: Any) -> None:
    """The same, `quantum N`, `limit N` and `flows N`."""
    while words:
        word = words.peek() or ""
        if word in _FAIR:
            words.take()
            text = words.need(f"needs {word} argument\n", EX_USAGE)
            setattr(fair, word, _number(text, 1, _FAIR[word], word))
            words.take()
        elif not _codel(words, fair.codel):
            break


def _tell(fair: Any, told: Any) -> None:
    """A scheduler, which may be at work, is told what another one was."""
    for name in _FAIR:
        setattr(fair, name, getattr(told, name))
    fair.codel = Codel(told.codel.target, told.codel.interval, told.codel.ecn)


def _time(words: Words, name: str, most: int) -> int:
    """`5ms`, `300us`, `1s`; without a unit it is ms."""
    text = words.need(f"needs {name} argument\n", EX_USAGE)
    value, unit = strtol(text)
    span = value * _UNITS.get(unit, 0)
    if not starts_digit(text) or not US <= span <= most:
        raise Refusal(EX_DATAERR, f"{name} must be 1us..{most // (1000 * MS)}s: {text}")
    words.take()
    return span


def _number(text: str, low: int, high: int, name: str) -> int:
    value, rest = strtol(text, 0)
    if rest or not starts_digit(text) or not low <= value <= high:
        raise Refusal(EX_DATAERR, f"{name} must be {low}..{high}: {text}")
    return value


def _bandwidth(text: str) -> int:
    """Bits a second: `10Mbit/s`, `30Byte/s`, `0`."""
    value, unit = strtol(text, 0)
    factor = 1
    rest = unit
    if unit[:1] and unit[0] in "kKmMgG":
        factor = {"k": 10**3, "m": 10**6, "g": 10**9}[unit[0].lower()]
        rest = unit[1:]
    if rest.lower() in ("byte/s", "bytes/s", "byte", "bytes") or rest[:1] == "B":
        factor *= 8
    elif rest.lower() not in ("", "bit/s", "bits/s", "bit", "bits"):
        raise Refusal(EX_DATAERR, f"bandwidth: unknown unit {unit}")
    if not starts_digit(text) or value * factor > 1 << 40:
        raise Refusal(EX_DATAERR, f"bandwidth too large: {text}")
    return value * factor


def _octets(text: str) -> int:
    """A number of octets, `2048`, `4KBytes`, `1M`."""
    value, unit = strtol(text, 0)
    if not starts_digit(text) or value < 0:
        raise Refusal(EX_DATAERR, f"bad size: {text}")
    factor = {"k": 1024, "m": 1 << 20}.get(unit[:1].lower(), 1)
    return value * factor


def _size(fs: Any, text: str) -> None:
    """Slots, or with a unit octets."""
    value, unit = strtol(text, 0)
    if unit[:1] and unit[0] in "kKbB":
        fs.octets = value * (1024 if unit[0] in "kK" else 1)
    elif unit or not starts_digit(text):
        raise Refusal(EX_DATAERR, f"bad queue size: {text}")
    else:
        fs.slots = value


def _loss(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        raise Refusal(EX_DATAERR, f"plr must be 0..1: {text}") from None
    if not 0 <= value <= 1:
        raise Refusal(EX_DATAERR, f"plr must be 0..1: {text}")
    return int(value * LOST)


def _mask(words: Words) -> tuple[int, ...]:
    """`mask all` or `mask FIELD MASK …`."""
    words.need("needs mask specifier\n", EX_USAGE)
    mask = list(NO_MASK)
    while words:
        word = words.peek()
        if word == "all":
            words.take()
            return _FULL
        if word not in _FIELDS:
            break
        words.take()
        at = _FIELDS.index(word)
        text = words.need("missing mask", EX_USAGE)
        value, rest = strtol(text.removeprefix("/"), 0)
        if text.startswith("/"):
            bits = _FULL[at].bit_length()
            value = _FULL[at] ^ ((1 << bits - value) - 1) if 0 <= value <= bits else -1
        if rest or not 0 < value <= _FULL[at]:
            raise Refusal(EX_DATAERR, f"bad mask {text}")
        words.take()
        mask[at] = value
    if tuple(mask) == NO_MASK:
        raise Refusal(EX_USAGE, "needs mask specifier\n")
    return tuple(mask)


# --- delete ------------------------------------------------------------------------------------------------------


def _delete(run: Run, kind: str, words: Words, net: Any) -> None:
    words.need("missing rule specification")
    while starts_digit(words.peek() or ""):
        number = strtol(words.take())[0]
        if number not in (net.sets if kind == "queue" else net.pipes):
            run.status = EX_UNAVAILABLE
            run.warn(f"rule {number}: setsockopt(IP_DUMMYNET_DEL): Invalid argument")
        elif kind == "queue":
            _drop_set(net, number)
        else:
            _drop_pipe(net, number)


def _drop_pipe(net: Any, number: int) -> None:
    pipe = net.pipes.pop(number)
    _close(net, pipe.lines)
    _close(net, pipe.queue_lines)


def _drop_set(net: Any, number: int) -> None:
    """A queue goes; what waits in it is lost."""
    fs = net.sets.pop(number)
    pipe = net.pipes.get(fs.pipe)
    if pipe is not None:
        _close(net, pipe.queue_lines)


def _close(net: Any, lines: dict[Any, Any]) -> None:
    for line in lines.values():
        net.close(line)
    lines.clear()
