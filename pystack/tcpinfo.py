"""TCP_INFO: the state of a connection under the names of Linux's `struct tcp_info`."""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

from pystack._fast import tcb
from pystack._fast.consts import (
    CA_LOSS,
    CC_CUBIC,
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    LAST_ACK,
    LISTEN,
    MS,
    NEVER,
    SOCKOPT_LINUX,
    SYN_SENT,
    TIME_WAIT,
    TIMEWAIT_BSD_14,
    US,
)
from pystack._fast.seq import dist
from pystack._fast.tcp_build import our_mss
from pystack.tcpopts import get_maxseg

if TYPE_CHECKING:
    from pystack.sockets import StreamSocket

LINUX_STATES = (7, 10, 2, 3, 1, 8, 4, 11, 9, 5, 6)
"""Linux's numbers (net/tcp_states.h), by ours, which are FreeBSD's."""

_OPTION_TIMESTAMPS = 1
_OPTION_SACK = 2
_OPTION_WSCALE = 4
_OPTION_ECN = 8
_OPTION_ECN_SEEN = 16
_OPTION_SYN_DATA = 32
_OPTION_ACE = 64
_UNTIL_NOW = 2**31 - 1
_INFINITE = 0x40000000
_LEAST_MSS = 88
_NO_RTT = 2**32 - 1
_NO_COOKIE, _NOT_TAKEN, _SYN_LOST = 1, 2, 3
_NO_RATE = 2**64 - 1
_FIN_RECEIVED = (CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT)


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Times are microseconds or (`last_…`) milliseconds, sizes octets, as in the real structure; windows
    `snd_cwnd`, `snd_ssthresh` and counts are segments on Linux, octets on FreeBSD.
    """

    tcpi_state: int
    """By the numbers of the machine's system."""
    tcpi_ca_state: int
    """consts.CA_*: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss. FreeBSD has no such field: recovery and loss only."""
    tcpi_retransmits: int
    """Timeouts in a row that are not repaired yet."""
    tcpi_probes: int
    """Window probes and keep-alive probes that were not answered."""
    tcpi_backoff: int
    """How often the timeout has been doubled."""
    tcpi_options: int
    """1 timestamps, 2 SACK, 4 window scale, 8 ECN, 16 (Linux) could be marked, 32 took the SYN's data."""
    tcpi_snd_wscale: int
    tcpi_rcv_wscale: int
    tcpi_rto: int
    tcpi_ato: int
    tcpi_snd_mss: int
    tcpi_rcv_mss: int
    tcpi_unacked: int
    tcpi_sacked: int
    tcpi_lost: int
    tcpi_retrans: int
    tcpi_last_data_sent: int
    tcpi_last_data_recv: int
    tcpi_last_ack_recv: int
    tcpi_pmtu: int
    tcpi_rcv_ssthresh: int
    tcpi_rtt: int
    tcpi_rttvar: int
    tcpi_snd_ssthresh: int
    tcpi_snd_cwnd: int
    tcpi_advmss: int
    tcpi_rcv_space: int
    tcpi_snd_wnd: int
    tcpi_rcv_wnd: int
    tcpi_reordering: int
    """Segments by which the network is assumed to reorder."""
    tcpi_total_retrans: int
    """Segments sent again in the life of the connection."""
    tcpi_min_rtt: int
    tcpi_dsack_dups: int
    tcpi_reord_seen: int
    tcpi_delivered: int
    tcpi_rcv_rtt: int
    """The round trip as the receiver sees it; 0 before it is known."""
    tcpi_notsent_bytes: int
    tcpi_busy_time: int
    """Microseconds with data to send; of them those that the peer's window or the send buffer limited."""
    tcpi_rwnd_limited: int
    tcpi_sndbuf_limited: int
    tcpi_bytes_acked: int
    tcpi_bytes_received: int
    tcpi_bytes_sent: int
    """Sent again included."""
    tcpi_bytes_retrans: int
    tcpi_segs_out: int
    """Segments of the connection, without its SYN-ACK; `in` with the SYN."""
    tcpi_segs_in: int
    tcpi_data_segs_out: int
    tcpi_data_segs_in: int
    tcpi_delivered_ce: int
    """Of tcpi_delivered, segments whose acknowledgment echoed congestion."""
    tcpi_rcv_ooopack: int
    """Segments with data that came out of order."""
    tcpi_total_rto: int
    """Timeouts, and (`rehash`) how often another way through the network was tried: as often."""
    tcpi_rehash: int
    tcpi_total_rto_recoveries: int
    tcpi_total_rto_time: int
    """Milliseconds between first timeouts and their repair."""
    tcpi_pacing_rate: int
    """Octets a second that a pacer would be told."""
    tcpi_max_pacing_rate: int
    tcpi_delivery_rate: int
    """Octets a second that were delivered, by the last sample, or the highest while the application had too little."""
    tcpi_delivery_rate_app_limited: int
    """1: by one that the application limited."""
    tcpi_fastopen_client_fail: int
    """Why the data of a SYN came to nothing: 1 there was no cookie, 2 they were not taken, 3 the SYN was lost."""
    tcpi_fackets: int
    """0: Linux keeps it for old programs, as `last_ack_sent`."""
    tcpi_last_ack_sent: int

    def pack(self) -> bytes:
        """All fields in their order as u32: not the layout of any kernel."""
        return struct.pack(f"{len(astuple(self))}I", *(v & 0xFFFFFFFF for v in astuple(self)))


