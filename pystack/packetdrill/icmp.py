"""ICMP lines: names of types and codes, and messages to inject."""

from __future__ import annotations

import struct

from pystack.packetdrill.script import IcmpPacket
from pystack.packetdrill.segments import (
    IP_HEAD,
    M32,
    PROTO_TCP,
    PROTO_UDP,
    TCP_HEAD,
    icmp_message,
    ip_packet,
    zeros,
)
from pystack.packetdrill.verdict import Skip

TYPES = {
    "echo_reply": 0,
    "unreachable": 3,
    "source_quench": 4,
    "redirect": 5,
    "echo_request": 8,
    "time_exceeded": 11,
    "parameter_problem": 12,
}
"""RFC 792."""

_UNREACHABLE = (
    "net_unreachable host_unreachable protocol_unreachable port_unreachable frag_needed source_route_failed "
    "net_unknown host_unknown source_host_isolated net_prohibited host_prohibited net_unreachable_for_tos "
    "host_unreachable_for_tos packet_filtered precedence_violation precedence_cutoff"
).split()
CODES = {
    3: {name: n for n, name in enumerate(_UNREACHABLE)},
    5: {"net": 0, "host": 1, "tos_net": 2, "tos_host": 3},
    11: {
        "ttl_exceeded_in_transit": 0,
        "ttl_exceeded": 0,
        "fragment_reassembly_time_exceeded": 1,
        "fragment_reassembly": 1,
    },
    12: {"pointer_indicates_error": 0, "missing_required_option": 1, "bad_length": 2},
}
"""RFC 792 and RFC 1812."""
_NEEDS_FRAGMENT = 4

Address = tuple[int, int]


def numbers(p: IcmpPacket) -> tuple[int, int]:
    """Type and code. Raises Skip for a name that is not IPv4's."""
    kind = p.type
    if isinstance(kind, str):
        if kind not in TYPES:
            raise Skip(f"the ICMP type {kind}")
        kind = TYPES[kind]
    code = p.code or 0
    if isinstance(code, str):
        if code not in CODES.get(kind, {}):
            raise Skip(f"the ICMP code {code}")
        code = CODES[kind][code]
    return kind, code


def inbound(
    p: IcmpPacket, local: Address, remote: Address, isn: int, udp: bool, tos: int, ttl: int
) -> bytes:
    """A packet from the remote address; it quotes one that the machine sent to it.

    `local` and `remote` are (address, port) of the socket under test, `isn` its live initial sequence number.
    """
    kind, code = numbers(p)
    first, second = p.id or 0, 0
    if kind == 3 and code == _NEEDS_FRAGMENT:
        second = p.mtu or 0
    rest = b""
    if p.quoted is not None:
        rest = _quote(p, local, remote, isn)
    elif kind not in (TYPES["echo_request"], TYPES["echo_reply"]):
        head = struct.pack(">HHI", local[1], remote[1], isn)
        proto = PROTO_UDP if udp else PROTO_TCP
        rest = ip_packet(head, proto, local[0], remote[0], ttl=64, total=IP_HEAD + TCP_HEAD)
    message = icmp_message(kind, code, first, second, rest)
    return ip_packet(message, 1, remote[0], local[0], tos=tos, ttl=ttl)


def _quote(p: IcmpPacket, local: Address, remote: Address, isn: int) -> bytes:
    """The header and eight octets of the packet that is quoted (RFC 792)."""
    quoted = p.quoted
    assert quoted is not None
    if quoted.proto == "tcp":
        body = struct.pack(">HHI", local[1], remote[1], (quoted.seq + isn) & M32)
        proto, total = PROTO_TCP, IP_HEAD + TCP_HEAD + quoted.length
    elif quoted.proto == "udp":
        body = struct.pack(">HHHH", local[1], remote[1], 8 + quoted.length, 0)
        proto, total = PROTO_UDP, IP_HEAD + 8 + quoted.length
    else:
        body = zeros(min(quoted.length, 8))
        proto, total = 255, IP_HEAD + quoted.length
    return ip_packet(body, proto, local[0], remote[0], ttl=64, total=total)
