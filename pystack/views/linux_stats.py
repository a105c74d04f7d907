"""Linux's `netstat -s`: the counters as net-tools 2.10 says them.

A counter has a sentence or goes by its name. Some sentences are shown in any case (`ALWAYS`), all else when it is not
0. Which protocols are shown: all, or with -t and -u that one's; what the tool has no words for is nobody's. The tool
knows no plural.
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
    "TCPHPHits": "{} packet headers predicted",
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


IP = {
    "Forwarding": "Forwarding: {}",
    "InReceives": "{} total packets received",
    "InHdrErrors": "{} with invalid headers",
    "InAddrErrors": "{} with invalid addresses",
    "ForwDatagrams": "{} forwarded",
    "InUnknownProtos": "{} with unknown protocol",
    "InDiscards": "{} incoming packets discarded",
    "InDelivers": "{} incoming packets delivered",
    "OutRequests": "{} requests sent out",
    "OutDiscards": "{} outgoing packets dropped",
    "OutNoRoutes": "{} dropped because of missing route",
    "ReasmTimeout": "{} fragments dropped after timeout",
    "ReasmReqds": "{} reassemblies required",
    "ReasmOKs": "{} packets reassembled ok",
    "ReasmFails": "{} packet reassemblies failed",
    "FragOKs": "{} fragments received ok",
    "FragFails": "{} fragments failed",
    "FragCreates": "{} fragments created",
}
ICMP = {
    "InMsgs": "{} ICMP messages received",
    "InErrors": "{} input ICMP message failed",
    "OutMsgs": "{} ICMP messages sent",
    "OutErrors": "{} ICMP messages failed",
}
HISTOGRAMS = {
    "In": {
        "DestUnreachs": "destination unreachable",
        "TimeExcds": "timeout in transit",
        "ParmProbs": "wrong parameters",
        "SrcQuenchs": "source quenches",
        "Redirects": "redirects",
        "Echos": "echo requests",
        "EchoReps": "echo replies",
        "Timestamps": "timestamp request",
        "TimestampReps": "timestamp reply",
        "AddrMasks": "address mask request",
        "AddrMaskReps": "address mask replies",
    },
    "Out": {
        "DestUnreachs": "destination unreachable",
        "TimeExcds": "time exceeded",
        "ParmProbs": "wrong parameters",
        "SrcQuenchs": "source quench",
        "Redirects": "redirect",
        "Echos": "echo requests",
        "EchoReps": "echo replies",
        "Timestamps": "timestamp requests",
        "TimestampReps": "timestamp replies",
        "AddrMasks": "address mask requests",
        "AddrMaskReps": "address mask replies",
    },
}
UDP = {
    "InDatagrams": "{} packets received",
    "NoPorts": "{} packets to unknown port received",
    "InErrors": "{} packet receive errors",
    "OutDatagrams": "{} packets sent",
    "RcvbufErrors": "{} receive buffer errors",
    "SndbufErrors": "{} send buffer errors",
}
SENTENCES = {"Ip": IP, "Tcp": TCP, "Udp": UDP, "TcpExt": TCP_EXT}
ALWAYS = {
    "Ip": {
        "Forwarding",
        "InReceives",
        "ForwDatagrams",
        "InDiscards",
        "InDelivers",
        "OutRequests",
    },
    "Tcp": set(TCP),
    "Udp": set(UDP),
    "TcpExt": {"TCPHPHits"},
}
HIDDEN = {"RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "DefaultTTL"}
LINES_OF = {"t": ("Tcp", "TcpExt"), "u": ("Udp",)}
"""What -t and -u leave of the lines that the tool has sentences for."""


def statistics(host: Host, options: str = "") -> tuple[str, Any]:
    """`netstat -s`, `-st`, `-su`: text, and the counters by nstat's names."""
    core = host.core
    found = counters.snmp(core) | counters.netstat(core, counters.recycles(host))
    wanted = {line for letter in "tu" if letter in options for line in LINES_OF[letter]}
    out = []
    for line, values in found.items():
        if wanted and line not in wanted and line in ("Ip", "Icmp", "Tcp", "Udp", "TcpExt"):
            continue
        out += [f"{line}:", *(_icmp(values) if line == "Icmp" else _said(line, values, wanted))]
    return "\n".join(out) + "\n", counters.nstat(core, counters.recycles(host))


def _said(line: str, values: dict[str, int], wanted: set[str]) -> list[str]:
    """A line's counters, one below the other. After ICMP's own the tool goes on as far inside as it was."""
    if line == "UdpLite":
        return []
    inside = " " * (8 if line == "IcmpMsg" and not wanted else 4)
    sentences, always = SENTENCES.get(line, {}), ALWAYS.get(line, set())
    return [
        inside + sentences.get(name, name + ": {}").format(value)
        for name, value in values.items()
        if name not in HIDDEN and (value or name in always)
    ]


def _icmp(values: dict[str, int]) -> list[str]:
    """ICMP: what came, by type, and what went."""
    out = []
    for way in ("In", "Out"):
        out += [f"    {ICMP[way + what].format(values[way + what])}" for what in ("Msgs", "Errors")]
        out.append(f"    ICMP {'input' if way == 'In' else 'output'} histogram:")
        out += [
            f"        {words}: {values[way + name]}"
            for name, words in HISTOGRAMS[way].items()
            if values[way + name]
        ]
        others = ("InCsumErrors",) if way == "In" else ("OutRateLimitGlobal", "OutRateLimitHost")
        out += [f"        {name}: {values[name]}" for name in others if values[name]]
    return out
