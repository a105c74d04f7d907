"""One limit, two spellings: which knob of the other family of systems does what this one does."""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = {"freebsd": "FreeBSD", "linux": "Linux"}


@dataclass(frozen=True, slots=True)
class Pair:
    """The knobs that do the same, by family, and what is not the same about them."""

    freebsd: tuple[str, ...]
    linux: tuple[str, ...]
    note: str = ""

    def of(self, family: str) -> tuple[str, ...]:
        """Those of a family."""
        return self.freebsd if family == "freebsd" else self.linux


FW, CT = "net.inet.ip.fw.", "net.netfilter.nf_conntrack_"
PAIRS = (
    Pair((f"{FW}dyn_max",), (f"{CT}max",), "ipfw keeps states of rules only, conntrack all flows"),
    Pair((f"{FW}dyn_buckets",), (f"{CT}buckets",)),
    Pair((f"{FW}dyn_ack_lifetime",), (f"{CT}tcp_timeout_established",), "300 s against 5 days"),
    Pair((f"{FW}dyn_syn_lifetime",), (f"{CT}tcp_timeout_syn_sent",)),
    Pair((f"{FW}dyn_fin_lifetime",), (f"{CT}tcp_timeout_time_wait",)),
    Pair(
        ("net.inet.tcp.finwait2_timeout", "net.inet.tcp.fast_finwait2_recycle"),
        ("net.ipv4.tcp_fin_timeout",),
        "ms there, s here; FreeBSD obeys it for sockets that nobody has only with fast_finwait2_recycle=1",
    ),
    Pair(("net.inet.tcp.maxtcptw",), ("net.ipv4.tcp_max_tw_buckets",)),
    Pair(("net.inet.tcp.msl",), (), "Linux waits 60 s in TIME_WAIT, whatever is set"),
    Pair(
        ("net.inet.ip.portrange.first", "net.inet.ip.portrange.last"),
        ("net.ipv4.ip_local_port_range",),
    ),
    Pair(("kern.ipc.soacceptqueue", "kern.ipc.somaxconn"), ("net.core.somaxconn",)),
    Pair(("net.inet.tcp.syncache.cachelimit",), ("net.ipv4.tcp_max_syn_backlog",), "at boot there"),
    Pair(("net.inet.tcp.syncookies",), ("net.ipv4.tcp_syncookies",)),
    Pair(("kern.ipc.nmbclusters",), ("net.ipv4.tcp_mem",), "clusters there, pages here"),
    Pair(("kern.ipc.nmbjumbop",), ("net.ipv4.tcp_mem",)),
    Pair(("net.inet.tcp.sendspace",), ("net.ipv4.tcp_wmem",)),
    Pair(("net.inet.tcp.recvspace",), ("net.ipv4.tcp_rmem",)),
    Pair(("kern.maxfiles",), ("fs.file-max",)),
    Pair(("kern.maxfilesperproc",), ("fs.nr_open",)),
    Pair(("net.inet.tcp.keepidle",), ("net.ipv4.tcp_keepalive_time",), "ms there, s here"),
    Pair(("net.inet.icmp.icmplim",), ("net.ipv4.icmp_msgs_per_sec",)),
    Pair(("kern.ipc.maxsockets",), ("net.ipv4.tcp_max_orphans",), "Linux bounds orphans only"),
)


def other(knob: str) -> tuple[str, str, str]:
    """(the other family, its knobs, what is different about them); "" where it has none that we know."""
    for pair in PAIRS:
        for family, there in (("freebsd", "linux"), ("linux", "freebsd")):
            if knob in pair.of(family):
                return FAMILIES[there], ", ".join(pair.of(there)), pair.note
    return "", "", ""
