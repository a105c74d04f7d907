"""`iptstate -1`: the flows as a table that is sorted, filtered and as wide as a terminal.

Source: iptstate 2.2.7 beside a 6.18 kernel (tests/firewall/iptstate.jsonl); what only its window knows (-R, -p, -m, -c)
changes nothing here, and names of hosts (-l) are not looked up. An ICMP identifier stands in the order of octets that
the tool forgets to turn round.
"""

from __future__ import annotations

import getopt
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import PROTO_GRE, PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_UDPLITE
from pystack.addresses import dotted, parse_host
from pystack.firewall.flows import WITH_PORTS, Flow

if TYPE_CHECKING:
    from pystack.firewall.conntrack import Conntrack

VERSION = "IPTables State Top Version 2.2.7"
COLUMNS = 80
"""Where nobody says how wide the terminal is."""
NARROWEST = 72
ROOM_FOR_COUNTERS = 85
SHORT = "cCd:D:hilmoLfprR:1b:s:S:tv"
LONG = """no-color counters dst-filter= dstpt-filter= help invert-filters lookup mark-truncated no-dynamic no-dns
    no-loopback no-scroll reverse rate= single sort= src-filter= srcpt-filter= totals version""".split()
LETTERS = dict(
    zip(
        (f"--{word.rstrip('=')}" for word in LONG),
        (f"-{letter}" for letter in "cCdDhilmoLfprR1bsStv"),
        strict=True,
    )
)
LOOPBACK = 0x7F000001
NAMES = {50: "esp", PROTO_GRE: "gre", PROTO_ICMP: "icmp", PROTO_TCP: "tcp", PROTO_UDP: "udp"} | {
    PROTO_UDPLITE: "udplite",
    2: "igmp",
    51: "ah",
    132: "sctp",
}
"""Of /etc/protocols; others are their number."""


