"""`netstat -s` of FreeBSD: every counter of TCP, UDP, IP and ICMP in its sentence.

Order and words: netstat/inet.c of 10 and 13 (facts: freebsd-tcp 4.3, for TCP). A sentence names counters in braces;
`[s]` is the ending for any number but 1 of the number before it, `[y|ies]` both endings; `-` is a number that is always
0, for nothing here can happen that it would count. What stands only in later releases begins with `11+` or `13+`, what
they dropped with `-11`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import STATE_NAMES, Drop
from pystack.views.era import era_of

if TYPE_CHECKING:
    from pystack.host import Host

SENTENCES = """
 {sndtotal} packet[s] sent
  {sndpack} data packet[s] ({sndbyte} byte[s])
  {sndrexmitpack} data packet[s] ({sndrexmitbyte} byte[s]) retransmitted
  {badrexmt} data packet[s] unnecessarily retransmitted
  {mturesent} resend[s] initiated by MTU discovery
  {sndacks} ack-only packet[s] ({delack} delayed)
  {sndurg} URG only packet[s]
  {sndprobe} window probe packet[s]
  {sndwinup} window update packet[s]
  {sndctrl} control packet[s]
 {rcvtotal} packet[s] received
  {rcvackpack} ack[s] (for {rcvackbyte} byte[s])
  {rcvdupack} duplicate ack[s]
  {rcvacktoomuch} ack[s] for unsent data
  {rcvpack} packet[s] ({rcvbyte} byte[s]) received in-sequence
  {rcvduppack} completely duplicate packet[s] ({rcvdupbyte} byte[s])
  {pawsdrop} old duplicate packet[s]
  {rcvpartduppack} packet[s] with some dup. data ({rcvpartdupbyte} byte[s] duped)
  {rcvoopack} out-of-order packet[s] ({rcvoobyte} byte[s])
  {rcvpackafterwin} packet[s] ({rcvbyteafterwin} byte[s]) of data after window
  {rcvwinprobe} window probe[s]
  {rcvwinupd} window update packet[s]
  {rcvafterclose} packet[s] received after close
  {rcvbadsum} discarded for bad checksum[s]
  {rcvbadoff} discarded for bad header offset field[s]
  {rcvshort} discarded because packet too short
-11  {rcvmemdrop} discarded due to memory problems
13+  {rcvmemdrop} discarded due to full reassembly queue
 {connattempt} connection request[s]
 {accepts} connection accept[s]
 {badsyn} bad connection attempt[s]
 {listendrop} listen queue overflow[s]
 {badrst} ignored RSTs in the window[s]
 {connects} connection[s] established (including accepts)
13+  {usedrtt} time[s] used RTT from hostcache
13+  {usedrttvar} time[s] used RTT variance from hostcache
13+  {usedssthresh} time[s] used slow-start threshold from hostcache
 {closed} connection[s] closed (including {drops} drop[s])
  {cachedrtt} connection[s] updated cached RTT on close
  {cachedrttvar} connection[s] updated cached RTT variance on close
  {cachedssthresh} connection[s] updated cached ssthresh on close
 {conndrops} embryonic connection[s] dropped
 {rttupdated} segment[s] updated rtt (of {segstimed} attempt[s])
 {rexmttimeo} retransmit timeout[s]
  {timeoutdrop} connection[s] dropped by rexmit timeout
 {persisttimeo} persist timeout[s]
  {persistdrop} connection[s] dropped by persist timeout
 {finwait2_drops} Connection[s] (fin_wait_2) dropped because of timeout
 {keeptimeo} keepalive timeout[s]
  {keepprobe} keepalive probe[s] sent
  {keepdrops} connection[s] dropped by keepalive
 {-} correct ACK header prediction[s]
 {-} correct data packet header prediction[s]
 {sc_added} syncache entr[y|ies] added
  {sc_retransmitted} retransmitted
  {sc_dupsyn} dupsyn
  {sc_dropped} dropped
  {sc_completed} completed
  {sc_bucketoverflow} bucket overflow
  {-} cache overflow
  {sc_reset} reset
  {sc_stale} stale
  {sc_aborted} aborted
  {sc_badack} badack
  {sc_unreach} unreach
  {sc_zonefail} zone failure[s]
 {sc_sendcookie} cookie[s] sent
 {sc_recvcookie} cookie[s] received
 {hc_added} hostcache entr[y|ies] added
  {hc_overflow} bucket overflow
 {sack_recovery_episode} SACK recovery episode[s]
 {sack_rexmits} segment rexmit[s] in SACK recovery episodes
 {sack_rexmit_bytes} byte rexmit[s] in SACK recovery episodes
 {sack_rcv_blocks} SACK option[s] (SACK blocks) received
 {sack_send_blocks} SACK option[s] (SACK blocks) sent
 {sack_overflow} SACK scoreboard overflow[s]
 {ecn_ce} packet[s] with ECN CE bit set
 {ecn_ect0} packet[s] with ECN ECT(0) bit set
 {-} packet[s] with ECN ECT(1) bit set
 {ecn_shs} successful ECN handshake[s]
 {ecn_rcwnd} time[s] ECN reduced the congestion window
