"""The settings of the live twin: rules, knobs and addresses that both machines get."""

from __future__ import annotations

from dataclasses import dataclass, field

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
ICMP, TCP, UDP, GRE, UDPLITE = 1, 6, 17, 47, 136
PORTS = (TCP, UDP, UDPLITE)

DSCP = """*mangle
-A FORWARD -m conntrack --ctstate NEW -j DSCP --set-dscp 1
-A FORWARD -m conntrack --ctstate ESTABLISHED -j DSCP --set-dscp 2
-A FORWARD -m conntrack --ctstate RELATED -j DSCP --set-dscp 3
-A FORWARD -m conntrack --ctstate INVALID -j DSCP --set-dscp 4
-A FORWARD -m conntrack --ctstate UNTRACKED -j DSCP --set-dscp 5
COMMIT
"""
NF = "net.netfilter.nf_conntrack_"


@dataclass(frozen=True)
class Setting:
    """Rules and knobs of both machines. `low`, `high`: ports that a rule of NAT allows; `clock`: time passes, too."""

    rules: str = ""
    knobs: dict[str, int] = field(default_factory=dict)
    low: int = 0
    high: int = 0
    clock: bool = False

    @property
    def protocols(self) -> tuple[int, ...]:
        """Beside TCP. A 6.18 takes UDP-Lite only if it need not look at the checksum: else all of it is INVALID."""
        lite = (UDPLITE,) if self.knobs.get(f"{NF}checksum") == 0 else ()
        return (UDP, UDP, UDP, ICMP, ICMP, GRE, 50, 99, *lite)


SHORT = dict.fromkeys(
    (
        "tcp_timeout_syn_sent",
        "tcp_timeout_fin_wait",
        "tcp_timeout_close",
        "udp_timeout",
        "icmp_timeout",
        "gre_timeout",
    ),
    2,
) | {
    "tcp_timeout_syn_recv": 3,
    "tcp_timeout_established": 8,
    "tcp_timeout_close_wait": 3,
    "tcp_timeout_last_ack": 1,
    "tcp_timeout_time_wait": 4,
    "tcp_timeout_max_retrans": 4,
    "tcp_timeout_unacknowledged": 5,
    "udp_timeout_stream": 4,
    "generic_timeout": 3,
    "gre_timeout_stream": 4,
}
SETTINGS = {
    "plain": Setting(),
    "loose0": Setting(knobs={f"{NF}tcp_loose": 0}),
    "liberal": Setting(knobs={f"{NF}tcp_be_liberal": 1}),
    "any-rst": Setting(knobs={f"{NF}tcp_ignore_invalid_rst": 1, f"{NF}tcp_max_retrans": 1}),
    "unsummed": Setting(knobs={f"{NF}checksum": 0}),
    "counted": Setting(knobs={f"{NF}acct": 1, f"{NF}timestamp": 1}),
    "clock": Setting(knobs={f"{NF}{name}": value for name, value in SHORT.items()}, clock=True),
    "masquerade": Setting("*nat\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n"),
    "two-ports": Setting(
        """*nat
-A POSTROUTING -o eth1 -p tcp -j SNAT --to-source 10.9.2.100:5000-5001
-A POSTROUTING -o eth1 -p udp -j SNAT --to-source 10.9.2.100:5000-5001
-A POSTROUTING -o eth1 -p icmp -j SNAT --to-source 10.9.2.100
COMMIT
""",
        low=5000,
        high=5001,
    ),
    "pool": Setting(
        "*nat\n-A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.100-10.9.2.104\nCOMMIT\n"
    ),
    "persistent": Setting(
        "*nat\n-A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.100-10.9.2.104 --persistent\nCOMMIT\n"
    ),
    "balancer": Setting(
        """*nat
-A PREROUTING -i eth0 -d 10.9.2.9 -p tcp --dport 80 -j DNAT --to-destination 10.9.2.2-10.9.2.4:8080
-A PREROUTING -i eth0 -d 10.9.2.9 -p udp -j DNAT --to-destination 10.9.2.5
-A PREROUTING -i eth0 -d 10.9.2.8 -j NETMAP --to 10.9.2.16/28
-A POSTROUTING -o eth1 -p tcp -j MASQUERADE
COMMIT
"""
    ),
    "zones": Setting(
        """*raw
-A PREROUTING -p tcp --dport 80 -j CT --zone 7
-A PREROUTING -p tcp --sport 80 -j CT --zone 7
-A PREROUTING -p udp --dport 53 -j NOTRACK
-A PREROUTING -p icmp -i eth1 -j CT --zone 3
COMMIT
"""
    ),
    "timeless": Setting(
        knobs={
            f"{NF}{name}": 0
            for name in ("tcp_timeout_close", "tcp_timeout_syn_recv", "icmp_timeout")
        }
        | {f"{NF}tcp_max_retrans": 0, f"{NF}tcp_timeout_max_retrans": 50}
    ),
    "strict": Setting(
        knobs={f"{NF}tcp_loose": 0, f"{NF}tcp_be_liberal": 1, f"{NF}tcp_ignore_invalid_rst": 1}
    ),
    "random": Setting(
        """*nat
-A POSTROUTING -o eth1 -p tcp -j SNAT --to-source 10.9.2.100:1024-40010 --random
-A POSTROUTING -o eth1 -p udp -j MASQUERADE --random-fully
-A POSTROUTING -o eth1 -p icmp -j SNAT --to-source 10.9.2.100-10.9.2.101 --random
COMMIT
""",
    ),
    "nets": Setting(
        """*nat
-A PREROUTING -i eth1 -d 10.9.1.0/28 -p udp -j NETMAP --to 10.9.1.0/28
-A POSTROUTING -o eth1 -s 10.9.1.0/29 -j NETMAP --to 10.9.2.64/29
COMMIT
"""
    ),
    "redirect": Setting(
        """*nat
-A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT --to-ports 81
-A PREROUTING -i eth0 -p udp --dport 53 -j REDIRECT
-A PREROUTING -i eth1 -p tcp -j DNAT --to-destination 10.9.1.2-10.9.1.3:8000-8010
-A POSTROUTING -o eth1 -p udp -j MASQUERADE --to-ports 500
COMMIT
""",
        low=500,
        high=500,
    ),
    "hairpin": Setting(
        """*nat
-A PREROUTING -d 10.9.2.1 -p tcp --dport 80 -j DNAT --to-destination 10.9.1.3:40000
-A PREROUTING -d 10.9.2.9 -j DNAT --to-destination 10.9.1.3
-A POSTROUTING -s 10.9.1.0/24 -d 10.9.1.0/24 -j MASQUERADE
-A POSTROUTING -o eth1 -j SNAT --to-source 10.9.2.1
COMMIT
"""
    ),
    "marks": Setting(
        """*mangle
-A PREROUTING -j CONNMARK --restore-mark
-A PREROUTING -m mark --mark 0 -p tcp -j MARK --set-mark 5
-A PREROUTING -m conntrack --ctdir REPLY -m conntrack --ctstatus ASSURED -j MARK --or-mark 0x10
-A POSTROUTING -j CONNMARK --save-mark
COMMIT
"""
    ),
    "firewall": Setting(
        """*filter
:FORWARD DROP
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i eth0 -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -p tcp -j REJECT --reject-with tcp-reset
COMMIT
"""
    ),
}
