"""iptstate -1 as version 2.2.7 printed the same flows of a 6.18 kernel (iptstate.jsonl: the table, then runs)."""

import json
import re
from pathlib import Path

import pytest
from gateway import ACK, CLIENT, FIN, PSH, SERVER, SYN, Gateway, icmp, ip, tcp, udp

from pystack.views.tools import UsageError, run

PROC, *RUNS = map(json.loads, Path(__file__).with_name("iptstate.jsonl").read_text().splitlines())
ORDER = [tuple(re.findall(r"(?:src|dst|sport|dport|id)=(\S+)", line)[:3]) for line in PROC["proc"]]
"""Source, destination and the first number of each flow: a kernel lists by hash, and so do we by another."""
TTL = re.compile(r"\d+:\d\d:\d\d")


@pytest.fixture(scope="module")
def host():
    g = Gateway(acct=1)

    def connect(source, sport, dport):
        g.send(tcp(source, sport, SERVER, dport, SYN))
        g.send(tcp(SERVER, dport, source, sport, SYN | ACK, 5000, 1001), back=True)
        g.send(tcp(source, sport, SERVER, dport, ACK, 1001, 5001))

    far = "10.10.200.200"
    connect(CLIENT, 41000, 91)
    connect(CLIENT, 5000, 80)
    connect(far, 7, 443)
    for n in range(3):
        g.send(tcp(far, 7, SERVER, 443, ACK | PSH, 1001 + 400 * n, 5001, b"x" * 400))
    g.send(tcp(CLIENT, 41000, SERVER, 91, FIN | ACK, 1001, 5001))
    g.send(udp(CLIENT, 5353, SERVER, 53))
    g.send(icmp(CLIENT, SERVER, 8, 0, 77 << 16))
    g.send(ip(CLIENT, SERVER, 99, b"abcd"))
    g.send(udp(CLIENT, 99, "10.9.1.77", 53))
    g.send(udp("10.9.1.5", 999, "10.9.1.1", 5))
    table = g.gw.conntrack
    listed = table.flows

    def in_order():
        def place(one):
            words = re.findall(r"(?:src|dst|sport|dport|id)=(\S+)", table_line(one))[:3]
            return ORDER.index(tuple(words))

        return sorted(listed(), key=place)

    table.flows = in_order
    return g.gw


def table_line(one):
    from pystack.firewall.flows import proc_line

    return proc_line(one, 0)


@pytest.mark.parametrize(
    "recorded", RUNS, ids=[f"{each['arguments']} {each['columns']}" for each in RUNS]
)
def test_as_recorded(host, recorded):
    done = run(
        host, "iptstate", [*recorded["arguments"].split(), f"--columns={recorded['columns']}"]
    )
    said = done.out + done.err
    assert hide(said) == hide(recorded["text"])
    failed = recorded["text"].startswith(("iptstate:", "Invalid", "\n"))
    assert (done.status != 0) == failed


def hide(text):
    """Without what the time of a run decides, and the order of options in messages of another getopt."""
    return TTL.sub(lambda found: "#" * len(found[0]), text).rstrip("\n")


def test_in_python(host):
    assert host.iptstate("-t").startswith(
        "IP Tables State Top -- Sort by: SrcIP\nTotal States: 8 -- TCP: 3 UDP: 3 ICMP: 1 Other: 1"
    )
    assert len(host.iptstate("-1 -s 10.9.1.5").splitlines()) == 4
    with pytest.raises(UsageError, match=r"Invalid IP address: x"):
        host.iptstate("-s x")


def test_times_count_down():
    g = Gateway()
    g.send(udp(CLIENT, 5353, SERVER, 53))
    g.at(0.5)
    assert g.gw.iptstate().splitlines()[2].split()[-1] == "0:00:29"
    g.at(10.5)
    assert g.gw.iptstate().splitlines()[2].split()[-1] == "0:00:19"
    g.at(31)
    assert len(g.gw.iptstate().splitlines()) == 2
