"""Stream sockets: every call, what it answers, when it waits, and the errno of each failure."""

import errno
import socket as std

import pytest
from net_kit import SERVER, Pair, fails, pair

import pystack
from pystack._fast.consts import EV_ACCEPT, EV_CONNECT, EV_HANGUP, EV_READ, EV_WRITE
from pystack.sockbase import Socket
from pystack.sockets import MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, StreamSocket

PROFILES = ("freebsd-10", "freebsd-14", "linux-6")


@pytest.mark.parametrize("web", PROFILES)
@pytest.mark.parametrize("me", PROFILES)
def test_a_conversation(web: str, me: str):
    both = pair(web=web, me=me)
    client, conn = both.connect()
    assert both.net.now == 15_000_000  # SYN, SYN-ACK, ACK
    assert client.getpeername() == SERVER == conn.getsockname()
    assert client.getsockname() == conn.getpeername()
    assert client.send(b"hello") == 5
    assert conn.recv(100) == b"hello"
    conn.sendall(b"world")
    assert client.recv(2) == b"wo"
    assert client.recv(100) == b"rld"
    client.close()
    assert conn.recv(10) == b""
    assert conn.recv(10) == b""
    conn.close()
    both.net.run(for_="5min")
    assert both.web.tcp_states() == {"LISTEN": 1}
    assert both.me.tcp_states() == {}
    assert both.pools() == (0, 0)


@pytest.mark.parametrize("me", PROFILES)
def test_connection_refused(me: str):
    both = pair(me=me)
    error = fails(errno.ECONNREFUSED, both.me.socket().connect, ("192.0.2.1", 81))
    assert isinstance(error, ConnectionRefusedError)
    assert both.me.socket().connect_ex(("192.0.2.1", 81)) == errno.ECONNREFUSED


@pytest.mark.parametrize(("me", "seconds"), [("freebsd-10", 75.0), ("linux-6", 127.0)])
def test_connect_to_nobody_times_out(me: str, seconds: float):
    both = pair(me=me)
    error = fails(errno.ETIMEDOUT, both.me.socket().connect, ("192.0.2.77", 80))
    assert isinstance(error, TimeoutError)
    assert both.net.now / 1e9 == pytest.approx(seconds, rel=0.05)


def test_connect_without_a_route():
    both = pair()
    fails(errno.ENETUNREACH, both.me.socket().connect, ("203.0.113.1", 80))


@pytest.mark.parametrize(("me", "again"), [("freebsd-14", errno.EISCONN), ("linux-6", 0)])
def test_a_connect_that_does_not_block(me, again):
    both = pair(me=me)
    client = both.me.socket()
    client.setblocking(False)
    error = fails(errno.EINPROGRESS, client.connect, SERVER)
    assert isinstance(error, BlockingIOError)
    fails(errno.EALREADY, client.connect, SERVER)
    assert not client.writable()
    assert pystack.select([], [client]) == ([], [client], [])
    assert client.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == 0
    assert client.connect_ex(SERVER) == again  # Linux: how it ended, once
    fails(errno.EISCONN, client.connect, SERVER)


def test_a_refused_connect_that_does_not_block_is_told_by_so_error():
    both = pair()
    client = both.me.socket()
    client.setblocking(False)
    assert client.connect_ex(("192.0.2.1", 81)) == errno.EINPROGRESS
    assert pystack.select([client], [client]) == ([client], [client], [])
    assert client.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == errno.ECONNREFUSED
    assert client.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == 0
    fails(errno.ECONNABORTED, client.connect, ("192.0.2.1", 81))


def test_the_next_connect_tells_that_one_was_refused():
    both = pair()
    client = both.me.socket()
    client.setblocking(False)
    assert client.connect_ex(("192.0.2.1", 81)) == errno.EINPROGRESS
    both.net.run(for_="1s")
    fails(errno.ECONNREFUSED, client.connect, ("192.0.2.1", 81))
    assert client.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == 0


def test_timeouts_are_of_the_virtual_clock_and_have_no_errno():
    both = pair()
    client, _ = both.connect()
    client.settimeout(2.5)
    assert client.gettimeout() == 2.5
    before = both.net.now
    with pytest.raises(TimeoutError) as caught:
        client.recv(1)
    assert caught.value.errno is None
    assert both.net.now - before == 2_500_000_000
    both.listener.settimeout(1)
    with pytest.raises(TimeoutError):
        both.listener.accept()
    connecting = both.me.socket()
    connecting.settimeout(1)
    with pytest.raises(TimeoutError):
        connecting.connect(("192.0.2.77", 80))
    assert both.net.now - before == 4_500_000_000


