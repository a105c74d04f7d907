"""What a new value must pass before a knob takes it. Knob files name these rules.

A rule gets the `Turn` (what is being written, and what stands there) and answers the value to store;
it raises ValueError with the rule in words, which the caller turns into EINVAL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pystack._fast.consts import IPFW_12
from pystack.sysctl.knob import Knob, Value


@dataclass(frozen=True, slots=True)
class Turn:
    """One knob being turned."""

    knob: Knob
    name: str
    new: Value
    old: Value | None
    """None while the machine boots: rules about change do not hold then."""
    read: Callable[[str], int]
    """Another knob of the machine, as a number."""
    log: Callable[[str], None]
    """A line for the kernel's message buffer."""
    config: Any
    """The machine's settings (`Config`), for what differs from one release to the next."""

    @property
    def number(self) -> int:
        """The new value of a knob that takes one number."""
        assert isinstance(self.new, int), self.name
        return self.new


Rule = Callable[[Turn], Value]


def in_range(turn: Turn) -> Value:
    """Each number lies between the knob's smallest and largest."""
    if isinstance(turn.new, str):
        return turn.new
    low, high = turn.knob.range
    for number in turn.new if isinstance(turn.new, tuple) else (turn.new,):
        if not low <= number <= high:
            raise ValueError(f"{number} is not between {low} and {high}")
    return turn.new


