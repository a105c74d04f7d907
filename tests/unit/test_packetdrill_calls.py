"""System calls of a script, on both systems: results, errors, what is compared, calls that wait."""

import errno
import select
import socket

import pytest
from packetdrill_kit import OPEN, check, fails, skips

from pystack.packetdrill import symbols
from pystack.packetdrill.symbols import Symbols
from pystack.packetdrill.verdict import Skip

BOTH = pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
NEW = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
ACKED = (
    "+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n+.01 < . 1:1(0) ack 1001 win 257\n"
)


# --- names and numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), sorted(symbols.LINUX.items()))
def test_linux_numbers_are_those_of_linux(name, number):
    for module in (socket, select):
        known = getattr(module, name, None)
        if isinstance(known, int) and name not in ("EPOLL_CLOEXEC",):
            assert known & 0xFFFFFFFF == number


@pytest.mark.parametrize(("name", "number"), sorted(symbols.ERRORS["linux"].items()))
def test_linux_errors_are_those_of_linux(name, number):
    assert getattr(errno, name) == number


def test_a_system_has_its_own_numbers():
    linux, freebsd = Symbols("linux"), Symbols("freebsd")
    for name, one, other in (
        ("O_NONBLOCK", 0x800, 4),
        ("SO_REUSEADDR", 2, 4),
        ("SO_ERROR", 4, 0x1007),
        ("SOL_SOCKET", 1, 0xFFFF),
        ("TCP_INFO", 11, 32),
        ("MSG_DONTWAIT", 0x40, 0x80),
        ("ECONNREFUSED", 111, 61),
        ("EWOULDBLOCK", 11, 35),
        ("POLLRDHUP", 0x2000, 0x4000),
    ):
        assert (linux.number(name), freebsd.number(name)) == (one, other), name
    with pytest.raises(Skip, match="TCP_CORK, which freebsd does not have"):
        freebsd.number("TCP_CORK")
    with pytest.raises(Skip, match="the symbol TCP_FROB"):
        linux.number("TCP_FROB")
    assert linux.errno(errno.ECONNREFUSED) == 111
    assert freebsd.errno(errno.ECONNREFUSED) == 61


# --- results --------------------------------------------------------------------------------------


@BOTH
def test_errors_have_names(profile):
    check(NEW + "+0 listen(5, 1) = -1 EBADF (Bad file descriptor)\n", profile)
    check(NEW + "+0 close(9) = -1 EBADF\n", profile)
    fails(NEW + "+0 close(9) = -1 EINVAL\n", "Expected errno EINVAL but got EBADF", 2, profile)
    fails(NEW + "+0 close(3) = -1 EBADF\n", "Expected result -1 but got 0", 2, profile)
    fails(NEW + "+0 close(9) = 0\n", "got -1 with errno 9 (EBADF", 2, profile)


@BOTH
def test_descriptors(profile):
    check(NEW + "+0 close(3) = 0\n+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n", profile)
    fails(NEW + "+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n", "descriptor 3 is in use", 2)
    check(NEW + "+0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4\n", profile)
    skips(NEW + "+0 ptrace(3) = 0\n", "the system call ptrace", profile)
    fails(NEW + "+0 close() = 0\n", "wrong number of arguments for close", 2, profile)
    skips("0 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 3\n", "AF_INET6", profile)


def test_flags_of_a_descriptor():
    for profile, nonblock in (("linux-6", "0x802"), ("freebsd-14", "0x6")):
        check(
            NEW
            + f"""
+0 fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 fcntl(3, F_GETFL) = {nonblock} (flags O_RDWR|O_NONBLOCK)
+0 fcntl(3, F_GETFL) = O_RDWR|O_NONBLOCK
+0 fcntl(3, F_SETFL, O_RDWR) = 0
+0 fcntl(3, F_GETFL) = 2
""",
            profile,
        )
    fails(NEW + "+0 fcntl(3, F_GETFL) = 0x802\n", "Expected result 2050 but got 2", 2)


# --- opening --------------------------------------------------------------------------------------


@BOTH
def test_a_connect_that_blocks_until_the_answer(profile):
    text = (
        NEW
        + """
+0...0.05 connect(3, ..., ...) = 0
+0 > S 0:0(0) <...>
+.05 < S. 0:0(0) ack 1 win 1000
+0 > . 1:1(0) ack 1
"""
    )
    check(text, profile)
    fails(text.replace("0...0.05", "0...0.07"), "expected system call return at 0.07", 3, profile)
    fails(text.replace("0...0.05", "0...0.03"), "expected system call return at 0.03", 3, profile)
    fails(text.replace("< S. 0:0(0)", "< R. 0:0(0)"), "ECONNREFUSED", 3, profile)


