"""Socket options: what setsockopt and getsockopt of each kind of socket do.

Levels and names are the numbers of the standard library's `socket`; options that it does not have where
it runs have Linux's numbers, or (TCP_NOPUSH, TCP_KEEPINIT: FreeBSD's own) the ones below.
"""

from __future__ import annotations

import socket as std
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pystack import tcpinfo
from pystack._fast import tcb
from pystack._fast.commands import take_error, tcp_send
from pystack._fast.consts import (
    CC_CUBIC,
    CC_NEWRENO,
    LISTEN,
    MS,
    NEVER,
    SECOND,
    SOCKBUF_LINUX,
    SOCKOPT_LINUX,
    Err,
)
from pystack._fast.seq import add
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_window import offered_scale, open_lowat, read_opens, set_clamp
from pystack.errors import error_of, number_of

if TYPE_CHECKING:
    from pystack.sockets import Buffer, Socket, StreamSocket


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
SO_ACCEPTCONN = _number("SO_ACCEPTCONN", 30)
SO_PROTOCOL = _number("SO_PROTOCOL", 38)
SO_NOSIGPIPE = 0x800
"""FreeBSD; nothing here ever sends a signal."""

IP_TOS = _number("IP_TOS", 1)
IP_TTL = _number("IP_TTL", 2)

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
TCP_NOPUSH = _number("TCP_NOPUSH", 0x10004)
TCP_KEEPINIT = _number("TCP_KEEPINIT", 0x10080)

MAX_SEG = 32767
_LEAST_RCVBUF = 2304
_LINGER = struct.Struct("ii")
_CONTROLS = {"newreno": CC_NEWRENO, "reno": CC_NEWRENO, "cubic": CC_CUBIC}

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]


def _fail(error: Err) -> None:
    raise error_of(error)


def integer(value: Any) -> int:
    """The int of an option that takes one: a number, or the octets of a C int."""
    if isinstance(value, int):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        if len(value) < 4:
            raise error_of(Err.EINVAL)
        return int(struct.unpack_from("i", value)[0])
    raise TypeError(f"an option's value is an int or octets, not {value!r}")


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


# --- kinds of options -------------------------------------------------------------------------------


def _flag(bit: int) -> tuple[Getter, Setter]:
    """A bit of `so_options`; reads as 1, or as the bit itself where FreeBSD does so."""

    def read(sock: Socket) -> int:
        on = sock.row.so_options & bit
        return int(on) if sock.host.core.cfg.policy_sockbuf != SOCKBUF_LINUX else int(on != 0)

    def write(sock: Socket, value: Any) -> None:
        row = sock.row
        row.so_options = row.so_options | bit if integer(value) else row.so_options & ~bit

    return read, write


def _field(name: str, low: int, high: int, scale: int = 1) -> tuple[Getter, Setter]:
    """An attribute of the row, in units of `scale`; EINVAL outside of the range."""

    def read(sock: Socket) -> int:
        return int(getattr(sock.row, name)) // scale

    def write(sock: Socket, value: Any) -> None:
        number = integer(value)
        if not low <= number <= high:
            raise error_of(Err.EINVAL)
        setattr(sock.row, name, number * scale)

    return read, write


def _read_only(read: Getter) -> tuple[Getter, Setter]:
    return read, lambda _sock, _value: _fail(Err.ENOPROTOOPT)


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
    queue.hiwat = _size(sock, value, sock.host.core.cfg.rmem_max, _LEAST_RCVBUF)
    queue.lowat = min(queue.lowat, queue.hiwat)
    t.t_flags |= tcb.TF_RCV_AUTO_OFF
    if t.state == LISTEN:  # what its children will offer
        t.request_r_scale = offered_scale(sock.host.core, t)


def _set_datagram_rcvbuf(sock: Socket, value: Any) -> None:
    sock.row.hiwat = _size(sock, value, sock.host.core.cfg.rmem_max, 2304)


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
    _restart_keepalive(sock)


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


def _keep(name: str, low: int, high: int, scale: int) -> tuple[Getter, Setter]:
    read, write = _field(name, low, high, scale)

    def write_and_restart(sock: StreamSocket, value: Any) -> None:
        write(sock, value)
        _restart_keepalive(sock)

    return read, write_and_restart