def fastopen_key(turn: Turn) -> Value:
    """Four words of up to eight hexadecimal digits with dashes between; they are stored in full."""
    words = str(turn.new).split("-")
    try:
        numbers = [int(word, 16) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(0 <= number < 2**32 for number in numbers):
        raise ValueError(f"{turn.new!r} is not four hexadecimal words such as 1-2-3-a4b5c6d7")
    return "-".join(f"{number:08x}" for number in numbers)


def clamp(turn: Turn) -> Value:
    """A number outside the range becomes the nearest inside; nobody is told (FreeBSD's ports)."""
    low, high = turn.knob.range
    return min(max(turn.number, low), high)


def ignore(turn: Turn) -> Value:
    """A number outside the range changes nothing; nobody is told (net.inet.tcp.maxtcptw)."""
    low, high = turn.knob.range
    if low <= turn.number <= high or turn.old is None:
        return clamp(turn)
    return turn.old


def choice(turn: Turn) -> Value:
    """The name is one of those that the knob knows."""
    if turn.new not in turn.knob.choices:
        known = ", ".join(map(str, turn.knob.choices))
        raise LookupError(f"{turn.new!r} is none of {known}")
    return turn.new


def only_grow(turn: Turn) -> Value:
    """The number may grow, never shrink (kern.ipc.nmbclusters and its siblings)."""
    if isinstance(turn.old, int) and turn.number < turn.old:
        raise ValueError(f"it may only grow, and is {turn.old} now")
    return turn.new


CLUSTERS = (
    "kern.ipc.nmbclusters",
    "kern.ipc.nmbjumbop",
    "kern.ipc.nmbjumbo9",
    "kern.ipc.nmbjumbo16",
)


def enough_mbufs(turn: Turn) -> Value:
    """There are as many mbufs as clusters of all kinds together, counted before the change."""
    if turn.old is not None and turn.new != turn.old:
        clusters = sum(turn.read(name) for name in CLUSTERS)
        mbufs = turn.read("kern.ipc.nmbufs")
        if mbufs < clusters:
            text = f"kern.ipc.nmbufs ({mbufs}) is less than all clusters together ({clusters})"
            raise ValueError(f"{text}: raise it first")
    return turn.new


def at_most_maxfiles(turn: Turn) -> Value:
    """No more sockets than files."""
    files = turn.read("kern.maxfiles")
    if turn.old not in (None, turn.new) and turn.number > files:
        raise ValueError(f"it may not exceed kern.maxfiles, which is {files}")
    return turn.new


def power_of_two_or_512(turn: Turn) -> Value:
    """The syncache's buckets: anything but a power of two is replaced by 512, with a warning."""
    if turn.number > 0 and turn.number & (turn.number - 1) == 0:
        return turn.new
    turn.log("WARNING: syncache hash size is not a power of 2.")
    return 512


CHAINS_OF_A_PAGE = 512


def page_of_chains(turn: Turn) -> Value:
    """The chains of conntrack fill whole pages: rounded up to a multiple of 512."""
    return -(-turn.number // CHAINS_OF_A_PAGE) * CHAINS_OF_A_PAGE


def next_power_of_two(turn: Turn) -> Value:
    """The connection table's buckets: rounded up to a power of two, at least 16, with a warning."""
    size = turn.number
    if size > 0 and size & (size - 1) == 0:
        return size
    clipped = max(1 << max(size, 0).bit_length(), 16)
    turn.log(
        f"tcp_init: WARNING: TCB hash size not a power of 2, clipped from {size} to {clipped}."
    )
    return clipped


def ordered(turn: Turn) -> Value:
    """The numbers of a row do not fall."""
    assert isinstance(turn.new, tuple), turn.name
    if list(turn.new) != sorted(turn.new):
        raise ValueError(f"{' '.join(map(str, turn.new))} is not in order")
    return turn.new


def above_privileged(turn: Turn) -> Value:
    """The port range begins at or above the first port that needs no privilege."""
    assert isinstance(turn.new, tuple), turn.name
    first = turn.read("net.ipv4.ip_unprivileged_port_start")
    if turn.new[0] < first:
        text = f"it may not begin below net.ipv4.ip_unprivileged_port_start, which is {first}"
        raise ValueError(text)
    return turn.new


def below_port_range(turn: Turn) -> Value:
    """Privileged ports end where the port range begins."""
    first = turn.read("net.ipv4.ip_local_port_range")
    if turn.number > first:
        raise ValueError(f"it may not exceed the start of ip_local_port_range, which is {first}")
    return turn.new


def at_most_max_reordering(turn: Turn) -> Value:
    """It is no larger than net.ipv4.tcp_max_reordering, where there is that."""
    most = turn.read("net.ipv4.tcp_max_reordering")
    if turn.old is not None and 0 < most < turn.number:
        raise ValueError(f"it may not exceed tcp_max_reordering, which is {most}")
    return turn.new


def frag_low(turn: Turn) -> Value:
    """Reassembly's lower mark is not above the upper one."""
    high = turn.read("net.ipv4.ipfrag_high_thresh")
    if turn.old is not None and turn.number > high:
        raise ValueError(f"it may not exceed ipfrag_high_thresh, which is {high}")
    return turn.new


def frag_high(turn: Turn) -> Value:
    """Reassembly's upper mark is not below the lower one."""
    low = turn.read("net.ipv4.ipfrag_low_thresh")
    if turn.old is not None and turn.number < low:
        raise ValueError(f"it may not be below ipfrag_low_thresh, which is {low}")
    return turn.new


FEWEST_CHAINS = 256


def ipfw_chains(turn: Turn) -> Value:
    """The most chains of ipfw's states: from 12 on more than 256, rounded up to a power of two; before that any number
    is taken, and looked at when it is used.
    """
    if turn.config.policy_ipfw != IPFW_12:
        return turn.new
    if turn.number <= FEWEST_CHAINS:
        raise ValueError(f"it must be more than {FEWEST_CHAINS}")
    return 1 << (turn.number - 1).bit_length()


MOST_TABLES = 65535


def ipfw_tables(turn: Turn) -> Value:
    """The number of ipfw's tables: no more than 65535; from 12 on not 0, a power of two, and never fewer."""
    wanted = min(turn.number, MOST_TABLES)
    if turn.config.policy_ipfw != IPFW_12:
        return wanted
    if wanted == 0:
        raise ValueError("there must be tables")
    wanted = 1 << (wanted - 1).bit_length()
    if isinstance(turn.old, int) and wanted < turn.old:
        raise ValueError(f"it may only grow, and is {turn.old} now")
    return wanted


TICK = 4
"""Milliseconds of a Linux kernel's clock at 250 Hz."""


def ticks(turn: Turn) -> Value:
    """A time in milliseconds is kept in ticks of the kernel's clock, 4 ms, rounded up."""
    return -(-turn.number // TICK) * TICK


def port_list(turn: Turn) -> Value:
    """Ports and ranges of ports with commas between them, kept in order and joined: 80,90-100."""
    ports: set[int] = set()
    for part in str(turn.new).split(",") if turn.new else ():
        first, dash, last = part.partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdecimal() for end in ends):
            raise ValueError(f"{part!r} is neither a port nor a range such as 90-100")
        low, high = map(int, ends)
        if not low <= high <= 65535:
            raise ValueError(f"{part} is no range of ports up to 65535")
        ports.update(range(low, high + 1))
    starts = sorted(port for port in ports if port - 1 not in ports)
    lasts = sorted(port for port in ports if port + 1 not in ports)
    return ",".join(
        str(low) if low == high else f"{low}-{high}"
        for low, high in zip(starts, lasts, strict=True)
    )


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "above-privileged": above_privileged,
        "at-most-max-reordering": at_most_max_reordering,
        "at-most-maxfiles": at_most_maxfiles,
        "below-port-range": below_port_range,
        "choice": choice,
        "clamp": clamp,
        "enough-mbufs": enough_mbufs,
        "fastopen-key": fastopen_key,
        "frag-high": frag_high,
        "frag-low": frag_low,
        "ignore": ignore,
        "ipfw-chains": ipfw_chains,
        "ipfw-tables": ipfw_tables,
        "next-power-of-two": next_power_of_two,
        "only-grow": only_grow,
        "ordered": ordered,
        "page-of-chains": page_of_chains,
        "port-list": port_list,
        "power-of-two-or-512": power_of_two_or_512,
        "ticks": ticks,
    }
)
"""Rules by the name that knob files give them."""

REPLACES_RANGE = frozenset({"clamp", "ignore", "power-of-two-or-512", "next-power-of-two"})
"""Rules that say themselves what becomes of a number outside the range."""


def check(turn: Turn) -> Value:
    """The value to store. Raises ValueError (EINVAL) or LookupError (ENOENT) with the rule."""
    names = turn.knob.rules
    value = turn.new if REPLACES_RANGE.intersection(names) else in_range(turn)
    for name in names:
        value = RULES[name](replace(turn, new=value))
    return value
