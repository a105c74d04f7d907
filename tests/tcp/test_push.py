"""PSH on Linux, measured on 6.18: the end of a write, of a burst, of half the window; on FreeBSD the end of all."""

from tcp.peer import opened

from pystack._fast.consts import PUSH_LINUX


def linux(**more):
    return opened("linux-6", "sackscale", mss=1000, rtt=0.1, policy_push=PUSH_LINUX, **more)


def flags(p):
    out = "".join("P" if s.flags & 8 else "." for s in p.inbox)
    p.inbox.clear()
    return out


def test_bursts_of_two_segments():
    """At this pace two segments leave together; the last of a burst has PSH, and the end of the write."""
    m, p, t = linux()
    m.write(t, 5000)
    assert flags(p) == ".P.PP"
    p.send(". 1:1(0) ack 5001 win 512", wait=0.1)
    m.write(t, 1000)
    assert flags(p) == "P"


def test_what_is_held_back_becomes_one_segment():
    """Minshall: a short segment waits for a short one; the mark of its write moves on with it."""
    m, p, t = linux()
    for _ in range(3):
        m.write(t, 300)
    assert [len(s.payload) for s in p.inbox] == [300]
    assert flags(p) == "P"
    p.send(". 1:1(0) ack 301 win 512", wait=0.1)
    assert [len(s.payload) for s in p.inbox] == [600]
    assert flags(p) == "P"


def test_more_is_not_marked():
    m, p, t = linux()
    m.write(t, 1000, more=True)
    assert flags(p) == "."
    m.write(t, 1000)
    assert flags(p) == "P"


def test_larger_bursts_on_a_short_way():
    """Half of the window at most, whatever the pace."""
    m, p, t = opened("linux-6", "sackscale", mss=1000, policy_push=PUSH_LINUX)
    m.write(t, 20000)
    assert flags(p) == "....P....P"


def test_one_segment_at_least():
    m, p, t = linux(tcp_min_tso_segs=1)
    m.write(t, 3000)
    assert flags(p) == "..P"


def test_freebsd_marks_what_empties_the_buffer():
    m, p, t = opened("freebsd-14", "sackscale", mss=1000, rtt=0.1)
    m.write(t, 5000)
    assert flags(p) == "....P"
