"""Operands of a rule: ports and other ranges, ICMP types, code points, hardware addresses, interfaces."""

from __future__ import annotations

from pystack._fast.ipfw_ops import O_ICMPTYPE, O_MACADDR2
from pystack.firewall.ipfw import tokens
from pystack.firewall.ipfw.cnumbers import inet_aton, starts_digit, strtol, strtoul
from pystack.firewall.ipfw.draft import Draft
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_USAGE, Refusal

ETHERTYPE = 6000
"""Stands for a protocol where the type of a frame is read: names are those of types."""
_MOST_RANGES = 63
"""Words that an instruction may have."""
_IFNAME = 15


def port(draft: Draft, text: str, proto: int) -> tuple[int, str] | None:
    """(port, rest) of a number or the name of a service, where a backslash protects the next character."""
    if starts_digit(text):
        value, rest = strtol(text, 0)
        return value & 0xFFFF, rest
    at = 0
    name = ""
    while at < len(text) and (text[at].isalnum() or text[at] == "\\"):
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        if text[at] != "\\":
            name += text[at]
        at += 1
    if proto == ETHERTYPE:
        found = tokens.value(tokens.ETHER_TYPES, name)
    else:
        found = draft.names.service(name, proto)
    return None if found is None else (found, text[at:])


def ranges(draft: Draft, text: str, proto: int) -> tuple[int, ...] | None:
    """`80,8000-8100,http`: low | high << 16 of each; None if it is no such list."""
    found: list[int] = []
    rest = text
    while rest:
        item = rest
        low = port(draft, item, proto)
        if low is None:
            return None
        first, rest = low
        last = first
        if rest.startswith("-"):
            high = port(draft, rest[1:], proto)
            if high is None or high[1][:1] not in ("", ","):
                return None
            last, rest = high
        elif rest and not rest.startswith(","):
            draft.words.warn(f"port list: invalid separator <{rest[0]}> in <{item}>")
            return None
        found.append(first | last << 16)
        rest = rest[1:]
    if len(found) + 1 > _MOST_RANGES:
        raise Refusal(EX_DATAERR, "too many ports/ranges\n")
    return tuple(found) or None


def number_or_ranges(draft: Draft, op: int, missing: str, invalid: str) -> None:
    """A number, or a list of numbers and ranges (`iplen 40,100-200`)."""
    text = draft.words.need(missing)
    if "-" in text or "," in text:
        data = ranges(draft, text, 0)
        if data is None:
            raise Refusal(EX_DATAERR, f"{invalid} {text}")
        draft.put(op, data=data)
    else:
        draft.put(op, strtoul(text, 0)[0])
    draft.words.take()


def icmp_types(draft: Draft) -> None:
    """`icmptypes 0,3,8`."""
    rest = draft.words.need("icmptypes requires list of types")
    bits = 0
    while rest:
        value, rest = strtoul(rest.removeprefix(","), 0)
        if rest and not rest.startswith(","):
            raise Refusal(EX_DATAERR, "invalid ICMP type")
        if value & 0xFF > 31:
            raise Refusal(EX_DATAERR, "ICMP type out of range")
        bits |= 1 << (value & 0xFF)
    draft.words.take()
    draft.put(O_ICMPTYPE, data=(bits,))


def code_points(text: str) -> tuple[int, int]:
    """`dscp af11,ef,12`: a bit for each of the 64 code points, in two words."""
    bits = 0
    for word in text.split(","):
        bits |= 1 << code_point(word)
    return bits & 0xFFFFFFFF, bits >> 32


def code_point(word: str) -> int:
    """A code point by name or number."""
    found = tokens.value(tokens.DSCP, word)
    if found is None:
        value, rest = strtoul(word, 0)
        if rest:
            raise Refusal(EX_DATAERR, "invalid DSCP code")
        if value > 63:
            raise Refusal(EX_DATAERR, "Invalid DSCP value")
        return value
    return found


