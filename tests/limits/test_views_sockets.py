"""Sockets as `ss` with its filters, `netstat -x` and `-T`, /proc/net/tcp and /proc/net/udp show them.

`REAL` is what iproute2 6.1 said of the same sockets on a running 6.18: a listener with one connection in its queue, one
whose client has a thousand octets to read, and one in TIME_WAIT.
"""

import json
import re
from socket import SOCK_DGRAM

import pytest
from limits.machines import host
from limits.test_views import busy

import pystack
from pystack.views.sysctl import SKIPPED
from pystack.views.tools import UsageError, run

REAL = """\
State     Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
LISTEN    1      5          127.0.0.1:80         0.0.0.0:*           
ESTAB     1000   0          127.0.0.1:42640    127.0.0.1:80          
TIME-WAIT 0      0          127.0.0.1:42652    127.0.0.1:80          
ESTAB     0      0          127.0.0.1:42660    127.0.0.1:80          
ESTAB     0      0          127.0.0.1:80       127.0.0.1:42640       
ESTAB     0      0          127.0.0.1:80       127.0.0.1:42660       
"""  # noqa: W291


@pytest.fixture(scope="module")
def web() -> pystack.Host:
    web = host("linux-6")
    listener = web.socket()
    listener.bind(("127.0.0.1", 80))
    listener.listen(5)
    web.kept = [listener]

    def client(port: int):
        sock = web.socket()
        sock.bind(("127.0.0.1", port))
        sock.connect(("127.0.0.1", 80))
        web.kept.append(sock)
        return sock

    client(42640)
    served, _ = listener.accept()
    served.send(bytes(1000))
    web.kept.append(served)
    gone = client(42652)
    other, _ = listener.accept()
    gone.close()
    other.close()
    client(42660)
    web.net.run(for_="300ms")
    return web


def sockets(text: str) -> list[str]:
    """The lines of sockets, in an order that does not depend on a table."""
    return sorted(text.splitlines()[1:])


def test_the_same_as_the_real_tool(web):
    assert web.ss("-tan").splitlines()[0] == REAL.splitlines()[0]
    assert sockets(web.ss("-tan")) == sockets(REAL)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ("-tan state all", "LISTEN|ESTAB|TIME-WAIT"),
        ("-tn", "ESTAB"),
        ("-tn state connected", "ESTAB|TIME-WAIT"),
        ("-tn exclude listening", "ESTAB|TIME-WAIT"),
        ("-tn state all exclude established", "LISTEN|TIME-WAIT"),
        ("-tan sport = :80", r"LISTEN| 127\.0\.0\.1:80 .*:426"),
        ("-tan dport = :80", ":426.*:80 "),
        ("-tan dst 127.0.0.1:80", ":426.*:80 "),
        ("-tan sport = :80 or dport = :80", ""),
        ("-tan dst 127.0.0.0/8", "ESTAB|TIME-WAIT"),
        ("-tan ( sport = :80 and dst 127.0.0.2 )", "nothing"),
        ("-tan not sport = :80 sport ge :42650", ":426(52|60) .*:80 "),
        ("-tan ! ( sport = :80 or sport lt :42650 )", ":426(52|60) .*:80 "),
        ("-tan sport != 80 and dst = *:80", ":426.*:80 "),
    ],
)
def test_filters(web, filters, wanted):
    """Each as the real tool filtered the sockets above."""
    assert [line.split()[0] for line in sockets(web.ss(filters))] == [
        line.split()[0] for line in sockets(REAL) if re.search(wanted, line)
    ]


def test_one_state_has_no_column_of_its_own(web):
    text = web.ss("-tn state time-wait")
    assert text == (
        "Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess\n"
        "0      0          127.0.0.1:42652    127.0.0.1:80         \n"
    )
    assert web.ss("-n state listening").splitlines()[1].startswith("tcp   1      5  ")
    assert web.ss("-tn state fin-wait-1 state listening").startswith("State  Recv-Q")


def test_without_the_header(web):
    lines = web.ss("-tanH").splitlines()
    assert "LISTEN    1      5      127.0.0.1:80      0.0.0.0:*    " in lines
    assert len(lines) == 6
    assert web.ss("-tanH dst 10.1.1.1") == ""


