"""Socket options: what setsockopt and getsockopt of each kind of socket do.

Levels and names are the numbers of the standard library's `socket`; options that it does not have where
it runs have Linux's numbers, or (TCP_NOPUSH, TCP_KEEPINIT, SO_ACCEPTFILTER: FreeBSD's own) the ones below.
"""

from __future__ import annotations

import socket as std
import struct
from typing import TYPE_CHECKING, Any

from pystack import ip_options, linux_options, sockreports, tcpinfo, tcpopts
from pystack._fast import accept_filter, reports, tcb
from pystack._fast.consts import (
    CLOSING,
    FIN_WAIT_2,
    LISTEN,
    MS,
    NEVER,
    SECOND,
    SOCKBUF_LINUX,
    SOCKOPT_LINUX,
    SYN_RECEIVED,
    SYN_SENT,
    Err,
)
from pystack._fast.opening import take_error
from pystack._fast.tcp_window import offered_scale, open_lowat
from pystack.errors import error_of, number_of
from pystack.optkinds import (
    LEAST_RCVBUF,
    Getter,
    Setter,
    bsd_only,
    field,
    flag,
    integer,
    linux_only,
    read_only,
)

if TYPE_CHECKING:
    from pystack.sockets import Socket, StreamSocket


def _number(name: str, otherwise: int) -> int:
    return int(getattr(std, name, otherwise))


SOL_SOCKET = _number("SOL_SOCKET", 1)
IPPROTO_IP = 0
IPPROTO_TCP = 6

SO_DEBUG = _number("SO_DEBUG", 1)
SO_REUSEADDR = _number("SO_REUSEADDR", 2)
SO_TYPE = _number("SO_TYPE", 3)
SO_ERROR = _number("SO_ERROR", 4)
SO_BROADCAST = _number("SO_BROADCAST", 6)
SO_SNDBUF = _number("SO_SNDBUF", 7)
SO_RCVBUF = _number("SO_RCVBUF", 8)
SO_KEEPALIVE = _number("SO_KEEPALIVE", 9)
SO_OOBINLINE = _number("SO_OOBINLINE", 10)
SO_LINGER = _number("SO_LINGER", 13)
SO_REUSEPORT = _number("SO_REUSEPORT", 15)
SO_RCVLOWAT = _number("SO_RCVLOWAT", 18)
SO_SNDLOWAT = _number("SO_SNDLOWAT", 19)
SO_TIMESTAMP = 29
SO_ACCEPTCONN = _number("SO_ACCEPTCONN", 30)
SO_TIMESTAMPNS = 35
SO_TIMESTAMPING = 37
SO_PROTOCOL = _number("SO_PROTOCOL", 38)
SO_ZEROCOPY = 60
SO_LISTENQLIMIT = 0x11011
SO_LISTENQLEN = 0x11012
SO_LISTENINCQLEN = 0x11013
SO_ACCEPTFILTER = 0x11000
SO_NOSIGPIPE = 0x800
"""FreeBSD; nothing here ever sends a signal."""

IP_TOS = _number("IP_TOS", 1)
IP_TTL = _number("IP_TTL", 2)
IP_OPTIONS = _number("IP_OPTIONS", 4)
IP_MINTTL = 21
"""Linux's number: what came through more routers than that leaves of 255 is dropped (RFC 5082)."""
IP_PORTRANGE = 19
"""FreeBSD: which range of ports the machine chooses from."""

TCP_NODELAY = _number("TCP_NODELAY", 1)
TCP_MAXSEG = _number("TCP_MAXSEG", 2)
TCP_CORK = _number("TCP_CORK", 3)
TCP_KEEPIDLE = _number("TCP_KEEPIDLE", 4)
TCP_KEEPINTVL = _number("TCP_KEEPINTVL", 5)
TCP_KEEPCNT = _number("TCP_KEEPCNT", 6)
TCP_SYNCNT = _number("TCP_SYNCNT", 7)
TCP_LINGER2 = _number("TCP_LINGER2", 8)
TCP_DEFER_ACCEPT = _number("TCP_DEFER_ACCEPT", 9)
TCP_WINDOW_CLAMP = _number("TCP_WINDOW_CLAMP", 10)
TCP_NOTSENT_LOWAT = _number("TCP_NOTSENT_LOWAT", 25)
TCP_INFO = _number("TCP_INFO", 11)
TCP_QUICKACK = _number("TCP_QUICKACK", 12)
TCP_CONGESTION = _number("TCP_CONGESTION", 13)
TCP_USER_TIMEOUT = _number("TCP_USER_TIMEOUT", 18)
TCP_FASTOPEN = _number("TCP_FASTOPEN", 23)
TCP_FASTOPEN_CONNECT = 30
TCP_FASTOPEN_KEY = 33
TCP_FASTOPEN_NO_COOKIE = 34
TCP_INQ = 36
TCP_NOPUSH = _number("TCP_NOPUSH", 0x10004)
TCP_NOOPT = _number("TCP_NOOPT", 0x10008)
TCP_KEEPINIT = _number("TCP_KEEPINIT", 0x10080)
TCP_MAXUNACKTIME = _number("TCP_MAXUNACKTIME", 0x10044)

