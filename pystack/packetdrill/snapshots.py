"""What getsockopt(TCP_INFO) says of the socket under test, as the names that code snippets read."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pystack import tcpinfo
from pystack.packetdrill.under_test import Sut
from pystack.sockets import StreamSocket


def of(sut: Sut | None, host: Any) -> dict[str, int]:
    """All fields of TCP_INFO that the machine has; empty where there is no TCP socket."""
    if sut is None or sut.udp:
        return {}
    sock = _socket(sut, host)
    if sock is None:
        return {}
    info = tcpinfo.of(sock)
    found = {f.name: int(getattr(info, f.name)) for f in fields(info)}
    if host.profile.system == "freebsd":  # whose structure has these besides
        t = sock.row
        found |= {"tcpi_snd_nxt": int(t.snd_nxt), "tcpi_rcv_nxt": int(t.rcv_nxt)}
        found |= {"tcpi_snd_bwnd": 0, "tcpi_toe_tid": 0, "tcpi_dupacks": int(t.dupacks)}
        found |= {"tcpi_snd_una": int(t.snd_una), "tcpi_snd_max": int(t.snd_max)}
        found |= {"tcpi_rcv_adv": int(t.rcv_adv), "tcpi_rcv_numsacks": t.sacks.n if t.sacks else 0}
        found |= {"tcpi_delivered_ce": int(t.scep) - 5 * bool(t.ace)}
        found |= {"tcpi_received_ce": int(t.rcep)}
        found |= {"tcpi_snd_rexmitpack": int(t.segs_again), "tcpi_snd_zerowin": int(t.zero_windows)}
    return found


def _socket(sut: Sut, host: Any) -> StreamSocket | None:
    """Its descriptor's, or before accept() a face for the connection itself."""
    if sut.file is not None and not sut.file.sock.closed:
        found: StreamSocket = sut.file.sock
        return found
    for t in host.core.tcbs:
        if t is not None and (t.laddr, t.lport, t.faddr, t.fport) == (*sut.local, *sut.remote):
            return StreamSocket(host, t)
    return None
