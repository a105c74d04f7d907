"""CT --ctevents: which events of a flow are told."""

import pytest
from firewall.gateway import ACK, CLIENT, FIN, SERVER, SYN, Gateway, tcp, udp

TALK = [  # flags, number, acknowledgment, back?
    (SYN, 1000, 0, False),
    (SYN | ACK, 5000, 1001, True),
    (ACK, 1001, 5001, False),
    (FIN | ACK, 1001, 5001, False),
    (FIN | ACK, 5001, 1002, True),
    (ACK, 1002, 5002, False),
]

HEARD = [
    ("--ctevents assured,destroy", "udp", "DESTROY"),
    ("--expevents new", "udp", ""),
    ("--ctevents new,reply", "udp", "NEW UPDATE"),
    ("--ctevents protoinfo", "tcp", "NEW UPDATE UPDATE UPDATE UPDATE UPDATE"),
    ("--ctevents assured", "tcp", "UPDATE"),
    ("--ctevents reply,destroy", "tcp", "UPDATE DESTROY"),
    ("--zone 3", "tcp", "NEW UPDATE UPDATE UPDATE UPDATE UPDATE DESTROY"),
]
"""CT's words, a protocol, and which events 6.18 told then of a flow that was deleted in the end."""


@pytest.mark.parametrize(("words", "proto", "heard"), HEARD)
@pytest.mark.parametrize("early", [True, False])
def test_which_events_are_told(words: str, proto: str, heard: str, early: bool):
    """A rule that is loaded before anybody listens decides nothing, unless nf_conntrack_events is 1."""
    gateway = Gateway()
    told: list[str] = []
    rule = f"-t raw -A PREROUTING -j CT {words}"
    if early:
        gateway.gw.iptables(rule)
    gateway.gw.conntrack.listen(lambda kind, _flow: told.append(kind.strip("[]")))
    if not early:
        gateway.gw.iptables(rule)
    if proto == "udp":
        gateway.send(udp(CLIENT, 6666, SERVER, 7777))
        gateway.send(udp(SERVER, 7777, CLIENT, 6666), back=True)
    else:
        for flags, seq, ack, back in TALK:
            ends = (SERVER, 80, CLIENT, 1000) if back else (CLIENT, 1000, SERVER, 80)
            gateway.send(tcp(*ends, flags, seq, ack), back=back)
    gateway.gw.conntrack("-D")
    every = "NEW UPDATE DESTROY" if proto == "udp" else HEARD[-1][2]
    assert " ".join(told) == (every if early else heard)