# --- TCP --------------------------------------------------------------------------------------------


def _tcp_flag(bit: int, push: bool = False) -> tuple[Getter, Setter]:
    """A bit of `t_flags`. `push`: turning it off sends what it held back."""

    def read(sock: StreamSocket) -> int:
        return int(sock.row.t_flags & bit != 0)

    def write(sock: StreamSocket, value: Any) -> None:
        t = sock.row
        linux = sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX
        if integer(value):
            t.t_flags |= bit
            if linux and bit == tcb.TF_NODELAY:
                tcp_output(sock.host.core, t)
        else:
            t.t_flags &= ~bit
            if push and t.state >= 4:
                flush(sock.host.core, t)

    return read, write


def flush(core: Any, t: Any) -> None:
    """What a cork held back goes, the last short segment too."""
    held = t.t_flags & tcb.TF_NODELAY
    t.t_flags |= tcb.TF_NODELAY
    tcp_output(core, t)
    if not held:
        t.t_flags &= ~tcb.TF_NODELAY


def _get_maxseg(sock: StreamSocket) -> int:
    t = sock.row
    if t.maxseg:
        return int(t.maxseg)
    return int(t.user_mss or sock.host.core.cfg.tcp_mssdflt)


def _set_maxseg(sock: StreamSocket, value: Any) -> None:
    mss = integer(value)
    cfg = sock.host.core.cfg
    if cfg.policy_sockopt == SOCKOPT_LINUX:
        if mss and not 88 <= mss <= MAX_SEG:
            raise error_of(Err.EINVAL)
        sock.row.user_mss = mss
        return
    t = sock.row
    if not cfg.tcp_minmss <= mss <= (t.maxseg or MAX_SEG):  # BSD: only ever smaller
        raise error_of(Err.EINVAL)
    t.user_mss = mss
    if t.maxseg:
        t.maxseg = mss


def _get_congestion(sock: StreamSocket) -> str:
    if sock.row.cc == CC_CUBIC:
        return "cubic"
    return "reno" if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX else "newreno"


def _set_congestion(sock: StreamSocket, value: Any) -> None:
    name = value if isinstance(value, str) else bytes(value).split(b"\0")[0].decode()
    if name not in _CONTROLS:
        linux = sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX
        raise error_of(Err.ENOENT if linux else Err.EINVAL)
    sock.row.cc = _CONTROLS[name]


def _get_linger2(sock: StreamSocket) -> int:
    seconds: int = sock.row.linger2
    return seconds if seconds else sock.host.core.cfg.tcp_fin_timeout // SECOND


def _set_linger2(sock: StreamSocket, value: Any) -> None:
    """Seconds in FIN_WAIT_2 once closed: negative none at all, 0 the knob's; 120 at most."""
    seconds = integer(value)
    sock.row.linger2 = -1 if seconds < 0 else 0 if seconds > 120 else seconds


def _set_quickack(sock: StreamSocket, value: Any) -> None:
    """Linux: off, acknowledgments wait for data to carry them; on, they do not, and one that is owed goes at once.

    An even number other than 0 is on for the acknowledgment that is owed, and then off.
    """
    t = sock.row
    core = sock.host.core
    number = integer(value)
    if not number:
        t.pingpong = core.cfg.tcp_pingpong_thresh
        return
    t.pingpong = 0
    if t.ack_pending & tcb.ACK_SCHEDULED:
        t.ack_pending |= tcb.ACK_PUSHED
        if read_opens(core, t, 1):
            t.t_flags |= tcb.TF_ACKNOW
            tcp_output(core, t)
        if not number & 1:
            t.pingpong = core.cfg.tcp_pingpong_thresh


def _get_quickack(sock: StreamSocket) -> int:
    return int(sock.row.pingpong < sock.host.core.cfg.tcp_pingpong_thresh)


