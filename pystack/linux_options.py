"""Socket options of Linux that TCP itself knows little of.

Some change what it does (path MTU discovery off, errors at once, thin streams); of others the socket only
keeps what was set, for getsockopt to tell. Elsewhere they are ENOPROTOOPT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack._fast import tcb
from pystack._fast.consts import Err
from pystack._fast.tcp_build import our_mss
from pystack.errors import error_of
from pystack.optkinds import Getter, Setter, integer, linux_only, read_only

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

SOL_SOCKET, SOL_IP, SOL_TCP = 1, 0, 6
NUMBERS = {
    "SO_DONTROUTE": 5, "SO_PRIORITY": 12, "SO_SNDBUFFORCE": 32, "SO_RCVBUFFORCE": 33, "SO_MARK": 36, "SO_DOMAIN": 39,
    "SO_BUSY_POLL": 46, "SO_INCOMING_CPU": 49, "IP_MTU_DISCOVER": 10, "IP_RECVERR": 11, "IP_MTU": 14, "IP_FREEBIND": 15,
    "IP_TRANSPARENT": 19, "IP_BIND_ADDRESS_NO_PORT": 24, "TCP_THIN_LINEAR_TIMEOUTS": 16, "TCP_THIN_DUPACK": 17,
    "TCP_TIMESTAMP": 24, "TCP_SAVE_SYN": 27,
}  # fmt: skip
"""Linux's numbers (include/uapi), by name."""

IP_PMTUDISC_DONT = 0
IP_PMTUDISC_OMIT = 5
_MOST = 2**31 - 1


def kept(name: str, low: int, high: int, otherwise: int = 0) -> tuple[Getter, Setter]:
    """A number that the socket keeps; EINVAL outside of the range."""

    def read(sock: StreamSocket) -> int:
        return int((linux_only(sock).extras or {}).get(name, otherwise))

    def write(sock: StreamSocket, value: Any) -> None:
        number = integer(value)
        t = linux_only(sock)
        if not low <= number <= high:
            raise error_of(Err.EINVAL)
        # children have their listener's dictionary: it is replaced, not changed
        t.extras = (t.extras or {}) | {name: number}

    return read, write


def truth(name: str) -> tuple[Getter, Setter]:
    """A flag that the socket keeps: whatever is not 0 is 1."""
    read, write = kept(name, 0, 1)
    return read, lambda sock, value: write(sock, int(integer(value) != 0))


def option_bit(bit: int, high: int = 1) -> tuple[Getter, Setter]:
    """A bit of `so_options`."""

    def read(sock: StreamSocket) -> int:
        return int(linux_only(sock).so_options & bit != 0)

    def write(sock: StreamSocket, value: Any) -> None:
        number = integer(value)
        t = linux_only(sock)
        if not 0 <= number <= high:
            raise error_of(Err.EINVAL)
        t.so_options = t.so_options | bit if number else t.so_options & ~bit

    return read, write


_DISCOVER = kept("IP_MTU_DISCOVER", IP_PMTUDISC_DONT, IP_PMTUDISC_OMIT)


def _get_discover(sock: StreamSocket) -> int:
    default = int(sock.host.core.cfg.tcp_path_mtu_discovery != 0)  # net.ipv4.ip_no_pmtu_disc
    return int((linux_only(sock).extras or {}).get("IP_MTU_DISCOVER", default))


def _set_discover(sock: StreamSocket, value: Any) -> None:
    """IP_PMTUDISC_DONT: whatever routers say, segments stay as large as they are."""
    _DISCOVER[1](sock, value)
    t = sock.row
    off = integer(value) == IP_PMTUDISC_DONT
    t.so_options = t.so_options | tcb.SO_PMTU_OFF if off else t.so_options & ~tcb.SO_PMTU_OFF


def _get_mtu(sock: StreamSocket) -> int:
    t = linux_only(sock)
    if not t.so_state & tcb.SS_CONNECTED:
        raise error_of(Err.ENOTCONN)
    return int(t.pmtu or our_mss(sock.host.core, t.faddr, 0) + 40)


def _get_timestamp(sock: StreamSocket) -> int:
    return int(sock.host.core.ts_clock(linux_only(sock)))


def _ignored(high: int) -> tuple[Getter, Setter]:
    """An option that was taken away: 0 and 1 are still accepted, and it reads 0."""
    read, write = kept("", 0, high)
    return lambda sock: read(sock) * 0, write


_RECVERR = option_bit(tcb.SO_ERRORS_NOW, _MOST)


def _set_recverr(sock: StreamSocket, value: Any) -> None:
    """Errors at once; whoever wants them no more gets none of those that wait in the error queue."""
    _RECVERR[1](sock, value)
    if not integer(value) and sock.row.reports is not None:
        sock.row.reports.purge()


OPTIONS: dict[tuple[int, str], tuple[Getter, Setter]] = {
    (SOL_SOCKET, "SO_DONTROUTE"): truth("SO_DONTROUTE"),
    (SOL_SOCKET, "SO_PRIORITY"): kept("SO_PRIORITY", -(2**31), _MOST),
    (SOL_SOCKET, "SO_MARK"): kept("SO_MARK", -(2**31), _MOST),
    (SOL_SOCKET, "SO_DOMAIN"): read_only(lambda _: 2),
    (SOL_SOCKET, "SO_BUSY_POLL"): kept("SO_BUSY_POLL", 0, _MOST),
    (SOL_SOCKET, "SO_INCOMING_CPU"): kept("SO_INCOMING_CPU", -(2**31), _MOST, -1),
    (SOL_IP, "IP_MTU_DISCOVER"): (_get_discover, _set_discover),
    (SOL_IP, "IP_RECVERR"): (_RECVERR[0], _set_recverr),
    (SOL_IP, "IP_MTU"): read_only(_get_mtu),
    (SOL_IP, "IP_FREEBIND"): truth("IP_FREEBIND"),
    (SOL_IP, "IP_TRANSPARENT"): truth("IP_TRANSPARENT"),
    (SOL_IP, "IP_BIND_ADDRESS_NO_PORT"): truth("IP_BIND_ADDRESS_NO_PORT"),
    (SOL_TCP, "TCP_THIN_LINEAR_TIMEOUTS"): option_bit(tcb.SO_THIN),
    (SOL_TCP, "TCP_THIN_DUPACK"): _ignored(1),
    (SOL_TCP, "TCP_TIMESTAMP"): read_only(_get_timestamp),
    (SOL_TCP, "TCP_SAVE_SYN"): kept("TCP_SAVE_SYN", 0, 2),
}
