"""What tests of the packetdrill player share: a script in, a verdict out, and an opening that many begin with."""

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
"""Descriptor 4 is a connection; the next line is line 9."""


def run(text: str, profile: str = "linux-6", **options) -> Verdict:
    return play(parse(text, "t.pkt", profile=profile), profile=profile, options=options)


def shown(v: Verdict) -> str:
    return f"{v}\n" + "\n".join(map(str, v.trace))


def check(text: str, profile: str = "linux-6", **options) -> Verdict:
    v = run(text, profile, **options)
    assert v.passed, shown(v)
    return v


def fails(text: str, message: str, line: int = 0, profile: str = "linux-6", **options) -> Verdict:
    v = run(text, profile, **options)
    assert v.outcome == "failed", shown(v)
    assert message in v.message, v
    if line:
        assert v.line == line, v
    return v


def skips(text: str, feature: str, profile: str = "linux-6", **options) -> Verdict:
    v = run(text, profile, **options)
    assert v.outcome == "skipped", shown(v)
    assert feature in v.message, v
    return v