def _set_notsent_lowat(sock: StreamSocket, value: Any) -> None:
    """Linux: with so many octets written and not sent a socket is full; 0 takes the knob's number."""
    core = sock.host.core
    sock.row.notsent_lowat = (integer(value) & 0xFFFFFFFF) or core.cfg.tcp_notsent_lowat


def _set_window_clamp(sock: StreamSocket, value: Any) -> None:
    """Linux: the window is never larger than this; 0, before the connection, takes it back."""
    t = sock.row
    clamp = integer(value)
    if clamp <= 0:
        if t.so_state & tcb.SS_CONNECTED:
            raise error_of(Err.EINVAL)
        t.user_clamp = 0
        return
    t.user_clamp = max(clamp, _LEAST_RCVBUF // 2)
    if t.so_state & tcb.SS_CONNECTED:
        set_clamp(t, t.user_clamp)


def _get_window_clamp(sock: StreamSocket) -> int:
    return int(sock.row.window_clamp or sock.row.user_clamp)


def _linux_only(sock: StreamSocket) -> Any:
    """The connection of a socket of a system that knows the option."""
    if sock.host.core.cfg.policy_sockopt != SOCKOPT_LINUX:
        raise error_of(Err.ENOPROTOOPT)
    return sock.row


def _bsd_only(option: tuple[Getter, Setter]) -> tuple[Getter, Setter]:
    """An option that Linux does not know."""
    getter, setter = option

    def known(sock: Socket) -> Socket:
        if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX:
            raise error_of(Err.ENOPROTOOPT)
        return sock

    return lambda sock: getter(known(sock)), lambda sock, value: setter(known(sock), value)


def _get_syncnt(sock: StreamSocket) -> int:
    count: int = _linux_only(sock).syncnt
    return count or sock.host.core.cfg.tcp_syn_retries


def _set_syncnt(sock: StreamSocket, value: Any) -> None:
    """Repetitions of a SYN, or of a listener's SYN-ACKs."""
    count = integer(value)
    t = _linux_only(sock)
    if not 1 <= count <= 127:
        raise error_of(Err.EINVAL)
    t.syncnt = count


def _repetitions(core: Any) -> Iterator[int]:
    """When SYN-ACKs are repeated, in seconds since the first."""
    at, wait = 0, core.cfg.tcp_rexmit_initial
    while True:
        at += wait
        yield at // SECOND
        wait = min(2 * wait, core.cfg.tcp_rexmit_max)


def _get_defer_accept(sock: StreamSocket) -> int:
    """Seconds: when the repetition comes that ends the wait."""
    count = _linux_only(sock).defer_accept
    times = _repetitions(sock.host.core)
    return [next(times) for _ in range(count)][-1] if count else 0


def _set_defer_accept(sock: StreamSocket, value: Any) -> None:
    """A listener's connections are accepted once they have data; kept as a count of repetitions."""
    seconds = integer(value)
    t = _linux_only(sock)
    count = 0
    if seconds > 0:
        times = _repetitions(sock.host.core)
        count = 1
        while next(times) < seconds and count < 255:
            count += 1
    t.defer_accept = count


def _get_fastopen(sock: StreamSocket) -> int:
    t = sock.row
    if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX:
        return int(t.fo_qlen)
    return int(t.fo & (tcb.FO_LISTEN | tcb.FO_SOCKET) != 0)


def _set_fastopen(sock: StreamSocket, value: Any) -> None:
    """Linux: how many connections of a listener may come by Fast Open and not be proved yet. FreeBSD: use it at all,
    for a listener (EPERM where the knob is off) or for the socket's own sendto.
    """
    number = integer(value)
    t = sock.row
    cfg = sock.host.core.cfg
    if t.state > LISTEN or (number < 0 and cfg.policy_sockopt == SOCKOPT_LINUX):
        raise error_of(Err.EINVAL)
    if cfg.policy_sockopt == SOCKOPT_LINUX:
        t.fo_qlen = min(number, cfg.somaxconn)
        return
    if t.state == LISTEN and number and not cfg.tcp_fastopen_server:
        raise error_of(Err.EPERM)
    both = tcb.FO_LISTEN | tcb.FO_SOCKET
    t.fo = t.fo | both if number else t.fo & ~both


def _set_fastopen_connect(sock: StreamSocket, value: Any) -> None:
    """Linux: connect() returns at once where a cookie is known, and the first write makes the SYN."""
    number = integer(value)
    t = _linux_only(sock)
    if number not in (0, 1) or t.state != 0:
        raise error_of(Err.EINVAL)
    if not sock.host.core.cfg.tcp_fastopen & 1:
        raise error_of(Err.EOPNOTSUPP)
    t.fo = t.fo | tcb.FO_CONNECT if number else t.fo & ~tcb.FO_CONNECT


def _set_fastopen_no_cookie(sock: StreamSocket, value: Any) -> None:
    number = integer(value)
    t = _linux_only(sock)
    if number not in (0, 1) or t.state > LISTEN:
        raise error_of(Err.EINVAL)
    t.fo = t.fo | tcb.FO_NO_COOKIE if number else t.fo & ~tcb.FO_NO_COOKIE


def _set_fastopen_key(sock: StreamSocket, value: Any) -> None:
    """Linux: a listener's own key, 16 octets, or 32 with a backup key, which only old cookies would need."""
    t = _linux_only(sock)
    key = bytes(value)
    if len(key) not in (16, 32):
        raise error_of(Err.EINVAL)
    t.fo_key = key[:16]


def _fo_flag(bit: int) -> Getter:
    return lambda sock: int(_linux_only(sock).fo & bit != 0)


_KEEPALIVE = _flag(tcb.SO_KEEPALIVE)

Options = dict[tuple[int, int], tuple[Getter, Setter]]

COMMON: Options = {
    (SOL_SOCKET, SO_REUSEADDR): _flag(tcb.SO_REUSEADDR),
    (SOL_SOCKET, SO_REUSEPORT): _flag(tcb.SO_REUSEPORT),
    (SOL_SOCKET, SO_BROADCAST): _flag(tcb.SO_BROADCAST),
    (SOL_SOCKET, SO_DEBUG): _flag(tcb.SO_DEBUG),  # a kernel keeps it, and does nothing with it
    (SOL_SOCKET, SO_TYPE): _read_only(lambda sock: int(sock.type)),
    (SOL_SOCKET, SO_PROTOCOL): _read_only(lambda sock: int(sock.proto)),
    (SOL_SOCKET, SO_ERROR): _read_only(_error),
    (IPPROTO_IP, IP_TTL): _field("ttl", 1, 255),
    (IPPROTO_IP, IP_TOS): _field("tos", 0, 255),
}

DATAGRAM: Options = COMMON | {
    (SOL_SOCKET, SO_ACCEPTCONN): _read_only(lambda _: 0),
    (SOL_SOCKET, SO_RCVBUF): (lambda sock: int(sock.row.hiwat), _set_datagram_rcvbuf),
    (SOL_SOCKET, SO_SNDBUF): (lambda sock: int(sock.row.sndbuf), _set_datagram_sndbuf),
}

STREAM: Options = COMMON | {
    (SOL_SOCKET, SO_ACCEPTCONN): _read_only(lambda sock: int(sock.row.state == LISTEN)),
    (SOL_SOCKET, SO_SNDBUF): (lambda sock: int(sock.row.sndq.hiwat), _set_sndbuf),
    (SOL_SOCKET, SO_RCVBUF): (lambda sock: int(sock.row.rcvq.hiwat), _set_rcvbuf),
    (SOL_SOCKET, SO_SNDLOWAT): (lambda sock: int(sock.row.sndq.lowat) or 1, _set_sndlowat),
    (SOL_SOCKET, SO_RCVLOWAT): (lambda sock: int(sock.row.rcvq.lowat), _set_rcvlowat),
    (SOL_SOCKET, SO_OOBINLINE): _flag(tcb.SO_OOBINLINE),
    (SOL_SOCKET, SO_NOSIGPIPE): _bsd_only(_flag(tcb.SO_NOSIGPIPE)),
    (SOL_SOCKET, SO_KEEPALIVE): (_KEEPALIVE[0], _set_keepalive),
    (SOL_SOCKET, SO_LINGER): (_get_linger, _set_linger),
    (IPPROTO_TCP, TCP_NODELAY): _tcp_flag(tcb.TF_NODELAY),
    (IPPROTO_TCP, TCP_CORK): _tcp_flag(tcb.TF_NOPUSH, push=True),
    (IPPROTO_TCP, TCP_NOPUSH): _tcp_flag(tcb.TF_NOPUSH, push=True),
    (IPPROTO_TCP, TCP_MAXSEG): (_get_maxseg, _set_maxseg),
    (IPPROTO_TCP, TCP_KEEPIDLE): _keep("keepidle", 1, 32767, 1000),
    (IPPROTO_TCP, TCP_KEEPINTVL): _keep("keepintvl", 1, 32767, 1000),
    (IPPROTO_TCP, TCP_KEEPCNT): _keep("keepcnt", 1, 127, 1),
    (IPPROTO_TCP, TCP_KEEPINIT): _field("keepinit", 1, 2147483, 1000),
    (IPPROTO_TCP, TCP_USER_TIMEOUT): _field("user_timeout", 0, 2**31 - 1, MS),
    (IPPROTO_TCP, TCP_LINGER2): (_get_linger2, _set_linger2),
    (IPPROTO_TCP, TCP_QUICKACK): (_get_quickack, _set_quickack),
    (IPPROTO_TCP, TCP_NOTSENT_LOWAT): (
        lambda sock: int(min(sock.row.notsent_lowat, 0xFFFFFFFF)),
        _set_notsent_lowat,
    ),
    (IPPROTO_TCP, TCP_WINDOW_CLAMP): (_get_window_clamp, _set_window_clamp),
    (IPPROTO_TCP, TCP_SYNCNT): (_get_syncnt, _set_syncnt),
    (IPPROTO_TCP, TCP_DEFER_ACCEPT): (_get_defer_accept, _set_defer_accept),
    (IPPROTO_TCP, TCP_FASTOPEN): (_get_fastopen, _set_fastopen),
    (IPPROTO_TCP, TCP_FASTOPEN_CONNECT): (_fo_flag(tcb.FO_CONNECT), _set_fastopen_connect),
    (IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE): (_fo_flag(tcb.FO_NO_COOKIE), _set_fastopen_no_cookie),
    (IPPROTO_TCP, TCP_FASTOPEN_KEY): (lambda sock: _linux_only(sock).fo_key, _set_fastopen_key),
    (IPPROTO_TCP, TCP_CONGESTION): (_get_congestion, _set_congestion),
    (IPPROTO_TCP, TCP_INFO): _read_only(tcpinfo.of),
}


# --- urgent data ------------------------------------------------------------------------------------


def send_urgent(sock: StreamSocket, data: Buffer) -> int:
    """send(2) with MSG_OOB: the last octet of `data` is urgent (RFC 9293 section 3.8.5)."""
    host = sock.host
    core = host.core
    t = sock.row
    host.before(core)
    before = t.sndq.cc
    # the pointer is set before the octets leave, and names the octet after the last of them (MUST-62)
    t.snd_up = add(t.snd_una, before + len(data))
    done: int = tcp_send(core, t, data, 0, len(data), False)
    if done != len(data):
        t.snd_up = add(t.snd_una, before + max(done, 0))
    host.after(core)
    if done < 0:
        raise error_of(done)
    return done


def receive_urgent(sock: StreamSocket, peek: bool = False) -> bytes:
    """recv(2) with MSG_OOB: the last urgent octet.

    EINVAL where there is none, where it was read, or where it stays in the stream (SO_OOBINLINE); EAGAIN
    where it is announced and not here yet (FreeBSD soreceive_rcvoob, Linux tcp_recv_urg).
    """
    t = sock.row
    if t.so_options & tcb.SO_OOBINLINE or t.oob_state in (tcb.OOB_NONE, tcb.OOB_READ):
        raise error_of(Err.EINVAL)
    if t.oob_state == tcb.OOB_EXPECTED:
        raise error_of(Err.EAGAIN)
    if not peek:
        t.oob_state = tcb.OOB_READ
    return bytes([t.oob])
