"""Open files: of the machine, of a program; what fails one above the limit, what the log says, what stays in a queue.

Linux's answers, and their order, are those of a running 6.18 (RLIMIT_NOFILE); FreeBSD's those of kern_descrip.c and
uipc_syscalls.c (facts: freebsd-tcp 2.3).
"""

import errno
import socket as std
from functools import partial

import pytest
from limits.machines import host, row

from pystack.process import Process


def fails(call, number: int) -> None:
    with pytest.raises(OSError) as caught:
        call()
    assert caught.value.errno == number


def opened(process: Process, n: int) -> list:
    return [process.socket() for _ in range(n)]


@pytest.mark.parametrize(
    ("profile", "knob", "said"),
    [
        ("freebsd-4", "kern.maxfiles", "file: table is full"),
        (
            "freebsd-7",
            "kern.maxfiles",
            "kern.maxfiles limit exceeded by uid 80, please see tuning(7).",
        ),
        (
            "freebsd-10",
            "kern.maxfiles",
            "kern.maxfiles limit exceeded by uid 80, please see tuning(7).",
        ),
        (
            "freebsd-14",
            "kern.maxfiles",
            "kern.maxfiles limit exceeded by uid 80, (httpd) please see tuning(7).",
        ),
        ("linux-6", "fs.file-max", "VFS: file-max limit 40 reached"),
    ],
)
def test_files_of_the_machine(profile, knob, said):
    web = host(profile)
    web.sysctl[knob] = 40
    most = 40 if profile.startswith("linux") else 38  # 95 % of 40
    process = web.process("httpd", uid=80, nofile=100)
    socks = opened(process, most - 1)
    assert row(web, "open files").failures == 0
    socks += opened(process, 1)
    assert (row(web, "open files").used, row(web, "open files").maximum) == (most, 40)
    assert web.dmesg() == []
    web.net.run(for_="5s")
    fails(process.socket, errno.ENFILE)
    full = row(web, "open files")
    assert (full.used, full.high_water, full.failures, full.last_failure, full.knob) == (
        most,
        most,
        1,
        5 * 10**9,
        knob,
    )
    (line,) = web.dmesg()
    assert line.endswith(said)
    socks.pop().close()
    assert row(web, "open files").used == most - 1
    socks += opened(process, 1)
    assert row(web, "open files").failures == 1


def test_the_last_files_are_for_root():
    web = host("freebsd-10")
    web.sysctl["kern.maxfiles"] = 40
    www, root = web.process("httpd", uid=80, nofile=100), web.process("sshd", nofile=100)
    opened(www, 38)
    fails(www.socket, errno.ENFILE)
    opened(root, 2)
    fails(root.socket, errno.ENFILE)
    assert row(web, "open files").used == 40


def test_linux_root_is_not_bound_by_file_max():
    web = host("linux-6")
    web.sysctl["fs.file-max"] = 10
    opened(web.process("sshd", nofile=100), 15)
    assert row(web, "open files").failures == 0
    assert row(web, "open files").used == 15


def test_the_line_about_files_comes_once_a_second_on_freebsd():
    web = host("freebsd-10")
    web.sysctl["kern.maxfiles"] = 1
    root = web.process("httpd", nofile=100)
    opened(root, 1)
    for _ in range(5):
        fails(root.socket, errno.ENFILE)
    web.net.run(for_="999ms")
    fails(root.socket, errno.ENFILE)
    assert len(web.dmesg()) == 1
    web.net.run(for_="1ms")
    fails(root.socket, errno.ENFILE)
    assert len(web.dmesg()) == 2


def test_linux_speaks_of_its_files_only_when_there_are_more_than_ever():
    web = host("linux-6")
    web.sysctl["fs.file-max"] = 3
    www = web.process("httpd", uid=33, nofile=100)
    socks = opened(www, 3)
    for _ in range(3):
        fails(www.socket, errno.ENFILE)
    assert len(web.dmesg()) == 1
    web.sysctl["fs.file-max"] = 4
    socks += opened(www, 1)
    fails(www.socket, errno.ENFILE)
    assert [line.split("] ")[1] for line in web.dmesg()] == [
        "VFS: file-max limit 3 reached",
        "VFS: file-max limit 4 reached",
    ]