@BOTH
def test_an_accept_that_blocks_until_somebody_comes(profile):
    check(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0...0.2 accept(3, ..., ...) = 4
+.1 < S 0:0(0) win 1000
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 1000
+.1 write(4, ..., 10) = 10
+0 > P. 1:11(10) ack 1
""",
        profile,
    )


@BOTH
def test_sockets_that_do_not_block(profile):
    check(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 accept(3, ..., ...) = -1 EAGAIN
+0 accept(3, ..., ...) = -1 EWOULDBLOCK
+0 < S 0:0(0) win 1000
+0 > S. 0:0(0) ack 1 <...>
+0 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 read(4, ..., 10) = -1 EAGAIN (Resource temporarily unavailable)
""",
        profile,
    )


def test_who_inherits_o_nonblock():
    text = """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000
+0 > S. 0:0(0) ack 1 <...>
+0 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
+0 fcntl(4, F_GETFL) = {}
"""
    check(text.format("2"))
    check(text.format("6"), "freebsd-14")


# --- data -----------------------------------------------------------------------------------------


@BOTH
def test_reads_that_wait(profile):
    check(OPEN + "+0...0.1 read(4, ..., 100) = 50\n+.1 < P. 1:51(50) ack 1 win 9\n", profile)
    check(OPEN + "+0...0.1 read(4, ..., 100) = 0\n+.1 < F. 1:1(0) ack 1 win 9\n", profile)
    check(
        OPEN + "+0...0.1 read(4, ..., 100) = -1 ECONNRESET\n+.1 < R. 1:1(0) ack 1 win 9\n", profile
    )
    check(
        OPEN
        + """
+0...0.2 recv(4, ..., 100, MSG_WAITALL) = 100
+.1 < P. 1:51(50) ack 1 win 9
+.1 < P. 51:101(50) ack 1 win 9
""",
        profile,
    )
    check(
        OPEN
        + """
+0 setsockopt(4, SOL_SOCKET, SO_RCVLOWAT, [80], 4) = 0
+0...0.2 read(4, ..., 200) = 100
+.1 < P. 1:51(50) ack 1 win 9
+.1 < P. 51:101(50) ack 1 win 9
""",
        profile,
    )


@BOTH
def test_every_way_to_read(profile):
    check(
        OPEN
        + """
+0 < P. 1:1001(1000) ack 1 win 9
+0 recv(4, ..., 100, MSG_PEEK) = 100
+0 recv(4, ..., 100, 0) = 100
+0 recvfrom(4, ..., 100, MSG_DONTWAIT, ..., ...) = 100
+0 readv(4, [{..., 60}, {..., 40}], 2) = 100
+0 recvmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 60}, {..., 40}], msg_flags=0}, 0) = 100
+0 read(4, ..., 2000) = 600
+0 recv(4, ..., 100, MSG_DONTWAIT) = -1 EAGAIN
""",
        profile,
    )


@BOTH
def test_every_way_to_write(profile):
    check(
        OPEN
        + """
+0 write(4, ..., 10) = 10
+0 > P. 1:11(10) ack 1
+0 < . 1:1(0) ack 11 win 257
+0 send(4, ..., 10, 0) = 10
+0 > P. 11:21(10) ack 1
+0 < . 1:1(0) ack 21 win 257
+0 sendto(4, ..., 10, MSG_DONTWAIT, ..., ...) = 10
+0 > P. 21:31(10) ack 1
+0 < . 1:1(0) ack 31 win 257
+0 writev(4, [{..., 6}, {..., 4}], 2) = 10
+0 > P. 31:41(10) ack 1
+0 < . 1:1(0) ack 41 win 257
+0 sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0}, 0) = 10
+0 > P. 41:51(10) ack 1
""",
        profile,
    )


def test_recvmsg_compares_flags():
    text = (
        OPEN
        + "+0 < P. 1:11(10) ack 1 win 9\n+0 recvmsg(4, {msg_iov(1)=[{..., 10}], msg_flags=%s}, 0) = 10\n"
    )
    check(text % "0")
    fails(text % "MSG_TRUNC", "Bad msg_flags: expected: 0x20 actual: 0x0", 10)
    check(text % "...")


