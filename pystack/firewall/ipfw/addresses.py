"""Addresses of a rule: `any`, `me`, tables, lists of addresses and masks, sets of addresses within a network."""

from __future__ import annotations

import re

from pystack._fast.ipfw_ops import (
    O_IP_DST,
    O_IP_DST_LOOKUP,
    O_IP_DST_MASK,
    O_IP_DST_ME,
    O_IP_DST_SET,
    O_IP_SRC,
    O_IP_SRC_LOOKUP,
    O_IP_SRC_MASK,
    O_IP_SRC_ME,
    O_IP_SRC_SET,
)
from pystack.firewall.ipfw.cnumbers import (
    atoi,
    inet_aton,
    mask_length,
    starts_digit,
    strtol,
    strtoul,
)
from pystack.firewall.ipfw.draft import Draft
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_NOHOST, EX_UNAVAILABLE, EX_USAGE, Refusal
from pystack.firewall.ipfw.operands import table_name
from pystack.firewall.ipfw.words import matches

ALL_ONES = 0xFFFFFFFF
_MOST_WORDS = 63
_ENTRY = re.compile(r"([^/:,{]*)(?:([/:])([^,{]*))?(.*)", re.DOTALL)
"""A name, `/` or `:` and a mask, and what follows."""


class Side:
    """The instructions of one side: `single`, `masked`, `me`, `some` (a set), `lookup`."""

    def __init__(self, single: int, masked: int, me: int, some: int, lookup: int):
        self.single = single
        self.masked = masked
        self.me = me
        self.some = some
        self.lookup = lookup


SOURCE = Side(O_IP_SRC, O_IP_SRC_MASK, O_IP_SRC_ME, O_IP_SRC_SET, O_IP_SRC_LOOKUP)
DESTINATION = Side(O_IP_DST, O_IP_DST_MASK, O_IP_DST_ME, O_IP_DST_SET, O_IP_DST_LOOKUP)


def address(draft: Draft, side: Side, text: str) -> bool:
    """Read an address; False if it is one that leaves no instruction (`any`)."""
    if matches(text, "any", draft.words.warn):
        return False
    if matches(text, "me", draft.words.warn):
        draft.put(side.me)
        return True
    if text.startswith("table(") and draft.settings.tables:
        _table(draft, side, text)
        return True
    if text == "me6" or text.partition(",")[0].count(":") > 1:
        raise Refusal(EX_UNAVAILABLE, f"{text}: there is no IPv6 on this machine")
    return _list(draft, side, text)


def host(draft: Draft, name: str) -> int:
    """An address by number or name."""
    addr = inet_aton(name)
    if addr is None:
        addr = draft.names.host(name)
    if addr is None:
        raise Refusal(EX_NOHOST, f"hostname ``{name}'' unknown")
    return addr


def _table(draft: Draft, side: Side, text: str) -> None:
    """`table(1)`, `table(1,5)`."""
    _, comma, value = text.partition(",")
    name = table_name(draft, text)
    if not draft.era.names_objects:
        _check_number(draft, int(name))
    data = (strtoul(value, 0)[0] & ALL_ONES,) if comma else ()
    draft.put(side.lookup, int(name) if not draft.era.names_objects else 0, data, text=name)


def _check_number(draft: Draft, number: int) -> None:
    """Up to the 2012 interface there are so many tables and no more."""
    most = draft.settings.tables
    if number >= most:
        raise Refusal(EX_USAGE, f"The table number exceeds the maximum allowed value ({most - 1})")


def _masked(draft: Draft, text: str) -> tuple[int, int, str]:
    """(address, mask, rest) of the first entry of a list; the rest begins with `,` or `{`, or is empty."""
    found = _ENTRY.fullmatch(text)
    assert found is not None  # whatever it is
    name, mark, mask_text, rest = found.groups()
    addr = host(draft, name)
    if mark == ":":
        mask = inet_aton(mask_text)
        if mask is None:
            raise Refusal(EX_DATAERR, f"bad netmask ``{mask_text}''")
    elif mark == "/":
        length = atoi(mask_text)
        if not 0 <= length <= 32:
            raise Refusal(EX_DATAERR, f"bad width ``{mask_text}''")
        mask = ALL_ONES << (32 - length) & ALL_ONES
    else:
        mask = 0xFFFFFF00 if rest.startswith("{") else ALL_ONES
    return addr & mask, mask, rest


def _list(draft: Draft, side: Side, text: str) -> bool:
    """Addresses and masks with commas between; everything behind a set is left out, as ipfw does."""
    data: list[int] = []
    rest: str | None = text
    while rest is not None:
        addr, mask, behind = _masked(draft, rest)
        if behind.startswith("{"):
            _set(draft, side, addr, mask, behind[1:], first=not data)
            return True
        rest = behind[1:] if behind else None
        if mask == 0:
            if draft.neg and rest is None and not data:
                raise Refusal(EX_DATAERR, "not any never matches")
            return False
        if mask == ALL_ONES and rest is None and not data:
            draft.put(side.single, data=(addr,))
            return True
        data += addr, mask
    if len(data) + 1 > _MOST_WORDS:
        raise Refusal(EX_DATAERR, "address list too long")
    draft.put(side.masked, data=tuple(data))
    return True


def _set(draft: Draft, side: Side, addr: int, mask: int, text: str, *, first: bool) -> None:
    """`10.0.0.0/24{1,5-9}`: a bit for each address of a network of at most 256."""
    if not first:
        raise Refusal(EX_DATAERR, "address set cannot be in a list")
    length = mask_length(mask)
    if not 24 <= length <= 31:
        raise Refusal(EX_DATAERR, f"invalid set with mask {length}\n")
    size = 1 << 32 - length
    low = addr & 0xFF
    bits = 0
    begun = -1
    rest = text
    while starts_digit(rest):
        value, rest = strtol(rest, 0)
        if not low <= value < low + size:
            raise Refusal(EX_DATAERR, f"addr {value} out of range [{low}-{low + size - 1}]\n")
        if begun > value:
            raise Refusal(EX_DATAERR, f"invalid range {begun}-{value}")
        if begun >= 0 and rest.startswith("-"):
            raise Refusal(EX_DATAERR, "double '-' in range")
        for each in range(value if begun < 0 else begun, value + 1):
            bits |= 1 << each - low
        begun = value if rest.startswith("-") else -1
        if rest.startswith("}"):
            break
        rest = rest[1:]
    words = (size + 31) // 32
    data = (addr, *(bits >> 32 * at & ALL_ONES for at in range(words)))
    draft.put(side.some, size, data)
