"""`netstat -r`, `-i`, `-ss`, `vmstat -z` and the files of /proc, in the form of each era; the real tools of a Linux
(net-tools 2.10, iproute2 6.1, procps 4.0) printed the Linux ones.
"""

import json
import re
from socket import SOCK_DGRAM

import pytest
from limits.test_limits import host
from limits.test_views import busy

from pystack import Host, profiles
from pystack.sysctl.strict_toml import Document
from pystack.views import counters, freebsd_net, linux_stats
from pystack.views.sysctl import SKIPPED
from pystack.views.tools import UsageError, run


def of_era(era: str, base: str = "freebsd-10") -> profiles.Profile:
    """A FreeBSD whose tools are those of another release."""
    text = f'extends = "{base}"\ntitle = "x"\ndoc = "x"\nsource = "x"\ntools = "{era}"\n'
    return profiles.build(Document(text, "x.toml"), "x")


def gateway(era: str) -> Host:
    gw = Host("gw", ["192.0.2.1/24", "10.9.0.1/24"], profile=of_era(era))
    gw.route("0.0.0.0/0", via="192.0.2.254")
    gw.route("172.16.0.0/12", dev="em1")
    gw.route("198.51.100.7/32", via="10.9.0.254")
    return gw


@pytest.mark.parametrize(
    ("era", "text"),
    [
        (
            "4",
            """\
Destination        Gateway            Flags    Refs      Use  Netif Expire
default            192.0.2.254        UGSc        0        0    em0
10.9/24            link#2             UC          0        0    em1
127.0.0.1          127.0.0.1          UH          0        0    lo0
172.16/12          link#2             USc         0        0    em1
192.0.2            link#1             UC          0        0    em0
198.51.100.7       10.9.0.254         UGHSc       0        0    em1
""",
        ),
        (
            "9.2",
            """\
Destination        Gateway            Flags    Refs      Use  Netif Expire
default            192.0.2.254        UGS         0        0    em0
10.9.0.0/24        link#2             U           0        0    em1
10.9.0.1           link#2             UHS         0        0    lo0
127.0.0.1          link#3             UH          0        0    lo0
172.16.0.0/12      link#2             US          0        0    em1
192.0.2.0/24       link#1             U           0        0    em0
192.0.2.1          link#1             UHS         0        0    lo0
198.51.100.7       10.9.0.254         UGHS        0        0    em1
""",
        ),
        (
            "10",
            """\
Destination        Gateway            Flags      Netif Expire
default            192.0.2.254        UGS        em0
10.9.0.0/24        link#2             U          em1
10.9.0.1           link#2             UHS        lo0
127.0.0.1          link#3             UH         lo0
172.16.0.0/12      link#2             US         em1
192.0.2.0/24       link#1             U          em0
192.0.2.1          link#1             UHS        lo0
198.51.100.7       10.9.0.254         UGHS       em1
""",
        ),
        (
            "13.0",
            """\
Destination        Gateway            Flags     Netif Expire
default            192.0.2.254        UGS         em0
10.9.0.0/24        link#2             U           em1
10.9.0.1           link#2             UHS         lo0
127.0.0.1          link#3             UH          lo0
172.16.0.0/12      link#2             US          em1
192.0.2.0/24       link#1             U           em0
192.0.2.1          link#1             UHS         lo0
198.51.100.7       10.9.0.254         UGHS        em1
""",
        ),
    ],
)
def test_routes_of_freebsd(era, text):
    assert gateway(era).netstat("-rn") == f"Routing tables\n\nInternet:\n{text}"


@pytest.mark.parametrize(
    ("net", "prefix", "name"),
    [
        ("10.0.0.0", 8, "10"),
        ("10.9.0.0", 16, "10.9/16"),
        ("10.9.8.0", 24, "10.9.8/24"),
        ("10.9.8.64", 26, "10.9.8.64/26"),
        ("172.16.0.0", 16, "172.16"),
        ("192.0.2.0", 24, "192.0.2"),
        ("192.0.0.0", 16, "192.0.0/16"),
        ("0.0.0.0", 0, "default"),
    ],
)
def test_networks_by_class(net, prefix, name):
    """What the class of an address says is left out, up to 7."""
    number = int.from_bytes(map(int, net.split(".")), "big")
    assert freebsd_net.network(number, prefix, 7) == name
    assert freebsd_net.network(number, prefix, 10) in (f"{net}/{prefix}", "default")