def test_timeouts_that_cannot_be():
    sock = pair().me.socket()
    for seconds, error in ((-1, ValueError), (1e30, OverflowError), (float("nan"), ValueError)):
        with pytest.raises(error):
            sock.settimeout(seconds)
    assert sock.gettimeout() is None
    sock.settimeout(1e9)
    assert sock.gettimeout() == 1e9


def test_what_would_block_says_so():
    both = pair()
    client, conn = both.connect()
    for sock in (client, both.listener):
        sock.setblocking(False)
        assert sock.gettimeout() == 0.0
        assert not sock.getblocking()
    assert isinstance(fails(errno.EAGAIN, client.recv, 10), BlockingIOError)
    fails(errno.EAGAIN, client.recv_into, bytearray(4))
    fails(errno.EAGAIN, both.listener.accept)
    assert isinstance(fails(errno.EAGAIN, conn.recv, 10, MSG_DONTWAIT), BlockingIOError)


def test_waiting_for_what_cannot_happen_is_a_deadlock():
    both = pair(web="linux-6")
    before = both.net.now
    with pytest.raises(pystack.DeadlockError, match="nothing is on its way"):
        both.listener.accept()
    assert both.net.now == before


def test_waiting_on_a_live_but_silent_connection_is_one_too():
    both = pair(web="freebsd-10", me="freebsd-10")  # keep-alive goes on for ever
    client, _ = both.connect()
    with pytest.raises(pystack.DeadlockError, match="no socket became ready"):
        client.recv(1)
    assert both.web.stats["keepprobe"] > 30


def test_a_blocking_send_takes_all_and_runs_the_network():
    both = pair()
    client, conn = both.connect()
    got = bytearray()
    conn.setblocking(False)

    def read(events: int) -> None:
        while conn.readable():
            got.extend(conn.recv(65536))

    conn.on_ready = read
    data = bytes(range(256)) * 4000
    assert client.send(data) == len(data)
    client.sendall(data)
    both.net.run(for_="1s")
    assert bytes(got) == data * 2


def test_a_send_with_a_timeout_takes_what_fits():
    both = pair()
    client, _ = both.connect()
    client.settimeout(1)
    taken: list[int] = []

    def fill() -> None:
        while True:
            taken.append(client.send(bytes(1_000_000)))

    with pytest.raises(TimeoutError):
        fill()
    assert all(0 < n < 1_000_000 for n in taken)
    assert sum(taken) > 65536
    assert not client.writable()
    with pytest.raises(TimeoutError):
        client.sendall(bytes(1_000_000))


def test_a_send_that_does_not_block_takes_what_fits():
    both = pair()
    client, conn = both.connect()
    client.setblocking(False)
    first = client.send(bytes(10_000_000))
    fails(errno.EAGAIN, client.send, bytes(65536))
    fails(errno.EAGAIN, client.sendall, bytes(65536))
    assert 0 < first < 10_000_000
    assert len(conn.recv(first, MSG_WAITALL)) == first
    assert client.send(b"x") == 1


def test_peek_and_waitall():
    both = pair()
    client, conn = both.connect()
    client.send(b"abc")
    assert conn.recv(2, MSG_PEEK) == b"ab"
    assert conn.recv(10, MSG_PEEK) == b"abc"
    both.me.call_later("1s", client.send, b"def")
    assert conn.recv(6, MSG_WAITALL) == b"abcdef"
    client.send(b"rest")
    client.close()
    assert conn.recv(100, MSG_WAITALL) == b"rest"


def test_recv_into_and_buffers_of_other_kinds():
    both = pair()
    client, conn = both.connect()
    client.send(bytearray(b"ab"))
    client.send(memoryview(b"cd"))
    client.send(memoryview(bytearray(8)).cast("I"))
    both.net.run(for_="1s")
    room = bytearray(4)
    assert conn.recv_into(room) == 4
    assert room == b"abcd"
    assert conn.recv_into(memoryview(room)[1:], 2) == 2
    assert room == b"a\0\0d"
    with pytest.raises(ValueError, match="buffer too small"):
        conn.recv_into(room, 5)
    with pytest.raises(ValueError, match="negative"):
        conn.recv(-1)
    with pytest.raises(TypeError):
        client.send("text")
    assert conn.recvfrom(100) == (bytes(6), None)
    assert client.sendto(b"x", SERVER) == 1


def test_half_close():
    both = pair()
    client, conn = both.connect()
    client.sendall(b"question")
    client.shutdown(std.SHUT_WR)
    fails(errno.EPIPE, client.send, b"more")
    assert conn.recv(100) == b"question"
    assert conn.recv(100) == b""
    conn.sendall(b"answer")
    assert client.recv(100) == b"answer"
    conn.close()
    assert client.recv(100) == b""
    fails(errno.EINVAL, conn_like(both).shutdown, 7)


