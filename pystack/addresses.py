"""IPv4 addresses as people write them, and as the core has them: numbers in host order."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache

SPECIAL = {"": 0, "<any>": 0, "<broadcast>": 0xFFFFFFFF, "localhost": 0x7F000001}
"""Words that the standard library's sockets take too."""


@lru_cache(maxsize=4096)
def parse_host(text: str) -> int:
    """The number of "192.0.2.1"; 0 for "" (any).

    Raises socket.gaierror, an OSError, for anything else: there are no names here.
    """
    if text in SPECIAL:
        return SPECIAL[text]
    try:
        return int(ipaddress.IPv4Address(text))
    except ipaddress.AddressValueError as e:
        raise socket.gaierror(socket.EAI_NONAME, f"{text!r} is not an IPv4 address: {e}") from None


@lru_cache(maxsize=65536)
def dotted(addr: int) -> str:
    """192.0.2.1 of a number."""
    return f"{addr >> 24}.{addr >> 16 & 255}.{addr >> 8 & 255}.{addr & 255}"


def parse_interface(text: str) -> tuple[int, int]:
    """Address and prefix length of "192.0.2.1/24". Raises ValueError."""
    if "/" not in text:
        raise ValueError(f"address {text!r} has no prefix length; write {text + '/24'!r}")
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError as e:
        raise ValueError(f"address {text!r}: {e}") from None
    return int(interface.ip), interface.network.prefixlen


def parse_network(text: str) -> tuple[int, int]:
    """Number and prefix length of "198.51.100.0/24"; "default" is 0.0.0.0/0. Raises ValueError."""
    if text == "default":
        return 0, 0
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as e:
        raise ValueError(f"network {text!r}: {e}") from None
    return int(network.network_address), network.prefixlen
