"""The options of a script (`--mtu=1400`), and those of whoever plays it, which win."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pystack.packetdrill.script import Option
from pystack.packetdrill.symbols import address
from pystack.packetdrill.verdict import Failure, Skip

Given = Mapping[str, str | int | float | bool | None]

_IDLE = frozenset(
    """send_omit_free is_anyip code_command code_format code_sockopt speed verbose v debug define D
    non_fatal_warnings netmask_ip gateway_ip wire_client_dev wire_server_dev profiles""".split()
)
"""Options that change nothing here: nothing is a device, and defines are the parser's."""


@dataclass(slots=True)
class Settings:
    """What the options come to. Addresses are numbers, times microseconds."""

    local_ip: int = 0xC0A80001
    remote_ip: int = 0xC0000201
    prefix: int = 16
    bind_port: int = 8080
    connect_port: int = 8080
    mtu: int = 1500
    mss: int = 0
    """Inbound segments with more octets than this arrive as one super-segment of such pieces."""
    tolerance_usecs: int = 4000
    tolerance_percent: float = 12.5
    ts_ecr_scaled: bool = False
    ts_tick_usecs: int = 0
    strict_segments: bool = False
    non_fatal_packet: bool = False
    non_fatal_syscall: bool = False
    init_scripts: tuple[str, ...] = ()
    dry_run: bool = False
    strict: bool = False
    """Not the tool's: what is left on the wire at the end is a failure, and TS echoes are compared."""


def settings_of(system: str, options: Iterable[Option], given: Given) -> Settings:
    """Defaults of the dialect, then the script's options, then those given.

    Raises Skip for an option that is not known, Failure for a value that makes no sense.
    """
    s = Settings()
    if system == "freebsd":
        s.tolerance_percent = 5.0
        s.strict_segments = True
    for option in options:
        _apply(s, option.name, option.value)
    for name, value in given.items():
        _apply(s, name.removeprefix("--"), value)
    return s


def _apply(s: Settings, name: str, value: object) -> None:
    name = name.replace("-", "_")
    match name:
        case "ip_version":
            if value != "ipv4":
                raise Skip(f"--ip_version={value}")
        case "local_ip":
            s.local_ip = _address(name, value)
        case "remote_ip":
            s.remote_ip = _address(name, value)
        case "netmask_ip":
            mask = _address(name, value)
            s.prefix = mask.bit_count()
            if mask != (0xFFFFFFFF << (32 - s.prefix)) & 0xFFFFFFFF:
                raise Failure(f"semantic error: --netmask_ip={value} is no netmask")
        case "bind_port" | "connect_port" | "mtu" | "mss" | "tolerance_usecs":
            setattr(s, name, _integer(name, value))
        case "tolerance_percent":
            s.tolerance_percent = _float(name, value)
        case "tcp_ts_tick_usecs":
            s.ts_tick_usecs = _integer(name, value)
        case "tcp_ts_ecr_scaled":
            s.ts_ecr_scaled = _flag(value)
        case "strict_segments":
            s.strict_segments = _flag(value)
        case "strict":
            s.strict = _flag(value)
        case "dry_run":
            s.dry_run = _flag(value)
        case "non_fatal":
            for word in str(value).split(","):
                if word not in ("packet", "syscall"):
                    raise Failure(f"semantic error: --non_fatal={word}: packet or syscall")
                setattr(s, f"non_fatal_{word}", True)
        case "init_scripts":
            s.init_scripts = tuple(filter(None, str(value).split(",")))
        case _ if name not in _IDLE:
            raise Skip(f"the option --{name}")


def _flag(value: object) -> bool:
    return value is None or value is True or str(value).lower() in ("1", "true", "yes", "")


def _integer(name: str, value: object) -> int:
    try:
        number = int(str(value), 0)
    except ValueError:
        raise Failure(f"semantic error: --{name}={value}: a number expected") from None
    limit = 65535 if name in ("bind_port", "connect_port", "mtu", "mss") else 10**12
    if not 0 <= number <= limit:
        raise Failure(f"semantic error: --{name}={value}: 0 to {limit}")
    return number


def _float(name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise Failure(f"semantic error: --{name}={value}: a number expected") from None
    if not 0 <= number <= 1000:
        raise Failure(f"semantic error: --{name}={value}: 0 to 1000")
    return number


def _address(name: str, value: object) -> int:
    return address(str(value).encode())