def moved(era: str) -> Host:
    """An interface through which packets went: three in, two out, one lost on each side."""
    gw = Host("gw", "10.9.0.1/24", profile=of_era(era))
    (face,) = gw.interfaces
    face.ipackets, face.opackets, face.idrops, face.odrops = 12345678, 2, 1, 3
    return gw


@pytest.mark.parametrize(
    ("era", "lines"),
    [
        (
            "4",
            [
                "Name    Mtu Network       Address              Ipkts Ierrs    Opkts Oerrs  Coll",
                "em0    1500 <Link#1>                        12345678     0        2     3     0 ",
                "em0    1500 10.9/24       10.9.0.1          12345678     -        2     -     - ",
                "lo0   16384 <Link#2>                               0     0        0     0     0 ",
                "lo0   16384 127           127.0.0.1                0     -        0     -     - ",
            ],
        ),
        (
            "9.2",
            [
                "Name    Mtu Network       Address              Ipkts Ierrs Idrop    Opkts Oerrs  Coll",
                "em0    1500 <Link#1>                        12345678     0     1        2     3     0",
                "em0    1500 10.9.0.0/24   10.9.0.1          12345678     -     -        2     -     -",
                "lo0   16384 <Link#2>                               0     0     0        0     0     0",
                "lo0   16384 127.0.0.0/8   127.0.0.1                0     -     -        0     -     -",
            ],
        ),
        (
            "14",
            [
                "Name    Mtu Network       Address              Ipkts Ierrs Idrop    Opkts Oerrs  Coll",
                "em0    1500 <Link#1>      em0               12345678     0     1        2     3     0",
                "em0       - 10.9.0.0/24   10.9.0.1          12345678     -     -        2     -     -",
                "lo0   16384 <Link#2>      lo0                      0     0     0        0     0     0",
                "lo0       - 127.0.0.0/8   127.0.0.1                0     -     -        0     -     -",
            ],
        ),
    ],
)
def test_interfaces_of_freebsd(era, lines):
    assert moved(era).netstat("-in").splitlines() == lines


def test_an_interface_that_is_down():
    gw = moved("10")
    gw.interfaces[0].up = False
    assert gw.netstat("-in").splitlines()[1].startswith("em0*   1500 ")


def linux() -> Host:
    gw = Host("gw", ["10.9.0.2/24", "192.0.2.1/24"], profile="linux-6")
    gw.route("0.0.0.0/0", via="10.9.0.1")
    (face, _) = gw.interfaces
    face.ipackets, face.ibytes, face.opackets, face.obytes, face.odrops = 3, 1234, 2, 99, 2
    return gw


def test_routes_of_linux():
    assert linux().netstat("-rn") == (
        "Kernel IP routing table\n"
        "Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
        "0.0.0.0         10.9.0.1        0.0.0.0         UG        0 0          0 eth0\n"
        "10.9.0.0        0.0.0.0         255.255.255.0   U         0 0          0 eth0\n"
        "192.0.2.0       0.0.0.0         255.255.255.0   U         0 0          0 eth1\n"
    )
    assert linux().netstat("-r").splitlines()[2].startswith("default         10.9.0.1 ")


def test_interfaces_of_linux():
    assert linux().netstat("-i") == (
        "Kernel Interface table\n"
        "Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
        "eth0             1500        3      0      0 0             2      0      2      0 BMRU\n"
        "eth1             1500        0      0      0 0             0      0      0      0 BMRU\n"
        "lo              65536        0      0      0 0             0      0      0      0 LRU\n"
    )