13+ {-} packet[s] with matching signature received
13+ {-} packet[s] with bad signature received
13+ {-} time[s] failed to make signature due to no SA
13+ {-} time[s] unexpected signature received
13+ {-} time[s] no signature provided by segment
13+ {pmtud_activated} Path MTU discovery black hole detection activation[s]
13+ {pmtud_minmss} Path MTU discovery black hole detection min MSS activation[s]
13+ {pmtud_failed} Path MTU discovery black hole detection failure[s]
""".strip("\n").split("\n")

UDP = """
 {ipackets} datagram[s] received
 {hdrops} with incomplete header
 {badlen} with bad data length field
 {badsum} with bad checksum
 {nosum} with no checksum
 {noport} dropped due to no socket
 {noportbcast} broadcast/multicast datagram[s] undelivered
 {fullsock} dropped due to full socket buffers
 {-} not for hashed pcb
 {delivered} delivered
 {opackets} datagram[s] output
7+ {-} time[s] multicast source filter matched
""".strip("\n").split("\n")

IP = """
 {total} total packet[s] received
 {badsum} bad header checksum[s]
 {toosmall} with size smaller than minimum
 {tooshort} with data size < data length
 {-} with ip length > max ip packet size
 {badhlen} with header length < data size
 {-} with data length < header length
 {badoptions} with bad options
 {badvers} with incorrect version number
 {fragments} fragment[s] received
 {fragdropped} fragment[s] dropped (dup or out of space)
 {fragtimeout} fragment[s] dropped after timeout
 {reassembled} packet[s] reassembled ok
 {delivered} packet[s] for this host
 {noproto} packet[s] for unknown/unsupported protocol
 {forward} packet[s] forwarded ({-} packet[s] fast forwarded)
 {cantforward} packet[s] not forwardable
 {-} packet[s] received for unknown multicast group
 {redirectsent} redirect[s] sent
 {localout} packet[s] sent from this host
 {-} packet[s] sent with fabricated ip header
 {odropped} output packet[s] dropped due to no bufs, etc.
 {noroute} output packet[s] discarded due to no route
 {fragmented} output datagram[s] fragmented
 {ofragments} fragment[s] created
 {cantfrag} datagram[s] that can't be fragmented
-12 {-} tunneling packet[s] that can't find gif
 {badaddr} datagram[s] with bad address in header
""".strip("\n").split("\n")

ICMP = """
 {error} call[s] to icmp_error
 {oldicmp} error[s] not generated in response to an icmp message
 <out>
 {-} message[s] with bad code fields
 {tooshort} message[s] less than the minimum length
 {checksum} message[s] with bad checksum
 {badlen} message[s] with bad length
 {bmcastecho} multicast echo requests ignored
 {-} multicast timestamp requests ignored
 <in>
 {reflect} message response[s] generated
 {-} invalid return address[es]
 {-} no return route[s]