def conn_like(both: Pair) -> StreamSocket:
    return both.connect()[0]


def test_a_reset_is_told_once_by_recv():
    both = pair(web="linux-6")
    client, conn = both.connect()
    client.sendall(b"unread")
    both.net.run(for_="1s")
    conn.close()  # with unread data Linux resets
    assert isinstance(fails(errno.ECONNRESET, client.recv, 10), ConnectionResetError)
    assert client.recv(10) == b""
    fails(errno.EPIPE, client.send, b"x")
    fails(errno.ENOTCONN, client.getpeername)


def test_a_socket_that_was_closed():
    both = pair()
    sock = both.me.socket()
    number = sock.fileno()
    assert number >= 3
    assert both.me.socket().fileno() != number
    with sock:
        assert not sock.closed
    assert sock.closed
    assert sock.fileno() == -1
    sock.close()
    for call in (
        lambda: sock.recv(1),
        lambda: sock.send(b"x"),
        lambda: sock.bind(("", 1)),
        lambda: sock.connect(SERVER),
        sock.getsockname,
        sock.accept,
        sock.readable,
        lambda: sock.on_ready,
        lambda: sock.shutdown(2),
    ):
        fails(errno.EBADF, call)
    assert "closed" in repr(sock)


def test_bind_errors():
    both = pair()
    sock = both.web.socket()
    fails(errno.EADDRINUSE, sock.bind, ("", 80))
    fails(errno.EADDRNOTAVAIL, sock.bind, ("198.51.100.1", 81))
    with pytest.raises(std.gaierror, match="not an IPv4 address"):
        sock.bind(("web.example", 80))
    with pytest.raises(OverflowError):
        sock.bind(("", 65536))
    with pytest.raises(TypeError, match="is a pair"):
        sock.bind(80)
    fails(errno.EACCES, both.web.socket(uid=1001).bind, ("", 1023))
    both.web.socket(uid=1001).bind(("", 1024))
    sock.bind(("", 0))
    assert sock.getsockname()[1] > 1023
    fails(errno.EINVAL, sock.bind, ("", 0))


def test_accept_on_what_does_not_listen():
    both = pair()
    fails(errno.EINVAL, both.web.socket().accept)
    fails(errno.ENOTCONN, both.me.socket().recv, 1)
    fails(errno.ENOTCONN, both.me.socket().getpeername)


@pytest.mark.parametrize(("web", "accepted"), [("freebsd-10", False), ("linux-6", True)])
def test_a_connection_that_was_reset_while_it_waited(web: str, accepted: bool):
    both = pair(web=web)
    client = both.me.socket()
    client.connect(SERVER)
    client.setsockopt(std.SOL_SOCKET, std.SO_LINGER, (1, 0))
    client.close()
    both.net.run(for_="1s")
    if accepted:
        conn, _ = both.listener.accept()
        fails(errno.ECONNRESET, conn.recv, 1)
        conn.close()
    else:
        fails(errno.ECONNABORTED, both.listener.accept)
    both.listener.setblocking(False)
    fails(errno.EAGAIN, both.listener.accept)


def test_on_ready_is_called_for_what_happens_and_for_what_is_so_already():
    both = pair()
    seen: list[tuple[str, int]] = []
    both.listener.on_ready = lambda events: seen.append(("listener", events))
    client = both.me.socket()
    client.setblocking(False)
    client.on_ready = lambda events: seen.append(("client", events))
    client.connect_ex(SERVER)
    both.net.run(for_="1s")
    assert seen == [("client", EV_CONNECT | EV_WRITE), ("listener", EV_ACCEPT | EV_READ)]
    seen.clear()
    conn, _ = both.listener.accept()
    client.send(b"early")
    both.net.run(for_="1s")
    conn.on_ready = lambda events: seen.append(("conn", events & EV_READ))
    both.net.run(for_="1s")
    assert seen == [("conn", EV_READ)]
    seen.clear()
    both.net.run(for_="1s")
    assert seen == []
    client.close()
    both.net.run(for_="1s")
    assert seen == [("conn", EV_READ)]


def test_wanted_limits_what_is_told():
    both = pair()
    client, conn = both.connect()
    seen: list[int] = []
    conn.on_ready = seen.append
    both.net.run(for_="1s")
    seen.clear()
    conn.wanted = EV_HANGUP
    client.send(b"data")
    both.net.run(for_="1s")
    assert seen == []
    conn.wanted = EV_READ
    both.net.run(for_="1s")
    assert len(seen) == 1
    assert seen[0] & EV_READ
    conn.on_ready = None
    client.send(b"more")
    both.net.run(for_="1s")
    assert len(seen) == 1


