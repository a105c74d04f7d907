"""What a socket tells its application beside data (Linux): times of segments, copies that are over, its error queue.

A connection that nobody asked for any of it has no `Reports`, and the ways of its segments test that one pointer. What
stands here is for the few that were asked (setsockopt of SO_TIMESTAMPING, SO_ZEROCOPY, TCP_INQ), and is not
hot.

Linux keeps one time to tell of in each buffer of the send queue: the last octet of the last write that went into it.
So a write that continues the buffer of the one before takes its place, and MSG_EOR keeps them apart. What asks for a
time goes with the buffer each time that it is sent: a retransmission tells of SCHED and SND once more, an
acknowledgment once.

wrote          a write is in the send queue
departed       a segment is with the device, for the first time or again
joined         segments are sent again as one
acknowledged   SND.UNA has moved
arrived        a segment of the peer is in the receive queue
refused        an ICMP message ends a handshake
abandoned      the send queue goes, sent or not
"""

import cython

from pystack._fast.consts import EV_ERROR, WRITE_WAITS, WRITE_ZEROCOPY, Err
from pystack._fast.flight import Flight, SegmentTable  # noqa: F401
from pystack._fast.packet import Packet  # noqa: F401
from pystack._fast.seq import add, after, before, before_eq, dist, sub
from pystack._fast.tcb import Stack, Tcb  # noqa: F401

# what: asked for by other options than SO_TIMESTAMPING
TELL_UNREAD = 1
TELL_COPIES = 2
TELL_TIME = 4
TELL_TIME_NS = 8

# stamping: SO_TIMESTAMPING (include/uapi/linux/net_tstamp.h)
STAMP_SND = 0x2
STAMP_RECEIVED = 0x8
STAMP_REPORTED = 0x10
STAMP_KEYS = 0x80
STAMP_SCHED = 0x100
STAMP_ACK = 0x200
STAMP_ALONE = 0x800
STAMP_SENDING = 0x303
"""The flags that a write can ask for by itself (SOF_TIMESTAMPING_TX_RECORD_MASK)."""

# ee_origin, and what ee_info says of a time (include/uapi/linux/errqueue.h)
ORIGIN_ICMP = 2
ORIGIN_TIMESTAMPING = 4
ORIGIN_ZEROCOPY = 5
TIME_SND = 0
TIME_SCHED = 1
TIME_ACK = 2
COPIED = 1
"""ee_code: the octets were copied after all. Here they always are."""

ENTRY = 832
"""Memory that an entry of the error queue is charged with beside its octets (skb->truesize of Linux 6.18)."""
BIGGEST_COPY = 1 << 19
"""Octets of the writes that share one notification."""


@cython.final
@cython.cclass
class Report:
    """An entry of the error queue: struct sock_extended_err, when (ns), from whom, and octets.

    `error` is the name of an errno, "" for none.
    """

    def __init__(self, at, error, origin, kind, code, info, data, octets):
        self.at = at
        self.error = error
        self.origin = origin
        self.kind = kind
        self.code = code
        self.info = info
        self.data = data
        self.octets = octets
        self.offender = 0


@cython.final
@cython.cclass
class Mark:
    """Times are asked for (STAMP_*) of the octet before `end`."""

    def __init__(self, end, asked):
        self.end = end
        self.asked = asked


@cython.final
@cython.cclass
class Copy:
    """Writes with MSG_ZEROCOPY, numbers `first` to `last`, of so many `octets`, which are through when `end` is."""

    def __init__(self, end, number, octets):
        self.end = end
        self.first = self.last = number
        self.octets = octets


