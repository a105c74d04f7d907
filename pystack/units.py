"""Human units: "5ms", "1Gbit/s", "64KiB", "1%" to integers and back.

Strict: a unit that could be read in two ways, or a quantity that does not come out whole, is a
ValueError that says what was probably meant. All arithmetic is exact (Fraction); no float decides a
nanosecond.

Prefixes: k M G T are powers of 1000, Ki Mi Gi Ti powers of 1024. Bandwidth is in bits, sizes are in
octets (B).
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_]*)(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(\S*)\s*", re.ASCII)

TIME_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
RATE_UNITS = {
    "bit/s": 1,
    "kbit/s": 1_000,
    "Mbit/s": 1_000_000,
    "Gbit/s": 1_000_000_000,
    "Tbit/s": 1_000_000_000_000,
}
SIZE_UNITS = {
    "B": 1,
    "kB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "TB": 1_000_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}

_MEANT = {
    # what people write -> what it is called here; the first that is a unit of the quantity
    "µs": "us",
    "μs": "us",
    "usec": "us",
    "msec": "ms",
    "nsec": "ns",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "m": "min",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "bps": "bit/s",
    "kbps": "kbit/s",
    "mbps": "Mbit/s",
    "gbps": "Gbit/s",
    "tbps": "Tbit/s",
    "bit": "bit/s",
    "kbit": "kbit/s",
    "mbit": "Mbit/s",
    "gbit": "Gbit/s",
    "tbit": "Tbit/s",
    "k": "kbit/s",
    "g": "Gbit/s",
    "kb": "kB kbit/s",
    "mb": "MB Mbit/s",
    "gb": "GB Gbit/s",
    "kib": "KiB",
    "mib": "MiB",
    "gib": "GiB",
    "byte": "B",
    "bytes": "B",
    "octets": "B",
}

_LONGEST = 2**63 - 2
"""Nanoseconds; 2**63 - 1 means "never"."""


def _split(text: str, what: str, example: str) -> tuple[Fraction, str]:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{what} {text!r} is not a number with a unit such as {example!r}")
    number, unit = match.groups()
    if len(number) > 40:
        raise ValueError(f"{what} {text[:40]!r}... has too many digits")
    mantissa, _, exponent = number.lower().partition("e")
    if exponent and abs(int(exponent)) > 30:
        raise ValueError(f"{what} {text!r} is out of range")
    return Fraction(mantissa.replace("_", "")) * Fraction(10) ** int(exponent or 0), unit


def _suggest(unit: str, units: dict[str, int]) -> str:
    """The unit of this family that somebody who wrote `unit` had in mind, or ''."""
    by_case = {name.lower(): name for name in units}
    if unit.lower() in by_case:
        return by_case[unit.lower()]
    guesses = _MEANT.get(unit, _MEANT.get(unit.lower(), "")).split()
    return next((guess for guess in guesses if guess in units), "")


def _whole(value: Fraction, text: str, what: str, unit: str) -> int:
    if value.denominator != 1:
        raise ValueError(f"{what} {text!r} is not a whole number of {unit}")
    if value < 0:
        raise ValueError(f"{what} {text!r} is negative")
    if value > _LONGEST:
        raise ValueError(f"{what} {text!r} is more than 64 bits hold")
    return value.numerator


def _parse(
    value: int | str, what: str, base: str, units: dict[str, int], example: str, hint: str = ""
) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(
            f"{what} {value!r}: give an int ({base}) or a string with a unit such as {example!r}"
        )
    if isinstance(value, int):
        return _whole(Fraction(value), str(value), what, base)
    number, unit = _split(value, what, example)
    if not unit:
        if number == 0:
            return 0
        raise ValueError(f"{what} {value!r} has no unit; write one, such as {example!r}")
    if unit not in units:
        meant = _suggest(unit, units)
        if meant:
            hint = f"did you mean {value.strip().removesuffix(unit).strip() + meant!r}?"
        raise ValueError(
            f"{what} {value!r}: unknown unit {unit!r}; "
            + (hint or f"the units are {', '.join(units)}")
        )
    return _whole(number * units[unit], value, what, base)


def parse_time(value: int | str, what: str = "time") -> int:
    """Nanoseconds of "5ms", "1.5s", "2h" or of an int, which is nanoseconds already.

    Raises ValueError, which calls the quantity `what`, for another unit, a float (which unit?), a
    part of a nanosecond, or less than 0.
    """
    if type(value) is int and value >= 0:  # as programs give it, again and again
        return value
    return _parse(value, what, "ns", TIME_UNITS, "5ms")


def parse_shift(value: int | str, what: str = "shift") -> int:
    """As `parse_time`, forwards or with a minus backwards: "1h", "-30s"."""
    if isinstance(value, str) and value.startswith("-"):
        return -parse_time(value[1:], what)
    if isinstance(value, int) and value < 0:
        return -parse_time(-value, what)
    return parse_time(value, what)


def parse_rate(value: int | str, what: str = "bandwidth") -> int:
    """Bits per second of "100kbit/s", "1Gbit/s" or of an int. 0 means without limit."""
    hint = ""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        unit = match.group(2) if match else ""
        if unit.removesuffix("/s") in SIZE_UNITS:
            bits = parse_size(value.replace("/s", ""), what) * 8
            hint = f"{what} is in bits: did you mean {format_rate(bits)!r}?"
    return _parse(value, what, "bit/s", RATE_UNITS, "100Mbit/s", hint)


def parse_size(value: int | str, what: str = "size") -> int:
    """Octets of "64KiB", "1500B", "10kB" or of an int."""
    hint = ""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        unit = match.group(2) if match else ""
        if unit.upper() in {"K", "M", "G", "T"}:
            upper = unit.upper()
            thousand = ("k" if upper == "K" else upper) + "B"
            hint = f"did you mean {upper}iB (1024) or {thousand} (1000)?"
    return _parse(value, what, "B", SIZE_UNITS, "64KiB", hint)


def parse_probability(value: float | str, what: str = "probability") -> float:
    """A probability in [0, 1] of 0.01, "0.01" or "1%".

    Raises ValueError outside; a number from 1 to 100 gets the hint that "%" was forgotten.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{what} {value!r} is not a probability such as 0.01 or '1%'")
    if isinstance(value, str):
        number, unit = _split(value, what, "1%")
        if unit not in ("", "%"):
            raise ValueError(f"{what} {value!r}: unknown unit {unit!r}; write 0.01 or '1%'")
        share = float(number / 100 if unit == "%" else number)
    else:
        unit = ""
        share = float(value)
    if not 0.0 <= share <= 1.0:
        hint = f"; did you mean '{share:g}%'?" if unit == "" and 1 < share <= 100 else ""
        raise ValueError(f"{what} {value!r} is not between 0 and 1{hint}")
    return share


