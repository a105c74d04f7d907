"""The operator's tools, byte for byte where the facts or a real tool give the form (facts: freebsd-tcp 1.6 to 4.4)."""

import json
import re

import pytest
from limits.linux_kit import RECORDS
from limits.test_limits import host

from pystack import profiles
from pystack.views import freebsd_stats, linux
from pystack.views.tools import UsageError


def busy(profile: str):
    """A listener on 8080, and a connection whose client has sent three octets and closed."""
    web = host(profile)
    listener = web.socket()
    listener.bind(("", 8080))
    listener.listen(5)
    client = web.me.socket()
    client.bind(("192.0.2.2", 50001))
    client.connect(("192.0.2.1", 8080))
    web.kept = [listener, listener.accept()[0]]
    client.send(b"abc")
    web.net.run(for_="50ms")
    client.close()
    web.net.run(for_="50ms")
    return web


def test_ss_as_iproute2_prints_it():
    """The widths, the blanks at the ends, CLOSE-WAIT's octet for the FIN: as a real ss printed the same sockets."""
    web = busy("linux-6")
    assert web.ss("-tan") == (
        "State      Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n"
        "LISTEN     0      5            0.0.0.0:8080      0.0.0.0:*           \n"
        "CLOSE-WAIT 4      0          192.0.2.1:8080    192.0.2.2:50001       \n"
    )
    assert web.ss("-ltn") == (
        "State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n"
        "LISTEN 0      5            0.0.0.0:8080      0.0.0.0:*          \n"
    )
    assert web.me.ss("-tano") == (
        "State      Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess                  \n"
        "FIN-WAIT-2 0      0          192.0.2.2:50001    192.0.2.1:8080 timer:(timewait,59sec,0)\n"
    )
    assert web.ss("-s") == (
        "Total: 2\n"
        "TCP:   2 (estab 1, closed 0, orphaned 0, timewait 0)\n\n"
        "Transport Total     IP        IPv6\n"
        "RAW\t  0         0         0        \n"
        "UDP\t  0         0         0        \n"
        "TCP\t  2         2         0        \n"
        "INET\t  2         2         0        \n"
        "FRAG\t  0         0         0        \n\n"
    )
    assert json.loads(web.ss("-tan --json"))[1]["state"] == "CLOSE-WAIT"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (60_000, "1min"),
        (59_900, "59sec"),
        (10_000, "10sec"),
        (9_960, "9.960ms"),
        (604, "604ms"),
        (0, ""),
    ],
)
def test_times_of_ss(ms, text):
    """Conntrack 9.2: what looks like milliseconds is seconds."""
    assert linux.span(ms) == text


def test_a_timer_of_the_records_reads_the_same():
    samples = RECORDS["fin_wait_2_and_time_wait_fin_timeout_90"]["observations"][
        "ss_samples_at_change"
    ]
    line = next(line for line in samples[0]["client"] if "29sec" in line)
    sock = linux.SocketRow(state=9, laddr=0, lport=1, timer="keepalive", left=29_900_000_000)
    assert line.endswith(linux.timer(sock).strip())


def test_netstat_of_net_tools():
    assert busy("linux-6").netstat("-tan") == (
        "Active Internet connections (servers and established)\n"
        "Proto Recv-Q Send-Q Local Address           Foreign Address         State      \n"
        "tcp        0      0 0.0.0.0:8080            0.0.0.0:*               LISTEN     \n"
        "tcp        4      0 192.0.2.1:8080          192.0.2.2:50001         CLOSE_WAIT \n"
    )