def test_files_that_netstat_reads():
    """Octet by octet as a kernel gives them for a device of the same name, addresses and counters."""
    assert linux().proc("/proc/net/route") == (
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
        + " " * 55
        + "\n"
        + "eth0\t00000000\t0100090A\t0003\t0\t0\t0\t00000000\t0\t0\t0".ljust(127)
        + "\n"
        + "eth0\t0000090A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0".ljust(127)
        + "\n"
        + "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0".ljust(127)
        + "\n"
    )
    assert linux().proc("/proc/net/dev").splitlines() == [
        "Inter-|   Receive                                                |  Transmit",
        " face |bytes    packets errs drop fifo frame compressed multicast"
        "|bytes    packets errs drop fifo colls carrier compressed",
        "    lo:       0       0    0    0    0     0          0         0        0       0    0    0"
        "    0     0       0          0",
        "  eth0:    1234       3    0    0    0     0          0         0       99       2    0    2"
        "    0     0       0          0",
        "  eth1:       0       0    0    0    0     0          0         0        0       0    0    0"
        "    0     0       0          0",
    ]
    assert linux().proc("/proc/sys/net/ipv4/tcp_rmem") == "4096\t131072\t33554432\n"
    with pytest.raises(FileNotFoundError):
        linux().proc("/proc/sys/net/ipv4/tcp_none")


def test_nstat_shows_counters_only():
    """What never grows (RtoMin, CurrEstab) is left out, and without -z what is 0."""
    web = busy("linux-6")
    short = web.nstat("-a").splitlines()
    assert short[0] == "#kernel"
    assert "TcpPassiveOpens                 1                  0.0" in short
    assert all(re.fullmatch(r"\w{1,31} +[1-9]\d* {3,}0\.0", line) for line in short[1:])
    assert all(len(line) == 54 for line in short[1:])
    every = web.nstat("-az")
    assert "TcpExtTW                        0                  0.0\n" in every
    assert "Rto" not in every
    assert "CurrEstab" not in every


@pytest.mark.parametrize(
    ("era", "head", "row"),
    [
        (
            "6",
            "ITEM            SIZE     LIMIT     USED    FREE  REQUESTS",
            "mbuf_cluster:   2048,     1024,       1,      0,        1",
        ),
        (
            "7",
            "ITEM                         SIZE     LIMIT      USED      FREE  REQUESTS  FAILURES",
            "mbuf_cluster:                2048,     1024,        1,        0,        1,        0",
        ),
        (
            "10",
            "ITEM                   SIZE  LIMIT     USED     FREE      REQ FAIL SLEEP",
            "mbuf_cluster:          2048,   1024,       1,       0,       1,   0,   0",
        ),
        (
            "13.0",
            "ITEM                   SIZE  LIMIT     USED     FREE      REQ     FAILSLEEP XDOMAIN",
            "mbuf_cluster:          2048,   1024,       1,       0,       1,   0,   0,   0",
        ),
    ],
)
def test_zones_by_era(era, head, row):
    web = Host("web", profile=of_era(era), sysctl={"kern.ipc.nmbclusters": 1024})
    web.core.pool.get_cluster(2048)
    lines = web.vmstat("-z").split("\n")
    assert lines[:2] == [head, ""]
    assert row in lines
    assert lines[-3:] != ["", "", ""]


def test_netstat_s_of_thirteen_and_its_short_form():
    web = busy("freebsd-14")
    lines = web.netstat("-s").splitlines()
    at = lines.index("\t0 Path MTU discovery black hole detection activations")
    assert lines[at - 1] == "\t0 times no signature provided by segment"
    assert lines[at + 1 : at + 4] == [
        "\t0 Path MTU discovery black hole detection min MSS activations",
        "\t0 Path MTU discovery black hole detection failures",
        "TCP connection count by state:",
    ]
    assert not any("Path MTU" in line for line in busy("freebsd-10").netstat("-s").splitlines())
    short = web.netstat("-ss").splitlines()
    assert short == [line for line in lines if not re.match(r"\t+0 ", line)]
    assert "\t1 connection accept" in short


@pytest.mark.parametrize(
    "words", [["-an", "-p", "tcp"], ["-anp", "tcp"], ["-f", "inet", "-anptcp"]]
)
def test_a_protocol_is_a_word_of_its_own_or_not(words):
    web = busy("freebsd-10")
    web.udp = web.socket(SOCK_DGRAM)
    web.udp.bind(("", 514))
    (_, *lines, udp) = web.netstat("-an").splitlines()
    assert udp.startswith("udp4 ")
    assert run(web, "netstat", words).out.splitlines()[1:] == lines


