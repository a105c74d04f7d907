"""From what an administrator writes to the numbers of a knob, as `sysctl` and the kernel read it."""

from __future__ import annotations

import re

from pystack.sysctl.knob import Knob, Value

_NUMBER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)")
_MULTIPLES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_KINDS = {"int": "integer", "flag": "integer", "uint": "unsigned integer", "long": "long integer"}


class NotANumber(ValueError):
    """The text is no number of this knob's type."""


def number(text: str) -> int:
    """The number that C's strtol(text, 0) reads: decimal, 0x hexadecimal, 0 octal.

    Raises NotANumber.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > 40:
        raise NotANumber(text)
    sign, digits = match.groups()
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX"
    try:
        value = int(digits, 8 if octal else 0)
    except ValueError:
        raise NotANumber(text) from None
    return -value if sign == "-" else value


def tunable(text: str) -> int:
    """The number of a loader variable, where 64K, 2M, 1G and 1T are also taken."""
    digits, suffix = text.strip(), ""
    if digits and digits[-1].upper() in "KMGT":
        digits, suffix = digits[:-1], digits[-1].upper()
    return number(digits) * _MULTIPLES[suffix]


def parse(
    knob: Knob, raw: object, old: Value | None = None, boot: bool = False, spare: bool = False
) -> Value:
    """The value of `knob` that `raw` (int, bool, str, or a row of ints) means.

    `boot`: from the loader, where 64K is a number. `spare`: what is too much is dropped, as Linux
    does. A row shorter than the knob's keeps the rest of `old`. Raises ValueError with a sentence
    that says what is taken; ranges are checked by `rules`.
    """
    if knob.type == "string":
        if not isinstance(raw, str):
            raise ValueError(f"a name is needed, not {raw!r}")
        return raw.strip()
    if isinstance(raw, bool):
        raw = int(raw)
    if isinstance(raw, int):
        row: tuple[int, ...] = (raw,)
    elif isinstance(raw, str):
        fields = raw.split()
        if not fields:
            raise NotANumber("empty numeric value")
        try:
            row = tuple(tunable(field) if boot else number(field) for field in fields)
        except NotANumber:
            raise NotANumber(f"invalid {_KINDS[knob.type]} '{raw.strip()}'") from None
    elif isinstance(raw, (tuple, list)) and raw and all(type(item) is int for item in raw):
        row = tuple(raw)
    else:
        raise ValueError(f"an integer is needed, not {raw!r}")
    if len(row) > knob.count and spare:
        row = row[: knob.count]
    if len(row) > knob.count:
        raise ValueError(f"{len(row)} numbers where {knob.count} {_are(knob.count)} taken")
    if knob.count == 1:
        return row[0]
    if len(row) < knob.count:
        if not isinstance(old, tuple):
            raise ValueError(f"{len(row)} numbers where {knob.count} are taken")
        row += old[len(row) :]
    return row


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def text(value: Value) -> str:
    """What `sysctl -n` prints."""
    return "\t".join(map(str, value)) if isinstance(value, tuple) else str(value)
