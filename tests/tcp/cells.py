"""State by event: how a state is reached, what an event looks like, and a script for each pair.

`states/table.txt` says what each system answers to each event in each state; the Linux column was observed on a
running 6.18, over a tun device with the same steps, the FreeBSD column follows netinet/tcp_input.c of 14. This file
says how a state is reached and what an event looks like. A cell is a script of its own: a connection is opened and
brought into the state, the event comes, the answers must come and no others, and a last question, whose answer shows
where the connection stands, proves that nothing else happened.

R, U, N are RCV.NXT, SND.UNA, SND.NXT of the state in script numbers, W the window of the system.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SYSTEMS = {"linux": "linux-6", "freebsd": "freebsd-14"}
WINDOW = {"linux": 64240, "freebsd": 65700}
M32 = 2**32
WIN = "win 32792"
SYN_OPTIONS = {
    "linux": "mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 10",
    "freebsd": "mss 1460,nop,wscale 6,sackOK,TS val 100 ecr 0",
}

NUMBERS = {
    "linux": "CLOSED 7 LISTEN 10 SYN_SENT 2 SYN_RCVD 3 ESTABLISHED 1 CLOSE_WAIT 8 FIN_WAIT_1 4 "
    "CLOSING 11 LAST_ACK 9 FIN_WAIT_2 5 TIME_WAIT 6",
    "freebsd": "CLOSED 0 LISTEN 1 SYN_SENT 2 SYN_RCVD 3 ESTABLISHED 4 CLOSE_WAIT 5 FIN_WAIT_1 6 "
    "CLOSING 7 LAST_ACK 8 FIN_WAIT_2 9 TIME_WAIT 10",
}
"""What TCP_INFO calls the states."""


# --- how a state is reached -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """A state, or a kind of it: its script, its numbers, the timestamp that would be echoed."""

    name: str
    title: str
    steps: tuple[str, ...]
    rcv: int
    una: int
    nxt: int
    held: bool = True
    """Does the application hold descriptor 4 of it?"""
    recent: int = 0


def stamp(ts: bool, value: int) -> str:
    return f" <nop,nop,TS val {value} ecr 100>" if ts else ""


def offer(ts: bool) -> str:
    return "<mss 1460,sackOK,TS val 100 ecr 0>" if ts else "<mss 1460,nop,nop,sackOK>"


LISTENER = (
    "socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
    "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0",
    "bind(3, ..., ...) = 0",
    "fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
    "listen(3, 5) = 0",
)
CLIENT = (
    "socket(..., SOCK_STREAM, IPPROTO_TCP) = 4",
    "fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
)
CONNECT = (*CLIENT, "connect(4, ..., ...) = -1 EINPROGRESS (now in progress)")


def states(ts: bool, data: bool = False) -> dict[str, State]:
    """Every state with timestamps or without; with `data`, ten octets were received and read before."""
    r = 11 if data else 1

    def seg(line: str, value: int) -> str:
        return f"< {line} {WIN}{stamp(ts, value)}"

    half = (*LISTENER, f"< S 0:0(0) {WIN} {offer(ts)}", "> S. 0:0(0) ack 1")
    opened = (
        *half, seg(". 1:1(0) ack 1", 110), "accept(3, ..., ...) = 4",
        "fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
    )  # fmt: skip
    if data:
        opened += (seg("P. 1:11(10) ack 1", 120), "> . 1:1(0) ack 11", "read(4, ..., 100) = 10")
    last = 120 if data else 110
    wait = (*opened, seg(f"F. {r}:{r}(0) ack 1", 130), f"> . 1:1(0) ack {r + 1}")
    out = {}

    def add(name: str, title: str, *rest: object, **more: object) -> None:
        out[name] = State(name, title, *rest, **more)  # type: ignore[arg-type]

    if not data:
        add("CLOSED", "CLOSED", LISTENER[:3], 0, 0, 0, False)
        add("LISTEN", "LISTEN", LISTENER, 0, 0, 0, False)
        add("SYN_SENT", "SYN_SENT", (*CONNECT, "> S 0:0(0)"), 0, 0, 1)
        add("SYN_RCVD", "SYN_RCVD of a listener", half, 1, 0, 1, False, 100)
        both = (*CONNECT, "> S 0:0(0)", f"< S 0:0(0) {WIN} {offer(ts)}", "> S. 0:0(0) ack 1")
        add("SYN_RCVD-both", "SYN_RCVD of a simultaneous open", both, 1, 0, 1, True, 100)
    add("ESTABLISHED", "ESTABLISHED", opened, r, 1, 1, True, last)
    add("CLOSE_WAIT", "CLOSE_WAIT", wait, r + 1, 1, 1, True, 130)
    for suffix, words, act in (
        ("", "", "shutdown(4, SHUT_WR) = 0"),
        ("-orphan", ", application gone", "close(4) = 0"),
    ):
        held = not suffix
        first = (*opened, act, f"> F. 1:1(0) ack {r}")
        second = (*first, seg(f". {r}:{r}(0) ack 2", 130))
        add("FIN_WAIT_1" + suffix, "FIN_WAIT_1" + words, first, r, 1, 2, held, last)
        add("FIN_WAIT_2" + suffix, "FIN_WAIT_2" + words, second, r, 2, 2, held, 130)
        closing = (*first, seg(f"F. {r}:{r}(0) ack 1", 130), f"> . 2:2(0) ack {r + 1}")
        add("CLOSING" + suffix, "CLOSING" + words, closing, r + 1, 1, 2, held, 130)
        lastack = (*wait, act, f"> F. 1:1(0) ack {r + 1}")
        add("LAST_ACK" + suffix, "LAST_ACK" + words, lastack, r + 1, 1, 2, held, 130)
        if suffix:
            done = (*second, seg(f"F. {r}:{r}(0) ack 2", 140), f"> . 2:2(0) ack {r + 1}")
            add("TIME_WAIT", "TIME_WAIT", done, r + 1, 2, 2, False, 140)
        elif not data:
            both = (*second, seg(f"F. {r}:{r}(0) ack 2", 140), f"> . 2:2(0) ack {r + 1}")
            add("TIME_WAIT-held", "TIME_WAIT, descriptor open", both, r + 1, 2, 2, True, 140)
    return out


# --- what may happen --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """Something that comes from the network or from the application."""

    name: str
    group: str
    title: str
    lines: tuple[str, ...]
    data: bool = False
    """Does it need octets that were received before?"""
    val: int | None = 200
    """Its timestamp, where there are timestamps; None for none."""
    only_ts: bool = False


def events() -> dict[str, Event]:
    out: dict[str, Event] = {}

    def add(name: str, group: str, title: str, *lines: str, **more: object) -> None:
        out[name] = Event(name, group, title, lines, **more)  # type: ignore[arg-type]

    def seg(name: str, group: str, title: str, line: str, **more: object) -> None:
        add(name, group, title, f"< {line} {WIN}", **more)

    seg("syn-again", "syn", "the SYN that opened it", "S {0}:{0}(0)")
    seg("syn-next", "syn", "SYN at RCV.NXT", "S {R}:{R}(0)")
    seg("syn-window", "syn", "SYN in the window", "S {R+100}:{R+100}(0)")
    seg("syn-beyond", "syn", "SYN beyond the window", "S {R+100000}:{R+100000}(0)")
    seg("synack-again", "syn", "SYN-ACK with the first number", "S. {0}:{0}(0) ack {N or 1}")
    seg("synack-window", "syn", "SYN-ACK in the window", "S. {R+100}:{R+100}(0) ack {U}")
    seg("syn-fin", "syn", "SYN and FIN", "SF {R}:{R}(0)")
    seg("ack-same", "ack", "ACK of SND.UNA", ". {R}:{R}(0) ack {U}")
    seg("ack-new", "ack", "ACK of SND.NXT", ". {R}:{R}(0) ack {N}")
    seg("ack-old", "ack", "ACK below SND.UNA", ". {R}:{R}(0) ack {U-1}")
    seg("ack-ancient", "ack", "ACK below SND.UNA - MAX.SND.WND", ". {R}:{R}(0) ack {U-40000}")
    seg("ack-unsent", "ack", "ACK above SND.NXT", ". {R}:{R}(0) ack {N+1000}")
    seg("probe", "ack", "ACK at RCV.NXT - 1, a keep-alive", ". {R-1}:{R-1}(0) ack {U}")
    seg("old-ack-same", "ack", "ACK left of the window", ". {R-10}:{R-10}(0) ack {U}", data=True)
    seg(
        "old-ack-new", "ack", "ACK left of the window, new", ". {R-10}:{R-10}(0) ack {N}", data=True
    )
    seg("far-ack", "ack", "ACK beyond the window", ". {R+100000}:{R+100000}(0) ack {U}")
    seg("no-flags", "ack", "no flag at all", "- {R}:{R}(0)")
    seg("fin", "fin", "FIN", "F. {R}:{R}(0) ack {U}")
    seg("fin-acks", "fin", "FIN that acknowledges all", "F. {R}:{R}(0) ack {N}")
    seg("fin-hole", "fin", "FIN beyond a hole", "F. {R+10}:{R+10}(0) ack {U}")
    seg("fin-old", "fin", "FIN at RCV.NXT - 1", "F. {R-1}:{R-1}(0) ack {U}")
    seg("fin-beyond", "fin", "FIN beyond the window", "F. {R+100000}:{R+100000}(0) ack {U}")
    seg("fin-no-ack", "fin", "FIN without ACK", "F {R}:{R}(0)")
    seg("rst-next", "rst", "RST at RCV.NXT", "R {R}:{R}(0)")
    seg("rst-window", "rst", "RST in the window", "R {R+100}:{R+100}(0)")
    seg("rst-old", "rst", "RST at RCV.NXT - 1", "R {R-1}:{R-1}(0)")
    seg("rst-beyond", "rst", "RST beyond the window", "R {R+100000}:{R+100000}(0)")
    seg("rst-ack", "rst", "RST with ACK, at RCV.NXT", "R. {R}:{R}(0) ack {N}")
    seg("rst-bad-ack", "rst", "RST with a bad ACK, at RCV.NXT", "R. {R}:{R}(0) ack {N+1000}")
    seg("data", "data", "data in order", "P. {R}:{R+10}(10) ack {U}")
    seg("data-before", "data", "data that came before", "P. {R-10}:{R}(10) ack {U}", data=True)
    seg("data-left", "data", "data over the left edge", "P. {R-5}:{R+5}(10) ack {U}", data=True)
    seg("data-right", "data", "data over the right edge", "P. {R+W-5}:{R+W+5}(10) ack {U}")
    seg("data-hole", "data", "data beyond a hole", "P. {R+10}:{R+20}(10) ack {U}")
    seg("data-beyond", "data", "data beyond the window", "P. {R+100000}:{R+100010}(10) ack {U}")
    seg("data-unsent", "data", "data with ACK above SND.NXT", "P. {R}:{R+10}(10) ack {N+1000}")
    seg("data-ancient", "data", "data with an ancient ACK", "P. {R}:{R+10}(10) ack {U-40000}")
    seg("data-fin", "data", "data and FIN", "FP. {R}:{R+10}(10) ack {U}")
    seg("data-no-ack", "data", "data without ACK", "P {R}:{R+10}(10)")
    seg("old-no-ack", "data", "old data without ACK", "P {R-5}:{R}(5)", data=True)
    add("urgent", "data", "urgent data", f"< PU. {{R}}:{{R+10}}(10) ack {{U}} {WIN} urg 10")
    ts = {"only_ts": True}
    seg("paws-data", "ts", "data, old timestamp", "P. {R}:{R+10}(10) ack {U}", val=50, **ts)
    seg("paws-ack", "ts", "ACK, old timestamp", ". {R}:{R}(0) ack {N}", val=50, **ts)
    seg("paws-fin", "ts", "FIN, old timestamp", "F. {R}:{R}(0) ack {U}", val=50, **ts)
    seg("paws-rst", "ts", "RST, old timestamp", "R {R}:{R}(0)", val=50, **ts)
    seg("bare-data", "ts", "data without timestamp", "P. {R}:{R+10}(10) ack {U}", val=None, **ts)
    seg("bare-ack", "ts", "ACK without timestamp", ". {R}:{R}(0) ack {N}", val=None, **ts)
    seg("bare-rst", "ts", "RST without timestamp", "R {R}:{R}(0)", val=None, **ts)
    seg("bare-syn", "ts", "SYN without timestamp", "S {R+100}:{R+100}(0)", val=None, **ts)
    linger = "setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=%d}, 8)"
    add("connect", "call", "connect", "connect(4, ..., ...)")
    add("listen", "call", "listen", "listen(4, 5)")
    add("accept", "call", "accept", "accept(4, ..., ...)")
    add("shutdown-read", "call", "shutdown(SHUT_RD)", "shutdown(4, SHUT_RD)", "read(4, ..., 100)")
    add("shutdown-write", "call", "shutdown(SHUT_WR)", "shutdown(4, SHUT_WR)", "write(4, ..., 100)")
    add("shutdown-both", "call", "shutdown(SHUT_RDWR)", "shutdown(4, SHUT_RDWR)")
    add("send", "call", "send", "write(4, ..., 100)")
    add("receive", "call", "receive", "read(4, ..., 100)")
    add("so-error", "call", "SO_ERROR", "SO_ERROR")
    add("close", "call", "close", "close(4)")
    add("linger-zero", "call", "SO_LINGER 0, close", linger % 0, "close(4)")
    add(
        "close-unread", "call", "close with unread data",
        f"< P. {{R}}:{{R+10}}(10) ack {{U}} {WIN}", "> ?", "close(4)",
    )  # fmt: skip
    return out


UNREAD = ("ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2")
"""Where data can still come in order, so that there can be some that was not read."""


def possible(state: str, event: Event) -> bool:
    """Can the event happen there? Where there is no descriptor of the connection, no call can."""
    if state == "TIME_WAIT-held" and event.group != "call":
        return False  # as in TIME_WAIT
    if event.group == "call":
        if state == "SYN_RCVD":
            return event.name in ("accept", "close")
        if state == "TIME_WAIT" or state.endswith("-orphan"):
            return False
        return event.name != "close-unread" or state in UNREAD
    return not (
        event.data and state in ("CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "SYN_RCVD-both")
    )


# --- a cell's script --------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """One cell for one system, with timestamps or without."""

    state: State
    event: Event
    ts: bool
    system: str
    outcome: list[str] = field(default_factory=list)

    def fill(self, line: str) -> str:
        """A line of the event or the last question, with the numbers of the state."""
        s = self.state
        names = {"R": s.rcv, "U": s.una, "N": s.nxt, "W": WINDOW[self.system]}

        def number(match: re.Match[str]) -> str:
            text = match[1]
            if text == "0":
                return "0"
            if text == "N or 1":
                return str(s.nxt or 1)
            sign = -1 if "-" in text.replace("W-", "W~") else 1
            total = 0
            for part in re.findall(r"[+~-]?[^+~-]+", text):
                value = names.get(part.lstrip("+~-"))
                value = int(part.lstrip("+~-")) if value is None else value
                total += -value if part[0] in "~-" else value
            assert sign
            return str(total % M32)

        return re.sub(r"\{([^{}]*)\}", number, line) if "onoff" not in line else line

    def steps(self) -> list[str]:
        """What comes before the event."""
        if self.event.group == "call":
            if self.state.name == "CLOSED":
                return list(CLIENT)
            if self.state.name == "LISTEN":
                return [re.sub(r"\(3|= 3$", lambda m: m[0].replace("3", "4"), x) for x in LISTENER]
        if self.repeats_fin() and self.state.name.startswith("CLOSING"):
            return [line.replace("> . 2:2(0)", "> F. 1:1(0)") for line in self.state.steps]
        return list(self.state.steps)

    def repeats_fin(self) -> bool:
        """Does each acknowledgment of this state say FIN again, as FreeBSD's does until ours is acknowledged?"""
        return self.system == "freebsd" and self.state.name.startswith(
            ("FIN_WAIT_1", "CLOSING", "LAST_ACK")
        )

    def event_lines(self) -> list[str]:
        """The event, ready to be played; calls without their results."""
        out = []
        for line in self.event.lines:
            line = self.fill(line)
            if self.state.name == "SYN_RCVD":  # the application has nothing but the listener
                line = line.replace("(4", "(3")
            if line.startswith("< "):
                if self.event.group == "call":
                    line += stamp(self.ts, 150)
                elif re.match(r"< S", line):
                    val = self.event.val if self.ts else None
                    line += (
                        " <mss 1460>"
                        if val is None
                        else f" <mss 1460,nop,nop,TS val {val} ecr 100>"
                    )
                elif self.ts and self.event.val is not None:
                    line += stamp(True, self.event.val)
            if line.startswith("< ") and "." not in line.split()[1]:
                line = line.replace("ecr 100>", "ecr 0>")  # no ACK, no echo
            if self.state.name in ("CLOSED", "LISTEN"):  # nothing of theirs can be echoed
                line = line.replace("ecr 100>", "ecr 100!>")
            out.append(line)
        return out

    def question(self) -> list[str]:
        """The last question: its answer, or that there is none, shows where the connection stands."""
        name = self.state.name
        if name == "CLOSED":
            return [] if self.event.group == "call" else [f"< . 1:1(0) ack 1 {WIN}"]
        if name == "LISTEN":
            return [f"< S 0:0(0) {WIN} <mss 1460>"]
        if name == "SYN_SENT":
            return [f"< S. 0:0(0) ack 1 {WIN} {offer(self.ts).replace('ecr 0', 'ecr 100')}"]
        if name == "SYN_RCVD":
            third = f"< . 1:1(0) ack 1 {WIN}{stamp(self.ts, 300)}"
            return [third] if self.event.name == "close" else [third, "accept(3, ..., ...)"]
        return [
            self.fill(f"< F. {{R+100000}}:{{R+100000}}(0) ack {{N}} {WIN}") + stamp(self.ts, 300)
        ]

    def asks_state(self) -> bool:
        """Is there a descriptor 4 to ask for its state afterwards?"""
        closes = any(line.startswith("close(4)") for line in self.event.lines)
        calls = self.event.group == "call" and not closes and self.state.name != "SYN_RCVD"
        return calls or (self.state.held and not closes)

    def packet(self, text: str) -> str:
        """An expected packet of the table as a script has it."""
        wait, _, text = text.rpartition("> ")
        text = "> " + text
        when = wait.strip() or "+0"
        sack = re.search(r" sack ([\d: ]*\d)", text)
        echo = re.search(r" ecr (\d+)", text)
        options = []
        value = int(echo[1]) if echo else 200 if text.endswith(" ^") else self.state.recent
        if self.ts and not text.endswith(" bare"):
            options.append(f"nop,nop,TS val 1 ecr {value}")
        if sack:
            options.append(f"nop,nop,sack {sack[1]}")
        base = re.sub(r"( bare| \^| ecr \d+| sack [\d: ]*\d)+$", "", text)
        end = " <...>" if base.startswith("> S") else f" <{','.join(options)}>" if options else ""
        return f"{when} {base}{end}"

    def options(self, line: str) -> str:
        """The options of a packet that is expected on the way into the state."""
        if line == "> S 0:0(0)":
            return f" <{SYN_OPTIONS[self.system]}>"
        if line == "> S. 0:0(0) ack 1" and self.ts and self.state.name != "SYN_RCVD-both":
            return " <mss 1460,sackOK,TS val 100 ecr 100>"
        return " <...>" if line.startswith("> ") else ""

    def script(self) -> list[str]:
        """The cell as lines of a script."""
        out = [
            f"{'* ' if line.startswith('> . ') else '+0'} {line}{self.options(line)}"
            for line in self.steps()
        ]
        left = list(self.outcome)
        opened = (re.search(r"\) = ([34])$", line) for line in self.steps())
        descriptors = {int(m[1]) for m in opened if m}
        if "close(4) = 0" in self.steps():
            descriptors.discard(4)
        for line in self.event_lines():
            if line == "> ?":
                at = self.state.nxt - self.repeats_fin()
                flags = "F." if self.repeats_fin() else "."
                out.append(f"*  > {flags} {at}:{at}(0) ack {self.state.rcv + 10} <...>")
            elif line.startswith("< "):
                out.append("+0 " + line)
            elif line.startswith("setsockopt"):
                out.append(f"+0 {line} = 0")
            elif line == "SO_ERROR":
                error = left.pop(0).removeprefix("= ")
                out.append(f"+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [{error}], [4]) = 0")
            else:
                result = left.pop(0)
                assert result.startswith("= "), (self, line, result)
                if line.startswith("close"):
                    descriptors.discard(int(line[6]))
                out.append(f"+0 {line} {result}")
        questions = self.question()
        for item in left:
            if item.startswith(": "):
                state, _, error = item[2:].partition(" ")
                out.append(f"+0 %{{ assert tcpi_state == {state}, tcpi_state }}%")
                out.append(f"+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [{error or 0}], [4]) = 0")
            elif item.startswith("?"):
                question = questions.pop(0)
                answers = item[1:].strip()
                if question.startswith("< "):
                    out.append("+0 " + question)
                    out += [self.packet("> " + a) for a in answers.split(" + ") if a]
                else:
                    out.append(f"+0 {question} {answers}")
                    if answers == "= 4":
                        descriptors.add(4)
            else:
                out.append(self.packet(item))
        return out + [f"+0 close({n}) = 0" for n in sorted(descriptors, reverse=True)]