@dataclass
class Wish:
    """What the options ask for."""

    sort: str = ""
    reverse: bool = False
    counters: bool = False
    totals: bool = False
    fixed: bool = False
    loopback: bool = False
    dns: bool = False
    inverted: bool = False
    filters: dict[str, tuple[str, Callable[[Row], bool]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A flow as the columns show it."""

    flow: Flow
    src: str
    dst: str
    proto: str
    state: str
    ttl: str
    octets: int
    packets: int


class BadUsage(ValueError):
    """The tool says this and ends with 1."""


def rows(conntrack: Conntrack) -> Iterator[Row]:
    """All flows in the order of the table."""
    for one in conntrack.flows():
        first = one.original
        ports = one.proto in WITH_PORTS
        state = one.state
        if one.proto == PROTO_ICMP:
            turned = (first.sport & 0xFF) << 8 | first.sport >> 8
            state = f"{first.kind}/{first.code} ({turned})"
        minutes, seconds = divmod(one.timeout, 60)
        yield Row(
            one,
            dotted(first.src) + (f":{first.sport}" if ports else ""),
            dotted(first.dst) + (f":{first.dport}" if ports else ""),
            NAMES.get(one.proto, str(one.proto)),
            state,
            f"{minutes // 60}:{minutes % 60:02}:{seconds:02}",
            sum(one.octets or ()),
            sum(one.packets or ()),
        )


def _port(one: Flow, port: int) -> int:
    return port if one.proto in WITH_PORTS else 0


KEYS: dict[str, tuple[str, Callable[[Row], Any]]] = {
    "": ("SrcIP", lambda row: row.flow.original.src),
    "S": ("SrcPort", lambda row: _port(row.flow, row.flow.original.sport)),
    "d": ("DstIP", lambda row: row.flow.original.dst),
    "D": ("DstPort", lambda row: _port(row.flow, row.flow.original.dport)),
    "p": ("Prt", lambda row: row.proto),
    "s": ("State", lambda row: row.state),
    "t": ("TTL", lambda row: row.flow.timeout),
    "b": ("Bytes", lambda row: row.octets),
    "P": ("Packets", lambda row: row.packets),
}
"""Letter of -b -> its word in the head, and what is compared."""


def wish(words: list[str]) -> Wish | str:
    """What the options ask for; or what is printed instead of a table. Raises BadUsage."""
    out = Wish()
    try:
        options, _ = getopt.gnu_getopt(words, SHORT, LONG)
    except getopt.GetoptError as error:
        raise BadUsage(_complaint(error)) from None
    for name, value in options:
        letter = LETTERS.get(name, name)[1]
        if letter == "v":
            return f"{VERSION}\n"
        if letter == "h":
            return f"{VERSION}\nUsage: iptstate [<options>]\n"
        if letter == "b":
            if value[:1] in KEYS and (value[:1] not in "bP" or out.counters):
                out.sort = value[:1]
        elif letter in "sd":
            out.filters[letter] = _address(letter, value)
        elif letter in "SD":
            out.filters[letter] = _port_filter(letter, value)
        elif letter in FLAGS:
            setattr(out, FLAGS[letter], True)
    return out


FLAGS = {
    "r": "reverse",
    "C": "counters",
    "t": "totals",
    "o": "fixed",
    "f": "loopback",
    "L": "dns",
    "i": "inverted",
}


def _complaint(error: getopt.GetoptError) -> str:
    letter = error.opt
    if len(letter) == 1:
        if "requires argument" in error.msg:
            return f"iptstate: option requires an argument -- '{letter}'"
        return f"iptstate: invalid option -- '{letter}'"
    if "requires argument" in error.msg:
        return f"iptstate: option '--{letter}' requires an argument"
    return f"iptstate: unrecognized option '--{letter}'"


def _number(text: str) -> int:
    """As atoi reads it."""
    digits = ""
    for char in text:
        if not char.isdecimal():
            break
        digits += char
    return int(digits or 0)


def _address(letter: str, text: str) -> tuple[str, Callable[[Row], bool]]:
    address, slash, length = text.partition("/")
    bits = _number(length) if slash else 32
    try:
        socket.inet_pton(socket.AF_INET, address)
        if bits > 32 or "." in length:
            raise OSError
    except OSError:
        raise BadUsage(f"Invalid IP address: {text}") from None
    mask = 0xFFFFFFFF << (32 - bits) & 0xFFFFFFFF
    wanted = parse_host(address) & mask
    name = {"s": "src", "d": "dst"}[letter]
    shown = f"{name}: {address}" + (f"/{bits}" if slash else "")
    return shown, lambda row: getattr(row.flow.original, name) & mask == wanted


def _port_filter(letter: str, text: str) -> tuple[str, Callable[[Row], bool]]:
    name, wanted = {"S": "sport", "D": "dport"}[letter], _number(text)
    return (
        f"{name}: {wanted}",
        lambda row: _port(row.flow, getattr(row.flow.original, name)) == wanted,
    )


def shown(row: Row, asked: Wish) -> bool:
    """Does this flow pass the filters?"""
    first = row.flow.original
    if asked.loopback and first.src == first.dst == LOOPBACK:
        return False
    if asked.dns and _port(row.flow, first.dport) == 53:
        return False
    return all(passes(row) != asked.inverted for _, passes in asked.filters.values())


def table(conntrack: Conntrack, asked: Wish, columns: int) -> str:
    """The text of one look. Raises BadUsage where the terminal is too narrow."""
    if columns < NARROWEST:
        raise BadUsage(
            f"\nI'm sorry, your terminal must be atleast {NARROWEST} columnswide to run iptstate"
        )
    every = list(rows(conntrack))
    title, key = KEYS[asked.sort]
    wanted = sorted(
        (row for row in every if shown(row, asked)), key=key, reverse=asked.reverse
    )  # ties stay in the order of the table
    lines = []
    counters = asked.counters and not asked.fixed
    if counters and columns < ROOM_FOR_COUNTERS:
        lines.append("Window too narrow for counters! Disabling.")
        counters = False
    lines.append(f"IP Tables State Top -- Sort by: {title}{' reverse' if asked.reverse else ''}")
    if asked.totals:
        lines.append(_totals(every, len(every) - len(wanted)))
    if asked.filters:
        order = [asked.filters[letter][0] for letter in "sSdD" if letter in asked.filters]
        lines.append(f"Filters: {', '.join(order)}{' (Inverted)' if asked.inverted else ''}")
    return "\n".join([*lines, *_lines(every, wanted, asked.fixed, counters, columns)]) + "\n"


def _totals(every: list[Row], filtered: int) -> str:
    count = {PROTO_TCP: 0, PROTO_UDP: 0, PROTO_ICMP: 0}
    for row in every:
        if row.flow.proto in count:
            count[row.flow.proto] += 1
    tcp, udp, icmp = count.values()
    return (
        f"Total States: {len(every)} -- TCP: {tcp} UDP: {udp} ICMP: {icmp} "
        f"Other: {len(every) - tcp - udp - icmp} (Filtered: {filtered})"
    )


def _lines(
    every: list[Row], wanted: list[Row], fixed: bool, counters: bool, columns: int
) -> Iterator[str]:
    """Head and rows. Columns are as wide as the widest of all flows needs, addresses share what they leave."""
    if fixed:
        for cells in (("Source", "Destination", "Prt", "State", "TTL      "), *map(_cells, wanted)):
            yield "{:<21} {:<21} {:<7} {:<12} {:>9}".format(*cells)
        return
    proto = max([3, *(len(row.proto) for row in every)])
    state = max([11, *(len(row.state) for row in every)])
    octets = max([2, *(len(str(row.octets)) for row in every)])
    packets = max([2, *(len(str(row.packets)) for row in every)])
    rest = columns - (proto + 1 + state + 1 + 9) - (octets + packets + 2 if counters else 0)
    src = rest - rest // 2 - 1
    dst = rest // 2 - 1
    for cells in (
        ("Source", "Destination", "Prt", "State", "TTL      ", "B", "P"),
        *map(_cells, wanted),
    ):
        line = f"{cells[0]:<{src}} {cells[1]:<{dst}} {cells[2]:<{proto}} {cells[3]:<{state}} {cells[4]:>9}"
        yield line + (f" {cells[5]:<{octets}} {cells[6]:<{packets}}" if counters else "")


def _cells(row: Row) -> tuple[str, ...]:
    return row.src, row.dst, row.proto, row.state, row.ttl, str(row.octets), str(row.packets)


def run(conntrack: Conntrack, words: list[str], columns: int) -> tuple[int, str, str]:
    """Exit status, output and error of `iptstate words` in a terminal that wide."""
    try:
        asked = wish(words)
        if isinstance(asked, str):
            return 0, asked, ""
    except BadUsage as error:
        return 1, "", f"{error}\n"
    try:
        return 0, table(conntrack, asked, columns), ""
    except BadUsage as error:
        return 3, "", f"{error}\n"
