"""What LOG writes into the kernel's log about a packet.

The octets of a packet, not our fields, are what is described: a packet that an ICMP error quotes is described alike.
Source: net/netfilter/nf_log_syslog.c.
"""

from __future__ import annotations

from pystack._fast.consts import PROTO_ICMP, PROTO_TCP, PROTO_UDP
from pystack.addresses import dotted

TCP_SEQUENCE = 1
TCP_OPTIONS = 2
IP_OPTIONS = 4
OWNER = 8

_FLAGS = (
    ("CWR", 128),
    ("ECE", 64),
    ("URG", 32),
    ("ACK", 16),
    ("PSH", 8),
    ("RST", 4),
    ("SYN", 2),
    ("FIN", 1),
)


def _number(octets: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(octets[at : at + size], "big")


def _options(octets: bytes) -> list[str]:
    return [f"OPT ({octets.hex().upper()})"] if octets else []


def _tcp(segment: bytes, flags: int) -> list[str]:
    if len(segment) < 20:
        return [f"INCOMPLETE [{len(segment)} bytes]"]
    out = [f"SPT={_number(segment, 0)}", f"DPT={_number(segment, 2)}"]
    if flags & TCP_SEQUENCE:
        out += [f"SEQ={_number(segment, 4, 4)}", f"ACK={_number(segment, 8, 4)}"]
    out += [f"WINDOW={_number(segment, 14)}", f"RES=0x{(segment[12] & 15) << 2:02x}"]
    out += [name for name, bit in _FLAGS if segment[13] & bit]
    out.append(f"URGP={_number(segment, 18)}")
    if flags & TCP_OPTIONS:
        out += _options(segment[20 : segment[12] >> 4 << 2])
    return out


def _icmp(message: bytes, flags: int, outer: bool) -> list[str]:
    if len(message) < 8:
        return [f"INCOMPLETE [{len(message)} bytes]"]
    kind, code = message[0], message[1]
    out = [f"TYPE={kind}", f"CODE={code}"]
    if kind in (0, 8):
        out += [f"ID={_number(message, 4)}", f"SEQ={_number(message, 6)}"]
    elif kind == 12:
        out.append(f"PARAMETER={message[4]}")
    elif kind in (3, 4, 5, 11):
        if kind == 5:
            out.append(f"GATEWAY={dotted(_number(message, 4, 4))}")
        if outer:
            out.append("[" + described(message[8:], flags, outer=False) + "]")
        if (kind, code) == (3, 4):
            out.append(f"MTU={_number(message, 6)}")
    return out


def described(octets: bytes, flags: int, *, outer: bool = True) -> str:
    """A packet, a blank behind each word."""
    if len(octets) < 20:
        return "TRUNCATED"
    head, tos, place = (octets[0] & 15) << 2, octets[1], _number(octets, 6)
    out = [
        f"SRC={dotted(_number(octets, 12, 4))}",
        f"DST={dotted(_number(octets, 16, 4))}",
        f"LEN={_number(octets, 2)}",
        f"TOS=0x{tos & 0x1E:02X}",
        f"PREC=0x{tos & 0xE0:02X}",
        f"TTL={octets[8]}",
        f"ID={_number(octets, 4)}",
    ]
    out += [name for name, bit in (("CE", 0x8000), ("DF", 0x4000), ("MF", 0x2000)) if place & bit]
    if place & 0x1FFF:
        out.append(f"FRAG:{place & 0x1FFF}")
    if flags & IP_OPTIONS:
        out += _options(octets[20:head])
    proto, whole, rest = octets[9], place & 0x1FFF == 0, octets[head:]
    if proto == PROTO_TCP:
        out += ["PROTO=TCP", *(_tcp(rest, flags) if whole else ())]
    elif proto == PROTO_UDP:
        out.append("PROTO=UDP")
        if whole and len(rest) >= 8:
            out += [f"{n}={_number(rest, at)}" for n, at in (("SPT", 0), ("DPT", 2), ("LEN", 4))]
    elif proto == PROTO_ICMP:
        out += ["PROTO=ICMP", *(_icmp(rest, flags, outer) if whole else ())]
    else:
        out.append(f"PROTO={proto}")
    return "".join(f"{word} " for word in out)


def log_line(prefix: str, face_in: str, face_out: str, octets: bytes, flags: int, mark: int) -> str:
    """The line of a packet; interfaces are "" where there is none. There are no link headers, so MAC is empty."""
    mac = "MAC= " if face_in else ""
    owner = "UID=0 GID=0 " if flags & OWNER and face_out and not face_in else ""
    marked = f"MARK=0x{mark:x} " if mark else ""
    return f"{prefix}IN={face_in} OUT={face_out} {mac}{described(octets, flags)}{owner}{marked}"