@pytest.mark.parametrize("profile", ["freebsd-10", "freebsd-14", "linux-6"])
def test_descriptors_of_a_process(profile):
    """0, 1 and 2 are open; the lowest free number is next; one above the limit is EMFILE, and nothing is logged."""
    web = host(profile)
    process = web.process("nginx", uid=80, nofile=7)
    name = "descriptors of nginx[701]"
    socks = opened(process, 3)
    assert [sock.fileno() for sock in socks] == [3, 4, 5]
    assert (row(web, name).used, row(web, name).failures) == (6, 0)
    socks += opened(process, 1)
    assert (row(web, name).used, row(web, name).maximum, row(web, name).failures) == (7, 7, 0)
    fails(process.socket, errno.EMFILE)
    assert (row(web, name).failures, row(web, name).knob) == (1, "RLIMIT_NOFILE")
    assert row(web, "open files").failures == 0
    assert web.dmesg() == []
    socks[1].close()
    assert socks[1].fileno() == -1
    assert process.socket().fileno() == 4
    process.setrlimit(9)
    assert [sock.fileno() for sock in opened(process, 2)] == [7, 8]
    fails(process.socket, errno.EMFILE)


def test_the_systems_limit_for_a_process_binds_at_once_but_frees_nobody():
    """kern.maxfilesperproc: "these options can be changed on the live system but they will not affect already running
    processes" (seed 002): raising it does not, for they keep their RLIMIT_NOFILE; lowering it does.
    """
    web = host("freebsd-10")
    web.sysctl["kern.maxfilesperproc"] = 6
    process = web.process("nginx")
    opened(process, 3)
    fails(process.socket, errno.EMFILE)
    web.sysctl["kern.maxfilesperproc"] = 8
    fails(process.socket, errno.EMFILE)
    process.setrlimit(100)  # worker_rlimit_nofile
    opened(process, 2)
    fails(process.socket, errno.EMFILE)
    assert row(web, "descriptors of nginx[701]").knob == "kern.maxfilesperproc"
    web.sysctl["kern.maxfilesperproc"] = 5
    fails(process.socket, errno.EMFILE)
    assert process.used == 8
    assert web.process("other").nofile == 5


@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-10", "freebsd-14", "linux-6"])
def test_accept_without_a_descriptor_leaves_the_connection_in_the_queue(profile):
    web = host(profile)
    process = web.process("httpd", uid=80, nofile=5)
    listener = process.socket()
    listener.bind(("", 8080))
    listener.listen(5)
    listener.setblocking(False)
    other = process.socket()
    fails(listener.accept, errno.EMFILE)  # though the queue is empty
    for _ in range(2):
        web.me.socket().connect(("192.0.2.1", 8080))
    web.net.run(for_="1ms")
    fails(listener.accept, errno.EMFILE)
    assert listener.readable()
    assert row(web, "listen queue *:8080").used == 2
    other.close()
    fails_not = listener.accept()[0]
    assert fails_not.fileno() == 4
    assert row(web, "listen queue *:8080").used == 1
    fails(listener.accept, errno.EMFILE)
    fails_not.close()
    listener.accept()
    fails_not = process.used
    assert fails_not == 5


def test_accept_on_a_socket_that_does_not_listen():
    """FreeBSD looks at the socket before the descriptor, Linux after."""
    for profile, number in (("freebsd-10", errno.EINVAL), ("linux-6", errno.EMFILE)):
        process = host(profile).process("httpd", nofile=4)
        sock = process.socket()
        sock.setblocking(False)
        fails(sock.accept, number)


def test_a_waiting_accept_holds_a_descriptor():
    web = host("freebsd-10")
    process = web.process("httpd", nofile=5)
    listener = process.socket()
    listener.bind(("", 8080))
    listener.listen(5)
    listener.settimeout(1)
    seen = []
    web.call_later("500ms", lambda: seen.append(process.used))
    with pytest.raises(TimeoutError):
        listener.accept()
    assert (seen, process.used) == ([5], 4)


def test_datagram_sockets_are_files_too():
    web = host("freebsd-10")
    process = web.process("named", uid=53, nofile=4)
    sock = process.socket(2)
    assert sock.fileno() == 3
    fails(process.socket, errno.EMFILE)
    sock.close()
    assert process.used == 3
    assert web.sysctl["kern.openfiles"] == 0


