"""The counters of a machine under the names of Linux: /proc/net/snmp, /proc/net/netstat, nstat, netstat -s.

Order and names are those of a running 6.18. What pystack does not count, because nothing here can
happen that it would count, is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import CLOSE_WAIT, ESTABLISHED, Drop

if TYPE_CHECKING:
    from pystack.host import Host

TCP = tuple(
    """
    RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets
    CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
    """.split()
)
"""The line `Tcp:` of /proc/net/snmp."""

TCP_EXT = tuple(
    """
    SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled RcvPruned OfoPruned
    OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled TWKilled PAWSActive PAWSEstab
    BeyondWindow TSEcrRejected PAWSOldAck PAWSTimewait DelayedACKs DelayedACKLocked
    DelayedACKLost ListenOverflows ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery
    TCPSackRecovery TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo
    TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPLostRetransmit TCPRenoFailures TCPSackFailures
    TCPLossFailures TCPFastRetrans TCPSlowStartRetrans TCPTimeouts TCPLossProbes
    TCPLossProbeRecovery TCPRenoRecoveryFail TCPSackRecoveryFail TCPRcvCollapsed
    TCPBacklogCoalesce TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv
    TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger
    TCPAbortFailed TCPMemoryPressures TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld
    TCPDSACKIgnoredNoUndo TCPSpuriousRTOs TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure
    TCPSackShifted TCPSackMerged TCPSackShiftFallback TCPBacklogDrop PFMemallocDrop
    TCPMinTTLDrop TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow
    TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail TCPRcvCoalesce TCPOFOQueue TCPOFODrop
    TCPOFOMerge TCPChallengeACK TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail
    TCPFastOpenPassive TCPFastOpenPassiveFail TCPFastOpenListenOverflow TCPFastOpenCookieReqd
    TCPFastOpenBlackhole TCPSpuriousRtxHostQueues BusyPollRxPackets TCPAutoCorking
    TCPFromZeroWindowAdv TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent
    TCPHystartTrainDetect TCPHystartTrainCwnd TCPHystartDelayDetect TCPHystartDelayCwnd
    TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2
    TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive TCPMTUPFail
    TCPMTUPSuccess TCPDelivered TCPDeliveredCE TCPAckCompressed TCPZeroWindowDrop TCPRcvQDrop
    TCPWqueueTooBig TCPFastOpenPassiveAltKey TcpTimeoutRehash TcpDuplicateDataRehash
    TCPDSACKRecvSegs TCPDSACKIgnoredDubious TCPMigrateReqSuccess TCPMigrateReqFailure
    TCPPLBRehash TCPAORequired TCPAOBad TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps
    """.split()
)
"""The line `TcpExt:` of /proc/net/netstat."""

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "ActiveOpens": "connattempt",
        "PassiveOpens": "accepts",
        "EstabResets": "estab_resets",
        "InSegs": "rcvtotal",
        "OutSegs": "sndtotal",
        "RetransSegs": "sndrexmitpack",
        "OutRsts": "out_rsts",
        "InCsumErrors": "rcvbadsum",
        "SyncookiesSent": "sc_sendcookie",
        "SyncookiesRecv": "sc_recvcookie",
        "SyncookiesFailed": "cookie_failed",
        "EmbryonicRsts": "embryonic_rsts",
        "TW": "tw_started",
        "TWRecycled": "tw_connects",
        "TWKilled": "tw_short",
        "PAWSEstab": "pawsdrop",
        "DelayedACKs": "delack",
        "ListenOverflows": "listendrop",
        "ListenDrops": "listen_refused",
        "TCPSackRecovery": "sack_recovery_episode",
        "OutOfWindowIcmps": "icmp_out_of_window",
        "BeyondWindow": "beyond_window",
        "DelayedACKLost": "delack_lost",
        "TCPHPHits": "hp_hits",
        "TCPPureAcks": "pure_acks",
        "TCPHPAcks": "hp_acks",
        "TCPRenoRecovery": "reno_recovery",
        "TCPSACKReneging": "sack_reneging",
        "TCPSACKReorder": "sack_reorder",
        "TCPRenoReorder": "reno_reorder",
        "TCPTSReorder": "ts_reorder",
        "TCPFullUndo": "full_undo",
        "TCPPartialUndo": "partial_undo",
        "TCPDSACKUndo": "dsack_undo",
        "TCPLossUndo": "loss_undo",
        "TCPRenoFailures": "reno_failures",
        "TCPSackFailures": "sack_failures",
        "TCPLossFailures": "loss_failures",
        "TCPFastRetrans": "fast_retrans",
        "TCPSlowStartRetrans": "slow_start_retrans",
        "TCPTimeouts": "rexmttimeo",
        "TCPLossProbes": "loss_probes",
        "TCPLossProbeRecovery": "loss_probe_recovery",
        "TCPRenoRecoveryFail": "reno_recovery_fail",
        "TCPSackRecoveryFail": "sack_recovery_fail",
        "TCPDSACKOldSent": "dsack_old_sent",
        "TCPDSACKOfoSent": "dsack_ofo_sent",
        "TCPDSACKOfoRecv": "dsack_ofo_rcv",
        "TCPDSACKRecvSegs": "dsack_segs",
        "TCPDSACKIgnoredDubious": "dsack_dubious",
        "TCPSpuriousRTOs": "spurious_rtos",
        "TCPSACKDiscard": "sack_discard",
        "TCPMinTTLDrop": "min_ttl_drop",
        "TCPMD5Unexpected": "md5_unexpected",
        "TCPDeferAcceptDrop": "defer_drop",
        "TCPOFOQueue": "ofo_queue",
        "TCPOFODrop": "ofo_drop",
        "TCPOFOMerge": "ofo_merge",
        "TCPSYNChallenge": "syn_challenge",
        "TCPFromZeroWindowAdv": "from_zero_window",
        "TCPToZeroWindowAdv": "to_zero_window",
        "TCPSynRetrans": "syn_retrans",
        "TCPOrigDataSent": "orig_data_sent",
        "TCPHystartTrainDetect": "hystart_train",
        "TCPHystartTrainCwnd": "hystart_train_cwnd",
        "TCPHystartDelayDetect": "hystart_delay",
        "TCPHystartDelayCwnd": "hystart_delay_cwnd",
        "TCPACKSkippedSynRecv": "skipped_syn_recv",
        "TCPACKSkippedPAWS": "skipped_paws",
        "TCPACKSkippedSeq": "skipped_seq",
        "TCPACKSkippedFinWait2": "skipped_finwait2",
        "TCPACKSkippedTimeWait": "skipped_timewait",
        "TCPACKSkippedChallenge": "skipped_challenge",
        "TCPMTUPFail": "mtup_fail",
        "TCPMTUPSuccess": "mtup_success",
        "TCPDelivered": "delivered",
        "TCPDeliveredCE": "delivered_ce",
        "TCPAckCompressed": "ack_compressed",
        "TCPZeroWindowDrop": "zero_window_drop",
        "TcpTimeoutRehash": "rehashes",
        "TCPDSACKRecv": "dsack_rcv",
        "TCPAbortOnData": "abort_on_data",
        "TCPAbortOnClose": "abort_on_close",
        "TCPAbortOnMemory": "abort_on_memory",
        "TCPAbortOnTimeout": "timeoutdrop",
        "TCPAbortOnLinger": "abort_on_linger",
        "TCPTimeWaitOverflow": "tw_overflow",
        "TCPMemoryPressures": "mem_pressures",
        "TCPMemoryPressuresChrono": "mem_pressure_ms",
        "PruneCalled": "prune_called",
        "RcvPruned": "rcv_pruned",
        "TCPRcvQDrop": "rcvq_drop",
        "TCPReqQFullDoCookies": "reqq_cookies",
        "TCPReqQFullDrop": "reqq_drop",
        "TCPChallengeACK": "challenge_acks",
        "TCPFastOpenActive": "fo_active",
        "TCPFastOpenActiveFail": "fo_active_fail",
        "TCPFastOpenPassive": "fo_passive",
        "TCPFastOpenPassiveFail": "fo_passive_fail",
        "TCPFastOpenCookieReqd": "fo_cookie_reqd",
        "TCPWinProbe": "sndprobe",
        "TCPKeepAlive": "keepprobe",
    }
)
"""Linux's name -> the counter of `TcpStat` that is the same."""


