"""The player, on scripts written from the RFCs: what it lets pass, what it does not, and what it says then."""

import pytest
from packetdrill_kit import OPEN, check, fails, run, skips

from pystack.packetdrill import ScriptError, parse, play


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_a_passive_open_and_data_both_ways(profile):
    check(
        OPEN
        + """
+0 write(4, ..., 1000) = 1000
+0 > P. 1:1001(1000) ack 1
+.03 < . 1:1(0) ack 1001 win 257
+0 < P. 1:101(100) ack 1001 win 257
+0 read(4, ..., 200) = 100
""",
        profile,
    )


def test_another_packet_is_shown_beside_the_one_that_was_expected():
    v = run(OPEN + "+0 write(4, ..., 1000) = 1000\n+0 > . 1:1001(1000) ack 1 win 9\n")
    assert v.outcome == "failed"
    assert v.line == 10
    assert "tcp_flags: expected: . (0x10) vs actual: P. (0x18)" in v.message
    assert v.expected.endswith("> . 1:1001(1000) ack 1 win 9")
    assert "> P. 1:1001(1000) ack 1 win" in v.actual


# --- times ----------------------------------------------------------------------------------------

WRITE = "+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n"


@pytest.mark.parametrize("time", ["+.23", "+.24", "+.18~+.28", "*", "0.26", "0.2~0.3", "+.24~+.28"])
def test_a_retransmission_in_time(time):
    check(OPEN + WRITE + f"{time} > P. 1:1001(1000) ack 1\n")


@pytest.mark.parametrize("time", ["+.18", "+.3", "+.1~+.12", "+.3~+.4", "0.1", "+0", "+1"])
def test_a_retransmission_at_another_time(time):
    v = fails(OPEN + WRITE + f"{time} > P. 1:1001(1000) ack 1\n", "timing error", 11)
    assert "but happened at 0.260010 sec" in v.message


def test_tolerances():
    late = OPEN + WRITE + "+.2 > P. 1:1001(1000) ack 1\n"
    fails(late, "tolerance 0.025000 sec")
    check(late, tolerance_usecs=40_000)
    check(late, tolerance_percent=20)
    check("--tolerance_usecs=40000\n" + late)
    fails("--tolerance_usecs=40000\n" + late, "timing error", tolerance_usecs=4000)


def test_a_packet_that_does_not_come():
    v = fails(OPEN + "+0 > . 1:1(0) ack 1\n", "Timed out waiting for packet", 9)
    assert v.actual == ""
    assert v.expected == "0.030007 > . 1:1(0) ack 1"
    assert v.trace[-1].ns < 1_000_000_000
    fails(OPEN + "* > . 1:1(0) ack 1\n", "Timed out waiting for packet", 9)


def test_relative_times_count_from_when_the_event_before_was_over():
    # the retransmission comes after 230 ms where the script says 250; what follows counts from the 230
    v = check(OPEN + WRITE + "+.25 > P. 1:1001(1000) ack 1\n+.1 < . 1:1(0) ack 1001 win 257\n")
    assert 360_000_000 <= v.trace[-1].ns < 360_100_000


def test_an_inbound_packet_counts_from_the_inbound_packet_before():
    v = check(OPEN + "+.1 < P. 1:101(100) ack 1 win 257\n+.2 < P. 101:201(100) ack 1 win 257\n")
    packets = [m.ns for m in v.trace if m.kind == "<"][-2:]
    assert packets[1] - packets[0] in range(199_990_000, 200_010_000)


def test_a_packet_is_taken_when_its_line_comes_and_judged_by_its_own_time():
    text = OPEN + "+0 write(4, ..., 1000) = 1000\n+.1 < . 1:1(0) ack 1 win 300\n"
    fails(text + "+0 > P. 1:1001(1000) ack 1\n", "timing error: expected outbound packet at 0.13")
    check(text + "0.03 > P. 1:1001(1000) ack 1\n")


# --- which packet ---------------------------------------------------------------------------------


