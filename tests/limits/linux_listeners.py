"""Plays the recorded experiments with a listener of a Linux kernel on linux-6: raw segments, one peer."""

import json
import re
from itertools import groupby

from limits.linux_kit import counted
from tcp.peer import Machine, Peer

from pystack._fast import consts, opening
from pystack.kernlog import KernelLog
from pystack.views.counters import nstat
from pystack.views.table import tcp_sockets

OURS = (10 << 24) | (9 << 16) | (6 << 8) | 1


class Flood:
    """A listener of 10.9.6.1 and raw clients, one port each."""

    def __init__(self, settings: dict[str, int], port: int):
        knobs = {k: v for k, v in settings.items() if k != "listen_backlog"}
        self.m = Machine("linux-6", **knobs)
        self.m.core.interfaces[0].addr = OURS
        messages = self.m.sysctl.profile.messages
        self.log = KernelLog(self.m.core, self.m.sysctl, messages, False, lambda: self.m.now)
        self.listener = self.m.socket()
        assert self.m.call(opening.tcp_bind, self.listener, OURS, port) == 0
        assert self.m.call(opening.tcp_listen, self.listener, settings["listen_backlog"]) == 0
        self.port = port
        self.peers: list[Peer] = []

    def peer(self, i: int) -> Peer:
        while len(self.peers) <= i:
            p = self.m.peer(10000 + len(self.peers), self.port)
            p.dst = OURS
            self.peers.append(p)
        return self.peers[i]

    def answer(self, p: Peer) -> str:
        """What came back, in the records' words."""
        if not p.inbox:
            return "nothing"
        s = p.inbox.popleft()
        assert not p.inbox
        if s.flags & 0x3F == 0x12:
            return "SYN/ACK"
        assert s.flags & 0x3F == 0x04
        assert s.seq == (p.their_isn + 1) & 0xFFFFFFFF
        return "RST seq=syn/ack+1"

    def syn(self, i: int) -> str:
        p = self.peer(i)
        p.send("S 0:0(0) win 64240 <mss 1460>")
        return self.answer(p)

    def ack(self, i: int) -> str:
        p = self.peer(i)
        p.send(". 1:1(0) ack 1 win 64240")
        return self.answer(p)

    def socket(self) -> list[str]:
        row = next(s for s in tcp_sockets(self.m.core, self.m.now) if s.state == consts.LISTEN)
        return [f"LISTEN {row.qlen} {row.backlog} 10.9.6.1:{row.lport} 0.0.0.0:*"]

    def states(self, *names: str) -> dict[str, int]:
        found = dict.fromkeys(names, 0)
        for s in tcp_sockets(self.m.core, self.m.now):
            if s.state == consts.ESTABLISHED and "established" in found:
                found["established"] += 1
            if s.state == consts.SYN_RECEIVED and "syn_recv" in found:
                found["syn_recv"] += 1
        return found

    def look(self, like: dict) -> dict:
        """The socket, the counters and the states that a record looked at here."""
        out = {"listen_socket": self.socket(), "nstat": counted(self.m.core)}
        return out | self.states(*(k for k in ("syn_recv", "established") if k in like))


def run_lengths(answers: list[str]) -> list[list]:
    return [[len(list(same)), what] for what, same in groupby(answers)]


def listen(record: dict) -> dict:
    """listen_N_serial, listen_N_parallel…, syn_queue…, cookie_handshake…"""
    want = record["observations"]
    port = int(re.search(r"10\.9\.6\.1:(\d+)", json.dumps(want))[1])
    flood = Flood(record["settings"], port)
    number = int(re.match(r"\d+", record["steps"][0])[0])
    out: dict = {}
    if "each_syn_then_its_ack" in want:
        pairs = []
        for i in range(number):
            first = flood.syn(i)
            pairs.append([first, flood.ack(i) if first == "SYN/ACK" else None])
        if isinstance(want["each_syn_then_its_ack"], dict):
            answered = [i for i, (first, _) in enumerate(pairs, 1) if first == "SYN/ACK"]
            pairs = {"answered": len(answered), "first_unanswered": answered[-1] + 1}
        return {"each_syn_then_its_ack": pairs, **flood.look(want), "dmesg": flood.log.lines()}
    answers = [flood.syn(i) for i in range(number)]
    lengths = isinstance(want["reply_to_each_syn"][0], list)
    out["reply_to_each_syn"] = run_lengths(answers) if lengths else answers
    out["then"] = flood.look(want["then"])
    if "reply_to_each_final_ack" in want:
        out["reply_to_each_final_ack"] = [
            flood.ack(i) if answers[i] == "SYN/ACK" else None for i in range(number)
        ]
        out["after_acks"] = flood.look(want["after_acks"])
        flood.m.run(4)
        out["sent_by_server_in_next_seconds"] = [flood.answer(p) for p in flood.peers if p.inbox]
    out["dmesg"] = flood.log.lines()
    return out


def accept_queue(record: dict) -> dict:
    """accept_queue_overflow_…: one handshake more than there is room for."""
    want, settings = record["observations"], record["settings"]
    last = settings["listen_backlog"] + 1
    flood = Flood(settings | {"somaxconn": 4096, "tcp_max_syn_backlog": 2048}, 90)
    events = [[f"SYN {i}", flood.syn(i)] for i in range(last)]
    events.append(["ACK 0", flood.ack(0)])
    events.append([f"SYN {last}", flood.syn(last)])
    taken = events[-1][1] == "SYN/ACK"
    if taken:
        events += [[f"ACK {i}", flood.ack(i)] for i in range(1, last + 1)]
    out: dict = {"events": events, "nstat": counted(flood.m.core)}
    out["recv_q_send_q"] = flood.socket()[0].split()[1:3]
    out |= flood.states("established", "syn_recv")
    begin = flood.m.now
    flood.m.run(3.5)
    out["sent_by_server_meanwhile"] = [
        [round((s.time - begin) / 1e9, 1), i, "SYN/ACK"]
        for i, p in enumerate(flood.peers)
        for s in p.inbox
    ]
    flood.m.close(flood.m.accept(flood.listener))
    if taken and not settings["tcp_abort_on_overflow"]:
        flood.peer(last).send("P. 1:11(10) ack 1 win 64240")
    out["passive_opens_at_end"] = nstat(flood.m.core)["TcpPassiveOpens"]
    return {k: v for k, v in out.items() if k in want}
