"""Numbers and addresses as the C library reads them: the longest beginning that is one, and what is left."""

from __future__ import annotations

import re
from functools import lru_cache

_SIGNED = {
    0: re.compile(r"\s*([+-]?)(0[xX](?=[0-9a-fA-F])[0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)"),
    10: re.compile(r"\s*([+-]?)([0-9]+)"),
}
_PLAIN = re.compile(r"\.".join([r"(0|[1-9][0-9]{0,2})"] * 4))
"""An address as nearly everybody writes it."""
_LONG_MAX = (1 << 63) - 1
_ULONG_MASK = (1 << 64) - 1


@lru_cache(maxsize=4096)
def strtol(text: str, base: int = 10) -> tuple[int, str]:
    """(number, rest) of a signed number; no number: (0, the whole text)."""
    found = _SIGNED[base].match(text)
    if found is None:
        return 0, text
    sign, digits = found.groups()
    value = int(digits, _base_of(digits) if base == 0 else 10)
    value = max(-_LONG_MAX - 1, min(_LONG_MAX, -value if sign == "-" else value))
    return value, text[found.end() :]


def strtoul(text: str, base: int = 10) -> tuple[int, str]:
    """(number, rest) of an unsigned number, which wraps if it is negative."""
    value, rest = strtol(text, base)
    return value & _ULONG_MASK, rest


def atoi(text: str) -> int:
    """The number that a text begins with, or 0; an int of 32 bits."""
    if len(text) < 10 and text.isascii() and text.isdecimal():
        return int(text)
    value = strtol(text)[0] & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _base_of(digits: str) -> int:
    if digits[:2] in ("0x", "0X"):
        return 16
    return 8 if digits[0] == "0" else 10


def starts_digit(text: str) -> bool:
    """A word that begins with a digit, which is how ipfw tells a number."""
    return text[:1].isascii() and text[:1].isdigit()


@lru_cache(maxsize=4096)
def inet_aton(text: str) -> int | None:
    """An address of one to four numbers, the last of which fills what is left (`10.1` is 10.0.0.1), or None."""
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        a, b, c, d = map(int, plain.groups())
        return a << 24 | b << 16 | c << 8 | d if max(a, b, c, d) < 256 else None
    parts = text.split(".")
    values = []
    for part in parts:
        value, rest = strtol(part, 0)
        if rest or not starts_digit(part):
            return None
        values.append(value)
    *heads, last = values
    if len(parts) > 4 or any(value > 255 for value in heads) or last >= 1 << 8 * (5 - len(parts)):
        return None
    addr = last
    for at, value in enumerate(heads):
        addr |= value << 24 - 8 * at
    return addr


def inet_pton(text: str) -> int | None:
    """An address of exactly four decimal numbers, or None."""
    parts = text.split(".")
    if len(parts) != 4 or not all(p.isascii() and p.isdigit() and len(p) <= 3 for p in parts):
        return None
    values = [int(part) for part in parts]
    if any(value > 255 for value in values):
        return None
    return int.from_bytes(bytes(values), "big")


def mask_length(mask: int, bits: int = 32) -> int:
    """How many ones a mask begins with; -1 if it is not of ones and then zeros."""
    length = mask.bit_count()
    return length if mask == ((1 << length) - 1) << (bits - length) else -1
