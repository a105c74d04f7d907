"""Random scripts: what the kernel of this computer sends is written down, and pystack has to send the same.

python -m tests.kernel.wild FIRST LAST [DIR]

plays the seeds FIRST to LAST - 1 and tells where pystack differs; scripts are kept in DIR. A peer acknowledges, SACKs,
sends in and out of order and repeats; the application writes, reads, turns options and closes. The kernel's timers are
late by up to two ticks, so no event stands shortly behind one of pystack's; and what differs is recorded again. Read
the script all the same: what was sent again late is acknowledged sooner, and may then count for nothing.
"""

from __future__ import annotations

import os
import pickle
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pystack.packetdrill import match
from pystack.packetdrill.parse import parse
from pystack.packetdrill.play import play
from pystack.packetdrill.segments import read
from pystack.packetdrill.verdict import Verdict
from tests.kernel import player, world

PROFILE = "linux-6"
LATE = 0.042
"""Seconds by which a timer of the kernel may be late: a slot of its wheel, and a tick."""
NEAR = 0.05
"""No event stands so shortly behind a timer, in seconds: it would come before it in the kernel."""
TRIES = 3
"""Recordings of a script before a difference is one: a busy computer is late by more than a timer."""
OPENING = """\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1000,{options}>
+0 > S. 0:0(0) ack 1 <...>
{rtt:.3f} < . 1:1(0) ack 1 win 2000
+.001 accept(3, ..., ...) = 4
+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
"""
SETTINGS = "TCP_NODELAY, [1]|TCP_CORK, [1]|TCP_CORK, [0]|TCP_QUICKACK, [0]|TCP_QUICKACK, [1]".split(
    "|"
)


@dataclass
class Wild:
    """A random script as far as the peer and the application go. Numbers count octets from 0."""

    seed: int
    lines: list[tuple[float, str]] = field(default_factory=list)
    written: int = 0
    acked: int = 0
    received: int = 0
    unread: int = 0
    islands: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.rtt = self.random.choice([0.02, 0.05, 0.1, 0.1])
        self.now = self.rtt + 0.01
        self.prepare()

    def prepare(self) -> None:
        """Everything that happens."""
        self.sack = self.random.random() < 0.8
        options = "sackOK,nop,nop,nop,wscale 7" if self.sack else "nop,wscale 7"
        self.opening = OPENING.format(options=options, rtt=self.rtt)
        steps = self.random.randint(5, 14)
        for i in range(steps):
            self.now += self.random.choice([0.003, 0.011, 0.027, 0.053, 0.101, 0.1, 0.21])
            self.avoid_timers()
            self.step(self.random.random(), last=i == steps - 1)

    def played(self, last: str) -> Verdict:
        """pystack's run of what there is so far, and of `last`."""
        body = "\n".join(text for _, text in self.lines)
        text = f"{self.opening}{body}\n{self.now:.4f} {last}\n"
        return play(parse(text, "so-far.pkt", profile=PROFILE), profile=PROFILE)

    def avoid_timers(self) -> None:
        """A timer that runs out shortly before an event would do so behind it in the kernel, which is late."""
        while True:
            sent = [m.ns / 1e9 for m in self.played("`true`").trace if m.kind == ">"]
            late = [
                time
                for time in sent
                if 0 < self.now - time < NEAR and all(abs(time - at) > 1e-4 for at, _ in self.lines)
            ]
            if not late:
                return
            self.now = round(late[-1] + NEAR + 0.002, 3)

    def say(self, text: str) -> None:
        self.lines.append((self.now, f"{self.now:.3f} {text}"))

    def step(self, which: float, *, last: bool) -> None:
        if last and which < 0.2:
            self.say("shutdown(4, SHUT_WR) = 0")
        elif which < 0.3:
            n = self.random.choice([100, 500, 1000, 1000, 1500, 2000, 2500, 4000])
            if self.written - self.acked + n <= 9000:
                self.say(f"write(4, ..., {n}) = {n}")
                self.written += n
        elif which < 0.62:
            self.acknowledge()
        elif which < 0.82:
            self.send(self.random.choice([1, 100, 536, 1000, 1000, 1000]), self.random.random())
        elif which < 0.94:
            if self.unread:
                most = self.random.choice([100, 1000, 100000])
                got = min(most, self.unread)
                self.say(f"read(4, ..., {most}) = {got}")
                self.unread -= got
        else:
            self.say(f"setsockopt(4, SOL_TCP, {self.random.choice(SETTINGS)}, 4) = 0")

    def acknowledge(self) -> None:
        out = self.written - self.acked
        if not out:
            return
        self.acked += min(out, self.random.choice([0, 0, 1000, 1000, 2000, 3000, out]))
        blocks: list[tuple[int, int]] = []
        if self.sack and self.written - self.acked > 1000 and self.random.random() < 0.6:
            starts = range(self.acked + 1000, self.written, 1000)
            chosen = self.random.sample(starts, min(len(starts), self.random.randint(1, 2)))
            for start in sorted(chosen):
                end = min(start + 1000, self.written)
                if blocks and blocks[-1][1] == start:
                    blocks[-1] = (blocks[-1][0], end)
                else:
                    blocks.append((start, end))
            self.random.shuffle(blocks)
        told = " ".join(f"{left + 1}:{right + 1}" for left, right in blocks)
        self.segment(self.received, 0, f" <sack {told},nop,nop>" if told else "")

    def segment(self, at: int, n: int, options: str = "") -> None:
        flags = "P." if n else "."
        self.say(f"< {flags} {at + 1}:{at + 1 + n}({n}) ack {self.acked + 1} win 2000{options}")

    def send(self, n: int, how: float) -> None:
        if how < 0.65:
            self.segment(self.received, n)
            self.take(self.received, self.received + n)
        elif how < 0.85:
            at = self.received + self.random.choice([1000, 2000, 3000])
            self.segment(at, n)
            self.islands.add((at, at + n))
        elif self.received >= n:
            self.segment(self.received - n, n)

    def take(self, left: int, right: int) -> None:
        """[left, right) came in order; islands that it reaches are in order, too."""
        self.unread += right - left
        self.received = right
        for island in sorted(self.islands):
            if island[0] <= self.received:
                self.islands.discard(island)
                self.unread += max(island[1] - self.received, 0)
                self.received = max(self.received, island[1])

    def without_answers(self) -> str:
        body = "\n".join(text for _, text in self.lines)
        return f"{self.opening}{body}\n{self.now + 0.9:.3f} `true`\n"

    def with_answers(self, sent: list[tuple[float, str]]) -> str:
        """The script, with what the kernel sent and when."""
        times = [(time, time - 0.001) for time, _ in self.lines]
        merged = [(time, time, time, text) for time, text in self.lines]
        for time, text in sent:
            before, low = max([(0.0, 0.0), *(t for t in times if t[0] <= time + 0.0005)])
            if time - before >= 0.004:  # a timer's; what leaves with it is as early
                low = time - max(LATE, 0.14 * (time - before))
            merged.append((time + 0.0004, low, time + 0.005, f"> {text}"))
            times.append((time, low))
        lines = []
        last = 0.0
        for _, low, high, text in sorted(merged, key=lambda line: line[0]):
            last = max(low, last)
            if text.startswith(">"):
                text = f"{last:.6f}~{max(high, last):.6f} {text}"
            lines.append(text)
        return (
            f"// profiles: {PROFILE}\n// Seed {self.seed}.\n{self.opening}"
            + "\n".join(lines)
            + "\n"
        )