_LINGER = struct.Struct("ii")


def set_option(sock: Socket, level: int, name: int, value: Any) -> None:
    """setsockopt(2). Raises OSError (ENOPROTOOPT for an option that there is not)."""
    options = STREAM if sock.type == std.SOCK_STREAM else DATAGRAM
    _, setter = options.get((level, name), (None, None))
    if setter is None:
        raise error_of(Err.ENOPROTOOPT)
    host = sock.host
    host.before(host.core)
    setter(sock, value)
    host.after(host.core)


def get_option(sock: Socket, level: int, name: int, buflen: int) -> Any:
    """getsockopt(2). SO_LINGER answers (on, seconds), TCP_INFO a `TcpInfo`, TCP_CONGESTION a str; with
    `buflen` all answer octets.
    """
    options = STREAM if sock.type == std.SOCK_STREAM else DATAGRAM
    getter, _ = options.get((level, name), (None, None))
    if getter is None:
        raise error_of(Err.ENOPROTOOPT)
    value = getter(sock)
    if not buflen:
        return value
    if isinstance(value, tuple):
        return _LINGER.pack(*value)[:buflen]
    if isinstance(value, str):
        return value.encode().ljust(16, b"\0")[:buflen]
    if isinstance(value, bytes):
        return value[:buflen]
    if isinstance(value, int):
        return struct.pack("i", value)[:buflen]
    return value.pack()[:buflen]


# --- errors -----------------------------------------------------------------------------------------


def _error(sock: Socket) -> int:
    row = sock.row
    if sock.type == std.SOCK_STREAM:
        error: int = take_error(row)
        if not error and sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX:
            error, row.soft_error = row.soft_error, 0
        return number_of(error)
    error, row.error = row.error, 0
    return number_of(error)


# --- buffers ----------------------------------------------------------------------------------------


def _size(sock: Socket, value: Any, largest: int, least: int) -> int:
    """The size that a buffer gets: Linux doubles and clamps, BSD takes it as it is or says ENOBUFS."""
    cfg = sock.host.core.cfg
    wanted = integer(value)
    if cfg.policy_sockbuf == SOCKBUF_LINUX:
        return max(2 * min(max(wanted, 0), largest), least)
    if wanted <= 0:
        raise error_of(Err.EINVAL)
    if wanted > cfg.sb_max * 2048 // (256 + 2048):
        raise error_of(Err.ENOBUFS)
    return wanted


def _set_sndbuf(sock: StreamSocket, value: Any) -> None:
    queue = sock.row.sndq
    queue.hiwat = _size(sock, value, sock.host.core.cfg.wmem_max, 4608)
    queue.lowat = min(queue.lowat, queue.hiwat)
    sock.row.t_flags |= tcb.TF_SND_AUTO_OFF


def _set_rcvbuf(sock: StreamSocket, value: Any) -> None:
    t = sock.row
    queue = t.rcvq
    queue.hiwat = _size(sock, value, sock.host.core.cfg.rmem_max, LEAST_RCVBUF)
    queue.lowat = min(queue.lowat, queue.hiwat)
    t.t_flags |= tcb.TF_RCV_AUTO_OFF
    if t.state == LISTEN:  # what its children will offer
        t.request_r_scale = offered_scale(sock.host.core, t)


def _set_datagram_rcvbuf(sock: Socket, value: Any) -> None:
    sock.row.hiwat = _size(sock, value, sock.host.core.cfg.rmem_max, LEAST_RCVBUF)


def _set_datagram_sndbuf(sock: Socket, value: Any) -> None:
    sock.row.sndbuf = _size(sock, value, sock.host.core.cfg.wmem_max, 4608)