@pytest.mark.parametrize(("tool", "options"), [("netstat", "-rn"), ("netstat", "-in")])
@pytest.mark.parametrize("profile", ["freebsd-4", "freebsd-14", "linux-6"])
def test_the_same_as_values(profile, tool, options):
    web = host(profile)
    rows = json.loads(getattr(web, tool)(f"{options} --json"))
    name = "interface" if "r" in options or profile == "linux-6" else "name"
    assert {row[name] for row in rows} - {"lo", "lo0"} in ({"em0"}, {"eth0"})
    assert ("lo" in {row[name] for row in rows}) == (profile == "linux-6" and "i" in options)


@pytest.mark.parametrize("name", profiles.names())
def test_machines_without_an_interface_print_headers(name):
    web = Host("web", profile=name)
    linux = web.profile.system == "linux"
    assert len(web.netstat("-rn").splitlines()) == (2 if linux else 5)
    assert len(web.netstat("-in").splitlines()) == 3
    assert run(web, "dmesg", []).status == 0
    shown = [knob for knob in web.sysctl if knob not in SKIPPED]
    assert run(web, "sysctl", ["-a"]).out.count("\n") == len(shown)
    if linux:
        assert len(web.ss("-s").splitlines()) > 5
        for path in ("sockstat", "snmp", "netstat", "route", "dev", "tcp", "udp"):
            assert web.proc(f"/proc/net/{path}")


def test_dmesg_of_each_system():
    for profile, text in (("freebsd-10", "hello\n"), ("linux-6", "[    0.000000] hello\n")):
        web = Host("web", profile=profile)
        web.log.write("hello")
        assert run(web, "dmesg", []).out == text
        assert json.loads(run(web, "dmesg", ["--json"]).out) == [{"ns": 0, "text": "hello"}]
        with pytest.raises(UsageError):
            web.netstat("-X")
        assert run(web, "dmesg", ["-T"]).status == 2


def test_netstat_s_of_linux():
    """As net-tools prints such counters: no plural, names for what has no sentence, nothing of what is 0."""
    web = busy("linux-6")
    stat = web.core.stat
    stat.listendrop, stat.tw_overflow, stat.rcvbadsum = 1, 3, 2
    lines = web.netstat("-st").splitlines()
    assert lines[:3] == [
        "Tcp:",
        "    0 active connection openings",
        "    1 passive connection openings",
    ]
    assert lines[5] == "    1 connections established"
    assert lines[11:14] == ["    InCsumErrors: 2", "UdpLite:", "TcpExt:"]
    assert "    1 times the listen queue of a socket overflowed" in lines
    assert "    0 packet headers predicted" in lines
    assert "    TCPTimeWaitOverflow: 3" in lines
    assert not any(
        re.match(r" +(?:\w+: )?0\b", line) for line in lines[14:] if "predicted" not in line
    )
    assert lines[-4] == "IpExt:"
    assert json.loads(web.netstat("-s --json"))["TcpExtTCPTimeWaitOverflow"] == 3


@pytest.mark.parametrize(("profile", "has_it"), [("linux-4", True), ("linux-6", False)])
def test_the_harm_of_tcp_tw_recycle_has_a_counter_until_4_11(profile, has_it):
    web = host(profile)
    web.core.stat.paws_passive = 7
    sentence = "    7 passive connections rejected because of time stamp\n"
    assert (sentence in web.netstat("-s")) == has_it
    assert ("TcpExtPAWSPassive               7 " in web.nstat("-a")) == has_it
    names, values, *_ = web.proc("/proc/net/netstat").splitlines()
    assert len(names.split()) == len(values.split()) == 136 + has_it
    assert (" TWKilled PAWSPassive PAWSActive " in names) == has_it


REAL = """\
Ip:
    Forwarding: 2
    5 total packets received
    0 forwarded
    0 incoming packets discarded
    5 incoming packets delivered
    5 requests sent out
    OutTransmits: 5
Icmp:
    3 ICMP messages received
    0 input ICMP message failed
    ICMP input histogram:
        destination unreachable: 1
        echo requests: 1
        echo replies: 1
    3 ICMP messages sent
    0 ICMP messages failed
    ICMP output histogram:
        destination unreachable: 1
        echo requests: 1
        echo replies: 1
IcmpMsg:
        InType0: 1
        InType3: 1
        InType8: 1
        OutType0: 1
        OutType3: 1
        OutType8: 1
Tcp:
    0 active connection openings
    0 passive connection openings
    0 failed connection attempts
    0 connection resets received
    0 connections established
    0 segments received
    0 segments sent out
    0 segments retransmitted
    0 bad segments received
    0 resets sent
Udp:
    1 packets received
    1 packets to unknown port received
    0 packet receive errors
    2 packets sent
    0 receive buffer errors
    0 send buffer errors
UdpLite:
TcpExt:
    0 packet headers predicted
IpExt:
    InOctets: 173
    OutOctets: 173
    InNoECTPkts: 5
"""
"""What netstat -s said of a namespace in which these three things had happened, but for Multipath TCP's headline."""