class Recorder(player.KernelPlayer):
    """Keeps what the kernel sent behind the script's own lines."""

    recorded: tuple[tuple[float, str], ...] | list[tuple[float, str]] = ()

    def _finish(self) -> None:
        self.world.settle()
        space = self.under.space()
        found = [read(ns - self.begin, data) for ns, data in self.world.wire]
        self.recorded = [(s.time / 1e9, match.show_live(s, space)) for s in found]
        self.calls.close_all()
        self.world.close()


def record(wild: Wild) -> list[tuple[float, str]] | str:
    """What the kernel sends; or why that is not known. In a process of its own, as `run.begin` does it."""
    taken, given = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            world.die_with_parent()
            script = parse(wild.without_answers(), f"{wild.seed}.pkt", profile=PROFILE)
            world.enter()
            recorder = Recorder(script, {})
            verdict = recorder.verdict()
            answer = pickle.dumps(recorder.recorded if verdict.passed else str(verdict))
            with os.fdopen(given, "wb") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(given)
    with os.fdopen(taken, "rb") as pipe:
        octets = pipe.read()
    os.waitpid(pid, 0)
    answer: list[tuple[float, str]] | str = pickle.loads(octets) if octets else "the process died"
    return answer


def judged(wild: Wild, sent: list[tuple[float, str]], keep: Path | None) -> Verdict:
    """What pystack says to the script with the kernel's packets, which is kept."""
    text = wild.with_answers(sent)
    if keep is not None:
        (keep / f"{wild.seed}.pkt").write_text(text)
    return play(parse(text, f"{wild.seed}.pkt", profile=PROFILE), profile=PROFILE)


def compare(kind: type[Wild], first: int, last: int, keep: Path | None) -> int:
    """Exit status 1 if pystack differs anywhere."""
    wilds = [kind(seed) for seed in range(first, last)]
    differ = 0
    with ThreadPoolExecutor(6) as pool:
        for wild, sent in zip(wilds, pool.map(record, wilds), strict=True):
            if isinstance(sent, str):
                print(f"{wild.seed}: the kernel: {sent}")
                continue
            verdict = judged(wild, sent, keep)
            for _ in range(1, TRIES):
                if verdict.passed or isinstance(sent := record(wild), str):
                    break
                verdict = judged(wild, sent, keep)
            if not verdict.passed:
                differ += 1
                print(verdict, flush=True)
    print(f"{differ} of {len(wilds)} differ")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(
        compare(
            Wild, int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None
        )
    )
