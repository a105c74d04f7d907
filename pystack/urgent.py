"""Urgent data: sent and received out of band (RFC 9293 section 3.8.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pystack._fast import tcb
from pystack._fast.commands import tcp_send
from pystack._fast.consts import Err
from pystack._fast.seq import add
from pystack.errors import error_of

if TYPE_CHECKING:
    from pystack.sockets import Buffer, StreamSocket


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