def threshold(probability: float) -> int:
    """The u64 that a random u64 is below with this probability; 0 switches off."""
    return min(int(Fraction(probability) * 2**64), 2**64 - 1)


def probability(limit: int) -> float:
    """The probability of a u64 threshold."""
    return 1.0 if limit == 2**64 - 1 else limit / 2**64


def _format(value: int, units: dict[str, int]) -> str:
    """The largest unit in which `value` is at least 1, with as many digits as exactness needs."""
    unit, scale = next(iter(units.items()))
    for name, factor in units.items():
        if value >= factor and (value * 1000) % factor == 0:
            unit, scale = name, factor
    whole, rest = divmod(value, scale)
    digits = f"{rest * 1000 // scale:03d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}{unit}" if digits else f"{whole}{unit}"


def format_time(ns: int) -> str:
    """5_000_000 -> "5ms"; `parse_time` reads it back to the same number."""
    return _format(ns, {name: TIME_UNITS[name] for name in ("ns", "us", "ms", "s")})


def format_rate(bits: int) -> str:
    """1_000_000_000 -> "1Gbit/s"; `parse_rate` reads it back to the same number."""
    return _format(bits, RATE_UNITS)


def format_size(octets: int) -> str:
    """65536 -> "64KiB", 1500 -> "1500B"; `parse_size` reads it back to the same number."""
    for name in ("TiB", "GiB", "MiB", "KiB"):
        if octets and octets % SIZE_UNITS[name] == 0:
            return f"{octets // SIZE_UNITS[name]}{name}"
    return f"{octets}B"