def waiting(core: Any, t: Any) -> int:
    """FreeBSD 14's number of the state: there a connection in TIME_WAIT still is one."""
    if t.row == 0 and core.cfg.policy_timewait == TIMEWAIT_BSD_14:
        if core.timewait.find(t.laddr, t.lport, t.faddr, t.fport):
            return TIME_WAIT
    return int(t.state)


def _fin_acked(t: Any) -> bool:
    """Has the peer acknowledged our FIN?"""
    return bool(t.t_flags & tcb.TF_SENTFIN) and t.snd_una == t.snd_max and t.state >= CLOSE_WAIT


def of(sock: StreamSocket) -> TcpInfo:
    """The connection as it is now."""
    t: Any = sock.row
    core = sock.host.core
    linux = core.cfg.policy_sockopt == SOCKOPT_LINUX
    unit = max(t.maxseg, 1) if linux else 1
    flags = t.t_flags
    options = (
        _OPTION_TIMESTAMPS * bool(flags & tcb.TF_RCVD_TS)
        | _OPTION_SACK * bool(flags & tcb.TF_SACK_PERMIT)
        | _OPTION_WSCALE * bool(flags & tcb.TF_RCVD_SCALE)
        | _OPTION_ECN * bool(flags & tcb.TF_ECN and not t.ace)
        | _OPTION_ACE * bool(t.ace)
        | _OPTION_ECN_SEEN * (linux and t.ecn_seen)
        | _OPTION_SYN_DATA * bool(t.fo & tcb.FO_TAKEN)
    )
    octets = dist(t.snd_una, t.snd_max)
    flight = t.flight
    state = 4 if t.rxtshift else 3 if flags & tcb.TF_FASTRECOVERY else 0
    counts = (-(-octets // unit), 0, 0, 0)
    if flight is not None:
        state = flight.ca_state
        counts = (flight.packets_out, flight.sacked_out, flight.lost_out, flight.retrans_out)
    if linux and t.state == LISTEN:
        return _of_listener(t)
    threshold = min(t.ssthresh, _UNTIL_NOW)
    since = max(core.now, sock.host.clock.now)
    now = since - t.limit_at
    endless = _UNTIL_NOW if linux else 65535 << 14  # TCP_MAXWIN << TCP_MAX_WINSHIFT
    not_data = (
        bool(flags & tcb.TF_PASSIVE) if linux else 1 + _fin_acked(t)
    )  # Linux counts its SYN and FIN
    data_recv = max(t.data_recv, t.starttime) if linux else t.rcvtime
    probing = linux and t.at_persist != NEVER
    up = linux and t.state >= ESTABLISHED
    min_rtt = flight.min_rtt if flight is not None else t.rtt_min_window
    unrepaired = since - t.rto_since if t.rto_since else 0
    info = TcpInfo(
        tcpi_state=LINUX_STATES[t.state] if linux else waiting(core, t),
        tcpi_ca_state=state,
        tcpi_retransmits=flight.retransmits if flight is not None else t.rxtshift,
        tcpi_probes=t.keep_probes,
        tcpi_backoff=t.rxtshift - 1 if probing else t.rxtshift,
        tcpi_options=options,
        tcpi_snd_wscale=t.snd_scale,
        tcpi_rcv_wscale=t.rcv_scale,
        tcpi_rto=t.rxtcur // US,
        tcpi_ato=(t.ato if linux else core.cfg.tcp_delacktime) // US,
        tcpi_snd_mss=t.maxseg if linux else get_maxseg(sock),
        tcpi_rcv_mss=((t.rcv_mss or t.maxseg) if linux else get_maxseg(sock)),
        tcpi_unacked=counts[0],
        tcpi_sacked=counts[1],
        tcpi_lost=counts[2],
        tcpi_retrans=counts[3],
        tcpi_last_data_sent=max(since - max(t.data_sent, t.starttime), 0) // MS,
        tcpi_last_data_recv=max(since - data_recv, 0) // MS * (1 if linux else 1000),
        tcpi_last_ack_recv=max(since - max(t.ack_recv, t.starttime), 0) // MS,
        tcpi_pmtu=t.pmtu or our_mss(core, t.faddr, 0) + 40,
        tcpi_rcv_ssthresh=t.rcv_ssthresh if linux else t.rcvq.hiwat,
        tcpi_rtt=t.srtt // US,
        tcpi_rttvar=t.rttvar // US if t.srtt or not linux else t.rxtcur // 4 // US,
        tcpi_snd_ssthresh=threshold // unit if threshold < _INFINITE else endless,
        tcpi_snd_cwnd=max(t.cwnd // unit, 1),
        tcpi_advmss=t.advmss or our_mss(core, t.faddr, t.user_mss),
        tcpi_rcv_space=t.rcv_space if linux else t.rcv_wnd,
        tcpi_snd_wnd=t.snd_wnd,
        tcpi_rcv_wnd=max(dist(t.last_ack_sent, t.rcv_adv), 0) if linux else t.rcv_wnd,
        tcpi_reordering=flight.reordering
        if flight is not None
        else t.known_reordering or core.cfg.tcp_reordering,
        tcpi_total_retrans=t.syn_rexmits * linux
        + (flight.total_retrans if flight is not None else 0),
        tcpi_min_rtt=min_rtt // US if min_rtt else _NO_RTT,
        tcpi_dsack_dups=flight.dsack_dups if flight is not None else 0,
        tcpi_reord_seen=flight.reord_seen if flight is not None else 0,
        tcpi_delivered=flight.delivered if flight is not None else int(up),
        tcpi_rcv_rtt=t.rcv_rtt // US,
        tcpi_notsent_bytes=max(t.sndq.cc - dist(t.snd_una, t.snd_nxt), 0),
        tcpi_busy_time=(t.busy_time + (now if t.limit else 0)) // US,
        tcpi_rwnd_limited=(t.rwnd_time + (now if t.limit == tcb.LIMIT_PEER else 0)) // US,
        tcpi_sndbuf_limited=(t.sndbuf_time + (now if t.limit == tcb.LIMIT_BUFFER else 0)) // US,
        tcpi_bytes_acked=max(dist(t.iss, t.snd_una) - not_data, 0),
        tcpi_bytes_received=max(
            dist(t.irs, t.rcv_nxt) - 1 - (not linux and t.state in _FIN_RECEIVED), 0
        ),
        tcpi_bytes_sent=t.bytes_sent,
        tcpi_bytes_retrans=t.bytes_retrans,
        tcpi_segs_out=t.segs_out,
        tcpi_segs_in=t.segs_in
        + (linux and (t.state > SYN_SENT or (t.state == CLOSED and t.faddr != 0))),
        tcpi_data_segs_out=t.data_segs_out,
        tcpi_data_segs_in=t.data_segs_in,
        tcpi_delivered_ce=flight.delivered_ce if flight is not None else 0,
        tcpi_rcv_ooopack=t.ooo_in,
        tcpi_total_rto=t.rto_count,
        tcpi_rehash=t.rto_count - (t.syn_rexmits if flags & tcb.TF_PASSIVE else 0),
        tcpi_total_rto_recoveries=t.rto_episodes,
        tcpi_total_rto_time=(t.rto_time + unrepaired) // MS,
        tcpi_pacing_rate=_pacing_rate(core, t, counts[0]),
        tcpi_max_pacing_rate=_NO_RATE,
        tcpi_delivery_rate=_delivery_rate(t),
        tcpi_delivery_rate_app_limited=linux and (flight is None or flight.rate.limited),
        tcpi_fastopen_client_fail=_syn_data_failed(t) if linux else 0,
        tcpi_fackets=0,
        tcpi_last_ack_sent=0,
    )
    if linux and (t.state == SYN_SENT or (t.state == CLOSED and not t.faddr)):
        info = replace(info, **_while_opening(core, t))
    return info


def _pacing_rate(core: Any, t: Any, out: int) -> int:
    """The window in a round trip, and as much more as net.ipv4.tcp_pacing_ss_ratio and _ca_ratio say; computed at each
    acknowledgment, so that a timeout does not show before the next. Without a round trip there is nothing to divide by.
    """
    if not t.maxseg or t.state in (LISTEN, SYN_SENT):
        return _NO_RATE
    window, threshold = max(t.cwnd // t.maxseg, 1), t.ssthresh // t.maxseg
    flight = t.flight
    if flight is not None and flight.ca_state == CA_LOSS and flight.retransmits:
        window, threshold = flight.prior_cwnd, flight.prior_ssthresh
    starts = window < threshold // 2
    ratio = core.cfg.tcp_pacing_ss_ratio if starts else core.cfg.tcp_pacing_ca_ratio
    return int(t.maxseg * 80_000 * ratio * max(window, out) // max(t.srtt * 8 // US, 1))


def _delivery_rate(t: Any) -> int:
    """Segments of the last sample in its time."""
    rate = t.flight.rate if t.flight is not None else None
    if rate is None or rate.interval < US:
        return 0
    return int(rate.segments * t.maxseg * 1_000_000 // (rate.interval // US))


def _syn_data_failed(t: Any) -> int:
    """Why there was no data in our SYN, or why the peer has not taken it."""
    if t.fo & tcb.FO_DATA:
        if t.state <= SYN_SENT or t.fo & tcb.FO_TAKEN:
            return 0
        return _SYN_LOST if t.syn_rexmits else _NOT_TAKEN
    return _NO_COOKIE if t.fo & tcb.FO_ASK else 0


def _while_opening(core: Any, t: Any) -> dict[str, int]:
    """What Linux says of a socket that has no peer yet: the defaults of a new one, and a SYN that was lost."""
    window = core.cfg.tcp_initcwnd_segments
    fields = {"tcpi_rttvar": 250_000, "tcpi_snd_cwnd": window, "tcpi_snd_ssthresh": _UNTIL_NOW}
    if t.state == CLOSED:
        return fields | {"tcpi_snd_mss": core.cfg.tcp_mssdflt, "tcpi_pmtu": 0, "tcpi_advmss": 0}
    lost = int(t.rxtshift > 0)
    fields |= {
        "tcpi_snd_mss": core.cfg.tcp_mssdflt - 12 * bool(core.cfg.tcp_timestamps),
        "tcpi_rcv_mss": _LEAST_MSS, "tcpi_rcv_ssthresh": t.rcv_adv and dist(t.rcv_nxt, t.rcv_adv),
        "tcpi_backoff": max(t.rxtshift - core.cfg.tcp_syn_linear_timeouts, 0),
        "tcpi_lost": lost, "tcpi_retrans": lost,
    }  # fmt: skip
    if lost:
        fields |= {"tcpi_snd_cwnd": 1, "tcpi_snd_ssthresh": max(after_loss(t.cc, window), 2)}
    return fields


def after_loss(control: int, window: int) -> int:
    """Segments that are left of a window at the first loss."""
    return window * 717 // 1024 if control == CC_CUBIC else window // 2


def _of_listener(t: Any) -> TcpInfo:
    """A listener on Linux: who waits to be accepted, and how many may."""
    fields = dict.fromkeys(TcpInfo.__slots__, 0)
    fields |= {
        "tcpi_state": LINUX_STATES[LISTEN], "tcpi_unacked": t.qlen, "tcpi_sacked": t.backlog, "tcpi_snd_cwnd": 10,
        "tcpi_reordering": 3, "tcpi_pacing_rate": _NO_RATE, "tcpi_max_pacing_rate": _NO_RATE,
    }  # fmt: skip
    return TcpInfo(**fields)