def _set_rcvlowat(sock: StreamSocket, value: Any) -> None:
    wanted = max(integer(value), 1)
    t = sock.row
    cfg = sock.host.core.cfg
    if cfg.policy_sockbuf == SOCKBUF_LINUX:
        locked = t.t_flags & tcb.TF_RCV_AUTO_OFF
        t.rcvq.lowat = min(wanted, (t.rcvq.hiwat if locked else cfg.tcp_rmem_max) >> 1)
        if not locked:
            open_lowat(t)
    else:
        t.rcvq.lowat = min(wanted, t.rcvq.hiwat)


def _set_sndlowat(sock: StreamSocket, value: Any) -> None:
    if sock.host.core.cfg.policy_sockbuf == SOCKBUF_LINUX:
        raise error_of(Err.ENOPROTOOPT)
    queue = sock.row.sndq
    queue.lowat = min(max(integer(value), 1), queue.hiwat)


# --- SO_LINGER and friends --------------------------------------------------------------------------


def _get_linger(sock: StreamSocket) -> tuple[int, int]:
    seconds = sock.row.linger
    if seconds < 0:
        return 0, 0
    return (1 if sock.host.core.cfg.policy_sockbuf == SOCKBUF_LINUX else 128), int(seconds)


def _set_linger(sock: StreamSocket, value: Any) -> None:
    if isinstance(value, (bytes, bytearray, memoryview)):
        if len(value) < _LINGER.size:
            raise error_of(Err.EINVAL)
        on, seconds = _LINGER.unpack_from(value)
    else:
        on, seconds = value
    if on and not 0 <= seconds <= 65535 and sock.host.core.cfg.policy_sockbuf != SOCKBUF_LINUX:
        raise error_of(Err.EDOM)
    sock.row.linger = min(max(int(seconds), 0), 2**31 - 1) if on else -1


def _set_keepalive(sock: StreamSocket, value: Any) -> None:
    _KEEPALIVE[1](sock, value)
    if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX:
        _restart_keepalive(sock)  # on FreeBSD the timer always runs


def _restart_keepalive(sock: StreamSocket) -> None:
    """Whoever changes keep-alive of a living connection means from now on."""
    t = sock.row
    core = sock.host.core
    if not t.so_state & tcb.SS_CONNECTED or t.row == 0:
        return
    if t.so_options & tcb.SO_KEEPALIVE or core.cfg.tcp_always_keepalive:
        t.at_keep = max(t.rcvtime, t.starttime) + t.keepidle * MS
        t.at_keep = max(t.at_keep, core.now)
    else:
        t.at_keep = NEVER
    core.arm(t)


