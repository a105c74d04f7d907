"""TCP's counters under the names of Linux: /proc/net/snmp, /proc/net/netstat, nstat, netstat -s.

Order and names are those of a running 6.18. What pystack does not count, because nothing here can
happen that it would count, is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import CLOSE_WAIT, ESTABLISHED

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
        "TCPTimeouts": "rexmttimeo",
        "TCPDSACKOldSent": "dsack_sent",
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


def tcp(core: Any) -> dict[str, int]:
    """The counters of the line `Tcp:`, in its order."""
    cfg = core.cfg
    found = {
        "RtoAlgorithm": 1,
        "RtoMin": cfg.tcp_rexmit_min // 1_000_000,
        "RtoMax": cfg.tcp_rexmit_max // 1_000_000,
        "MaxConn": -1,
        "CurrEstab": core.states[ESTABLISHED] + core.states[CLOSE_WAIT],
    }
    return {name: found.get(name, _counter(core, name)) for name in TCP}


def tcp_ext(core: Any, recycling: bool = False) -> dict[str, int]:
    """The counters of the line `TcpExt:`, in its order. `recycling`: of a kernel with tcp_tw_recycle."""
    found = {name: _counter(core, name) for name in TCP_EXT}
    if not recycling:
        return found
    names = list(TCP_EXT)
    names.insert(names.index("PAWSActive"), "PAWSPassive")
    return {name: found.get(name, core.stat.paws_passive) for name in names}


def recycles(host: Host) -> bool:
    """Does the machine's kernel have tcp_tw_recycle (until 4.11), and a counter of its harm?"""
    return "net.ipv4.tcp_tw_recycle" in host.sysctl


NO_COUNTERS = frozenset(("RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "CurrEstab"))
"""What stands in the line `Tcp:` and never grows: nstat leaves it out."""


def nstat(core: Any, recycling: bool = False) -> dict[str, int]:
    """All counters by nstat's names: TcpActiveOpens, TcpExtTW …"""
    return named(tcp(core), tcp_ext(core, recycling))


def named(tcp: dict[str, int], ext: dict[str, int]) -> dict[str, int]:
    """Counters of both lines by nstat's names."""
    every = {f"Tcp{name}": value for name, value in tcp.items() if name not in NO_COUNTERS}
    return every | {f"TcpExt{name}": value for name, value in ext.items()}


def _counter(core: Any, name: str) -> int:
    source = SOURCES.get(name)
    return int(getattr(core.stat, source)) if source else 0
