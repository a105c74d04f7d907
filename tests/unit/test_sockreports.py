"""What a socket of Linux tells beside data, through the calls of the standard library's shape."""

import errno
import socket as std
import struct

import pytest
from net_kit import pair

from pystack import sockopts as so
from pystack.sockets import (
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_ERRQUEUE,
    MSG_TRUNC,
    MSG_ZEROCOPY,
)

ALL = 0x2 | 0x100 | 0x200 | 0x10 | 0x80 | 0x800
"""SOF_TIMESTAMPING_TX_SOFTWARE, TX_SCHED, TX_ACK, SOFTWARE, OPT_ID, OPT_TSONLY."""
SND, SCHED, ACKED = 0, 1, 2


def connected(me="linux-6"):
    """A network, a client of `me` and its connection at a server on Linux."""
    p = pair(web="linux-6", me=me)
    client, server = p.connect()
    return p.net, client, server


def errors(sock):
    """(ee_info, ee_data, time in ns or None) of each entry of the error queue."""
    found = []
    while True:
        try:
            data, control, flags, _ = sock.recvmsg(0, 1000, MSG_ERRQUEUE)
        except BlockingIOError:
            return found
        assert (data, flags) == (b"", MSG_ERRQUEUE)
        when = None
        if control[0][1] == so.SO_TIMESTAMPING:
            seconds, rest = struct.unpack_from("=qq", control.pop(0)[2])
            when = seconds * 10**9 + rest
        ((level, kind, octets),) = control
        assert (level, kind, len(octets)) == (0, 11, 32)
        info, data_word = struct.unpack_from("=II", octets, 8)
        found.append((info, data_word, when))


def test_times_of_a_blocking_write_are_those_of_its_last_octet():
    net, client, server = connected()
    client.setsockopt(so.SOL_SOCKET, so.SO_SNDBUF, 5000)
    client.setsockopt(so.SOL_SOCKET, so.SO_TIMESTAMPING, ALL)
    n = 50_000
    server.setblocking(False)
    received = 0

    def drain(_events):
        nonlocal received
        try:
            while True:
                received += len(server.recv(65536))
        except BlockingIOError:
            pass

    server.on_ready = drain
    assert client.send(bytes(n)) == n
    net.run(for_="1s")
    assert received == n
    found = errors(client)
    assert {key for _, key, _ in found} == {n - 1}
    assert [what for what, _, _ in found] == [SCHED, SND, ACKED]
    times = [when for _, _, when in found]
    assert times[0] == times[1] < times[2]


def test_a_write_of_its_own_times_leaves_the_socket_as_it_is():
    net, client, _ = connected()
    client.setsockopt(so.SOL_SOCKET, so.SO_TIMESTAMPING, 0x10 | 0x80 | 0x800)
    asked = (so.SOL_SOCKET, so.SO_TIMESTAMPING, struct.pack("I", 0x200))
    assert client.sendmsg([b"ab", b"c"], [asked]) == 3
    net.run(for_="1s")
    assert client.send(b"d") == 1
    net.run(for_="1s")
    assert [found[:2] for found in errors(client)] == [(ACKED, 2)]
    with pytest.raises(OSError) as caught:
        client.sendmsg([b"e"], [(so.SOL_SOCKET, so.SO_TIMESTAMPING, struct.pack("I", 0x10))])
    assert caught.value.errno == errno.EINVAL


def test_zero_copies_are_counted_by_call_though_the_call_waits():
    net, client, server = connected()
    client.setsockopt(so.SOL_SOCKET, so.SO_SNDBUF, 5000)
    client.setsockopt(so.SOL_SOCKET, so.SO_ZEROCOPY, 1)
    server.on_ready = lambda _: server.recv(65536, MSG_DONTWAIT) if server.readable() else None
    for _ in range(2):
        assert client.send(bytes(20_000), MSG_ZEROCOPY) == 20_000
    net.run(for_="2s")
    assert errors(client) == [(0, 1, None)]


def test_the_error_queue_has_no_more_room_than_the_receive_buffer():
    net, client, _ = connected()
    client.setsockopt(so.SOL_SOCKET, so.SO_RCVBUF, 2304)
    client.setsockopt(so.SOL_SOCKET, so.SO_TIMESTAMPING, ALL)
    for _ in range(10):
        client.send(b"x")
        net.run(for_="1s")
    room = client.getsockopt(so.SOL_SOCKET, so.SO_RCVBUF)
    assert 1 <= len(errors(client)) == (room - 1) // 832 < 30


def test_control_messages_are_cut_to_the_room():
    net, client, server = connected()
    server.setsockopt(so.IPPROTO_TCP, so.TCP_INQ, 1)
    client.send(bytes(100))
    net.run(for_="1s")
    whole = (6, 36, struct.pack("i", 90))
    assert server.recvmsg(10, std.CMSG_SPACE(4)) == (bytes(10), [whole], 0, None)
    assert server.recvmsg(10) == (bytes(10), [], MSG_CTRUNC, None)
    assert server.recvmsg(10, 17)[1:3] == ([(6, 36, b"\x46")], MSG_CTRUNC)


def test_octets_of_an_entry_are_cut_too():
    net, client, _ = connected()
    client.setsockopt(so.SOL_SOCKET, so.SO_TIMESTAMPING, 0x210)
    client.send(b"whole")
    net.run(for_="1s")
    data, _, flags, _ = client.recvmsg(3, 1000, MSG_ERRQUEUE)
    assert (data, flags) == (b"who", MSG_ERRQUEUE | MSG_TRUNC)


def test_freebsd_has_none_of_it():
    _, client, _ = connected("freebsd-14")
    for level, name in (
        (so.SOL_SOCKET, so.SO_TIMESTAMPING),
        (so.SOL_SOCKET, so.SO_ZEROCOPY),
        (so.IPPROTO_TCP, so.TCP_INQ),
    ):
        with pytest.raises(OSError) as caught:
            client.setsockopt(level, name, 1)
        assert caught.value.errno == errno.ENOPROTOOPT
    with pytest.raises(OSError) as caught:
        client.send(b"x", MSG_EOR)
    assert caught.value.errno == errno.EINVAL


def test_an_idle_connection_has_no_reports():
    net, client, server = connected()
    client.setsockopt(so.SOL_SOCKET, so.SO_TIMESTAMP, 0)
    client.send(b"x")
    net.run(for_="1s")
    assert client.row.reports is None
    assert server.row.reports is None
