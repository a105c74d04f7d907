"""Tables of words: flags, codes and the like, both ways."""

from __future__ import annotations

from pystack.firewall.ipfw.errors import EX_DATAERR, Refusal

Table = tuple[tuple[str, int], ...]

UNREACH: Table = (
    ("net", 0),
    ("host", 1),
    ("protocol", 2),
    ("port", 3),
    ("needfrag", 4),
    ("srcfail", 5),
    ("net-unknown", 6),
    ("host-unknown", 7),
    ("isolated", 8),
    ("net-prohib", 9),
    ("host-prohib", 10),
    ("tosnet", 11),
    ("toshost", 12),
    ("filter-prohib", 13),
    ("host-precedence", 14),
    ("precedence-cutoff", 15),
)
UNREACH6: Table = (("no-route", 0), ("admin-prohib", 1), ("address", 3), ("port", 4))
TCP_FLAGS: Table = (("syn", 2), ("fin", 1), ("ack", 16), ("psh", 8), ("rst", 4), ("urg", 32))
TCP_OPTIONS: Table = (
    ("mss", 1),
    ("maxseg", 1),
    ("window", 2),
    ("sack", 4),
    ("ts", 8),
    ("timestamp", 8),
    ("cc", 16),
)
IP_OPTIONS: Table = (("ssrr", 2), ("lsrr", 1), ("rr", 4), ("ts", 8))
IP_TOS: Table = (
    ("lowdelay", 0x10),
    ("throughput", 0x08),
    ("reliability", 0x04),
    ("mincost", 0x02),
    ("congestion", 0x03),
    ("ecntransport", 0x02),
)
LIMIT_MASKS: Table = (
    ("all", 15),
    ("src-addr", 1),
    ("src-port", 2),
    ("dst-addr", 4),
    ("dst-port", 8),
)
DSCP: Table = (
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("be", 0),
    ("ef", 46),
    ("cs0", 0),
    ("cs1", 8),
    ("cs2", 16),
    ("cs3", 24),
    ("cs4", 32),
    ("cs5", 40),
    ("cs6", 48),
    ("cs7", 56),
)
ETHER_TYPES: Table = (
    ("ip", 0x0800),
    ("ipv4", 0x0800),
    ("ipv6", 0x86DD),
    ("arp", 0x0806),
    ("rarp", 0x8035),
    ("vlan", 0x8100),
    ("loop", 0x9000),
    ("trail", 0x1000),
    ("at", 0x809B),
    ("atalk", 0x809B),
    ("aarp", 0x80F3),
    ("pppoe_disc", 0x8863),
    ("pppoe_sess", 0x8864),
    ("ipx_8022", 0x00E0),
    ("ipx_8023", 0x0000),
    ("ipx_ii", 0x8137),
    ("ipx_snap", 0x8137),
    ("ipx", 0x8137),
    ("inet", 0x0800),
)
LOOKUP_KEYS = ("dst-ip", "src-ip", "dst-port", "src-port", "uid", "jail", "dscp")
"""What `lookup KEY TABLE` can look for, by number."""


def value(table: Table, word: str) -> int | None:
    """What a word stands for."""
    return next((each for name, each in table if name == word), None)


def name(table: Table, number: int) -> str | None:
    """The first word for a number."""
    return next((word for word, each in table if each == number), None)


def read_flags(table: Table, text: str) -> int:
    """Flags that must be set, and with `!` clear: set | clear << 8."""
    found = 0
    rest = text
    while rest:
        word, _, rest = rest.partition(",")
        shift = 8 if word.startswith("!") else 0
        word = word.removeprefix("!")
        bits = value(table, word)
        if not bits:
            raise Refusal(EX_DATAERR, f"invalid flag {word}")
        found |= bits << shift
    return found


def flags_text(table: Table, arg: int) -> str:
    """Flags as they are printed."""
    wanted, clear = arg & 0xFF, arg >> 8
    parts = []
    for word, bits in table:
        if wanted & bits:
            wanted &= ~bits
            parts.append(word)
        if clear & bits:
            clear &= ~bits
            parts.append("!" + word)
    return ",".join(parts)