@cython.final
@cython.cclass
class Reports:
    """What one socket tells.

    `what`: TELL_*. `stamping`: the flags of SO_TIMESTAMPING, `asked` those of the write that is being made. `origin`:
    the octet that keys count from. `errors`: the error queue, oldest first, `memory` what it is charged with. `marks`,
    `copies`: in the order of the octets; `written` is the number of the next write with MSG_ZEROCOPY. `unfinished`: the
    call that made the last one waits for room. `arrivals`: (first, behind the last, when) of what was received.
    """

    def __init__(self):
        self.what = self.stamping = self.asked = 0
        self.origin = 0
        self.errors = []
        self.memory = 0
        self.marks = []
        self.arrivals = []
        self.copies = []
        self.written = 0
        self.unfinished = False

    def for_child(self):
        """What the connections of a listener are told: what was asked for there."""
        child = Reports()
        child.what = self.what
        child.stamping = child.asked = self.stamping
        return child

    def stamps_arrivals(self):
        """Is the time of what arrives noted?"""
        return self.what & (TELL_TIME | TELL_TIME_NS) != 0 or self.stamping & STAMP_RECEIVED != 0

    def take(self):
        """The oldest entry of the error queue; None."""
        if not self.errors:
            return None
        found: Report = self.errors.pop(0)
        self.memory -= charge(found)
        return found

    def purge(self):
        """Nobody wants to know any more."""
        self.errors.clear()
        self.memory = 0


def charge(report):
    """Memory of an entry that the receive buffer pays for; that of a copy that is over is of another account."""
    return ENTRY + len(report.octets) if report.origin != ORIGIN_ZEROCOPY else 0


def queue(s, t, report):
    """Into the error queue, if there is room: its memory is the receive buffer's."""
    r: Reports = t.reports
    size: cython.int = charge(report)
    if r.memory + t.rcvq.rmem + size < t.rcvq.hiwat:
        r.memory += size
        r.errors.append(report)
        s.wakeup(t, EV_ERROR)
    return 0


# --- sending --------------------------------------------------------------------------------------------------------


def wrote(t, n, how, held, whole):
    """`n` octets are at the end of the send queue. They go on with a buffer that had `held`, 0: with none. `whole`: it
    is all that the call was given, or it will not wait for the rest.
    """
    r: Reports = t.reports
    end: cython.uint = add(t.snd_una, t.sndq.cc)
    start: cython.uint = sub(end, held + n)
    alone: cython.bint = held == 0 or t.sndq.piece == start
    asked: cython.int = r.asked & STAMP_SENDING
    last: Mark
    copy: Copy
    if held and r.copies:
        copy = r.copies[len(r.copies) - 1]
        if after(copy.end, start):
            copy.end = end if alone else t.sndq.piece
    if how & WRITE_ZEROCOPY and r.what & TELL_COPIES:
        note_copy(r, end, n, held > 0)
    r.unfinished = not whole and how & WRITE_WAITS != 0
    if asked == 0 or r.unfinished:
        return 0
    if held and alone and r.marks:
        last = r.marks[len(r.marks) - 1]
        if after(last.end, start):
            last.end = end
            last.asked |= asked
            return 0
    r.marks.append(Mark(end, asked))
    return 0


def note_copy(r, end, n, held):
    """A write whose pages the application must not touch until it is told. Those in one buffer are told of together."""
    last: Copy = r.copies[len(r.copies) - 1] if r.copies else None
    if last is not None and r.unfinished:
        last.end = end
        last.octets += n
        return 0
    number: cython.uint = r.written
    r.written = number + 1
    if last is not None and held and last.last + 1 == number and last.octets + n <= BIGGEST_COPY:
        last.end = end
        last.last = number
        last.octets += n
    else:
        r.copies.append(Copy(end, number, n))
    return 0


def tell_time(s, t, end, when, octets):
    """The moment `when` (TIME_*) has come for the octet before `end`."""
    r: Reports = t.reports
    key: cython.uint = sub(sub(end, 1), r.origin) if r.stamping & STAMP_KEYS else 0
    return queue(s, t, Report(s.now, "ENOMSG", ORIGIN_TIMESTAMPING, 0, 0, when, key, octets))


def departed(s, t, p, at, length):
    """The segment [at, at + length) is in the queue of a device, unless a firewall has it."""
    r: Reports = t.reports
    end: cython.uint = add(at, length)
    mark: Mark
    if p.m == 0:
        return 0
    for mark in r.marks:
        if after(mark.end, at) and before_eq(mark.end, end):
            octets = b"" if r.stamping & STAMP_ALONE else p.to_bytes()
            if mark.asked & STAMP_SCHED:
                tell_time(s, t, mark.end, TIME_SCHED, octets)
            if mark.asked & STAMP_SND:
                tell_time(s, t, mark.end, TIME_SND, octets)
    return 0