def _keep(name: str, high: int, scale: int) -> tuple[Getter, Setter]:
    """TCP_KEEPIDLE and its neighbours. Linux has bounds; to FreeBSD 0 is the knob's value."""
    read, write = field(name, 1, high, scale)

    def write_and_restart(sock: StreamSocket, value: Any) -> None:
        if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX:
            write(sock, value)
            _restart_keepalive(sock)
            return
        number = integer(value)
        if not 0 <= number <= 2147483:
            raise error_of(Err.EINVAL)
        knob = getattr(sock.host.core.cfg, f"tcp_{name}")
        setattr(sock.row, name, number * scale or (knob if scale == 1 else knob // MS))
        _restart_bsd(sock, name)

    return read, write_and_restart


def _restart_bsd(sock: StreamSocket, name: str) -> None:
    """FreeBSD: which timer begins anew, from now on, when one of its times is set."""
    t = sock.row
    core = sock.host.core
    if t.row == 0:
        return
    if name == "keepidle" and LISTEN < t.state <= CLOSING:
        t.at_keep = core.now + t.keepidle * MS
    elif name == "keepinit" and t.state in (SYN_SENT, SYN_RECEIVED):
        t.at_keep = core.now + t.keepinit * MS
    elif name in ("keepintvl", "keepcnt") and t.state == FIN_WAIT_2:
        t.at_2msl = core.now + t.keepcnt * t.keepintvl * MS
    core.arm(t)


# --- accept filters ---------------------------------------------------------------------------------


def _get_filter(sock: StreamSocket) -> str:
    if sock.row.state != LISTEN or not sock.row.accept_filter:
        raise error_of(Err.EINVAL)
    return accept_filter.NAMES[sock.row.accept_filter]


def _set_filter(sock: StreamSocket, value: Any) -> None:
    """The filter of a listener by its name, which b"" or None takes away (accept_filter(9))."""
    t = sock.row
    name = value if isinstance(value, str) else bytes(value or b"").split(b"\0")[0].decode()
    if t.state != LISTEN or (name and t.accept_filter):
        raise error_of(Err.EINVAL)
    if name not in accept_filter.NAMES:
        raise error_of(Err.ENOENT)
    t.accept_filter = accept_filter.NAMES.index(name)


# --- the tables --------------------------------------------------------------------------------------


def _set_tos(sock: Socket, value: Any) -> None:
    """The octet of every header; the bits of ECN are TCP's own on Linux."""
    number = integer(value)
    if not 0 <= number <= 255:
        raise error_of(Err.EINVAL)
    tcp = sock.type == std.SOCK_STREAM and sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX
    sock.row.tos = number & 0xFC | sock.row.tos & 3 if tcp else number


PORT_RANGES = (0, tcb.SO_PORT_HIGH, tcb.SO_PORT_LOW)
"""IP_PORTRANGE_DEFAULT, IP_PORTRANGE_HIGH, IP_PORTRANGE_LOW."""


def _get_port_range(sock: Socket) -> int:
    return PORT_RANGES.index(sock.row.so_options & (tcb.SO_PORT_HIGH | tcb.SO_PORT_LOW))


def _set_port_range(sock: Socket, value: Any) -> None:
    """Counts for the next bind or connect that names no port."""
    number = integer(value)
    if not 0 <= number < len(PORT_RANGES):
        raise error_of(Err.EINVAL)
    others = sock.row.so_options & ~(tcb.SO_PORT_HIGH | tcb.SO_PORT_LOW)
    sock.row.so_options = others | PORT_RANGES[number]


_KEEPALIVE = flag(tcb.SO_KEEPALIVE)

Options = dict[tuple[int, int], tuple[Getter, Setter]]

COMMON: Options = {
    (SOL_SOCKET, SO_REUSEADDR): flag(tcb.SO_REUSEADDR),
    (SOL_SOCKET, SO_REUSEPORT): flag(tcb.SO_REUSEPORT),
    (SOL_SOCKET, SO_BROADCAST): flag(tcb.SO_BROADCAST),
    (SOL_SOCKET, SO_DEBUG): flag(tcb.SO_DEBUG),  # a kernel keeps it, and does nothing with it
    (SOL_SOCKET, SO_TYPE): read_only(lambda sock: int(sock.type)),
    (SOL_SOCKET, SO_PROTOCOL): read_only(lambda sock: int(sock.proto)),
    (SOL_SOCKET, SO_ERROR): read_only(_error),
    (IPPROTO_IP, IP_TTL): field("ttl", 1, 255),
    (IPPROTO_IP, IP_PORTRANGE): bsd_only((_get_port_range, _set_port_range)),
    (IPPROTO_IP, IP_TOS): (lambda sock: int(sock.row.tos), _set_tos),
}

DATAGRAM: Options = COMMON | {
    (SOL_SOCKET, SO_ACCEPTCONN): read_only(lambda _: 0),
    (SOL_SOCKET, SO_RCVBUF): (lambda sock: int(sock.row.hiwat), _set_datagram_rcvbuf),
    (SOL_SOCKET, SO_SNDBUF): (lambda sock: int(sock.row.sndbuf), _set_datagram_sndbuf),
}

STREAM: Options = COMMON | {
    (SOL_SOCKET, SO_ACCEPTCONN): read_only(lambda sock: int(sock.row.state == LISTEN)),
    (SOL_SOCKET, SO_SNDBUF): (lambda sock: int(sock.row.sndq.hiwat), _set_sndbuf),
    (SOL_SOCKET, SO_RCVBUF): (lambda sock: int(sock.row.rcvq.hiwat), _set_rcvbuf),
    (SOL_SOCKET, SO_SNDLOWAT): (lambda sock: int(sock.row.sndq.lowat) or 1, _set_sndlowat),
    (SOL_SOCKET, SO_RCVLOWAT): (lambda sock: int(sock.row.rcvq.lowat), _set_rcvlowat),
    (SOL_SOCKET, SO_OOBINLINE): flag(tcb.SO_OOBINLINE),
    (SOL_SOCKET, SO_ACCEPTFILTER): bsd_only((_get_filter, _set_filter)),
    (SOL_SOCKET, SO_LISTENQLIMIT): bsd_only(read_only(lambda sock: int(sock.row.backlog))),
    (SOL_SOCKET, SO_LISTENQLEN): bsd_only(read_only(lambda sock: int(sock.row.qlen))),
    (SOL_SOCKET, SO_LISTENINCQLEN): bsd_only(
        read_only(lambda sock: len(sock.row.books.filtered) if sock.row.books else 0)
    ),
    (SOL_SOCKET, SO_NOSIGPIPE): bsd_only(flag(tcb.SO_NOSIGPIPE)),
    (SOL_SOCKET, SO_KEEPALIVE): (_KEEPALIVE[0], _set_keepalive),
    (SOL_SOCKET, SO_LINGER): (_get_linger, _set_linger),
    (IPPROTO_IP, IP_OPTIONS): (ip_options.get, ip_options.put),
    (IPPROTO_IP, IP_MINTTL): field("min_ttl", 0, 255),
    (IPPROTO_TCP, TCP_NODELAY): tcpopts.tcp_flag(tcb.TF_NODELAY),
    (IPPROTO_TCP, TCP_CORK): tcpopts.tcp_flag(tcb.TF_NOPUSH, push=True),
    (IPPROTO_TCP, TCP_NOPUSH): tcpopts.tcp_flag(tcb.TF_NOPUSH, push=True),
    (IPPROTO_TCP, TCP_NOOPT): bsd_only(tcpopts.NO_OPTIONS),
    (IPPROTO_TCP, TCP_MAXSEG): (tcpopts.get_maxseg, tcpopts.set_maxseg),
    (IPPROTO_TCP, TCP_KEEPIDLE): _keep("keepidle", 32767, 1000),
    (IPPROTO_TCP, TCP_KEEPINTVL): _keep("keepintvl", 32767, 1000),
    (IPPROTO_TCP, TCP_KEEPCNT): _keep("keepcnt", 127, 1),
    (IPPROTO_TCP, TCP_KEEPINIT): bsd_only(_keep("keepinit", 2147483, 1000)),
    (IPPROTO_TCP, TCP_MAXUNACKTIME): bsd_only(field("user_timeout", 0, 4294967, SECOND)),
    (IPPROTO_TCP, TCP_USER_TIMEOUT): field("user_timeout", 0, 2**31 - 1, MS),
    (IPPROTO_TCP, TCP_LINGER2): (tcpopts.get_linger2, tcpopts.set_linger2),
    (IPPROTO_TCP, TCP_QUICKACK): (tcpopts.get_quickack, tcpopts.set_quickack),
    (IPPROTO_TCP, TCP_NOTSENT_LOWAT): (
        tcpopts.get_notsent_lowat,
        tcpopts.set_notsent_lowat,
    ),
    (IPPROTO_TCP, TCP_WINDOW_CLAMP): (tcpopts.get_window_clamp, tcpopts.set_window_clamp),
    (IPPROTO_TCP, TCP_SYNCNT): (tcpopts.get_syncnt, tcpopts.set_syncnt),
    (IPPROTO_TCP, TCP_DEFER_ACCEPT): (tcpopts.get_defer_accept, tcpopts.set_defer_accept),
    (IPPROTO_TCP, TCP_FASTOPEN): (tcpopts.get_fastopen, tcpopts.set_fastopen),
    (IPPROTO_TCP, TCP_FASTOPEN_CONNECT): (
        tcpopts.fo_flag(tcb.FO_CONNECT),
        tcpopts.set_fastopen_connect,
    ),
    (IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE): (
        tcpopts.fo_flag(tcb.FO_NO_COOKIE),
        tcpopts.set_fastopen_no_cookie,
    ),
    (IPPROTO_TCP, TCP_FASTOPEN_KEY): (
        lambda sock: linux_only(sock).fo_key,
        tcpopts.set_fastopen_key,
    ),
    (IPPROTO_TCP, TCP_CONGESTION): (tcpopts.get_congestion, tcpopts.set_congestion),
    (IPPROTO_TCP, TCP_INFO): read_only(tcpinfo.of),
    (IPPROTO_TCP, TCP_INQ): sockreports.told(reports.TELL_UNREAD, sockreports.set_strict_bit),
    (SOL_SOCKET, SO_ZEROCOPY): sockreports.told(reports.TELL_COPIES, sockreports.set_strict_bit),
    (SOL_SOCKET, SO_TIMESTAMP): sockreports.told(reports.TELL_TIME, sockreports.set_time),
    (SOL_SOCKET, SO_TIMESTAMPNS): sockreports.told(reports.TELL_TIME_NS, sockreports.set_time),
    (SOL_SOCKET, SO_TIMESTAMPING): (sockreports.get_stamping, sockreports.set_stamping),
}
STREAM |= {
    ({linux_options.SOL_SOCKET: SOL_SOCKET}.get(level, level), linux_options.NUMBERS[name]): kind
    for (level, name), kind in linux_options.OPTIONS.items()
}