def test_a_file_is_free_as_soon_as_its_socket_is_closed():
    """The connection lives on, in FIN_WAIT_2, and nobody holds it any more."""
    web = host("freebsd-10")
    process = web.process("httpd", uid=80)
    listener = process.socket()
    listener.bind(("", 8080))
    listener.listen(5)
    client = web.me.socket()
    client.connect(("192.0.2.1", 8080))
    conn, _ = listener.accept()
    assert "80       httpd      701   4  tcp4   192.0.2.1:8080" in web.sockstat("-4c")
    conn.close()
    web.net.run(for_="1s")
    assert web.tcp_states()["FIN_WAIT_2"] == 1
    assert row(web, "open files").used == 1
    assert web.sysctl["kern.openfiles"] == 1
    assert "?        ?          ?     ?  tcp4   192.0.2.1:8080" in web.sockstat("-4c")


def test_socket_without_a_socket_gives_the_descriptor_back():
    web = host("freebsd-10", **{"kern.ipc.maxsockets": 5})
    process = web.process("httpd")
    socks = opened(process, 5)
    fails(process.socket, errno.ENOBUFS)
    assert (process.used, row(web, "open files").used) == (8, 5)
    socks.pop().close()
    opened(process, 1)


def test_maxsockets_grows_while_the_machine_runs():
    web = host("freebsd-10", **{"kern.ipc.maxsockets": 5})
    opened(web.program, 5)
    fails(web.socket, errno.ENOBUFS)
    web.sysctl["kern.ipc.maxsockets"] = 6
    web.socket()
    fails(web.socket, errno.ENOBUFS)
    assert (row(web, "sockets").used, row(web, "sockets").maximum) == (6, 6)


def test_time_wait_takes_sockets_of_freebsd_14():
    web = host("freebsd-14", **{"kern.ipc.maxsockets": 3})
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(5)
    client = web.me.socket()
    client.connect(("192.0.2.1", 80))
    conn, _ = listener.accept()
    conn.close()
    client.close()
    web.net.run(for_="1s")
    assert web.tcp_states()["TIME_WAIT"] == 1
    kept = web.socket()
    assert row(web, "sockets").used == 3
    fails(web.socket, errno.ENOBUFS)
    web.net.run(for_="61s")
    assert row(web, "sockets").used == 2
    web.socket()
    kept.close()


def test_a_limit_below_nothing_is_refused():
    with pytest.raises(ValueError, match="httpd cannot have -1 descriptors"):
        host("freebsd-10").process("httpd", nofile=-1)
    process = host("linux-6").process("httpd", nofile=0)
    with pytest.raises(ValueError, match="cannot have -2"):
        process.setrlimit(-2)
    fails(process.socket, errno.EMFILE)


def test_hundreds_of_descriptors():
    process = host("linux-6").process("haproxy", nofile=1000)
    socks = opened(process, 997)
    assert [sock.fileno() for sock in socks] == list(range(3, 1000))
    fails(process.socket, errno.EMFILE)
    for sock in socks[::2]:
        sock.close()
    assert [sock.fileno() for sock in opened(process, 499)] == list(range(3, 1000, 2))


def test_datagram_sockets_are_sockets():
    """One below, at and one above kern.ipc.maxsockets, whatever they are; then one is closed and another made."""
    web = host("freebsd-10", **{"kern.ipc.maxsockets": 4})
    held = [web.socket(), web.socket(std.SOCK_DGRAM), web.socket(std.SOCK_DGRAM)]
    assert row(web, "sockets").used == web.sysctl["kern.ipc.numopensockets"] == 3
    held.append(web.socket(std.SOCK_DGRAM))
    assert row(web, "sockets").failures == 0
    for kind in (std.SOCK_STREAM, std.SOCK_DGRAM):
        fails(partial(web.socket, kind), errno.ENOBUFS)
    assert (row(web, "sockets").used, row(web, "sockets").failures) == (4, 2)
    assert web.dmesg() == ["[zone: socket] kern.ipc.maxsockets limit reached"]
    held.pop().close()
    assert web.program.used == 6, "the descriptors of those that failed were given back"
    web.socket(std.SOCK_STREAM)
    fails(partial(web.socket, std.SOCK_DGRAM), errno.ENOBUFS)
    zones = {line.split(":")[0]: line for line in web.vmstat("-z").splitlines()}
    assert zones["socket"].split(",")[2].strip() == "4"
    assert zones["tcp_inpcb"].split(",")[2].strip() == "2"
    assert zones["udp_inpcb"].split(",")[2].strip() == "2"