@BOTH
def test_urgent_data(profile):
    check(
        OPEN
        + """
+0 send(4, ..., 3, MSG_OOB) = 3
+0 > PU. 1:4(3) ack 1 urg 3
+0 < PU. 1:11(10) ack 4 win 257 urg 10
+0 recv(4, ..., 1, MSG_OOB) = 1
""",
        profile,
    )


@BOTH
def test_a_flag_that_nobody_knows(profile):
    skips(OPEN + "+0 send(4, ..., 3, 0x02000000) = 3\n", "the flag 0x2000000", profile)
    skips(OPEN + "+0 send(4, ..., 3, MSG_CTRUNC) = 3\n", "the flag MSG_CTRUNC", profile)


# --- ending ---------------------------------------------------------------------------------------


@BOTH
def test_shutdown_and_close(profile):
    check(
        OPEN
        + """
+0 shutdown(4, SHUT_WR) = 0
+0 > F. 1:1(0) ack 1
+0 write(4, ..., 10) = -1 EPIPE
+.01 < . 1:1(0) ack 2 win 257
+0 < F. 1:1(0) ack 2 win 257
+0 > . 2:2(0) ack 2
+0 read(4, ..., 10) = 0
+0 close(4) = 0
+0 close(4) = -1 EBADF
""",
        profile,
    )


@BOTH
def test_lingering(profile):
    opt = "+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=%d}, 8) = 0\n"
    on = 1 if profile == "linux-6" else 128
    check(OPEN + opt % 0 + "+0 close(4) = 0\n+0 > R. 1:1(0) ack 1\n", profile)
    text = (
        OPEN
        + opt % 2
        + f"+0 getsockopt(4, SOL_SOCKET, SO_LINGER, {{onoff={on}, linger=2}}, [8]) = 0\n"
    )
    check(text, profile)
    fails(
        text.replace("linger=2}, [8]", "linger=3}, [8]"),
        "linger: expected: 3 actual: 2",
        10,
        profile,
    )
    text += "+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n"
    check(
        text + "+0...0.1 close(4) = 0\n+0 > F. 11:11(0) ack 1\n+.1 < . 1:1(0) ack 12 win 257\n",
        profile,
    )
    end = "= 0" if profile == "linux-6" else "= -1 EWOULDBLOCK"
    check(text + f"+0...2 close(4) {end}\n+0 > F. 11:11(0) ack 1\n", profile)


# --- options --------------------------------------------------------------------------------------


@BOTH
def test_options_are_compared(profile):
    unknown, on = ("ENOENT", 1) if profile == "linux-6" else ("ESRCH", 4)  # TF_NODELAY is 4
    check(
        NEW
        + f"""
+0 setsockopt(3, IPPROTO_TCP, TCP_NODELAY, [1], 4) = 0
+0 getsockopt(3, IPPROTO_TCP, TCP_NODELAY, [{on}], [4]) = 0
+0 getsockopt(3, IPPROTO_TCP, TCP_NODELAY, [...], [...]) = 0
+0 setsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, [77], 4) = 0
+0 getsockopt(3, IPPROTO_TCP, TCP_KEEPIDLE, [77], [4]) = 0
+0 setsockopt(3, IPPROTO_IP, IP_TTL, [9], 4) = 0
+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
+0 setsockopt(3, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) = 0
+0 getsockopt(3, IPPROTO_TCP, TCP_CONGESTION, "cubic", ...) = 0
"""
        + f'+0 setsockopt(3, IPPROTO_TCP, TCP_CONGESTION, "frob", 4) = -1 {unknown}\n',
        profile,
    )
    text = NEW + "+0 getsockopt(3, IPPROTO_TCP, TCP_NODELAY, [1], [4]) = 0\n"
    fails(text, "optval for TCP_NODELAY: expected: 1 actual: 0", 2, profile)
    fails(text.replace("[1], [4]", "[0], [8]"), "optlen for TCP_NODELAY: expected: 8 actual: 4", 2)
    skips(text.replace("TCP_NODELAY", "TCP_MD5SIG"), "TCP_MD5SIG", profile)
    check(NEW + "+0 setsockopt(3, IPPROTO_TCP, TCP_NODELAY, [1], 1) = -1 EINVAL\n", profile)