def talked_to_itself(profile: str) -> Host:
    """A datagram to a closed port, one to an open one, and a ping, all to the machine itself."""
    web = host(profile)
    sock = web.socket(SOCK_DGRAM)
    sock.connect(("127.0.0.1", 9))
    sock.send(b"x")
    other = web.socket(SOCK_DGRAM)
    other.bind(("127.0.0.1", 10))
    other.sendto(b"abc", ("127.0.0.1", 10))
    assert other.recv(10) == b"abc"
    ping = web.socket(SOCK_DGRAM, 1)
    ping.sendto(b"\x08" + bytes(6) + b"\x01", ("127.0.0.1", 0))
    assert ping.recv(10)[0] == 0
    web.kept = sock, other, ping
    return web


def test_netstat_s_of_a_real_kernel():
    web = talked_to_itself("linux-6")
    assert web.netstat("-s") == REAL
    assert web.netstat("-su").splitlines()[:2] == ["IcmpMsg:", "    InType0: 1"]
    assert "IcmpMsgOutType8                 1                  0.0\n" in web.nstat("-a")
    snmp = web.proc("/proc/net/snmp").splitlines()
    assert snmp[1] == "Ip: 2 64 5 0 0 0 0 0 5 5 0 0 0 0 0 0 0 0 0 5"
    assert snmp[3] == "Icmp: 3 0 0 1 0 0 0 0 1 1 0 0 0 0 3 0 0 0 1 0 0 0 0 1 1 0 0 0 0"
    assert snmp[4:6] == [
        "IcmpMsg: InType0 InType3 InType8 OutType0 OutType3 OutType8",
        "IcmpMsg: 1 1 1 1 1 1",
    ]
    assert snmp[9] == "Udp: 1 1 0 2 0 0 0 0 0"
    assert json.loads(web.netstat("-s --json"))["IpExtInOctets"] == 173
    assert (web.loopback.ipackets, web.loopback.ibytes) == (5, 173)


def test_netstat_s_of_all_protocols_of_freebsd():
    """netstat/inet.c: udp_stats, ip_stats, icmp_stats; what is 0 goes with the second -s."""
    web = talked_to_itself("freebsd-10")
    text = web.netstat("-s")
    heads = [line for line in text.splitlines() if not line.startswith("\t")]
    assert heads == ["tcp:", "udp:", "ip:", "icmp:"]
    assert web.netstat("-s -p udp").splitlines()[:7] == [
        "udp:",
        "\t2 datagrams received",
        "\t0 with incomplete header",
        "\t0 with bad data length field",
        "\t0 with bad checksum",
        "\t0 with no checksum",
        "\t1 dropped due to no socket",
    ]
    assert "\t0 packets forwarded (0 packets fast forwarded)\n" in web.netstat("-s -p ip")
    assert web.netstat("-ss -p ip") == (
        "ip:\n\t5 total packets received\n\t5 packets for this host\n\t5 packets sent from this host\n"
    )
    assert web.netstat("-ss -p icmp") == (
        "icmp:\n\t1 call to icmp_error\n\tOutput histogram:\n\t\techo reply: 1\n"
        "\t\tdestination unreachable: 1\n\t\techo: 1\n\tInput histogram:\n\t\techo reply: 1\n"
        "\t\tdestination unreachable: 1\n\t\techo: 1\n\t1 message response generated\n"
    )
    values = json.loads(web.netstat("-s --json"))
    assert values["icmp"]["in"]["echo"] == 1
    assert values["udp"]["noport"] == 1


def damaged(web: Host, packet: bytes, at: int) -> bytes:
    """The packet with one octet changed."""
    return packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1 :]