""".strip("\n").split("\n")
ICMP_NAMES = {
    0: "echo reply",
    3: "destination unreachable",
    4: "source quench",
    5: "routing redirect",
    8: "echo",
    9: "router advertisement",
    10: "router solicitation",
    11: "time exceeded",
    12: "parameter problem",
    13: "time stamp",
    14: "time stamp reply",
    15: "information request",
    16: "information request reply",
    17: "address mask request",
    18: "address mask reply",
}

_ERA = re.compile(r"(-?)(\d+)\+?(?= )")
_PART = re.compile(r"\{([\w-]+)\}|\[(\w*)(?:\|(\w+))?\]")


def sentence(text: str, counters: Mapping[str, int]) -> str:
    """One line with its numbers in, and the endings that they ask for; leading blanks become TABs."""
    last = 0

    def fill(found: re.Match[str]) -> str:
        nonlocal last
        name, one, many = found.groups()
        if name is not None:
            last = counters.get(name, 0)
            return str(last)
        if many is not None:
            return one if last == 1 else many
        return "" if last == 1 else one

    body = text.lstrip(" ")
    return "\t" * (len(text) - len(body)) + _PART.sub(fill, body)


def _counts(text: str, counters: Mapping[str, int]) -> bool:
    """Is any number of the sentence not 0?"""
    return any(counters.get(name, 0) for name, _, _ in _PART.findall(text) if name)


def protocols(host: Host, options: str) -> tuple[str, Any]:
    """`netstat -s`: all protocols, or those of -p; -ss leaves out what is 0. Text, and the counters by protocol."""
    short = options.count("s") > 1
    shown = {name: view for name, (letter, view) in PROTOCOLS.items() if letter in options}
    text, values = "", {}
    for name, view in (shown or {name: view for name, (_, view) in PROTOCOLS.items()}).items():
        said, values[name] = view(host, short)
        text += said
    return text, values if len(values) > 1 else next(iter(values.values()))


def tcp(host: Host, short: bool = False) -> tuple[str, Any]:
    """`netstat -s -p tcp`."""
    counters = host.stats
    lines = ["tcp:", *_said(SENTENCES, counters, era_of(host), short)]
    if era_of(host) >= 11:
        states = host.tcp_states()
        lines.append("TCP connection count by state:")
        for name in STATE_NAMES:
            count = states[name]
            if short and not count:
                continue
            lines.append(f"\t{count} connection{' ' if count == 1 else 's'} in {name} state")
    return "\n".join(lines) + "\n", counters


def udp(host: Host, short: bool = False) -> tuple[str, Any]:
    """`netstat -s -p udp`."""
    core: Any = host.core
    seen, drops = core.ipstat, core.drops
    hdrops, badlen, badsum = (
        int(drops[reason]) for reason in (Drop.UDP_TRUNCATED, Drop.UDP_LENGTH, Drop.UDP_CHECKSUM)
    )
    counters = {
        "ipackets": seen.udp_ipackets + hdrops + badlen + badsum,
        "hdrops": hdrops,
        "badlen": badlen,
        "badsum": badsum,
        "nosum": seen.udp_nosum,
        "noport": seen.udp_noport,
        "noportbcast": seen.udp_noportbcast,
        "fullsock": seen.udp_fullsock,
        "delivered": seen.udp_ipackets - seen.udp_noport - seen.udp_noportbcast - seen.udp_fullsock,
        "opackets": seen.udp_opackets,
    }
    return "\n".join(["udp:", *_said(UDP, counters, era_of(host), short)]) + "\n", counters


def ip(host: Host, short: bool = False) -> tuple[str, Any]:
    """`netstat -s -p ip`."""
    core: Any = host.core
    seen, frags = core.ipstat, core.frags

    def dropped(*reasons: Drop) -> int:
        return sum(int(core.drops[reason]) for reason in reasons)

    unknown = dropped(Drop.IP_PROTOCOL)
    counters = {
        "total": seen.total,
        "badsum": dropped(Drop.IP_CHECKSUM),
        "toosmall": dropped(Drop.IP_TRUNCATED),
        "tooshort": dropped(Drop.IP_TOTAL_LENGTH),
        "badhlen": dropped(Drop.IP_HEADER_LENGTH),
        "badoptions": dropped(Drop.IP_OPTION),
        "badvers": dropped(Drop.IP_VERSION),
        "fragments": frags.received,
        "fragdropped": dropped(Drop.FRAG_BAD, Drop.FRAG_OVERLAP, Drop.FRAG_MEMORY)
        + frags.duplicates,
        "fragtimeout": frags.timed_out,
        "reassembled": frags.completed,
        "delivered": seen.delivered - unknown,
        "noproto": unknown,
        "forward": seen.forwarded,
        "cantforward": seen.cantforward,
        "redirectsent": seen.redirectsent,
        "localout": seen.localout,
        "odropped": dropped(Drop.TX_QUEUE),
        "noroute": seen.noroute,
        "fragmented": seen.fragmented,
        "ofragments": seen.ofragments,
        "cantfrag": seen.cantfrag,
        "badaddr": dropped(Drop.IP_SOURCE_INVALID, Drop.IP_DESTINATION_INVALID),
    }
    return "\n".join(["ip:", *_said(IP, counters, era_of(host), short)]) + "\n", counters


def icmp(host: Host, short: bool = False) -> tuple[str, Any]:
    """`netstat -s -p icmp`."""
    core: Any = host.core
    seen, drops = core.ipstat, core.drops
    histograms = {
        "out": {_icmp_name(kind): n for kind, n in enumerate(seen.icmp_out) if n},
        "in": {_icmp_name(kind): n for kind, n in enumerate(seen.icmp_in) if n},
    }
    counters = {
        "error": seen.icmp_error,
        "oldicmp": seen.icmp_old,
        "tooshort": int(drops[Drop.ICMP_TRUNCATED]),
        "checksum": int(drops[Drop.ICMP_CHECKSUM]),
        "badlen": int(drops[Drop.ICMP_QUOTE]),
        "bmcastecho": seen.icmp_bmcast,
        "reflect": seen.icmp_reflect,
    }
    lines = ["icmp:"]
    for text in ICMP:
        if text.startswith(" <"):
            found = histograms[text[2:-1]]
            lines += [f"\t{'Input' if text == ' <in>' else 'Output'} histogram:"] * bool(found)
            lines += [f"\t\t{name}: {count}" for name, count in found.items()]
        else:
            lines += _said([text], counters, era_of(host), short)
    return "\n".join(lines) + "\n", counters | histograms


def _icmp_name(kind: int) -> str:
    return ICMP_NAMES.get(kind, f"#{kind}")


PROTOCOLS: dict[str, tuple[str, Callable[[Any, bool], tuple[str, Any]]]] = {
    "tcp": ("t", tcp),
    "udp": ("u", udp),
    "ip": ("I", ip),
    "icmp": ("C", icmp),
}
"""Protocols in the order of the tool, each with the letter that `-p` makes of it."""


def _said(
    sentences: list[str], counters: Mapping[str, int], era: float, short: bool
) -> Iterator[str]:
    """The sentences that this release has, with their numbers in; `short`: those that have one."""
    for text in sentences:
        found = _ERA.match(text)
        if found:
            gone, release = found[1] == "-", int(found[2])
            if (era > release) if gone else (era < release):
                continue
            text = text[found.end() :]
        if short:
            if not _counts(text, counters):
                continue
            text = text.partition(" ({-}")[0]
        yield sentence(text, counters)
