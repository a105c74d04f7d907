"""Random transfers: more is written than the window lets go, and the peer acknowledges, loses and shuts its window.

python -m tests.kernel.bulk FIRST LAST [DIR]

as `wild`, for the window of congestion: what a seed does next depends on what has been sent, and that pystack tells.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.kernel.wild import Wild, compare

OPENING = """\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_SNDBUF, [2000000], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss {mss},{options}>
+0 > S. 0:0(0) ack 1 <{answer}>
{rtt:.3f} < . 1:1(0) ack 1 win 8000{stamp}
+.001 accept(3, ..., ...) = 4
+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "{control}", {length}) = 0
"""
KINDS = {
    "sack": ("sackOK,nop,nop,nop,wscale 7", "...", ""),
    "plain": ("nop,wscale 7", "...", ""),
    "stamps": (
        "sackOK,TS val 5 ecr 0,nop,wscale 7",
        "mss 1460,sackOK,TS val 100 ecr 5,nop,wscale 10",
        " <nop,nop,TS val 6 ecr 100>",
    ),
}
SETTINGS = "TCP_NODELAY, [1]|TCP_CORK, [1]|TCP_CORK, [0]".split("|")


@dataclass
class Bulk(Wild):
    """A random transfer. Numbers count octets from 0; `held`: what the peer has beyond what it acknowledged."""

    window: int = 8000
    held: list[tuple[int, int]] = field(default_factory=list)

    def prepare(self) -> None:
        choice = self.random.choice
        self.kind = choice(["sack", "sack", "sack", "plain", "stamps"])
        self.mss = choice([1000, 1000, 1460, 536])
        options, answer, stamp = KINDS[self.kind]
        control = choice(["cubic", "reno"])
        self.opening = OPENING.format(
            mss=self.mss,
            options=options,
            answer=answer,
            rtt=self.rtt,
            stamp=stamp,
            control=control,
            length=len(control),
        )
        self.segment_size = self.mss - (12 if self.kind == "stamps" else 0)
        self.write(choice([20000, 50000, 120000]))
        for _ in range(self.random.randint(6, 22)):
            gap = choice([0.007, 0.013, 0.018, 0.027, 0.053, 0.1, 0.1, 0.21])
            self.now = round(self.now + gap * self.random.uniform(0.9, 1.2), 3)
            self.avoid_timers()
            self.transfer(self.random.random())

    def write(self, n: int) -> None:
        self.say(f"write(4, ..., {n}) = {n}")
        self.written += n

    def transfer(self, which: float) -> None:
        if which < 0.06:
            self.write(self.random.choice([100, 500, 1000, 2500, 7000, 30000]))
        elif which < 0.09:
            self.say(f"setsockopt(4, SOL_TCP, {self.random.choice(SETTINGS)}, 4) = 0")
        elif which < 0.13:
            self.window = self.random.choice([0, 20, 45, 100, 8000])
            self.reply()
        elif which < 0.75:
            self.advance()
        else:
            self.lose()

    def sent(self) -> int:
        """Octets that have been sent by now."""
        told = str(self.played("%{ assert False, tcpi_bytes_sent - tcpi_bytes_retrans }%"))
        return int(told.rsplit(" ", 1)[1])

    def advance(self) -> None:
        """More is acknowledged: some segments, all, or to the middle of one."""
        most = self.sent()
        step = self.random.choice([1, 1, 2, 2, 2, 3, 4, 6, 1000]) * self.segment_size
        if self.random.random() < 0.06:
            step += self.random.choice([-300, 137])
        self.acked = max(self.acked, min(most, self.acked + step))
        self.held = [(left, right) for left, right in self.held if right > self.acked]
        while self.held and min(self.held)[0] <= self.acked:
            first = min(self.held)
            self.acked = max(self.acked, first[1])
            self.held.remove(first)
        self.reply()

    def lose(self) -> None:
        """A segment has not come, some behind it have."""
        most = self.sent()
        begin = max([self.acked, *(right for _, right in self.held)])
        left = begin + self.random.choice([0, 1, 1, 1, 2, 3]) * self.segment_size
        if left == self.acked:
            left += self.segment_size
        right = min(most, left + self.random.choice([1, 1, 2, 3, 5]) * self.segment_size)
        if left < right:
            old = [island for island in self.held if island[1] == left]
            for island in old:
                self.held.remove(island)
                left = island[0]
            self.held.insert(0, (left, right))
        self.reply()

    def reply(self) -> None:
        told = " ".join(f"{left + 1}:{right + 1}" for left, right in self.held[:3])
        options = []
        if self.kind == "stamps":
            options.append("nop,nop,TS val 6 ecr 100")
        if told and self.kind != "plain":
            options.append(f"nop,nop,sack {told}")
        text = f" <{','.join(options)}>" if options else ""
        self.say(f"< . 1:1(0) ack {self.acked + 1} win {self.window}{text}")


if __name__ == "__main__":
    first, last, *keep = sys.argv[1:]
    sys.exit(compare(Bulk, int(first), int(last), Path(keep[0]) if keep else None))