def test_segments_are_glued_where_the_line_is_longer():
    text = OPEN + "+0 write(4, ..., 4200) = 4200\n"
    check(text + "+0 > P. 1:4201(4200) ack 1\n")
    check(text + "+0 > . 1:1401(1400) ack 1\n+0 > P. 1401:4201(2800) ack 1\n")
    fails(
        text + "+0 > P. 1:4200(4199) ack 1\n", "payload: expected 4199 bytes vs actual 4200 bytes"
    )
    fails(
        text + "+0 > P. 1:5601(5600) ack 1\n", "payload: expected 5600 bytes vs actual 4200 bytes"
    )
    fails(text + "+0 > . 1:4201(4200) ack 1\n", "tcp_flags")
    fails(text + "+0 > P. 1:4201(4200) ack 1\n", "actual 1400 bytes", strict_segments=True)
    fails(text + "+0 > P. 1:4201(4200) ack 1\n", "actual 1400 bytes", profile="freebsd-14")


def test_leftovers_are_reported_if_asked_for():
    text = OPEN + "+0 write(4, ..., 1000) = 1000\n"
    check(text)
    v = fails(text, "left over", strict=True)
    assert "P. 1:1001(1000) ack 1" in v.actual


def test_a_socket_that_is_not_under_test_is_not_looked_at():
    check(
        OPEN
        + """
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 5
+0 fcntl(5, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 write(4, ..., 100) = 100
+0 connect(5, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <...>
"""
    )


def test_ports_of_an_inbound_packet():
    text = OPEN.replace("< S", "< 5555 > 8080 S")
    v = check(text)
    syn = next(m for m in v.trace if m.kind == "<")
    assert syn.octets[20:24] == bytes.fromhex("15b31f90")
    fails(OPEN + "+0 < 9 > 9 . 1:1(0) ack 1 win 9\n+0 > R 1:1(0)\n", "Timed out")
    check(OPEN + "+0 < 9 > 9 . 1:1(0) ack 1 win 9\n+0 > 9 > 9 R 1:1(0)\n")


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_packets_to_a_closed_port(profile):
    check(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 < S 0:0(0) win 1000
+0 > R. 0:0(0) ack 1 win 0
+0 < . 1:1(0) ack 7 win 1000
+0 > R 7:7(0) win 0
""",
        profile,
    )


def test_a_packet_before_any_socket():
    text = "0 < S 0:0(0) win 1000\n+0 > R. 0:0(0) ack 1\n"
    check(text)
    fails(text, "without any socket", 1, profile="freebsd-14")


ACTIVE = """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <...>
+.01 < S. 500:500(0) ack 1 win 65535 <mss 1460,nop,nop,TS val 900 ecr {ecr}>
+0 > . 1:1(0) ack 1 <nop,nop,TS val 110 ecr 900>
"""


def test_timestamps_are_mapped():
    active = ACTIVE.replace("<...>", "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 10>")
    check(active.format(ecr=100))
    fails(active.format(ecr=101), "unable to infer live TS ecr", 6)
    check("--tcp_ts_ecr_scaled\n" + active.format(ecr=101))
    check("--tcp_ts_tick_usecs=1000\n" + active.format(ecr=100))
    off = active.format(ecr=100).replace("TS val 110", "TS val 150")
    check(off)
    fails("--tcp_ts_tick_usecs=1000\n" + off, "40 ticks of 1000 us off")


def test_isns_that_are_not_zero():
    check(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 123456:123456(0) win 1000 <mss 1000>
+0 > S. 777:777(0) ack 123457 <...>
+0 < . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 4
+0 < P. 1:11(10) ack 1 win 1000
+0 > . 1:1(0) ack 11
"""
    )


def test_absolute_and_ignored_sequence_numbers():
    check(OPEN.replace("> S. 0:0(0) ack 1 <...>", "> S. ...(0) ack 1 <...>"))
    reset = "+0 < R 0:0(0)! win 0\n"
    v = check(OPEN + reset)
    assert v.trace[-1].octets[24:28] == bytes(4)