def test_what_is_bad_is_counted_where_it_is_bad():
    """A datagram whose checksum is wrong, then a header whose is, then no header at all; and a packet for others."""
    for profile in ("freebsd-10", "linux-6"):
        web = host(profile)
        good = bytes.fromhex("4500001d00010000401100000a0000020a00000103e80035000900007800")[:29]
        head = bytearray(good[:20])
        head[12:16], head[16:20] = bytes([192, 0, 2, 2]), bytes([192, 0, 2, 1])

        def packet(head: bytearray, rest: bytes) -> bytes:
            head[10:12] = b"\0\0"
            total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            head[10:12] = (total ^ 0xFFFF).to_bytes(2, "big")
            return bytes(head) + rest

        whole = packet(head, good[20:26] + b"\x12\x34" + b"x")
        for octets in (whole, damaged(web, whole, 1), whole[:10]):
            web.core.ingress_bytes(0, octets, 0)
        head[19] = 77
        web.core.ingress_bytes(0, packet(head, good[20:]), 0)
        if profile == "linux-6":
            assert counters.udp(web.core)["InCsumErrors"] == 1
            assert counters.udp(web.core)["InErrors"] == 1
            found = counters.ip(web.core)
            assert (found["InReceives"], found["InHdrErrors"], found["InAddrErrors"]) == (4, 2, 1)
            assert counters.ip_ext(web.core)["InCsumErrors"] == 1
        else:
            assert "\t1 with bad checksum\n" in web.netstat("-s -p udp")
            text = web.netstat("-s -p ip")
            for line in (
                "4 total packets received",
                "1 bad header checksum",
                "1 with size smaller than minimum",
                "1 packet not forwardable",
            ):
                assert f"\t{line}\n" in text


def test_every_sentence_of_linux_is_of_a_counter():
    core = host("linux-6").core
    assert set(linux_stats.IP) < set(counters.ip(core))
    assert set(linux_stats.UDP) < set(counters.udp(core))
    assert set(linux_stats.TCP) < set(counters.TCP)
    assert set(linux_stats.TCP_EXT) - {"PAWSPassive"} < set(counters.TCP_EXT)


TAIL_OF_10 = """\
0/0/0 requests for mbufs denied (mbufs/clusters/mbuf+clusters)
0/0/0 requests for mbufs delayed (mbufs/clusters/mbuf+clusters)
0/0/0 requests for jumbo clusters delayed (4k/9k/16k)
0/0/0 requests for jumbo clusters denied (4k/9k/16k)
""".splitlines()


@pytest.mark.parametrize(
    ("era", "inside", "outside"),
    [
        ("9.2", ["0 calls to protocol drain routines"], ["delayed (", "sendfile syscalls"]),
        ("10", TAIL_OF_10, ["drain routines", "sendfile syscalls"]),
        (
            "11.3",
            [*TAIL_OF_10, "0 sendfile syscalls"],
            ["drain routines", "substituted to bogus page"],
        ),
        (
            "13.0",
            [
                *TAIL_OF_10,
                "0 sendfile syscalls",
                "0 pages were valid and substituted to bogus page",
                "0 pages were requested for read ahead by applications",
            ],
            ["drain routines"],
        ),
    ],
)
def test_netstat_m_by_era(era, inside, outside):
    """1.6: what each release adds, takes away, and in which order."""
    lines = Host("web", profile=of_era(era)).netstat("-m").splitlines()
    places = [lines.index(line) for line in inside]
    assert places == sorted(places)
    for text in outside:
        assert not any(text in line for line in lines)


@pytest.mark.parametrize(("era", "wide"), [("9.2", 14), ("10", 14), ("11.3", 32), ("13.0", 32)])
def test_listen_queues_by_era(era, wide):
    web = Host("web", "192.0.2.1/24", profile=of_era(era))
    server = web.socket()
    server.bind(("", 80))
    server.listen(5)
    assert web.netstat("-Lan").splitlines()[2] == f"tcp4  {'0/0/5':<{wide}} {'*.80':<22}"


@pytest.mark.parametrize(
    ("era", "text"),
    [
        ("10", "discarded due to memory problems"),
        ("13.0", "discarded due to full reassembly queue"),
    ],
)
def test_netstat_s_by_era(era, text):
    assert f"\t\t0 {text}\n" in Host("web", profile=of_era(era)).netstat("-s")