_ERRORS = ("rcvbadsum", "rcvbadoff", "rcvshort", "syn_challenge")
"""What Linux counts as an error of a segment: a SYN on a connection, too."""


def tcp(core: Any) -> dict[str, int]:
    """The counters of the line `Tcp:`, in its order."""
    cfg = core.cfg
    found = {
        "RtoAlgorithm": 1,
        "RtoMin": cfg.tcp_rexmit_min // 1_000_000,
        "RtoMax": cfg.tcp_rexmit_max // 1_000_000,
        "MaxConn": -1,
        # a connect() that failed, and half-open connections that a RST or another SYN of their peer ended
        "AttemptFails": core.stat.conndrops + core.stat.sc_reset,
        "InErrs": sum(getattr(core.stat, name) for name in _ERRORS),
        "CurrEstab": core.states[ESTABLISHED] + core.states[CLOSE_WAIT],
    }
    return {name: found.get(name, _counter(core, name)) for name in TCP}


def tcp_ext(core: Any, recycling: bool = False) -> dict[str, int]:
    """The counters of the line `TcpExt:`, in its order. `recycling`: of a kernel with tcp_tw_recycle."""
    found = {name: _counter(core, name) for name in TCP_EXT}
    found["TCPLostRetransmit"] = core.segments.lost_again
    if not recycling:
        return found
    names = list(TCP_EXT)
    names.insert(names.index("PAWSActive"), "PAWSPassive")
    return {name: found.get(name, core.stat.paws_passive) for name in names}