def unreachable(table: tokens.Table, what: str, text: str) -> int:
    """The code of `unreach`, by number or name."""
    value, rest = strtoul(text, 0)
    if rest or not text or value >= 0x100:
        found = tokens.value(table, text)
        if found is None:
            raise Refusal(EX_DATAERR, f"unknown {what} unreachable code ``{text}''")
        return found
    return value


def interface(draft: Draft, op: int) -> None:
    """The interface of recv, xmit and via: a name or a pattern, an address, a table. `any` leaves nothing."""
    words = draft.words
    text = words.need("recv, xmit, via require interface name or address")
    words.take()
    if text == "any":
        draft.neg = False
    elif text.startswith("table("):
        draft.put(op, arg=1, text=table_name(draft, text))
    elif not starts_digit(text):
        draft.put(op, text=text[:_IFNAME])
    else:
        addr = inet_aton(text)
        if addr is None:
            raise Refusal(EX_DATAERR, f"bad ip address ``{text}''")
        draft.put(op, data=(addr,))


def table_name(draft: Draft, text: str) -> str:
    """The table of `table(1` or, since tables have names, `table(bad)`."""
    inside = text.removeprefix("table(")
    if not draft.era.names_objects:
        return str(strtoul(inside.partition(",")[0], 0)[0] & 0xFFFF)
    name, closed, _ = inside.partition(")")
    if not closed:
        raise Refusal(EX_DATAERR, f"forgotten parenthesis: '{text}'")
    name = name.partition(",")[0]
    if not valid_name(name):
        raise Refusal(EX_DATAERR, f"table name {name} is invalid")
    return name


def valid_name(name: str) -> bool:
    """A name that a table or a state may have."""
    return 0 < len(name) <= 63 and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)


def mac_addresses(draft: Draft) -> None:
    """Destination and source of a frame: `mac any 10:20:30:40:50:60/24`."""
    words = draft.words
    if len(words) < 2:
        raise Refusal(EX_DATAERR, "MAC dst src")
    pairs = [_mac(words.take()) for _ in range(2)]
    addrs, masks = pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1]
    blob = addrs + masks
    data = tuple(int.from_bytes(blob[at : at + 4], "big") for at in range(0, 24, 4))
    draft.put(O_MACADDR2, data=data)


def _mac(text: str) -> tuple[bytes, bytes]:
    """(address, mask) of `any`, `a:b:c:d:e:f`, `.../length` or `...&mask`."""
    if text == "any":
        return bytes(6), bytes(6)
    addr_text, mask_text = text, ""
    mask = b"\xff" * 6
    for sep in "/&":
        addr_text, found, rest = addr_text.partition(sep)
        if found:
            mask_text = rest
            mask = _mac_octets(rest) if sep == "&" else _mac_ones(rest)
    addr = _mac_octets(addr_text)
    if mask_text == "" and addr_text != text:
        raise Refusal(EX_DATAERR, "Incorrect mask length")
    return bytes(a & m for a, m in zip(addr, mask, strict=True)), mask


def _mac_ones(text: str) -> bytes:
    length, rest = strtol(text)
    if rest or not 0 <= length <= 48:
        raise Refusal(EX_DATAERR, "Incorrect mask length")
    return (((1 << length) - 1) << (48 - length)).to_bytes(6, "big")


def _mac_octets(text: str) -> bytes:
    try:
        octets = bytes(int(part, 16) for part in text.split(":"))
    except ValueError:
        octets = b""
    if len(octets) != 6:
        raise Refusal(EX_DATAERR, "Incorrect MAC address")
    return octets


def need_one_of(table: tokens.Table, draft: Draft) -> int:
    """All words of a table that come next, as bits."""
    bits = 0
    while (word := draft.words.peek()) is not None:
        found = tokens.value(table, word)
        if found is None:
            break
        bits |= found
        draft.words.take()
    if not bits:
        raise Refusal(EX_USAGE, "limit: missing limit mask")
    return bits