# --- the IP header --------------------------------------------------------------------------------


def test_ecn_tos_and_ttl():
    check(OPEN + "+0 write(4, ..., 10) = 10\n+0 > [noecn] P. 1:11(10) ack 1\n")
    check(OPEN + "+0 write(4, ..., 10) = 10\n+0 > [tos 0x0] P. 1:11(10) ack 1\n")
    check(OPEN + "+0 write(4, ..., 10) = 10\n+0 > [ttl 64] P. 1:11(10) ack 1\n")
    fails(OPEN + "+0 write(4, ..., 10) = 10\n+0 > [ttl 63] P. 1:11(10) ack 1\n", "ip_ttl")
    fails(OPEN + "+0 write(4, ..., 10) = 10\n+0 > [ect01] P. 1:11(10) ack 1\n", "ip_ecn")
    v = check(OPEN + "+0 < [ce] P. 1:11(10) ack 1 win 9\n")
    data = next(m.octets for m in v.trace if "11(10)" in m.text)
    assert (data[1], data[8]) == (3, 255)


# --- ICMP and UDP ---------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_an_icmp_error_ends_a_connect(profile):
    check(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.1 connect(3, ..., ...) = -1 ECONNREFUSED
+0 > S 0:0(0) <...>
+.1 < icmp unreachable port_unreachable [0:0(0)]
""",
        profile,
    )


def test_a_quote_of_another_segment_is_not_believed():
    fails(
        """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.1 connect(3, ..., ...) = -1 ECONNREFUSED
+0 > S 0:0(0) <...>
+.1 < icmp unreachable port_unreachable [1000:1000(0)]
""",
        "connect call: it did not return",
        3,
    )


def test_path_mtu():
    check(
        OPEN
        + """
+0 write(4, ..., 1400) = 1400
+0 > P. 1:1401(1400) ack 1
+.01 < icmp unreachable frag_needed mtu 1200 [1:1401(1400)]
+0 > . 1:1161(1160) ack 1
+0 > P. 1161:1401(240) ack 1
"""
    )


@pytest.mark.parametrize("profile", ["linux-6", "freebsd-14"])
def test_udp(profile):
    text = """
 0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
+0 bind(3, ..., ...) = 0
+0 connect(3, ..., ...) = 0
+0 < udp (100)
+0 read(3, ..., 1000) = 100
+0 write(3, ..., 50) = 50
+0 > udp (50)
+0...0.2 recvfrom(3, ..., 10, 0, ..., ...) = 10
+.2 < udp (20)
"""
    check(text, profile)
    fails(text.replace("udp (50)", "udp (51)"), "expected 51 bytes vs actual 50", 8, profile)


# --- what goes wrong at large ---------------------------------------------------------------------


def test_options_of_the_tool():
    check("--mtu=1000\n" + OPEN + "+0 write(4, ..., 960) = 960\n+0 > P. 1:961(960) ack 1\n")
    check(OPEN + "+0 nonsense(3) = 0\n", dry_run=None)
    skips("--frobnicate=1\n" + OPEN, "--frobnicate")
    skips("--ip_version=ipv6\n" + OPEN, "ipv6")
    fails("--mtu=many\n" + OPEN, "--mtu=many")
    bad = OPEN + "+0 write(4, ..., 10) = 11\n+0 > P. 1:11(10) ack 2\n+0 close(4) = 0\n"
    fails(bad, "Expected result 11 but got 10", 9)
    fails(bad, "tcp_ack_seq", 10, non_fatal="syscall")
    v = check("--non_fatal=packet,syscall\n" + bad)
    assert next(m.text for m in v.trace if m.kind == "warning").startswith("runtime error in write")


def test_addresses_and_ports_of_options():
    v = check("--local_ip=10.1.0.9\n--remote_ip=10.9.0.1\n--bind_port=99\n" + OPEN)
    syn = next(m for m in v.trace if m.kind == "<").octets
    assert syn[12:20] == bytes([10, 9, 0, 1, 10, 1, 0, 9])
    assert syn[22:24] == bytes([0, 99])


def test_a_script_that_would_wait_for_ever_ends():
    fails(OPEN + "+0 read(4, ..., 10) = 10\n", "it blocks", 9)
    fails(OPEN + "+0...1 read(4, ..., 10) = 10\n", "it did not return", 9)
    fails(OPEN + "+0...1 read(4, ..., 10) = 10\n+0 close(4) = 0\n", "it did not return", 9)


def test_big_segments_arrive_whole():
    check(
        "--mss=1000\n" + OPEN + "+0 < P. 1:5001(5000) ack 1 win 257\n+0 read(4, ..., 9999) = 5000\n"
    )
    check(OPEN + "+0 < P. 1:5001(5000) ack 1 win 257\n+0 read(4, ..., 9999) = 5000\n")


def test_two_connections_at_once():
    check(
        OPEN.replace("listen(3, 1)", "listen(3, 5)")
        + """
+0 < 7777 > 8080 S 9000:9000(0) win 1000 <mss 1000>
+0 > 8080 > 7777 S. 0:0(0) ack 9001 <...>
+0 write(4, ..., 10) = 10
+0 > P. 1:11(10) ack 1
+0 < 7777 > 8080 . 1:1(0) ack 1 win 1000
+0 accept(3, ..., ...) = 5
+0 write(5, ..., 20) = 20
+0 > 8080 > 7777 P. 1:21(20) ack 1
"""
    )


def where_it_ends(text: str) -> int:
    """The line that a script is refused at or fails at; 0 for one that passes."""
    try:
        script = parse(text)
    except ScriptError as e:
        return e.line
    v = play(script)
    return v.line if v.outcome == "failed" else 0


@pytest.mark.parametrize(
    "line",
    [
        "+0 < . 1:1(0) ack 1 win 65536",
        "+0 < 70000 > 80 . 1:1(0) ack 1 win 5",
        "+0 < [ttl 256] . 1:1(0) ack 1 win 5",
        "+0 < [tos 0x100] . 1:1(0) ack 1 win 5",
        "+0 < . 1:1(0) ack 1 win 5 urg 65536",
        "+0 < . 1:1(0) ack 1 win 5 <mss 65536>",
        "+0 < . 1:1(0) ack 1 win 5 <nop>",
        "+0 < icmp unreachable frag_needed mtu 70000 [1:1(0)]",
        "+0 < udp (65530)",
        "+0 write(4, ..., -1) = 0",
        "+0 write(4, ..., ...) = 0",
        "+0 setsockopt(4, IPPROTO_TCP, TCP_KEEPCNT, [99999999999], 4) = 0",
        "+0 setsockopt(4, SOL_SOCKET, SO_RCVBUF, [-99999999999], 4) = 7",
        "+0 poll([{fd=4, events=POLLIN}], 2, 0) = 0",
        "+0 epoll_ctl(4, 1, 4, {events=EPOLLIN, fd=4}) = 0",
        "+0 shutdown(4, 7) = 0",
        "+0 fcntl(4, F_SETFL) = 1",
        '+0 bind(4, {sa_family=AF_INET, sin_port=htons(70000), sin_addr=inet_addr("1.2.3.4")}, ...) = 0',
        '+0 connect(4, {sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr("1.2.3")}, ...) = 0',
    ],
)
def test_nonsense_is_a_failure_that_names_its_line(line):
    assert where_it_ends(OPEN + line + "\n") == 9


def test_the_trace_has_what_no_line_asks_for():
    v = check(OPEN + "+.1 write(4, ..., 2800) = 2800\n+.3 < . 1:1(0) ack 1 win 257\n")
    sent = [m for m in v.trace if m.text.endswith("(no line asks for it)")]
    assert [m.kind for m in sent] == [">"] * len(sent)
    assert sent[0].text.startswith(". 1:1401(1400) ack 1")
    assert len(sent) >= 3  # the data, and a timer that fired
    assert all(m.octets for m in sent)
    assert [m.ns for m in v.trace] == sorted(m.ns for m in v.trace)
