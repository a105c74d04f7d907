"""`netstat -s -p tcp` of FreeBSD: every counter of TCP in its sentence.

Order and words: netstat/inet.c of 10 and 13 (facts: freebsd-tcp 4.3). A sentence names counters of `TcpStat` in
braces; `[s]` is the ending for any number but 1 of the number before it, `[y|ies]` both endings; `-` is a number that
is always 0, for nothing here can happen that it would count. What stands only in later releases begins with `11+` or
`13+`, what they dropped with `-11`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import STATE_NAMES
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
13+  {-} time[s] used RTT from hostcache
13+  {-} time[s] used RTT variance from hostcache
13+  {-} time[s] used slow-start threshold from hostcache
 {closed} connection[s] closed (including {drops} drop[s])
  {-} connection[s] updated cached RTT on close
  {-} connection[s] updated cached RTT variance on close
  {-} connection[s] updated cached ssthresh on close
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
 {-} hostcache entr[y|ies] added
  {-} bucket overflow
 {sack_recovery_episode} SACK recovery episode[s]
 {sack_rexmits} segment rexmit[s] in SACK recovery episodes
 {sack_rexmit_bytes} byte rexmit[s] in SACK recovery episodes
 {sack_rcv_blocks} SACK option[s] (SACK blocks) received
 {sack_send_blocks} SACK option[s] (SACK blocks) sent
 {-} SACK scoreboard overflow[s]
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

_ERA = re.compile(r"(-?)(\d+)\+?(?= )")
_PART = re.compile(r"\{([\w-]+)\}|\[(\w*)(?:\|(\w+))?\]")


def sentence(text: str, counters: dict[str, int]) -> str:
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


def _counts(text: str, counters: dict[str, int]) -> bool:
    """Is any number of the sentence not 0?"""
    return any(counters.get(name, 0) for name, _, _ in _PART.findall(text) if name)


def tcp(host: Host, short: bool = False) -> tuple[str, Any]:
    """`netstat -s -p tcp`: text, and the counters by name. `short`: `-ss`, without what is 0."""
    era = era_of(host)
    counters = host.stats
    lines = ["tcp:"]
    for text in SENTENCES:
        found = _ERA.match(text)
        if found:
            gone, release = found[1] == "-", int(found[2])
            if (era > release) if gone else (era < release):
                continue
            text = text[found.end() :]
        if short and not _counts(text, counters):
            continue
        lines.append(sentence(text, counters))
    if era >= 11:
        states = host.tcp_states()
        lines.append("TCP connection count by state:")
        for name in STATE_NAMES:
            count = states[name]
            if short and not count:
                continue
            lines.append(f"\t{count} connection{' ' if count == 1 else 's'} in {name} state")
    return "\n".join(lines) + "\n", counters
