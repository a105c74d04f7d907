"""The options of TCP: what TCP_NODELAY, TCP_CORK, TCP_MAXSEG and the others do to a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pystack._fast import tcb
from pystack._fast.consts import (
    CC_CUBIC,
    CC_NEWRENO,
    LISTEN,
    SECOND,
    SOCKOPT_BSD,
    SOCKOPT_BSD_14,
    SOCKOPT_LINUX,
    WINDOW_BSD_14,
    Err,
)
from pystack._fast.tcp_out import tcp_output
from pystack._fast.tcp_window import read_opens, set_clamp, whole_mss
from pystack.errors import error_of
from pystack.optkinds import LEAST_RCVBUF, Getter, Setter, integer, linux_only

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

MAX_SEG = 32767
_BSD_FLAGS = {tcb.TF_NODELAY: 0x4, tcb.TF_NOPUSH: 0x1000}
"""What getsockopt(2) of FreeBSD answers for a flag: its bit of `t_flags` there (tcp_var.h)."""
_BSD_NOOPT = 0x8
_NO_OPTIONS = tcb.TF_NO_SCALE | tcb.TF_NO_TS | tcb.TF_NO_SACK
_NO_SUCH_CONTROL = {SOCKOPT_LINUX: Err.ENOENT, SOCKOPT_BSD: Err.EINVAL, SOCKOPT_BSD_14: Err.ESRCH}
_CONTROLS = {"newreno": CC_NEWRENO, "reno": CC_NEWRENO, "cubic": CC_CUBIC}


def tcp_flag(bit: int, push: bool = False) -> tuple[Getter, Setter]:
    """A bit of `t_flags`. `push`: turning it off sends what it held back; on Linux as far as Nagle lets it."""

    def read(sock: StreamSocket) -> int:
        on = int(sock.row.t_flags & bit != 0)
        return on if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX else on * _BSD_FLAGS[bit]

    def write(sock: StreamSocket, value: Any) -> None:
        t = sock.row
        linux = sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX
        if integer(value):
            t.t_flags |= bit
            if linux and bit == tcb.TF_NODELAY:
                t.t_flags |= tcb.TF_CORK_FLUSH
                tcp_output(sock.host.core, t)
        else:
            t.t_flags &= ~bit
            if linux and bit == tcb.TF_NOPUSH and t.t_flags & tcb.TF_NODELAY:
                t.t_flags |= tcb.TF_CORK_FLUSH
            if push and t.state >= 4:
                tcp_output(sock.host.core, t) if linux else flush(sock.host.core, t)

    return read, write


def _read_no_options(sock: StreamSocket) -> int:
    return _BSD_NOOPT if sock.row.so_options & tcb.SO_NO_TCP_OPTIONS else 0


def _write_no_options(sock: StreamSocket, value: Any) -> None:
    """Offer nothing in a SYN or its answer, and take nothing up but the peer's MSS; a listener's connections too."""
    t = sock.row
    if integer(value):
        t.so_options |= tcb.SO_NO_TCP_OPTIONS
        t.t_flags |= _NO_OPTIONS
    else:
        t.so_options &= ~tcb.SO_NO_TCP_OPTIONS
        t.t_flags &= ~_NO_OPTIONS  # the knobs have their say in connect and listen


NO_OPTIONS: tuple[Getter, Setter] = (_read_no_options, _write_no_options)
"""TCP_NOOPT (tcp(4))."""


def flush(core: Any, t: Any) -> None:
    """What a cork held back goes, the last short segment too."""
    held = t.t_flags & tcb.TF_NODELAY
    t.t_flags |= tcb.TF_NODELAY
    tcp_output(core, t)
    if not held:
        t.t_flags &= ~tcb.TF_NODELAY


def get_maxseg(sock: StreamSocket) -> int:
    t = sock.row
    cfg = sock.host.core.cfg
    if t.maxseg:
        return int(whole_mss(t) if cfg.policy_window == WINDOW_BSD_14 else t.maxseg)
    return int(t.user_mss or (t.extras or {}).get("TCP_MAXSEG", cfg.tcp_mssdflt))


def set_maxseg(sock: StreamSocket, value: Any) -> None:
    mss = integer(value)
    cfg = sock.host.core.cfg
    if cfg.policy_sockopt == SOCKOPT_LINUX:
        if mss and not 88 <= mss <= MAX_SEG:
            raise error_of(Err.EINVAL)
        sock.row.user_mss = mss
        return
    # BSD: only ever smaller; what is set before the handshake, the handshake forgets
    t = sock.row
    if not 0 < mss <= get_maxseg(sock) or mss + 40 < cfg.tcp_minmss:
        raise error_of(Err.EINVAL)
    if not t.maxseg:
        t.extras = (t.extras or {}) | {"TCP_MAXSEG": mss}
        return
    t.maxseg -= get_maxseg(sock) - mss


def get_congestion(sock: StreamSocket) -> str:
    if sock.row.cc == CC_CUBIC:
        return "cubic"
    return "reno" if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX else "newreno"


def set_congestion(sock: StreamSocket, value: Any) -> None:
    name = value if isinstance(value, str) else bytes(value).split(b"\0")[0].decode()
    if name not in _CONTROLS:
        raise error_of(_NO_SUCH_CONTROL[sock.host.core.cfg.policy_sockopt])
    sock.row.cc = _CONTROLS[name]


def get_linger2(sock: StreamSocket) -> int:
    seconds: int = sock.row.linger2
    return seconds if seconds else sock.host.core.cfg.tcp_fin_timeout // SECOND


def set_linger2(sock: StreamSocket, value: Any) -> None:
    """Seconds in FIN_WAIT_2 once closed: negative none at all, 0 the knob's; 120 at most."""
    seconds = integer(value)
    sock.row.linger2 = -1 if seconds < 0 else min(seconds, 120)