def recycles(host: Host) -> bool:
    """Does the machine's kernel have tcp_tw_recycle (until 4.11), and a counter of its harm?"""
    return "net.ipv4.tcp_tw_recycle" in host.sysctl


UNCOUNTED = frozenset(
    f"{line}{name}"
    for line, names in (("Tcp", TCP), ("TcpExt", TCP_EXT))
    for name in names
    if name not in SOURCES and name not in ("InErrs", "CurrEstab", "TCPLostRetransmit")
)
"""Counters, by nstat's names, that stay 0 here whatever happens."""

NO_COUNTERS = frozenset(
    ("RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "CurrEstab", "Forwarding", "DefaultTTL")
)
"""What stands in the lines `Tcp:` and `Ip:` and never grows: nstat leaves it out."""

ICMP_TYPES: Mapping[str, int] = MappingProxyType(
    {
        "DestUnreachs": 3,
        "TimeExcds": 11,
        "ParmProbs": 12,
        "SrcQuenchs": 4,
        "Redirects": 5,
        "Echos": 8,
        "EchoReps": 0,
        "Timestamps": 13,
        "TimestampReps": 14,
        "AddrMasks": 17,
        "AddrMaskReps": 18,
    }
)
"""Linux's name of an ICMP message -> its type."""


def _drops(core: Any, *reasons: Drop) -> int:
    return sum(int(core.drops[reason]) for reason in reasons)


def ip(core: Any) -> dict[str, int]:
    """The line `Ip:` of /proc/net/snmp."""
    seen, frags = core.ipstat, core.frags
    headers = (Drop.IP_TRUNCATED, Drop.IP_VERSION, Drop.IP_HEADER_LENGTH, Drop.IP_CHECKSUM)
    return {
        "Forwarding": 1 if core.cfg.ip_forwarding else 2,
        "DefaultTTL": core.cfg.ip_ttl,
        "InReceives": seen.total,
        "InHdrErrors": _drops(core, *headers, Drop.IP_OPTION, Drop.IP_TTL),
        "InAddrErrors": _drops(core, Drop.IP_NOT_OURS, Drop.IP_DESTINATION_INVALID),
        "ForwDatagrams": seen.forwarded,
        "InUnknownProtos": _drops(core, Drop.IP_PROTOCOL),
        "InDiscards": _drops(core, Drop.MBUF),
        "InDelivers": seen.delivered - _drops(core, Drop.IP_PROTOCOL),
        "OutRequests": seen.localout,
        "OutDiscards": _drops(core, Drop.TX_QUEUE),
        "OutNoRoutes": seen.noroute,
        "ReasmTimeout": frags.timed_out,
        "ReasmReqds": frags.received,
        "ReasmOKs": frags.completed,
        "ReasmFails": frags.timed_out + frags.evicted + frags.overlapped,
        "FragOKs": seen.fragmented,
        "FragFails": seen.cantfrag,
        "FragCreates": seen.ofragments,
        "OutTransmits": seen.transmits,
    }


def icmp(core: Any) -> dict[str, int]:
    """The line `Icmp:` of /proc/net/snmp."""
    seen = core.ipstat
    bad = _drops(core, Drop.ICMP_TRUNCATED, Drop.ICMP_CHECKSUM)
    return {
        "InMsgs": sum(seen.icmp_in) + bad,
        "InErrors": bad,
        "InCsumErrors": _drops(core, Drop.ICMP_CHECKSUM),
        **{f"In{name}": seen.icmp_in[number] for name, number in ICMP_TYPES.items()},
        "OutMsgs": sum(seen.icmp_out),
        "OutErrors": 0,
        "OutRateLimitGlobal": seen.icmp_limit_all,
        "OutRateLimitHost": seen.icmp_limit_host,
        **{f"Out{name}": seen.icmp_out[number] for name, number in ICMP_TYPES.items()},
    }


def icmp_msg(core: Any) -> dict[str, int]:
    """The line `IcmpMsg:` of /proc/net/snmp: types that there were."""
    found: dict[str, int] = {}
    for name, counts in (("In", core.ipstat.icmp_in), ("Out", core.ipstat.icmp_out)):
        found |= {f"{name}Type{number}": n for number, n in enumerate(counts) if n}
    return found


def udp(core: Any) -> dict[str, int]:
    """The line `Udp:` of /proc/net/snmp."""
    seen = core.ipstat
    sums = _drops(core, Drop.UDP_CHECKSUM)
    return {
        "InDatagrams": seen.udp_read,
        "NoPorts": seen.udp_noport,
        "InErrors": seen.udp_fullsock + sums + _drops(core, Drop.UDP_TRUNCATED, Drop.UDP_LENGTH),
        "OutDatagrams": seen.udp_opackets,
        "RcvbufErrors": seen.udp_fullsock,
        "SndbufErrors": 0,
        "InCsumErrors": sums,
        "IgnoredMulti": seen.udp_noportbcast,
        "MemErrors": 0,
    }


def ip_ext(core: Any) -> dict[str, int]:
    """The line `IpExt:` of /proc/net/netstat."""
    seen = core.ipstat
    found = {
        "InNoRoutes": _drops(core, Drop.IP_NO_ROUTE) - seen.noroute,
        "InTruncatedPkts": _drops(core, Drop.IP_TOTAL_LENGTH),
        "InBcastPkts": seen.bcast_in,
        "OutBcastPkts": seen.bcast_out,
        "InOctets": seen.octets_in,
        "OutOctets": seen.octets_out,
        "InCsumErrors": _drops(core, Drop.IP_CHECKSUM),
        "InNoECTPkts": seen.ecn[0],
        "InECT1Pkts": seen.ecn[1],
        "InECT0Pkts": seen.ecn[2],
        "InCEPkts": seen.ecn[3],
        "ReasmOverlaps": core.frags.overlapped,
    }
    return {name: found.get(name, 0) for name in IP_EXT}


IP_EXT = tuple(
    """
    InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets
    InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors InNoECTPkts InECT1Pkts
    InECT0Pkts InCEPkts ReasmOverlaps
    """.split()
)


def snmp(core: Any) -> dict[str, dict[str, int]]:
    """The lines of /proc/net/snmp by their names."""
    return {
        "Ip": ip(core),
        "Icmp": icmp(core),
        **({"IcmpMsg": types} if (types := icmp_msg(core)) else {}),
        "Tcp": tcp(core),
        "Udp": udp(core),
        "UdpLite": dict.fromkeys(udp(core), 0),
    }


def netstat(core: Any, recycling: bool = False) -> dict[str, dict[str, int]]:
    """The lines of /proc/net/netstat by their names."""
    return {"TcpExt": tcp_ext(core, recycling), "IpExt": ip_ext(core)}


def nstat(core: Any, recycling: bool = False) -> dict[str, int]:
    """All counters by nstat's names: IpInReceives, TcpActiveOpens, TcpExtTW …"""
    return {
        f"{line}{name}": value
        for line, values in (snmp(core) | netstat(core, recycling)).items()
        for name, value in values.items()
        if name not in NO_COUNTERS
    }


def _counter(core: Any, name: str) -> int:
    source = SOURCES.get(name)
    return int(getattr(core.stat, source)) if source else 0
