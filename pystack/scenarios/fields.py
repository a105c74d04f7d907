"""What the fields of a scenario's tables are made of. Times are ns here and "5s" in the file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from pystack import units


def _time(value: Any) -> int:
    return units.parse_time(value)


def _shift(value: Any) -> int:
    return units.parse_shift(value)


def _span(value: Any) -> int:
    time = units.parse_time(value)
    if not time:
        raise ValueError("this is no time at all")
    return time


def end_of(value: str) -> tuple[str, int]:
    """(host, port) of HOST:PORT. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{value!r} is no HOST:PORT such as 'web:80'")
    return host, int(port)


def _end(value: str) -> str:
    end_of(value)
    return value


def one_of(*words: str) -> Any:
    """A field that is one of these words."""

    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is none of {', '.join(words)}")
        return value

    return AfterValidator(check)


def _share(value: Any) -> float:
    return units.parse_probability(value, "share")


Time = Annotated[int, BeforeValidator(_time)]
Span = Annotated[int, BeforeValidator(_span)]
Shift = Annotated[int, BeforeValidator(_shift)]
Share = Annotated[float, BeforeValidator(_share)]
End = Annotated[str, AfterValidator(_end)]
Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
Value = bool | int | str
"""Of a knob."""


class Table(BaseModel):
    """A table of the file, which refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def kind_of(value: Any) -> str | None:
    """The tag of a table whose `kind` decides what else it has: no key of any table looks like it."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return None if kind is None else f"{TAG}{kind}"


TAG = "kind "