def set_quickack(sock: StreamSocket, value: Any) -> None:
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


def get_quickack(sock: StreamSocket) -> int:
    return int(sock.row.pingpong < sock.host.core.cfg.tcp_pingpong_thresh)


def set_notsent_lowat(sock: StreamSocket, value: Any) -> None:
    """Linux: with so many octets written and not sent a socket is full; 0 takes the knob's number."""
    core = sock.host.core
    number = integer(value) & 0xFFFFFFFF
    sock.row.notsent_lowat = number or core.cfg.tcp_notsent_lowat
    sock.row.extras = (sock.row.extras or {}) | {"TCP_NOTSENT_LOWAT": number}


def get_notsent_lowat(sock: StreamSocket) -> int:
    return int((linux_only(sock).extras or {}).get("TCP_NOTSENT_LOWAT", 0))


def set_window_clamp(sock: StreamSocket, value: Any) -> None:
    """Linux: the window is never larger than this; 0, before the connection, takes it back."""
    t = sock.row
    clamp = integer(value)
    if clamp <= 0:
        if t.so_state & tcb.SS_CONNECTED:
            raise error_of(Err.EINVAL)
        t.user_clamp = 0
        return
    t.user_clamp = max(clamp, LEAST_RCVBUF // 2)
    if t.so_state & tcb.SS_CONNECTED:
        set_clamp(t, t.user_clamp)


def get_window_clamp(sock: StreamSocket) -> int:
    return int(sock.row.window_clamp or sock.row.user_clamp)


def get_syncnt(sock: StreamSocket) -> int:
    count: int = linux_only(sock).syncnt
    return count or sock.host.core.cfg.tcp_syn_retries


def set_syncnt(sock: StreamSocket, value: Any) -> None:
    """Repetitions of a SYN, or of a listener's SYN-ACKs."""
    count = integer(value)
    t = linux_only(sock)
    if not 1 <= count <= 127:
        raise error_of(Err.EINVAL)
    t.syncnt = count


def repetitions(core: Any) -> Iterator[int]:
    """When SYN-ACKs are repeated, in seconds since the first."""
    at, wait = 0, core.cfg.tcp_rexmit_initial
    while True:
        at += wait
        yield at // SECOND
        wait = min(2 * wait, core.cfg.tcp_rexmit_max)


def get_defer_accept(sock: StreamSocket) -> int:
    """Seconds: when the repetition comes that ends the wait."""
    count = linux_only(sock).defer_accept
    times = repetitions(sock.host.core)
    return [next(times) for _ in range(count)][-1] if count else 0


def set_defer_accept(sock: StreamSocket, value: Any) -> None:
    """A listener's connections are accepted once they have data; kept as a count of repetitions."""
    seconds = integer(value)
    t = linux_only(sock)
    count = 0
    if seconds > 0:
        times = repetitions(sock.host.core)
        count = 1
        while next(times) < seconds and count < 255:
            count += 1
    t.defer_accept = count


def get_fastopen(sock: StreamSocket) -> int:
    t = sock.row
    if sock.host.core.cfg.policy_sockopt == SOCKOPT_LINUX:
        return int(t.fo_qlen)
    return int(t.fo & (tcb.FO_LISTEN | tcb.FO_SOCKET) != 0)


def set_fastopen(sock: StreamSocket, value: Any) -> None:
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


def set_fastopen_connect(sock: StreamSocket, value: Any) -> None:
    """Linux: connect() returns at once where a cookie is known, and the first write makes the SYN."""
    number = integer(value)
    t = linux_only(sock)
    if number not in (0, 1) or t.state != 0:
        raise error_of(Err.EINVAL)
    if not sock.host.core.cfg.tcp_fastopen & 1:
        raise error_of(Err.EOPNOTSUPP)
    t.fo = t.fo | tcb.FO_CONNECT if number else t.fo & ~tcb.FO_CONNECT


def set_fastopen_no_cookie(sock: StreamSocket, value: Any) -> None:
    number = integer(value)
    t = linux_only(sock)
    if number not in (0, 1) or t.state > LISTEN:
        raise error_of(Err.EINVAL)
    t.fo = t.fo | tcb.FO_NO_COOKIE if number else t.fo & ~tcb.FO_NO_COOKIE


def set_fastopen_key(sock: StreamSocket, value: Any) -> None:
    """Linux: a listener's own key, 16 octets, or 32 with a backup key, which only old cookies would need."""
    t = linux_only(sock)
    key = bytes(value)
    if len(key) not in (16, 32):
        raise error_of(Err.EINVAL)
    t.fo_key = key[:16]


def fo_flag(bit: int) -> Getter:
    return lambda sock: int(linux_only(sock).fo & bit != 0)
