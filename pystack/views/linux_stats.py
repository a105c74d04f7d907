"""Linux's `netstat -s`: TCP's counters as net-tools 2.10 says them.

A counter of the line `Tcp:` has a sentence, and is shown in any case; one of `TcpExt:` has a sentence or goes by its
name, and is shown when it is not 0 (one sentence always is). The tool knows no plural.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pystack.views import counters

if TYPE_CHECKING:
    from pystack.host import Host

TCP = {
    "ActiveOpens": "{} active connection openings",
    "PassiveOpens": "{} passive connection openings",
    "AttemptFails": "{} failed connection attempts",
    "EstabResets": "{} connection resets received",
    "CurrEstab": "{} connections established",
    "InSegs": "{} segments received",
    "OutSegs": "{} segments sent out",
    "RetransSegs": "{} segments retransmitted",
    "InErrs": "{} bad segments received",
    "OutRsts": "{} resets sent",
}
ALWAYS = "TCPHPHits"
TCP_EXT = {
    "SyncookiesSent": "{} SYN cookies sent",
    "SyncookiesRecv": "{} SYN cookies received",
    "SyncookiesFailed": "{} invalid SYN cookies received",
    "EmbryonicRsts": "{} resets received for embryonic SYN_RECV sockets",
    "PruneCalled": "{} packets pruned from receive queue because of socket buffer overrun",
    "RcvPruned": "{} packets pruned from receive queue",
    "OfoPruned": "{} packets dropped from out-of-order queue because of socket buffer overrun",
    "OutOfWindowIcmps": "{} ICMP packets dropped because they were out-of-window",
    "LockDroppedIcmps": "{} ICMP packets dropped because socket was locked",
    "TW": "{} TCP sockets finished time wait in fast timer",
    "TWRecycled": "{} time wait sockets recycled by time stamp",
    "PAWSPassive": "{} passive connections rejected because of time stamp",
    "PAWSActive": "{} active connections rejected because of time stamp",
    "PAWSEstab": "{} packets rejected in established connections because of timestamp",
    "DelayedACKs": "{} delayed acks sent",
    "DelayedACKLocked": "{} delayed acks further delayed because of locked socket",
    "DelayedACKLost": "Quick ack mode was activated {} times",
    "ListenOverflows": "{} times the listen queue of a socket overflowed",
    "ListenDrops": "{} SYNs to LISTEN sockets dropped",
    ALWAYS: "{} packet headers predicted",
    "TCPPureAcks": "{} acknowledgments not containing data payload received",
    "TCPHPAcks": "{} predicted acknowledgments",
    "TCPRenoRecovery": "{} times recovered from packet loss due to fast retransmit",
    "TCPSACKReorder": "Detected reordering {} times using SACK",
    "TCPRenoReorder": "Detected reordering {} times using reno fast retransmit",
    "TCPTSReorder": "Detected reordering {} times using time stamp",
    "TCPFullUndo": "{} congestion windows fully recovered without slow start",
    "TCPPartialUndo": "{} congestion windows partially recovered using Hoe heuristic",
    "TCPLossUndo": "{} congestion windows recovered without slow start after partial ack",
    "TCPRenoFailures": "{} timeouts after reno fast retransmit",
    "TCPLossFailures": "{} timeouts in loss state",
    "TCPFastRetrans": "{} fast retransmits",
    "TCPSlowStartRetrans": "{} retransmits in slow start",
    "TCPRcvCollapsed": "{} packets collapsed in receive queue due to low socket buffer",
    "TCPAbortOnData": "{} connections reset due to unexpected data",
    "TCPAbortOnClose": "{} connections reset due to early user close",
    "TCPAbortOnMemory": "{} connections aborted due to memory pressure",
    "TCPAbortOnTimeout": "{} connections aborted due to timeout",
    "TCPAbortOnLinger": "{} connections aborted after user close in linger timeout",
    "TCPAbortFailed": "{} times unable to send RST due to no memory",
    "TCPMemoryPressures": "TCP ran low on memory {} times",
}


def statistics(host: Host) -> tuple[str, Any]:
    """`netstat -st`: text, and the counters by name."""
    tcp, ext = counters.tcp(host.core), counters.tcp_ext(host.core, counters.recycles(host))
    lines = ["Tcp:"]
    lines += [f"    {text.format(tcp[name])}" for name, text in TCP.items()]
    if tcp["InCsumErrors"]:
        lines.append(f"    InCsumErrors: {tcp['InCsumErrors']}")
    lines.append("TcpExt:")
    lines += [
        f"    {TCP_EXT.get(name, name + ': {}').format(value)}"
        for name, value in ext.items()
        if value or name == ALWAYS
    ]
    return "\n".join(lines) + "\n", counters.named(tcp, ext)