def test_files_of_proc():
    web = busy("linux-6")
    assert web.proc("/proc/net/sockstat") == (
        "sockets: used 2\nTCP: inuse 2 orphan 0 tw 0 alloc 2 mem 1\n"
        "UDP: inuse 0 mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n"
    )
    names, values, *_ = web.proc("/proc/net/netstat").splitlines()
    assert names.startswith("TcpExt: SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts ")
    assert len(names.split()) == len(values.split()) == 136
    lines = [line for line in web.proc("/proc/net/snmp").splitlines() if line.startswith("Tcp:")]
    snmp = dict(zip(*(line.split() for line in lines), strict=True))
    assert (snmp["PassiveOpens"], snmp["CurrEstab"], snmp["RtoMin"]) == ("1", "1", "200")
    assert "TcpPassiveOpens                 1                  0.0\n" in web.nstat()
    with pytest.raises(FileNotFoundError):
        web.proc("/proc/net/arp")
    with pytest.raises(FileNotFoundError):
        host("freebsd-10").proc("/proc/net/sockstat")


@pytest.mark.parametrize(("profile", "wide"), [("freebsd-10", 14), ("freebsd-14", 32)])
def test_netstat_of_freebsd(profile, wide):
    web = busy(profile)
    assert web.netstat("-an") == (
        "Active Internet connections (including servers)\n"
        "Proto Recv-Q Send-Q Local Address          Foreign Address        (state)\n"
        "tcp4       0      0 *.8080                 *.*                    LISTEN     \n"
        "tcp4       3      0 192.0.2.1.8080         192.0.2.2.50001        CLOSE_WAIT \n"
    )
    assert "LISTEN" not in web.netstat("-n")
    title, head, row = web.netstat("-Lan").splitlines()
    assert title == "Current listen queue sizes (qlen/incqlen/maxqlen)"
    assert head == f"Proto {'Listen':<{wide}} Local Address         "
    assert row == f"tcp4  {'0/0/5':<{wide}} *.8080                "


def test_netstat_m_of_7():
    """The lines of the sample of a 7.2, in its order, with this machine's numbers."""
    web = host("freebsd-7")
    pool = web.core.pool
    for _ in range(3):
        assert pool.get_cluster(2048)
    chain = pool.get_cluster(2048)
    pool.free_chain(chain)
    assert web.netstat("-m") == (
        "3/1/4 mbufs in use (current/cache/total)\n"
        "3/1/4/25600 mbuf clusters in use (current/cache/total/max)\n"
        "3/1 mbuf+clusters out of packet secondary zone in use (current/cache)\n"
        "0/0/0/12800 4k (page size) jumbo clusters in use (current/cache/total/max)\n"
        "0/0/0/6400 9k jumbo clusters in use (current/cache/total/max)\n"
        "0/0/0/3200 16k jumbo clusters in use (current/cache/total/max)\n"
        "6K/2K/9K bytes allocated to network (current/cache/total)\n"
        "0/0/0 requests for mbufs denied (mbufs/clusters/mbuf+clusters)\n"
        "0/0/0 requests for jumbo clusters denied (4k/9k/16k)\n"
        "0/0/6656 sfbufs in use (current/peak/max)\n"
        "0 requests for sfbufs denied\n"
        "0 requests for sfbufs delayed\n"
        "0 requests for I/O initiated by sendfile\n"
        "0 calls to protocol drain routines\n"
    )


def test_netstat_m_tells_what_was_denied():
    web = host(**{"kern.ipc.nmbclusters": 2})
    pool = web.core.pool
    while pool.get_cluster(2048):
        pass
    lines = web.netstat("-m").splitlines()
    assert lines[1] == "2/0/2/2 mbuf clusters in use (current/cache/total/max)"
    assert lines[7] == "0/1/1 requests for mbufs denied (mbufs/clusters/mbuf+clusters)"
    assert lines[8] == "0/0/0 requests for mbufs delayed (mbufs/clusters/mbuf+clusters)"


def test_netstat_m_of_other_eras():
    fourteen = host("freebsd-14").netstat("-m").splitlines()
    assert fourteen[11:13] == [
        "0 sendfile syscalls",
        "0 sendfile syscalls completed without I/O request",
    ]
    assert not any("sfbufs in use" in line for line in fourteen)
    four = host("freebsd-4").netstat("-m").splitlines()
    assert four[0].endswith("mbufs in use (current/peak/max):")
    assert four[-1] == "0 calls to protocol drain routines"


