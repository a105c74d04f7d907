"""What a system derives from its memory when it boots, and again when what it derived from changes.

A profile says "auto" for such a knob. Each function here is one system's arithmetic: given octets of
memory and what the administrator fixed (`given`: knob -> number, 0 or absent = derive), it answers
every derived knob.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pystack.sysctl.knob import Value

Sizes = dict[str, Value]
Sizing = Callable[[int, Mapping[str, int]], Sizes]

PAGE = 4096
MSIZE = 256
MCLBYTES = 2048
MJUM9BYTES = 9 * 1024
MJUM16BYTES = 16 * 1024
KMEM_MAX = 1319413950874
"""vm.kmem_size_max of amd64: three fifths of the kernel's addresses."""
KMEM_MAX_I386 = 320 << 20
"""What an i386 kernel takes of a third of the memory unless it is told otherwise."""


def maxusers(ram: int) -> int:
    """FreeBSD's kern.maxusers: one for each 2 MiB, at least 32; above 384 only every 8th counts.

    subr_param.c, releases 10 and later.
    """
    users = max(ram // (2 * 1024 * 1024), 32)
    return users if users <= 384 else 384 + (users - 384) // 8


def maxfiles(ram: int, users: int) -> int:
    """FreeBSD's kern.maxfiles: one for each 8 pages, at most one for each 4. subr_param.c."""
    pages = ram // PAGE
    return min(max(2 * (20 + 16 * users), pages // 8), max(pages // 4, 1))


def tcbhashsize(sockets: int) -> int:
    """Buckets of FreeBSD's connection table: the power of two above a quarter of the sockets.

    tcp_subr.c of 10.4; 512 at least.
    """
    return max(1 << (sockets // 4).bit_length(), 512)


def maxtcptw(first: int, last: int, sockets: int) -> int:
    """FreeBSD's most TIME_WAIT entries: half of the ephemeral ports, a fifth of the sockets.

    tcp_timewait.c, releases 7 to 13.
    """
    return min(max(abs(last - first) // 2, 32), sockets // 5)


def freebsd(ram: int, given: Mapping[str, int]) -> Sizes:
    """FreeBSD 10 and later (amd64: kernel memory is all of the memory, unless vm.kmem_size says otherwise).

    kern_mbuf.c (half of the memory for mbufs, of it a quarter for clusters, a quarter for page
    clusters, a sixth for each of the others), subr_param.c, uipc_socket.c, tcp_subr.c,
    tcp_timewait.c, tcp_syncache.c, tcp_reass.c, ip_input.c.
    """
    out: dict[str, int] = {}

    def size(name: str, formula: int) -> int:
        out[name] = given.get(name) or formula
        return out[name]

    most = size("vm.kmem_size_max", KMEM_MAX)
    kernel = min(size("vm.kmem_size", min(ram, most)), most, 2 * ram)
    out["vm.kmem_size"] = kernel
    memory = min(ram, kernel)
    users = size("kern.maxusers", maxusers(ram))
    files = size("kern.maxfiles", maxfiles(ram, users))
    size("kern.maxfilesperproc", files // 10 * 9)
    sockets = max(size("kern.ipc.maxsockets", files), files)
    out["kern.ipc.maxsockets"] = sockets

    memory = min(size("kern.ipc.maxmbufmem", memory // 2), memory // 4 * 3)
    out["kern.ipc.maxmbufmem"] = memory
    clusters = size("kern.ipc.nmbclusters", memory // MCLBYTES // 4)
    page = size("kern.ipc.nmbjumbop", memory // PAGE // 4)
    nine = size("kern.ipc.nmbjumbo9", memory // MJUM9BYTES // 6)
    sixteen = size("kern.ipc.nmbjumbo16", memory // MJUM16BYTES // 6)
    every = clusters + page + nine + sixteen
    mbufs = given.get("kern.ipc.nmbufs", 0)
    enough = mbufs and mbufs >= every
    out["kern.ipc.nmbufs"] = mbufs if enough else max(memory // MSIZE // 5, every)

    size("net.inet.tcp.tcbhashsize", tcbhashsize(sockets))
    first = given.get("net.inet.ip.portrange.first", 10000)
    last = given.get("net.inet.ip.portrange.last", 65535)
    size("net.inet.tcp.maxtcptw", maxtcptw(first, last, sockets))
    buckets = given.get("net.inet.tcp.syncache.hashsize", 512)
    depth = given.get("net.inet.tcp.syncache.bucketlimit", 30)
    size("net.inet.tcp.syncache.cachelimit", buckets * depth)
    size("net.inet.tcp.reass.maxsegments", clusters // 16)
    size("net.inet.ip.maxfragpackets", clusters // 32)
    size("net.inet.ip.maxfrags", clusters // 32)
    return dict(out)


def freebsd_7(ram: int, given: Mapping[str, int]) -> Sizes:
    """FreeBSD 4 to 8: all from maxusers, one for each 2 MiB, at least 32 and at most 384.

    A third of the memory, 320 MiB at most, is the kernel's (i386). 1024 + 64 maxusers clusters (25600 at 384), half as
    many of each next size; 2 (20 + 16 maxusers) files; as many sockets as files or clusters. kern_mbuf.c 8,
    subr_param.c.
    """
    out: dict[str, int] = {}

    def size(name: str, formula: int) -> int:
        out[name] = given.get(name) or formula
        return out[name]

    most = size("vm.kmem_size_max", KMEM_MAX_I386)
    out["vm.kmem_size"] = min(size("vm.kmem_size", min(ram // 3, most)), most)
    users = size("kern.maxusers", min(max(ram // (2 * 1024 * 1024), 32), 384))
    files = size("kern.maxfiles", 2 * (20 + 16 * users))
    size("kern.maxfilesperproc", files // 10 * 9)
    clusters = size("kern.ipc.nmbclusters", 1024 + 64 * users)
    page = size("kern.ipc.nmbjumbop", clusters // 2)
    nine = size("kern.ipc.nmbjumbo9", page // 2)
    size("kern.ipc.nmbjumbo16", nine // 2)
    sockets = size("kern.ipc.maxsockets", max(files, clusters))
    first = given.get("net.inet.ip.portrange.first", 49152)
    last = given.get("net.inet.ip.portrange.last", 65535)
    size("net.inet.tcp.maxtcptw", maxtcptw(first, last, sockets))
    buckets = given.get("net.inet.tcp.syncache.hashsize", 512)
    depth = given.get("net.inet.tcp.syncache.bucketlimit", 30)
    size("net.inet.tcp.syncache.cachelimit", buckets * depth)
    size("net.inet.tcp.reass.maxsegments", clusters // 16)
    size("net.inet.ip.maxfragpackets", clusters // 32)
    return dict(out)


def ehash(ram: int) -> int:
    """Buckets of Linux's connection table: the power of two for each 128 KiB, at most 524288.

    24 GiB gave 262144 [6.18].
    """
    wanted = max(ram // (128 * 1024), 16)
    return min(1 << (wanted - 1).bit_length(), 512 * 1024)


def pages_of_buffers(ram: int, share: int) -> tuple[int, int, int]:
    """Linux's tcp_mem and udp_mem in pages: 3/4, 1 and 3/2 of one `share` of the memory. [6.18]"""
    limit = max(ram // PAGE // share, 128)
    return limit // 4 * 3, limit, limit // 4 * 3 * 2


@dataclass(frozen=True, slots=True)
class Flows:
    """The default size of conntrack in an era of 64-bit kernels; facts: conntrack 1.3."""

    pointer: int
    """Octets of a chain's head; one chain for each 16384 of them that there is memory for."""
    ceilings: tuple[tuple[int, int], ...]
    """(memory above which, chains), the largest first."""
    floor: int
    times: int
    """Flows for each chain; 8 where somebody chose the number of chains."""

    def sizes(self, ram: int, given: Mapping[str, int]) -> Sizes:
        """Chains and flows."""
        chains = given.get(CHAINS)
        if not chains:
            chains = max(ram // 16384 // self.pointer, self.floor)
            chains = next((n for above, n in self.ceilings if ram > above), chains)
        flows = given.get(FLOWS) or chains * (8 if given.get(CHAINS) else self.times)
        return {CHAINS: chains, FLOWS: flows}


GIB = 1 << 30
CHAINS = "net.netfilter.nf_conntrack_buckets"
FLOWS = "net.netfilter.nf_conntrack_max"
FLOWS_6 = Flows(8, ((4 * GIB, 262144), (GIB, 65536)), 1024, 1)
FLOWS_4 = Flows(8, ((4 * GIB, 65536), (GIB, 16384)), 32, 4)
FLOWS_2632 = Flows(8, ((GIB, 16384),), 32, 4)
FLOWS_26 = Flows(16, ((GIB, 8192),), 16, 8)


def linux_4(ram: int, given: Mapping[str, int]) -> Sizes:
    """Linux 4.3 to 5.14."""
    return {**linux(ram, given), **FLOWS_4.sizes(ram, given)}


def linux_2632(ram: int, given: Mapping[str, int]) -> Sizes:
    """Linux 2.6.2x to 4.2, with nf_conntrack."""
    return {**linux(ram, given), **FLOWS_2632.sizes(ram, given)}


def linux_26(ram: int, given: Mapping[str, int]) -> Sizes:
    """Linux 2.6 with ip_conntrack."""
    return {**linux(ram, given), **FLOWS_26.sizes(ram, given)}


def linux(ram: int, given: Mapping[str, int]) -> Sizes:
    """Linux 4 and later (64 bits, all memory free at boot). [6.18]"""
    buckets = ehash(ram)
    most = ram // 128  # octets of memory that one buffer may grow to
    formulas: Sizes = {
        "net.ipv4.tcp_ehash_entries": buckets,
        "net.ipv4.tcp_max_tw_buckets": buckets // 2,
        "net.ipv4.tcp_max_orphans": buckets // 2,
        "net.ipv4.tcp_max_syn_backlog": max(128, buckets // 128),
        "net.ipv4.tcp_mem": pages_of_buffers(ram, 16),
        "net.ipv4.udp_mem": pages_of_buffers(ram, 8),
        "net.ipv4.tcp_rmem": (4096, 131072, max(131072, min(32 << 20, most))),
        "net.ipv4.tcp_wmem": (4096, 16384, max(65536, min(4 << 20, most))),
    }
    sizes = {name: given.get(name) or formula for name, formula in formulas.items()}
    return {**sizes, **FLOWS_6.sizes(ram, given)}


SIZINGS: Mapping[str, Sizing] = {
    "freebsd": freebsd,
    "freebsd-7": freebsd_7,
    "linux": linux,
    "linux-4": linux_4,
    "linux-2.6.32": linux_2632,
    "linux-2.6": linux_26,
}
"""By the name that a profile gives in `sizing`."""

FOLLOWERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "freebsd": {
        "kern.ipc.maxsockets": ("net.inet.tcp.maxtcptw",),
        "kern.ipc.nmbclusters": ("net.inet.tcp.reass.maxsegments", "net.inet.ip.maxfragpackets"),
    },
    "freebsd-7": {"kern.ipc.maxsockets": ("net.inet.tcp.maxtcptw",)},
    "linux": {},
    "linux-4": {},
    "linux-2.6.32": {},
    "linux-2.6": {},
}
"""Knob -> what a running system derives anew when it is written (FreeBSD's event handlers)."""