def test_memory_and_owners(web):
    text = web.ss("-tanm")
    assert "\n\t skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)" in text
    read = re.search(r"\n\t skmem:\(r(\d+),rb131072,t0,tb(\d+),f(\d+),w0,o0,bl0,d0\)", text[400:])
    assert read is not None
    assert (int(read[1]) + int(read[3])) % 4096 == 0
    assert 'users:(("pystack",pid=700,fd=3))' in web.ss("-tlnp")
    (row,) = json.loads(web.ss("-tlnpm --json"))
    assert row["process"].startswith("users:")
    assert row["memory"].startswith("skmem:(r0,rb131072")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("state foo", "ss: wrong state name: foo"),
        ("sport = foo", 'Error: "foo" does not look like a port.'),
        ("dst 1.2.3", 'Error: an inet prefix is expected rather than "1.2.3".'),
        ("bogus", "ss: bogus: a filter begins with"),
        ("( sport = :80", "ss: a parenthesis is not closed"),
        ("sport = :80 )", "ss: ): this does not go on"),
        ("sport =", "ss: the filter ends in the middle"),
        ("state", "ss: option requires an argument"),
    ],
)
def test_what_is_no_filter(web, words, error):
    done = run(web, "ss", ["-tn", *words.split()])
    assert done.status == 2
    assert done.err.startswith(error)


def test_proc_net_tcp(web):
    """Octet by octet as a kernel, but for inodes and its own addresses; the timer of TIME_WAIT is in hundredths."""
    lines = web.proc("/proc/net/tcp").splitlines()
    assert all(len(line) == 149 for line in lines)
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    assert lines[0].rstrip() == head
    start = "   0: 0100007F:0050 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 "
    assert lines[1].startswith(start)
    assert lines[1].rstrip().endswith(" 100 0 0 10 0")
    assert any(":A690 0100007F:0050 01 00000000:000003E8 " in line for line in lines)
    (waiting,) = [line for line in lines if " 06 00000000:00000000 03:" in line]
    assert ":A69C 0100007F:0050 06 " in waiting
    left = int(waiting.split()[5].split(":")[1], 16)
    assert 5900 < left <= 6000
    assert waiting.rstrip().endswith(" 0        0 0 3 0000000000000000")
    assert len(json.loads(run(web, "cat", ["/proc/net/tcp", "--json"]).out)["/proc/net/tcp"]) == 6