def test_vmstat_z():
    """The header and the rows of the BSDRP sample: widths, colons, one blank after the first comma only."""
    web = host(**{"kern.ipc.nmbclusters": 1024})
    web.core.pool.get_cluster(2048)
    lines = web.vmstat("-z").splitlines()
    assert lines[0] == "ITEM                   SIZE  LIMIT     USED     FREE      REQ FAIL SLEEP"
    assert lines[1] == ""
    assert lines[2].startswith("mbuf_packet:            256, ")
    row = next(line for line in lines if line.startswith("mbuf_cluster:"))
    assert row == "mbuf_cluster:          2048,   1024,       1,       0,       1,   0,   0"
    web.socket()
    row = next(line for line in web.vmstat("-z").splitlines() if line.startswith("tcpcb:"))
    assert (
        row
        == f"tcpcb:                 1040, {web.core.cfg.maxsockets:6},       1,       0,       1,   0,   0"
    )


def test_sockstat():
    lines = busy("freebsd-10").sockstat("-4").splitlines()
    assert lines == [
        "USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS      ",
        "root     pystack    700   3  tcp4   *:8080                *:*",
        "root     pystack    700   4  tcp4   192.0.2.1:8080        192.0.2.2:50001",
    ]
    assert len(busy("freebsd-10").sockstat("-4l").splitlines()) == 2


@pytest.mark.parametrize("name", profiles.names())
def test_views_of_an_empty_machine_print_their_headers(name):
    web = host(name)
    if web.profile.system == "linux":
        assert len(web.ss("-tan").splitlines()) == 1
        assert len(web.netstat("-tan").splitlines()) == 2
        assert len(web.netstat("-an").splitlines()) == 4
    else:
        assert len(web.netstat("-an").splitlines()) == 2
        assert len(web.netstat("-Lan").splitlines()) == 2
        assert len(web.vmstat("-z").splitlines()) > 6
        assert len(web.sockstat("-4").splitlines()) == 1


def test_what_a_tool_does_not_know():
    web = host("freebsd-10")
    with pytest.raises(
        UsageError,
        match="FreeBSD 10 has no ss here: it has cat, dmesg, head, ipfw, limits, netstat, sockstat, sysctl, vmstat",
    ):
        web.ss()
    with pytest.raises(UsageError, match="netstat: illegal option -- q"):
        web.netstat("-q")
    with pytest.raises(UsageError, match="only -z"):
        web.vmstat("")


def test_netstat_s():
    """The sentences of netstat/inet.c: TABs, endings by number, and the blank that a single connection keeps."""
    web = busy("freebsd-14")
    lines = web.netstat("-s -p tcp").splitlines()
    stats = web.stats
    assert lines[0] == "tcp:"
    assert lines[1] == f"\t{stats['sndtotal']} packets sent"
    assert "\t1 connection accept" in lines
    assert "\t1 syncache entry added" in lines
    assert "\t0 Connections (fin_wait_2) dropped because of timeout" in lines
    assert "\t\t1 packet (3 bytes) received in-sequence" in lines
    assert "\t\t0 discarded due to full reassembly queue" in lines
    assert lines[-11:-8] == [
        "\t0 connections in CLOSED state",
        "\t1 connection  in LISTEN state",
        "\t0 connections in SYN_SENT state",
    ]
    assert "\t1 connection  in CLOSE_WAIT state" in lines
    ten = busy("freebsd-10").netstat("-s").splitlines()
    assert "\t\t0 discarded due to memory problems" in ten
    assert not any(
        "connection count by state" in line or ("hostcache" in line and "used" in line)
        for line in ten
    )
    assert json.loads(web.netstat("-s --json"))["tcp"]["accepts"] == 1


def test_every_sentence_names_counters_that_there_are():
    stats = host("freebsd-14").stats
    for text in freebsd_stats.SENTENCES:
        for name in re.findall(r"\{([\w-]+)\}", text):
            assert name == "-" or name in stats, text