def test_options_by_number():
    check(
        NEW
        + "+0 setsockopt(3, 6, 1, [1], 4) = 0\n+0 getsockopt(3, SOL_TCP, TCP_NODELAY, [1], [4]) = 0\n"
    )
    check(NEW + "+0 setsockopt(3, 0xffff, 0x4, [1], 4) = 0\n", "freebsd-14")
    skips(NEW + "+0 setsockopt(3, 6, 99, [1], 4) = 0\n", "99")


@BOTH
def test_so_error_has_the_systems_number(profile):
    text = """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <...>
+0 < R. 0:0(0) ack 1 win 0
+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [%s], [4]) = 0
"""
    number = 111 if profile == "linux-6" else 61
    check(text % "ECONNREFUSED", profile)
    check(text % number, profile)
    fails(text % "ETIMEDOUT", f"actual: {number}", 7, profile)


# --- ioctl ----------------------------------------------------------------------------------------


def test_how_much_is_queued():
    check(
        OPEN
        + """
+0 < P. 1:101(100) ack 1 win 257
+0 ioctl(4, SIOCINQ, [100]) = 0
+0 write(4, ..., 50) = 50
+0 ioctl(4, SIOCOUTQ, [50]) = 0
+0 ioctl(4, SIOCOUTQNSD, [0]) = 0
+0 shutdown(4, SHUT_WR) = 0
+0 ioctl(4, SIOCOUTQ, [51]) = 0
"""
    )
    fails(OPEN + "+0 ioctl(4, SIOCINQ, [1]) = 0\n", "Bad ioctl value: expected: 1 actual: 0", 9)
    check(OPEN + "+0 < P. 1:101(100) ack 1 win 9\n+0 ioctl(4, FIONREAD, [100]) = 0\n", "freebsd-14")
    skips(OPEN + "+0 ioctl(4, SIOCOUTQ, [1]) = 0\n", "SIOCOUTQ", "freebsd-14")


# --- poll and epoll -------------------------------------------------------------------------------


@BOTH
def test_poll(profile):
    check(
        OPEN
        + """
+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1
+0 poll([{fd=4, events=POLLIN}], 1, 0) = 0
+0 poll([{fd=4, events=POLLIN, revents=0}, {fd=9, events=POLLIN, revents=POLLNVAL}], 2, 0) = 1
+0...0.05 poll([{fd=4, events=POLLIN, revents=0}], 1, 50) = 0
+.1...0.2 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 1000) = 1
+.1 < P. 1:11(10) ack 1 win 9
""",
        profile,
    )
    text = OPEN + "+0 poll([{fd=4, events=POLLOUT, revents=POLLIN}], 1, 0) = 1\n"
    fails(text, "Bad revents for fd 4: expected: 0x1 actual: 0x4", 9, profile)


def test_poll_of_sockets_that_are_not_connected():
    check(NEW + "+0 poll([{fd=3, events=POLLIN|POLLOUT, revents=POLLOUT|POLLHUP}], 1, 0) = 1\n")
    check(NEW + "+0 poll([{fd=3, events=POLLIN|POLLOUT, revents=0}], 1, 0) = 0\n", "freebsd-14")


@BOTH
def test_poll_after_the_end(profile):
    check(
        OPEN
        + "+0 < F. 1:1(0) ack 1 win 9\n"
        + "+0 poll([{fd=4, events=POLLIN|POLLRDHUP, revents=POLLIN|POLLRDHUP}], 1, 0) = 1\n",
        profile,
    )
    check(
        OPEN
        + "+0 < R. 1:1(0) ack 1 win 9\n+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=%s}], 1, 0) = 1\n"
        % ("POLLIN|POLLOUT|POLLERR|POLLHUP" if profile == "linux-6" else "POLLIN|POLLOUT|POLLHUP"),
        profile,
    )