def test_a_writer_is_told_when_there_is_room_again():
    both = pair()
    client, conn = both.connect()
    client.setblocking(False)
    while client.writable():
        client.send(bytes(65536))
        both.net.run(for_="1s")
    seen: list[int] = []
    client.on_ready = seen.append
    both.net.run(for_="1s")
    assert not [events for events in seen if events & EV_WRITE]
    while pystack.select([conn], timeout=1)[0]:
        conn.recv(1 << 20)
    assert [events for events in seen if events & EV_WRITE]
    assert client.writable()


def test_an_exception_of_a_callback_reaches_whoever_runs_the_network():
    both = pair()
    both.listener.on_ready = lambda events: 1 // 0
    client = both.me.socket()
    client.setblocking(False)
    client.connect_ex(SERVER)
    with pytest.raises(ZeroDivisionError):
        both.net.run(for_="1s")
    both.net.run(for_="1s")
    assert both.listener.readable()


def test_select():
    both = pair()
    client, conn = both.connect()
    assert pystack.select([conn], [client], timeout=0) == ([], [client], [])
    assert pystack.select([conn], timeout=1.5) == ([], [], [])
    client.send(b"x")
    assert pystack.select([conn, both.listener]) == ([conn], [], [])
    conn.recv(1)
    with pytest.raises(pystack.DeadlockError):
        pystack.select([conn])
    with pytest.raises(ValueError, match="no sockets"):
        pystack.select([])
    with pytest.raises(ValueError, match="different worlds"):
        pystack.select([conn, pair().listener])
    conn.close()
    assert pystack.select([client]) == ([client], [], [])


def test_makefile():
    both = pair()
    client, conn = both.connect()
    client.sendall(b"GET /\r\nHost: x\r\n\r\nrest")
    with conn.makefile("rb") as file:
        assert file.readline() == b"GET /\r\n"
        assert file.readline() == b"Host: x\r\n"
    with client.makefile("w", newline="\n") as file:
        file.write("bonjour\n")
    with conn.makefile("rwb") as file:
        assert file.readline() == b"bonjour\n"
        file.write(b"x")
    assert client.recv(10) == b"x"
    assert not conn.closed
    with pytest.raises(ValueError, match="invalid mode"):
        conn.makefile("a")
    with pytest.raises(ValueError, match="binary"):
        conn.makefile("r", buffering=0)
    conn.setblocking(False)
    assert conn.makefile("rb", buffering=0).read(10) is None


def test_repr_is_like_netstat():
    both = pair()
    assert repr(both.listener) == "<web: tcp4 0 0 *.80 *.* LISTEN>"
    client, conn = both.connect()
    client.send(b"12345")
    both.net.run(for_="1s")
    port = client.getsockname()[1]
    assert repr(conn) == f"<web: tcp4 5 0 192.0.2.1.80 192.0.2.2.{port} ESTABLISHED>"


def test_a_machine_talks_to_itself():
    both = pair()
    client = both.web.socket()
    client.connect(("127.0.0.1", 80))
    conn, address = both.listener.accept()
    assert address == client.getsockname()
    client.send(b"inside")
    assert conn.recv(10) == b"inside"
    assert both.net.now == 0


def test_maxsockets_is_enobufs():
    net = pystack.Network()
    host = net.host("h", "192.0.2.1/24", profile="freebsd-10", sysctl={"kern.ipc.maxsockets": 40})
    socks = [host.socket() for _ in range(40)]
    assert host.sysctl["kern.ipc.numopensockets"] == 40
    fails(errno.ENOBUFS, host.socket)
    socks.pop().close()
    host.socket()


def test_only_sockets_that_there_are():
    host = pystack.Network().host("h", "192.0.2.1/24")
    with pytest.raises(ValueError, match="SOCK_STREAM"):
        host.socket(std.SOCK_RAW)
    sock = host.socket(std.SOCK_STREAM | getattr(std, "SOCK_NONBLOCK", 0o4000))
    assert not sock.getblocking()


def test_only_whole_sockets_are_made():
    host = pystack.Network(seed=1).host("web", "192.0.2.1/24")
    with pytest.raises(TypeError, match="abstract"):
        Socket(host, None)
    with host.socket() as stream, host.socket(type=std.SOCK_DGRAM) as datagrams:
        for sock in (stream, datagrams):
            assert isinstance(sock, Socket)


@pytest.mark.parametrize("kind", [std.SOCK_STREAM, std.SOCK_DGRAM])
@pytest.mark.parametrize("family", [std.AF_INET, std.AF_INET6])
def test_a_family_is_refused_and_not_taken_for_a_type(family: std.AddressFamily, kind: int):
    with pytest.raises(ValueError, match=rf"socket family {family.name}: give the type only"):
        pair().me.socket(family, kind)
