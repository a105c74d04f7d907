"""What the entries of a table are for, and what stands in them: the same words in all eras."""

from __future__ import annotations

from pystack.firewall.ipfw.cnumbers import atoi, inet_aton, inet_pton
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_NOHOST, Refusal
from pystack.firewall.ipfw.run import Run
from pystack.firewall.ipfw.tables import Key

_IFNAME = 15


def interface(text: str) -> Key:
    """The name of an interface, which has at most so many letters."""
    return Key("iface", name=text[:_IFNAME])


def network(addr: int, length: int) -> Key:
    """The addresses whose first bits are these."""
    return Key("addr", addr & (0xFFFFFFFF << (32 - length) & 0xFFFFFFFF), length)


def prefix(text: str) -> Key | None:
    """`A.B.C.D[/LENGTH]`; None where there is no address."""
    name, slash, width = text.partition("/")
    addr = inet_pton(name)
    if addr is None:
        return None
    length = atoi(width) if slash else 32
    if not 0 <= length <= 32:
        raise Refusal(EX_DATAERR, f"bad IPv4 mask width: {width}")
    return network(addr, length)


def address(run: Run, text: str) -> int | None:
    """An address, or that of a host; None where there is none."""
    addr = inet_aton(text)
    return run.names.host(text) if addr is None else addr


def host(run: Run, text: str) -> int:
    """Likewise, and a refusal where there is none."""
    addr = address(run, text)
    if addr is None:
        raise Refusal(EX_NOHOST, f"hostname ``{text}'' unknown")
    return addr
