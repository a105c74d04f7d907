"""Control messages of a script: what sendmsg is given, and what recvmsg has to bring.

    msg_control=[{cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, cmsg_data={scm_sec=0, scm_nsec=1000000}},
                 {cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=ENOMSG, …}}]

A machine answers them as the standard library has it, (level, type, octets); so does a kernel. Times are those of
the script: since its begin.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NoReturn

from pystack.packetdrill.script import Arg, Ellipsis_, List_, Struct
from pystack.packetdrill.symbols import Symbols, describe
from pystack.packetdrill.verdict import Failure, Skip

Ancillary = list[tuple[int, int, bytes]]

SECOND = 1_000_000_000
ROOM = 1024
"""Octets of a control buffer whose size the script leaves open."""

_TIMES = {"SCM_TIMESTAMP": 1000, "SCM_TIMESTAMPNS": 1, "SCM_TIMESTAMPING": 1}
"""Messages that begin with a time: seconds, and units of so many ns."""
_ERROR = struct.Struct("=IBBBBII")
_ERROR_FIELDS = "ee_errno ee_origin ee_type ee_code ee_pad ee_info ee_data".split()


def sent(names: Symbols, control: tuple[Arg, ...]) -> Ancillary:
    """The control messages of a sendmsg: numbers, each in the octets of an int; IP_TOS too."""
    found = []
    for item in control:
        level, kind, data = _parts(names, item)
        if isinstance(data, List_) and len(data.items) == 1:
            data = data.items[0]
        if isinstance(data, Struct):
            raise Skip(f"the control message {describe(item)} of sendmsg")
        number = names.value(data) & 0xFFFFFFFF
        found.append((level, kind, struct.pack("=I", number)))
    return found


def _parts(names: Symbols, item: Arg) -> tuple[int, int, Arg]:
    if not isinstance(item, Struct):
        raise Failure(f"semantic error: a control message expected, not {describe(item)}")
    fields = [item.get(name) for name in ("cmsg_level", "cmsg_type", "cmsg_data")]
    level, kind, data = fields
    if level is None or kind is None or data is None:
        raise Failure(
            f"semantic error: {{cmsg_level=, cmsg_type=, cmsg_data=}} expected, not {describe(item)}"
        )
    return names.value(level), names.value(kind), data


def check(
    names: Symbols, expected: tuple[Arg, ...], got: Ancillary, begin: int, tolerance: int
) -> None:
    """Are these the messages, in their order? Times count from `begin`, ns of the clock that they are of."""
    if len(expected) != len(got):
        _differ("number of control messages", len(expected), _said(names, got))
    for item, (level, kind, octets) in zip(expected, got, strict=True):
        wanted_level, wanted_kind, data = _parts(names, item)
        if (wanted_level, wanted_kind) != (level, kind):
            _differ("control message", describe(item), _said(names, [(level, kind, octets)]))
        if isinstance(data, Ellipsis_):
            continue
        if _is_time(names, level, kind):
            _check_time(names, data, _time(names, level, kind, octets) - begin, tolerance)
        elif (level, kind) == (names.table["SOL_IP"], names.table["IP_RECVERR"]):
            _check_error(names, data, octets)
        else:
            if isinstance(data, List_) and len(data.items) == 1:
                data = data.items[0]
            number = int.from_bytes(octets, "little")
            if names.value(data) & ((1 << 8 * len(octets)) - 1) != number:
                _differ("cmsg_data", describe(data), number)


def _is_time(names: Symbols, level: int, kind: int) -> bool:
    return level == names.table["SOL_SOCKET"] and kind in {names.table[name] for name in _TIMES}


def _time(names: Symbols, level: int, kind: int, octets: bytes) -> int:
    seconds, rest = struct.unpack_from("=qq", octets)
    unit = next(unit for name, unit in _TIMES.items() if names.table[name] == kind)
    return int(seconds * SECOND + rest * unit)


def _check_time(names: Symbols, data: Arg, at: int, tolerance: int) -> None:
    if not isinstance(data, Struct):
        raise Failure(f"semantic error: {{scm_sec=, scm_nsec=}} expected, not {describe(data)}")
    for field in data.fields:
        if field.name not in ("scm_sec", "scm_nsec"):
            raise Failure(f"semantic error: {{scm_sec=, scm_nsec=}} expected, not {describe(data)}")
    parts = [data.get("scm_sec"), data.get("scm_nsec")]
    seconds, nanoseconds = (0 if part is None else names.value(part) for part in parts)
    if abs(seconds * SECOND + nanoseconds - at) > tolerance:
        _differ("time", describe(data), f"{{scm_sec={at // SECOND}, scm_nsec={at % SECOND}}}")


def _check_error(names: Symbols, data: Arg, octets: bytes) -> None:
    if not isinstance(data, Struct):
        raise Failure(f"semantic error: {{ee_errno=, …}} expected, not {describe(data)}")
    if len(octets) < _ERROR.size:
        _differ("cmsg_data", describe(data), f"only {len(octets)} octets of it")
    found = dict(zip(_ERROR_FIELDS, _ERROR.unpack_from(octets), strict=True))
    for field in data.fields:
        if field.name not in found:
            raise Failure(f"semantic error: there is no {field.name} in a sock_extended_err")
        if isinstance(field.value, Ellipsis_):
            continue
        if names.value(field.value) & 0xFFFFFFFF != found[field.name]:
            _differ(field.name, describe(field.value), found[field.name])


def _said(names: Symbols, got: Ancillary) -> str:
    """Messages in the words of a script, for a person."""
    return "[" + ", ".join(_words(names, got)) + "]"


def _words(names: Symbols, got: Ancillary) -> Iterator[str]:
    for level, kind, octets in got:
        text = (
            octets.hex() if len(octets) not in (1, 2, 4) else str(int.from_bytes(octets, "little"))
        )
        if kind == names.table["IP_RECVERR"] and len(octets) >= _ERROR.size:
            values = zip(_ERROR_FIELDS, _ERROR.unpack_from(octets), strict=True)
            text = "{" + ", ".join(f"{name}={value}" for name, value in values) + "}"
        yield f"{{cmsg_level={level}, cmsg_type={kind}, cmsg_data={text}}}"


def _differ(what: str, expected: object, actual: object) -> NoReturn:
    raise Failure(
        f"runtime error in recvmsg call: Bad {what}: expected: {expected} actual: {actual}"
    )
