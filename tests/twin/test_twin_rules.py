"""Rules compiled and interpreted: the same packets through each match and target, every verdict, counter and octet."""

from twin.twin import assert_twins


def test_rules_are_twins():
    assert_twins(
        '''
        import random
        from firewall.rules_kit import Rules, address, conntrack, icmp, tcp, udp
        from pystack.firewall import iptables_save

        MATCHES = """
        -p tcp --syn
        -p tcp --tcp-option 2 --sport 1000:2000
        -p tcp -m multiport ! --ports 80,443
        -p udp --dport 53
        -p icmp --icmp-type 8
        -s 10.0.0.0/30 ! -d 10.0.0.9
        -i eth+
        ! -i eth1
        -m conntrack --ctstate NEW,INVALID --ctorigdstport 80
        -m conntrack --ctstatus SEEN_REPLY --ctexpire 1:500
        -m state --state ESTABLISHED
        -m limit --limit 5/sec --limit-burst 3
        -m hashlimit --hashlimit-upto 3/sec --hashlimit-mode srcip,dstport --hashlimit-name a
        -m hashlimit --hashlimit-above 1kb/s --hashlimit-mode dstip --hashlimit-name b
        -m connlimit --connlimit-above 3
        -m connmark --mark 1/1
        -m mark ! --mark 0
        -m addrtype --dst-type LOCAL
        -m iprange --src-range 10.0.0.1-10.0.0.2
        -m statistic --mode random --probability 0.4
        -m statistic --mode nth --every 3 --packet 1
        -m length --length 40:60
        -m ttl --ttl-gt 10
        -m tos --tos 8/0xf
        -m recent --update --seconds 2 --hitcount 2 --name r
        -m recent --set --name r
        """.split("\\n")
        rules = Rules(
            *(f"-A INPUT {m.strip()}" for m in MATCHES if m.strip()),
            "-N U", "-N V", "-A INPUT -p tcp -j U", "-A U -j V", "-A V -j RETURN",
            "-A U -p tcp --dport 82 -j REJECT", "-P INPUT DROP",
            "-t mangle -A INPUT -j CONNMARK --xor-mark 3",
            "-t mangle -A INPUT -j MARK --or-mark 0x80000001",
            "-t mangle -A INPUT -j TOS --set-tos 0x15",
            "-t mangle -A INPUT -j DSCP --set-dscp-class AF11",
            "-t mangle -A INPUT -j TTL --ttl-dec 3",
            "-t mangle -A INPUT -p tcp --syn -j TCPMSS --set-mss 777",
            "-t mangle -A INPUT -j LOG --log-prefix x",
            "-t raw -A PREROUTING -p udp --dport 99 -j NOTRACK",
            "-t raw -A PREROUTING -p udp --dport 98 -j CT --zone mark",
        )
        ct = conntrack(rules.state)
        draw = random.Random(9)
        MSS = bytes.fromhex("020405b4")
        for n in range(600):
            rules.state.now += draw.choice([0, 1_000_000, 40_000_000, 700_000_000])
            around = {"src": address("10.0.0.1") + draw.randrange(4)}
            around |= {"ttl": draw.choice([3, 64]), "tos": draw.randrange(256)}
            kind = draw.randrange(4)
            if kind == 0:
                ports = {"sport": draw.randrange(1, 3000), "dport": draw.choice([80, 81, 82])}
                p = tcp(**ports, options=draw.choice([b"", MSS]), ip=around)
            elif kind == 1:
                p = tcp(bytes(draw.randrange(40)), flags=draw.choice([16, 17, 4, 0]), ip=around)
            elif kind == 2:
                p = udp(bytes(draw.randrange(100)), dport=draw.choice([53, 98, 99]), ip=around)
            else:
                p = icmp(draw.choice([8, 3, 0]), 0)
            p.iface_in = draw.randrange(2)
            p.csum_ok = draw.random() < 0.5
            raw = rules.run(p, "PREROUTING", "raw")
            ct.conntrack_in(p, rules.state.now)
            print(raw, rules.run(p, "INPUT", "mangle"), rules.run(p), p.ct_state, p.ct_zone, p.mark, p.to_bytes().hex())
            if p.ct:
                ct.confirm(p, rules.state.now)
        print(rules.state.asked)
        print(iptables_save(rules.firewall, "-c"))
        '''
    )
