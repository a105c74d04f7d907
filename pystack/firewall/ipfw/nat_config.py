"""`nat N config ...`: what an instance of in-kernel NAT is told to do, read and printed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pystack.addresses import dotted
from pystack.firewall.ipfw.cnumbers import atoi, inet_aton, starts_digit, strtol
from pystack.firewall.ipfw.eras import Era
from pystack.firewall.ipfw.errors import EX_DATAERR, EX_UNAVAILABLE, Refusal
from pystack.firewall.ipfw.names import Names
from pystack.firewall.ipfw.words import Words

FLAGS = (
    "log",
    "deny_in",
    "same_ports",
    "skip_global",
    "unreg_only",
    "unreg_cgn",
    "reset",
    "reverse",
    "proxy_only",
)
"""What an instance may be told, in the order in which it is printed."""
_SINCE = {"unreg_cgn": Era.E12, "port_range": Era.E12, "udp_eim": Era.E12}
_ABSENT = {"udp_eim": "a port outside is that of one peer"}
_LOWEST_PORT, _HIGHEST_PORT = 1024, 65535


@dataclass(frozen=True)
class Redirect:
    """One redirection. `kind`: addr, port or proto; `local`: (address, port) of each server (several: turn by turn);
    `count`: how many ports in a row; 0 stands for any.
    """

    kind: str
    local: tuple[tuple[int, int], ...]
    public: int = 0
    proto: int = 0
    port: int = 0
    count: int = 1
    remote: int = 0
    remote_port: int = 0
    remote_count: int = 1


@dataclass
class NatConfig:
    """An instance: the address of an interface, or an address, and what it does with packets."""

    number: int
    interface: str = ""
    addr: int = 0
    flags: set[str] = field(default_factory=set)
    ports: tuple[int, int] = (0, 0)
    """The lowest and the highest port outside; 0: any."""
    redirects: list[Redirect] = field(default_factory=list)


def read(words: Words, names: Names, era: Era) -> NatConfig:
    """The configuration behind `nat config`, with its number first. Raises Refusal."""
    if not starts_digit(words.peek() or ""):
        raise Refusal(EX_DATAERR, "missing nat id")
    config = NatConfig(atoi(words.take()))
    if not words:
        raise Refusal(EX_DATAERR, "missing option")
    while words:
        word = words.take()
        if era < _SINCE.get(word, Era.E8):
            raise Refusal(EX_DATAERR, f"unrecognised option ``{word}''")
        if word in _ABSENT:
            raise Refusal(EX_UNAVAILABLE, f"{word}: {_ABSENT[word]} on this machine")
        if word in FLAGS:
            config.flags.add(word)
        elif word == "port_range":
            words.need("missing option", EX_DATAERR)
            config.ports = _port_range(words.take())
        elif word == "ip":
            text = words.need("missing option", EX_DATAERR)
            addr = inet_aton(words.take())
            if addr is None:
                raise Refusal(EX_DATAERR, f"bad ip address ``{text}''")
            config.addr = addr
        elif word == "if":
            words.need("missing option", EX_DATAERR)
            config.interface = words.take()
        elif word in _REDIRECTS:
            config.redirects.append(_REDIRECTS[word](words, names))
        else:
            raise Refusal(EX_DATAERR, f"unrecognised option ``{word}''")
    return config


def _port_range(text: str) -> tuple[int, int]:
    """(lowest, highest) of `20000-29999`."""
    low, rest = strtol(text)
    high, behind = strtol(rest[1:])
    ports_of_users = all(_LOWEST_PORT <= port <= _HIGHEST_PORT for port in (low, high))
    if not rest.startswith("-") or behind or not ports_of_users:
        raise Refusal(EX_DATAERR, "You need a range of port(s) from 1024 <= x < 65536")
    if low >= high:
        raise Refusal(EX_DATAERR, "Upper port has to be greater than lower port")
    return low, high


def _address(text: str) -> int:
    addr = inet_aton(text)
    if addr is None:
        raise Refusal(EX_DATAERR, f"bad ip address ``{text}''")
    return addr


def _protocol(words: Words, names: Names) -> int:
    text = words.need("redirect: missing protocol", EX_DATAERR)
    number = names.protocol(words.take())
    if number is None:
        raise Refusal(EX_DATAERR, f"unknown protocol {text}")
    return number


def _ports(text: str, names: Names, proto: int) -> tuple[int, int]:
    """(first port, how many) of `80`, `http` or `8000-8009`."""
    low_text, dash, high_text = text.partition("-")
    low, high = (_port(each, names, proto) for each in (low_text, high_text if dash else low_text))
    if high < low:
        raise Refusal(EX_DATAERR, f"invalid port range {text}")
    return low, high - low + 1


def _port(text: str, names: Names, proto: int) -> int:
    number, rest = strtol(text)
    found: int | None = number
    if rest or not text:
        found = names.service(text, proto)
    if found is None or not 0 <= found <= 65535:
        raise Refusal(EX_DATAERR, f"invalid port {text}")
    return found


def _place(text: str, names: Names, proto: int) -> tuple[int, int, int]:
    """(address, first port, how many) of `ADDRESS:PORTS`."""
    host, colon, ports = text.partition(":")
    if not colon:
        raise Refusal(EX_DATAERR, f"missing port in {text}")
    return (_address(host), *_ports(ports, names, proto))


def _next_is_place(words: Words) -> bool:
    """A word that begins with a digit still belongs to the redirection."""
    return starts_digit(words.peek() or "")


def _redirect_addr(words: Words, names: Names) -> Redirect:
    """`redirect_addr LOCAL[,LOCAL...] PUBLIC`."""
    if len(words) < 2:
        raise Refusal(EX_DATAERR, "redirect_addr: not enough arguments")
    servers = tuple((_address(each), 0) for each in words.take().split(","))
    return Redirect("addr", servers, _address(words.take()))


def _redirect_port(words: Words, names: Names) -> Redirect:
    """`redirect_port PROTO LOCAL:PORTS[,LOCAL:PORT...] [PUBLIC:]PORTS [REMOTE[:PORTS]]`."""
    if len(words) < 3:
        raise Refusal(EX_DATAERR, "redirect_port: not enough arguments")
    proto = _protocol(words, names)
    several = words.take().split(",")
    places = [_place(each, names, proto) for each in several]
    public_text = words.take()
    public = 0
    if ":" in public_text:
        public_host, _, public_text = public_text.partition(":")
        public = _address(public_host)
    port, count = _ports(public_text, names, proto)
    if len(places) == 1 and places[0][2] != count:
        raise Refusal(EX_DATAERR, "redirect_port: port ranges must be equal in size")
    remote = remote_port = 0
    remote_count = 1
    if _next_is_place(words):
        host, colon, ports = words.take().partition(":")
        remote = _address(host)
        if colon:
            remote_port, remote_count = _ports(ports, names, proto)
            if remote_count not in (1, count):
                raise Refusal(
                    EX_DATAERR,
                    "redirect_port: remote port range must be one or as large as the other",
                )
    local = tuple((addr, first) for addr, first, _ in places)
    return Redirect("port", local, public, proto, port, count, remote, remote_port, remote_count)


def _redirect_proto(words: Words, names: Names) -> Redirect:
    """`redirect_proto PROTO LOCAL [PUBLIC [REMOTE]]`."""
    if len(words) < 2:
        raise Refusal(EX_DATAERR, "redirect_proto: not enough arguments")
    proto = _protocol(words, names)
    local = _address(words.take())
    public = _address(words.take()) if _next_is_place(words) else 0
    remote = _address(words.take()) if public and _next_is_place(words) else 0
    return Redirect("proto", ((local, 0),), public, proto, remote=remote)


_REDIRECTS = {
    "redirect_addr": _redirect_addr,
    "redirect_port": _redirect_port,
    "redirect_proto": _redirect_proto,
}


def text(config: NatConfig, names: Names) -> str:
    """`ipfw nat N config ...`, as it is printed."""
    parts = [f"ipfw nat {config.number} config"]
    if config.interface:
        parts.append(f"if {config.interface}")
    elif config.addr:
        parts.append(f"ip {dotted(config.addr)}")
    parts += [flag for flag in FLAGS if flag in config.flags]
    if config.ports[0]:
        parts.append("port_range {}-{}".format(*config.ports))
    parts += [_redirect_text(each, names) for each in config.redirects]
    return " ".join(parts)


def _span(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def _redirect_text(redirect: Redirect, names: Names) -> str:
    if redirect.kind == "addr":
        servers = ",".join(dotted(addr) for addr, _ in redirect.local)
        return f"redirect_addr {servers} {dotted(redirect.public)}"
    proto = names.protocol_name(redirect.proto) or str(redirect.proto)
    public = f"{dotted(redirect.public)}" if redirect.public else ""
    if redirect.kind == "proto":
        ends = [
            dotted(redirect.local[0][0]),
            public,
            dotted(redirect.remote) if redirect.remote else "",
        ]
        return " ".join(["redirect_proto", proto, *(end for end in ends if end)])
    count = redirect.count if len(redirect.local) == 1 else 1
    servers = ",".join(f"{dotted(addr)}:{_span(port, count)}" for addr, port in redirect.local)
    end = f"{public}:" if public else ""
    parts = ["redirect_port", proto, servers, f"{end}{_span(redirect.port, redirect.count)}"]
    if redirect.remote:
        ports = (
            f":{_span(redirect.remote_port, redirect.remote_count)}" if redirect.remote_port else ""
        )
        parts.append(dotted(redirect.remote) + ports)
    return " ".join(parts)