def test_proc_net_udp():
    web = host("linux-6")
    sock = web.socket(SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    sock.sendto(b"abc", ("127.0.0.1", 53))
    head, line = web.proc("/proc/net/udp").splitlines()
    assert head == (
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
        "inode ref pointer drops            "
    )
    assert line.startswith("   53: 0100007F:0035 00000000:0000 07 00000000:00000003 00:00000000 ")
    assert len(line) == len(head) == 127


def test_netstat_x_and_t():
    """4.2: the buffers with mbufs, clusters, marks and memory, then the timers in seconds; losses."""
    web = busy("freebsd-10")
    head, _, line = web.netstat("-anx").splitlines()[1:]
    assert (
        head.split()[7:]
        == (
            "R-MBUF S-MBUF R-CLUS S-CLUS R-HIWA S-HIWA R-LOWA S-LOWA R-BCNT S-BCNT R-BMAX S-BMAX "
            "rexmt persist keep 2msl delack rcvtime"
        ).split()
    )
    cells = line.split()
    assert cells[:7] == [
        "tcp4", "3", "0", "192.0.2.1.8080", "192.0.2.2.50001", "1", "0",
    ]  # fmt: skip
    t = next(t for t in web.core.tcbs if t is not None and t.rcvq.cc == 3)
    assert cells[9:11] == [str(t.rcvq.hiwat), str(t.sndq.hiwat)]
    assert cells[13] == "256"
    assert cells[15] == str(8 * t.rcvq.hiwat)
    assert cells[17:] == ["0.00", "0.00", "7199.90", "0.00", "0.00", "0.05"]
    t.segs_again, t.ooo_in, t.zero_windows = 7, 8, 9
    head, _, line = web.netstat("-anT").splitlines()[1:]
    assert head.startswith("Proto Rexmit OOORcv 0-win  Local Address ")
    assert line.startswith("tcp4       7      8      9 192.0.2.1.8080 ")
    (_, row) = json.loads(web.netstat("-anT --json"))
    assert (row["rexmit"], row["ooo_received"], row["zero_windows"]) == (7, 8, 9)
    with pytest.raises(UsageError, match="incompatible"):
        web.netstat("-anxT")
    for letter in "xT":
        with pytest.raises(UsageError, match=f"illegal option -- {letter}"):
            host("freebsd-7").netstat(f"-an{letter}")
        assert len(host("freebsd-14").netstat(f"-an{letter}").splitlines()) == 2


def test_netstat_x_counts_what_waits_to_be_sent():
    web = host("freebsd-10")
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(5)
    client = web.me.socket()
    client.setsockopt(1, 8, 2048)
    client.connect(("192.0.2.1", 80))
    served, _ = listener.accept()
    served.setblocking(False)
    served.send(bytes(30_000))
    web.net.run(for_="1s")
    line = web.netstat("-anx").splitlines()[-1].split()
    used = web.core.pool.zones()
    assert int(line[8]) > 0
    assert int(line[14]) == served.row.sndq.mbcnt
    assert int(line[8]) <= sum(zone["used"] for zone in used[2:4])


def test_who_holds_a_datagram_socket():
    web = host("freebsd-10")
    named = web.process("named", uid=53)
    sock = named.socket(SOCK_DGRAM)
    sock.bind(("", 5353))
    assert web.sockstat("-4").splitlines()[1].split() == [
        "53",
        "named",
        "701",
        "3",
        "udp4",
        "*:5353",
        "*:*",
    ]


def test_sysctl_tells_what_a_knob_is():
    web = host("freebsd-10")
    text = "net.inet.tcp.msl: Maximum segment lifetime: TIME_WAIT lasts twice as long\n"
    assert run(web, "sysctl", ["-d", "net.inet.tcp.msl"]).out == text
    assert run(web, "sysctl", ["-dn", "net.inet.tcp.msl"]).out == text.partition(": ")[2]
    told = [known for known in web.sysctl if known not in SKIPPED]
    assert run(web, "sysctl", ["-da"]).out.count("\n") == len(told)
    assert run(host("linux-6"), "sysctl", ["-d"]).status == 2


def test_netstat_m_counts_sendfile(tmp_path):
    """Every page is in memory here, so no call waits for a disk."""
    web = host("freebsd-14")
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(5)
    client = web.me.socket()
    client.connect(("192.0.2.1", 80))
    served, _ = listener.accept()
    (tmp_path / "page").write_bytes(bytes(5000))
    with (tmp_path / "page").open("rb") as page:
        served.sendfile(page)
    lines = web.netstat("-m").splitlines()
    assert "1 sendfile syscalls" in lines
    assert "1 sendfile syscalls completed without I/O request" in lines


def test_sockstat_counts_sockets_that_have_no_port_yet():
    web = host("linux-6")
    web.kept = [web.socket(), web.socket(SOCK_DGRAM), web.socket(SOCK_DGRAM)]
    web.kept[1].bind(("", 53))
    text = web.proc("/proc/net/sockstat")
    assert text.startswith("sockets: used 3\nTCP: inuse 0 orphan 0 tw 0 alloc 1 ")
    assert "\nUDP: inuse 1 " in text


@pytest.mark.parametrize(
    ("profile", "name", "mtu", "mss"),
    [
        ("linux-6", "lo", 65536, 65495),
        ("linux-2.6", "lo", 16436, 16396),
        ("freebsd-14", "lo0", 16384, 16344),
    ],
)
def test_what_a_machine_says_to_itself(profile, name, mtu, mss):
    """The MTU of lo, and the MSS that a SYN over it offers: 65535 octets are the most that a packet has."""
    net = pystack.Network(seed=1)
    web = net.host("web", "192.0.2.1/24", profile=profile)
    listener = web.socket()
    listener.bind(("", 80))
    listener.listen(5)
    client = web.socket()
    client.connect(("127.0.0.1", 80))
    served, _ = listener.accept()
    assert (web.loopback.name, web.loopback.mtu) == (name, mtu)
    assert served.row.mss_peer == client.row.mss_peer == mss
    assert web.loopback.ipackets == web.loopback.opackets == 3
    assert [face.ipackets for face in web.interfaces] == [0]
    client.sendall(bytes(10_000))
    assert len(served.recv(65536)) == 10_000
    assert web.loopback.ibytes == web.loopback.obytes > 10_000
    rows = json.loads(web.netstat("-i --json" if name == "lo" else "-in --json"))
    key = "rx_ok" if name == "lo" else "ipackets"
    assert rows[-1][key] == web.loopback.ipackets