def joined(t, start, end):
    """The segments of [start, end) have become one, which tells of its last octet that anybody asked for."""
    r: Reports = t.reports
    i: cython.int = 0
    while i + 1 < len(r.marks):
        mark: Mark = r.marks[i]
        behind: Mark = r.marks[i + 1]
        if after(mark.end, start) and before_eq(behind.end, end):
            behind.asked |= mark.asked
            r.marks.pop(i)
        else:
            i += 1
    return 0


def text_around(s, t, end):
    """What the segment has that the octet before `end` is in."""
    table = s.segments
    row: cython.int = t.flight.first if t.flight is not None else 0
    start: cython.uint = t.snd_una
    while row != 0:
        if not after(end, table.end[row]):
            text = t.sndq.to_bytes()
            return text[dist(t.snd_una, start) : dist(t.snd_una, table.end[row])]
        start = table.end[row]
        row = table.next[row]
    return b""


def acknowledged(s, t, ack):
    """SND.UNA is about to move to `ack`."""
    r: Reports = t.reports
    mark: Mark
    copy: Copy
    while r.marks:
        mark = r.marks[0]
        if after(mark.end, ack):
            break
        r.marks.pop(0)
        if mark.asked & STAMP_ACK:
            octets = b"" if r.stamping & STAMP_ALONE else text_around(s, t, mark.end)
            tell_time(s, t, mark.end, TIME_ACK, octets)
    while r.copies:
        copy = r.copies[0]
        if after(copy.end, ack) or (r.unfinished and len(r.copies) == 1):
            break
        r.copies.pop(0)
        tell_copied(s, t, copy, True)
    return 0


def tell_copied(s, t, copy, sent):
    """Writes are through. The entry before is made longer if it ends where this one begins. What was never sent was
    never copied.
    """
    r: Reports = t.reports
    tail: Report
    if r.errors:
        tail = r.errors[len(r.errors) - 1]
        if tail.origin == ORIGIN_ZEROCOPY and tail.data + 1 == copy.first:
            tail.data = copy.last
            return 0
    code: cython.int = COPIED if sent else 0
    return queue(s, t, Report(0, "", ORIGIN_ZEROCOPY, 0, code, copy.first, copy.last, b""))


def abandoned(s, t):
    """The connection is over: nothing will be sent, and nobody holds the application's pages any more: first those of
    what was not sent.
    """
    r: Reports = t.reports
    copy: Copy
    r.marks.clear()
    for copy in r.copies:
        if not begun(t, copy):
            tell_copied(s, t, copy, False)
    for copy in r.copies:
        if begun(t, copy):
            tell_copied(s, t, copy, True)
    r.copies.clear()
    return 0


def begun(t, copy):
    """Has any of these octets been sent?"""
    return before(sub(copy.end, cython.cast(cython.uint, copy.octets)), t.snd_max)


# --- errors ---------------------------------------------------------------------------------------------------------


def refused(s, t, p, error):
    """An ICMP message ended the handshake: it is in the error queue, with what it quotes behind the IP header."""
    quoted = p.pool.to_bytes(p.m, 0, p.length) if p.m else b""
    if t.reports is None:
        t.reports = Reports()
    octets = quoted[(quoted[0] & 15) * 4 :] if quoted else b""
    report = Report(s.now, Err(error).name, ORIGIN_ICMP, p.icmp_type, p.icmp_code, 0, 0, octets)
    report.offender = p.src
    return queue(s, t, report)


# --- receiving ------------------------------------------------------------------------------------------------------


def arrived(s, t, at, length):
    """A segment with `length` octets from `at` on is in the receive queue, in its place or beyond a hole."""
    r: Reports = t.reports
    if r.stamps_arrivals():
        r.arrivals.append((at, add(at, length), s.now))
    return 0


def arrival_of(t, behind, keep):
    """When the segment came that holds the octet before `behind`, ns; -1: not known. What lies before `behind` is
    forgotten, unless it is to `keep`.
    """
    r: Reports = t.reports
    last: cython.uint = sub(behind, 1)
    found = -1
    for first, end, when in r.arrivals:
        if before_eq(first, last) and after(end, last):
            found = when
            break
    if not keep:
        r.arrivals = [each for each in r.arrivals if after(each[1], behind)]
    return found
