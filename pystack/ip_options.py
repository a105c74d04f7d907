"""IP_OPTIONS: the IP options that an application gives to a stream, which is to say its source route.

What an option may look like, and which error says that it may not, is each system's own: Linux's ip_options_compile,
FreeBSD's ip_pcbopts. Record route and time stamp, which a host would have to write into, are EINVAL here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast.consts import (
    CLOSED,
    LISTEN,
    ROUTE_LOOSE,
    ROUTE_STRICT,
    SOURCE_ROUTES_LINUX,
    Err,
)
from pystack._fast.source_routes import adopt
from pystack._fast.tcp_handshake import set_mss
from pystack.errors import error_of

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

Given = tuple[int, bytes, int]
"""The first stop (0: none), the options without it, and where in them Linux puts the peer's address (0: nowhere)."""

MOST = 40
_END, _NOP = 0, 1
_ROUTES = (ROUTE_LOOSE, ROUTE_STRICT)
_WRITTEN_INTO = (7, 68)
"""Record route and time stamp."""


def given(octets: bytes, linux: bool, root: bool) -> Given:
    """What a socket keeps of the octets of setsockopt. Raises OSError: EINVAL, EPERM."""
    if len(octets) > MOST or (not linux and len(octets) % 4):
        raise error_of(Err.EINVAL)
    octets = octets.ljust((len(octets) + 3) // 4 * 4, b"\0")
    first, last, at = 0, 0, 0
    while at < len(octets):
        kind = octets[at]
        if kind == _END:
            octets = octets[:at].ljust(len(octets), b"\0")
            break
        if kind == _NOP:
            at += 1
            continue
        size = octets[at + 1] if at + 1 < len(octets) else 0
        if size < 2 or at + size > len(octets) or kind in _WRITTEN_INTO:
            raise error_of(Err.EINVAL)
        if kind in _ROUTES:
            if first or size < 7 or (size - 3) % 4 or octets[at + 2] != 4:
                raise error_of(Err.EINVAL)
            if linux and not root:
                raise error_of(Err.EPERM)
            first = int.from_bytes(octets[at + 3 : at + 7], "big")
            if linux:
                last = at + size - 4
                octets = (
                    octets[: at + 3] + octets[at + 7 : at + size] + bytes(4) + octets[at + size :]
                )
            else:
                size -= 4
                octets = octets[: at + 1] + bytes([size, 4]) + octets[at + 7 :]
        at += size
    return first, octets, last


def shown(first: int, octets: bytes, linux: bool) -> bytes:
    """What getsockopt tells: Linux, what was given; FreeBSD, the first stop and what follows it."""
    if not linux:
        return first.to_bytes(4, "big") + octets if octets else b""
    at = 0
    while first and octets[at] not in _ROUTES:
        at += 1 if octets[at] == _NOP else octets[at + 1]
    if not first:
        return octets
    end = at + octets[at + 1]
    return octets[: at + 3] + first.to_bytes(4, "big") + octets[at + 3 : end - 4] + octets[end:]


def _linux(sock: StreamSocket) -> bool:
    return bool(sock.host.core.cfg.policy_source_routes == SOURCE_ROUTES_LINUX)


def get(sock: StreamSocket) -> bytes:
    """The options that the segments of the connection carry, or will."""
    t = sock.row
    if t.state in (CLOSED, LISTEN):
        first, octets, _ = (t.extras or {}).get("IP_OPTIONS", (0, b"", 0))
    else:
        first, octets = sock.host.core.ways.get((t.laddr, t.lport, t.faddr, t.fport), (0, b""))
    return shown(first, octets, _linux(sock))


def put(sock: StreamSocket, value: Any) -> None:
    """They are in every segment from now on, in place of those that were there (RFC 9293: MUST-51, MUST-52)."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        value = int(value).to_bytes(4, "little", signed=True)
    t = sock.row
    core = sock.host.core
    t.extras = (t.extras or {}) | {"IP_OPTIONS": given(bytes(value), _linux(sock), t.uid == 0)}
    if t.state not in (CLOSED, LISTEN):
        adopt(core, t)
        set_mss(core, t)
