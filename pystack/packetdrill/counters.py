"""`nstat` of a script: the counters of Linux's TCP that the machine has, by the names of /proc/net/netstat and snmp."""

from __future__ import annotations

from typing import Any

COUNTERS = {
    "TcpActiveOpens": "connattempt",
    "TcpPassiveOpens": "accepts",
    "TcpRetransSegs": "sndrexmitpack",
    "TcpExtTCPTimeouts": "rexmttimeo",
    "TcpExtTCPDSACKRecv": "dsack_rcv",
    "TcpExtTCPChallengeACK": "challenge_acks",
    "TcpExtSyncookiesSent": "sc_sendcookie",
    "TcpExtSyncookiesRecv": "sc_recvcookie",
    "TcpExtPAWSEstab": "pawsdrop",
    "TcpExtTCPAbortOnClose": "abort_on_close",
    "TcpExtTCPAbortOnData": "abort_on_data",
}
"""Those that count the same thing here and there."""


class Nstat:
    """nstat(8): what the counters have grown by since it was asked last."""

    def __init__(self, host: Any) -> None:
        self.host = host
        stats = host.stats
        self._seen = {name: stats[ours] for name, ours in COUNTERS.items()}

    def lines(self, all_: bool = False) -> list[str]:
        """Name and growth of every counter that has grown, or with `all_` of each; from now on it counts anew."""
        stats = self.host.stats
        found = ["#kernel"]
        for name, ours in COUNTERS.items():
            grown = stats[ours] - self._seen[name]
            self._seen[name] = stats[ours]
            if grown or all_:
                found.append(f"{name:<32} {grown:<16} 0.0")
        return found
