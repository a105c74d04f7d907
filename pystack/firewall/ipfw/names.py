"""Names of services, protocols, hosts and users as a FreeBSD machine's files have them (the usual ones)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pystack.firewall.words import PROTOCOLS

_PROTOCOLS = """
icmp:1 igmp:2 ggp:3 ipencap:4 st2:5 tcp:6 cbt:7 egp:8 igp:9 bbn-rcc:10 nvp:11 pup:12 argus:13 emcon:14 xnet:15 chaos:16
udp:17 mux:18 dcn:19 hmp:20 prm:21 xns-idp:22 trunk-1:23 trunk-2:24 leaf-1:25 leaf-2:26 rdp:27 irtp:28 iso-tp4:29
netblt:30 mfe-nsp:31 merit-inp:32 dccp:33 3pc:34 idpr:35 xtp:36 ddp:37 idpr-cmtp:38 tp++:39 il:40 ipv6:41 sdrp:42
ipv6-route:43 ipv6-frag:44 idrp:45 rsvp:46 gre:47 dsr:48 bna:49 esp:50 ah:51 i-nlsp:52 swipe:53 narp:54 mobile:55
tlsp:56 skip:57 ipv6-icmp:58 ipv6-nonxt:59 ipv6-opts:60 cftp:62 sat-expak:64 kryptolan:65 rvd:66 ippc:67 sat-mon:69
visa:70 ipcv:71 cpnx:72 cphb:73 wsn:74 pvp:75 br-sat-mon:76 sun-nd:77 wb-mon:78 wb-expak:79 iso-ip:80 vmtp:81
secure-vmtp:82 vines:83 ttp:84 nsfnet-igp:85 dgp:86 tcf:87 eigrp:88 ospf:89 sprite-rpc:90 larp:91 mtp:92 ax.25:93
ipip:94 micp:95 scc-sp:96 etherip:97 encap:98 gmtp:100 ifmp:101 pnni:102 pim:103 aris:104 scps:105 qnx:106 a/n:107
ipcomp:108 snp:109 compaq-peer:110 ipx-in-ip:111 carp:112 pgm:113 l2tp:115 ddx:116 iatp:117 stp:118 srp:119 uti:120
smp:121 sm:122 ptp:123 isis:124 fire:125 crtp:126 crudp:127 sscopmce:128 iplt:129 sps:130 sctp:132 fc:133
udplite:136 pfsync:240 icmp6:58 icmpv6:58 vrrp:112
"""
_SERVICES = """
echo:7 discard:9 daytime:13 qotd:17/tcp chargen:19 ftp-data:20/tcp ftp:21/tcp ssh:22/tcp telnet:23/tcp smtp:25/tcp
time:37 nicname:43/tcp whois:43/tcp tacacs:49 domain:53 bootps:67/udp bootpc:68/udp tftp:69/udp gopher:70/tcp
finger:79/tcp http:80/tcp kerberos-sec:88 kerberos:88 pop2:109/tcp pop3:110/tcp sunrpc:111 auth:113/tcp ident:113/tcp
sftp:115/tcp nntp:119/tcp ntp:123 netbios-ns:137 netbios-dgm:138 netbios-ssn:139 imap:143/tcp imap2:143/tcp snmp:161
snmptrap:162 bgp:179/tcp irc:194/tcp ldap:389/tcp svrloc:427 https:443 microsoft-ds:445 isakmp:500/udp biff:512/udp
exec:512/tcp who:513/udp login:513/tcp syslog:514/udp shell:514/tcp printer:515/tcp talk:517/udp ntalk:518/udp
route:520/udp router:520/udp rtsp:554 nntps:563/tcp submission:587/tcp ipp:631 ldaps:636/tcp rsync:873/tcp
ftps-data:989/tcp ftps:990/tcp telnets:992/tcp imaps:993/tcp pop3s:995/tcp socks:1080/tcp openvpn:1194
ms-sql-s:1433/tcp ms-sql-m:1434/udp l2tp:1701/udp pptp:1723/tcp radius:1812/udp radacct:1813/udp nfsd:2049 nfs:2049
cvspupd:2401/tcp squid:3128/tcp mysql:3306/tcp svn:3690/tcp sip:5060 aol:5190/tcp xmpp-client:5222/tcp
xmpp-server:5269/tcp mdns:5353/udp postgresql:5432/tcp rfb:5900/tcp x11:6000/tcp redis:6379/tcp ircd:6667/tcp
http-alt:8080/tcp natd:8668/divert amanda:10080
"""


@dataclass(eq=False)
class Names:
    """Names both ways; the first name of a number is the one that is printed."""

    protocols: dict[str, int] = field(default_factory=dict)
    services: dict[tuple[str, str], int] = field(default_factory=dict)
    """Port of (name, protocol)."""
    hosts: dict[str, int] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._protocol_names: dict[int, str] = {}
        self._service_names: dict[tuple[int, str], str] = {}
        for name, number in self.protocols.items():
            self._protocol_names.setdefault(number, name)
        for (name, proto), port in self.services.items():
            self._service_names.setdefault((port, proto), name)

    def protocol(self, name: str) -> int | None:
        """The number of a protocol; names also stand in capitals."""
        return self.protocols.get(name.lower() if name.isupper() else name)

    def protocol_name(self, number: int) -> str | None:
        return self._protocol_names.get(number)

    def service(self, name: str, proto: int) -> int | None:
        """A port by name; 0: of any protocol that has one."""
        wanted = self.protocol_name(proto)
        for each in ("tcp", "udp", "divert") if wanted is None else (wanted,):
            if (name, each) in self.services:
                return self.services[name, each]
        return None

    def service_name(self, port: int, proto: int) -> str | None:
        wanted = self.protocol_name(proto)
        for each in ("tcp", "udp", "divert") if wanted is None else (wanted,):
            if (port, each) in self._service_names:
                return self._service_names[port, each]
        return None

    def divert_port(self, name: str) -> int | None:
        return self.services.get((name, "divert"))

    def host(self, name: str) -> int | None:
        return self.hosts.get(name)

    def host_name(self, addr: int) -> str | None:
        return next((name for name, each in self.hosts.items() if each == addr), None)


def _services(text: str) -> dict[tuple[str, str], int]:
    """`name:port` of tcp and udp, `name:port/protocol` of one."""
    found = {}
    for entry in text.split():
        name, _, rest = entry.partition(":")
        port, _, proto = rest.partition("/")
        for each in (proto,) if proto else ("tcp", "udp"):
            found[name, each] = int(port)
    return found


def _numbers(text: str) -> dict[str, int]:
    return {
        name: int(number) for name, _, number in (entry.partition(":") for entry in text.split())
    }


USUAL = Names(
    protocols=_numbers(_PROTOCOLS),
    services=_services(_SERVICES),
    hosts={"localhost": 0x7F000001},
    users=_numbers("root:0 toor:0 daemon:1 operator:2 bin:3 www:80 nobody:65534"),
    groups=_numbers("wheel:0 daemon:1 kmem:2 sys:3 operator:5 mail:6 bin:7 www:80 nobody:65534"),
)
"""What a machine has as it is installed."""

DEBIAN = Names(
    protocols=PROTOCOLS,
    services=_services(
        """
        echo:7 discard:9 daytime:13 chargen:19 ftp-data:20/tcp ftp:21/tcp ssh:22/tcp telnet:23/tcp smtp:25/tcp time:37
        whois:43/tcp tacacs:49 domain:53 bootps:67/udp bootpc:68/udp tftp:69/udp gopher:70/tcp finger:79/tcp
        http:80/tcp kerberos:88 pop3:110/tcp sunrpc:111 auth:113/tcp nntp:119/tcp ntp:123/udp netbios-ns:137/udp
        netbios-dgm:138/udp netbios-ssn:139/tcp imap2:143/tcp snmp:161 snmp-trap:162 bgp:179/tcp irc:194 ldap:389
        https:443 microsoft-ds:445 submissions:465/tcp isakmp:500/udp syslog:514/udp printer:515/tcp
        submission:587/tcp ipp:631/tcp ldaps:636 rsync:873/tcp imaps:993/tcp pop3s:995/tcp socks:1080/tcp
        openvpn:1194 ms-sql-s:1433/tcp radius:1812 nfs:2049 mysql:3306/tcp svn:3690/tcp mdns:5353/udp
        postgresql:5432/tcp http-alt:8080
        """
    ),
    hosts={"localhost": 0x7F000001},
    users=USUAL.users,
    groups=USUAL.groups,
)
"""What the system had on which ipfw was recorded."""
