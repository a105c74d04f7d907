"""The player, on scripts written from the RFCs: what it lets pass, what it does not, and what it says then."""

import pytest

from pystack.packetdrill import Verdict, parse, play

OPEN = """
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1400,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <...>
+.03 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
"""


def run(text: str, profile: str = "linux-6", **options) -> Verdict:
    return play(parse(text, "t.pkt", profile=profile), profile=profile, options=options)


def check(text: str, profile: str = "linux-6", **options) -> Verdict:
    v = run(text, profile, **options)
    assert v.passed, f"{v}\n" + "\n".join(map(str, v.trace))
    return v


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
