"""Whom a full table of conntrack loses, by policy (`ct_evict`): the table in docs/conntrack.md.

From tests/: python firewall/eviction.py > firewall/eviction.txt

A table for 1,000 flows, of a 6.18 kernel in all but the policy. Two loads:

- flood: 400 connections say something every 20 s; a flood of 200 SYNs a second comes from everywhere and answers
  nothing; five honest connections a second are opened, live for two seconds, and are closed. One minute.
- time_wait: 200 connections say something every 20 s; 20 honest connections a second are opened and closed at once, so
  that 2,400 flows would be in TIME_WAIT. Five minutes.
"""

import random

from gateway import ACK, FIN, SERVER, SYN, Gateway, client, tcp

from pystack._fast.nf_consts import H_STATUS, IPS_ASSURED

POLICIES = ("buckets", "nodes", "chain", "none", "lru", "pf-adaptive")
MAXIMUM = 1000
OPENED = 10_000
"""Number of the first honest client; those below talk all the time."""


class Load:
    """Who was lost: `lost` of the old connections, `refused` of `tried` new ones."""

    def __init__(self, policy, old):
        self.g = Gateway(policy={"ct_evict": policy}, max=MAXIMUM, buckets=1024)
        self.old = old
        self.tried = self.refused = 0
        self.rng = random.Random(5)
        for n in range(old):
            self.g.establish(n)

    def open(self):
        """A client of its own is accepted, or its SYN is lost; its number or None."""
        number = OPENED + self.tried
        who = client(number)
        self.tried += 1
        if not self.g.syn(number):
            self.refused += 1
            return None
        self.g.send(tcp(SERVER, 80, who, 1024, SYN | ACK, 5000, 1001), back=True)
        self.g.send(tcp(who, 1024, SERVER, 80, ACK, 1001, 5001))
        return number

    def close(self, number):
        """Both sides close."""
        who = client(number)
        self.g.send(tcp(who, 1024, SERVER, 80, FIN | ACK, 1001, 5001))
        self.g.send(tcp(SERVER, 80, who, 1024, FIN | ACK, 5001, 1002), back=True)
        self.g.send(tcp(who, 1024, SERVER, 80, ACK, 1002, 5002))

    def spoof(self, number):
        """SYNs from everywhere."""
        for _ in range(number):
            source = f"10.10.{self.rng.randrange(100, 256)}.{self.rng.randrange(256)}"
            port = self.rng.randrange(1024, 65536)
            self.g.a.send(tcp(source, port, SERVER, 80, SYN, self.rng.randrange(1 << 32)))

    def talk(self, second):
        """A twentieth of the old connections says something: those that the table still has."""
        there = self.there()
        for n in range(second % 20, self.old, 20):
            if n in there:
                self.g.send(tcp(client(n), 1024, SERVER, 80, ACK, 1001, 5001))

    def there(self):
        """The old connections that are still known."""
        self.g.gw.conntrack.present()
        table = self.g.gw.conntrack.table
        found = set()
        for row in table.flows():
            number, port = table.keys[4 * row] >> 32 & 0xFFFF, table.keys[4 * row + 1] >> 48
            assured = table.half[(row << 5) + H_STATUS] & IPS_ASSURED
            if assured and port == 1024 and number < self.old:
                found.add(number)
        return found

    @property
    def lost(self):
        return self.old - len(self.there())


def flood(policy, seconds=60):
    """(old connections lost, of; new ones refused, of)."""
    load = Load(policy, 400)
    begin = load.g.t
    open_now = []
    for second in range(seconds):
        for part in range(5):
            load.g.at(begin + second + part / 5)
            load.spoof(40)
            open_now.append((second, load.open()))
        load.talk(second)
        while open_now and open_now[0][0] <= second - 2:
            number = open_now.pop(0)[1]
            if number is not None:
                load.close(number)
    return load.lost, load.old, load.refused, load.tried


def time_wait(policy, seconds=300):
    """Likewise."""
    load = Load(policy, 200)
    begin = load.g.t
    for second in range(seconds):
        for part in range(20):
            load.g.at(begin + second + part / 20)
            number = load.open()
            if number is not None:
                load.close(number)
        load.talk(second)
    return load.lost, load.old, load.refused, load.tried


def table():
    lines = [f"{'policy':12}" + " ".join(f"{t:>15}" for t in HEADS)]
    for policy in POLICIES:
        cells = [
            f"{part} of {whole}"
            for load in (flood, time_wait)
            for part, whole in zip(*[iter(load(policy))] * 2, strict=True)
        ]
        lines.append(f"{policy:12}" + " ".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines) + "\n"


HEADS = ("flood: lost", "refused", "time_wait: lost", "refused")

if __name__ == "__main__":
    print(table(), end="")