def test_epoll():
    text = (
        OPEN + "+0 epoll_create(1) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=%s, fd=4}) = 0\n"
    )
    check(
        text % "EPOLLIN"
        + """
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 0
+0 < P. 1:11(10) ack 1 win 9
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
+0 epoll_ctl(5, EPOLL_CTL_DEL, 4, {events=EPOLLIN, fd=4}) = 0
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 0
+0 epoll_ctl(5, EPOLL_CTL_DEL, 4, {events=EPOLLIN, fd=4}) = -1 ENOENT
"""
    )
    check(
        text % "EPOLLIN|EPOLLET"
        + """
+0 < P. 1:11(10) ack 1 win 9
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 0
+0...0.1 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, -1) = 1
+.1 < P. 11:21(10) ack 1 win 9
"""
    )
    check(
        text % "EPOLLIN|EPOLLONESHOT"
        + """
+0 < P. 1:11(10) ack 1 win 9
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 0
+0 epoll_ctl(5, EPOLL_CTL_MOD, 4, {events=EPOLLIN, fd=4}) = 0
+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
"""
    )
    fails(
        text % "EPOLLOUT" + "+0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1\n",
        "Bad event: expected: 0x1 of 4 actual: 0x4 of 4",
        11,
    )
    skips(text % "EPOLLIN", "epoll, which freebsd does not have", "freebsd-14")


# --- pipes and files ------------------------------------------------------------------------------


def test_splice_and_sendfile():
    check(
        OPEN
        + """
+0 pipe([5, 6]) = 0
+0 write(6, ..., 1000) = 1000
+0 splice(5, NULL, 4, NULL, 1000, 0) = 1000
+0 > P. 1:1001(1000) ack 1
+0 < P. 1:501(500) ack 1001 win 257
+0 > . 1001:1001(0) ack 501
+0 splice(4, NULL, 6, NULL, 1000, 0) = 500
+0 read(5, ..., 1000) = 500
+0 open("/dev/zero", O_RDONLY) = 7
+0 sendfile(4, 7, [0], 1200) = 1200
+0 > P. 1001:2201(1200) ack 501
+0 close(6) = 0
+0 read(5, ..., 1) = 0
"""
    )
    skips(OPEN + '+0 open("/etc/passwd", O_RDONLY) = 5\n', "/etc/passwd")
    fails(OPEN + "+0 pipe([4, 6]) = 0\n", "descriptor 4 is in use", 9)


# --- addresses ------------------------------------------------------------------------------------


@BOTH
def test_addresses_written_out(profile):
    check(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, {sa_family = AF_INET, sin_port = htons(1234), sin_addr = inet_addr("192.168.0.1")}, ...) = 0
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, {sa_family = AF_INET, sin_port = htons(99), sin_addr = inet_addr("192.0.2.1")}, ...) = -1 EINPROGRESS
+0 > S 0:0(0) <...>
+0 < S. 0:0(0) ack 1 win 1000
+0 > 1234 > 99 . 1:1(0) ack 1
""",
        profile,
    )


# --- buffers --------------------------------------------------------------------------------------


@BOTH
def test_a_write_that_waits_for_room(profile):
    """It takes what there is room for, and goes on when the peer has acknowledged a good part."""
    text = """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_SNDBUF, [{}], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 4000 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
+.01 < . 1:1(0) ack 1 win 4000
+0 accept(3, ..., ...) = 4
+0...{} write(4, ..., 8000) = 8000
+.1 < . 1:1(0) ack 2001 win 4000
+.1 < . 1:1(0) ack 4001 win 4000
+.1 < . 1:1(0) ack 6001 win 4000
"""
    size = 2304 if profile == "linux-6" else 4608
    v = check(text.format(size, "0.2"), profile, tolerance_percent=60)
    lengths = [m.text for m in v.trace if m.kind == "call" and "write" in m.text]
    assert lengths[-1].endswith("= 8000")
    fails(text.format(size, "0.01"), "expected system call return", 10, profile)


def test_flags_that_a_kernel_only_keeps():
    keep = "+0 setsockopt(3, SOL_SOCKET, {0}, [1], 4) = {2}\n"
    ask = "+0 getsockopt(3, SOL_SOCKET, {0}, [{1}], [4]) = 0\n"
    for name, value, profile in (
        ("SO_DEBUG", 1, "linux-6"),
        ("SO_DEBUG", 1, "freebsd-14"),
        ("SO_NOSIGPIPE", 0x800, "freebsd-14"),
    ):
        check(NEW + (ask + keep).format(name, 0, 0) + ask.format(name, value), profile)
        fails(NEW + keep.format(name, 0, 0) + ask.format(name, 0), "optval", 3, profile)


def test_the_tcp_that_freebsd_has():
    text = (
        NEW
        + '+0 setsockopt(3, IPPROTO_TCP, TCP_FUNCTION_BLK, {function_set_name="%s", pcbcnt=0}, 36) = 0\n'
    )
    check(text % "freebsd", "freebsd-14")
    skips(text % "rack", "the TCP stack", "freebsd-14")
