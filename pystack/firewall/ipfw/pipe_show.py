"""`pipe | queue | sched show` (sbin/ipfw/dummynet.c: list_pipes)."""

from __future__ import annotations

from typing import Any

from pystack._fast.ipfw_codel import FlowSet
from pystack._fast.ipfw_kinds import FIFO, FQ_CODEL, NO_MASK, RR, WF2Q
from pystack.addresses import dotted
from pystack.firewall.ipfw.cnumbers import strtol
from pystack.firewall.ipfw.run import Run
from pystack.firewall.ipfw.words import Words

TYPES = {"fifo": FIFO, "wf2q+": WF2Q, "rr": RR, "fq_codel": FQ_CODEL}
"""Names of schedulers."""
LOST = 0x7FFFFFFF
"""Of so many packets how many are lost is what a `plr` is kept as."""
US = 1_000
MS = 1_000_000
_TYPE_NAMES = {number: name.upper() for name, number in TYPES.items()}


def show(run: Run, kind: str, words: Words, net: Any) -> None:
    """`pipe|queue|sched [N ...] show`."""
    wanted = {strtol(word)[0] for word in words.rest()}
    if kind == "queue":
        for number in sorted(net.sets):
            if not wanted or number in wanted:
                _show_queue(run, net, number)
        return
    for number in sorted(net.pipes):
        if wanted and number not in wanted:
            continue
        pipe = net.pipes[number]
        run.say(
            f"{number:05d}: {_rate(pipe.rate)} {pipe.delay // MS:4d} ms burst {pipe.burst // 8}"
        )
        if kind == "pipe":
            _show_pipe(run, pipe)
        else:
            _show_sched(run, pipe, [n for n in sorted(net.sets) if net.sets[n].pipe == number])


def _show_queue(run: Run, net: Any, number: int) -> None:
    fs = net.sets[number]
    pipe = net.pipes.get(fs.pipe)
    lines = [] if pipe is None else pipe.queue_lines.values()
    flows = [
        (flow.key, flow) for line in lines for flow in line.flows.values() if flow.flowset is fs
    ]
    _set_line(run, fs, number, fs.pipe, fs.weight, len(flows), fs.buckets)
    _mask_line(run, fs.mask)
    _flow_lines(run, flows)


def _show_pipe(run: Run, pipe: Any) -> None:
    """A pipe is a scheduler that has one queue for each flow that its mask tells apart."""
    number = pipe.number
    _set_line(run, pipe.own, number + 131072, number + 65536, 0, 0, 1)
    _sched_line(run, number + 65536, "FIFO", pipe.mask, pipe.own.buckets, pipe.lines)
    flows = [(key, flow) for key, line in pipe.lines.items() for flow in line.flows.values()]
    _flow_lines(run, flows)


def _show_sched(run: Run, pipe: Any, children: list[int]) -> None:
    """The scheduler of a pipe's queues, which has a set of queues of its own that nothing uses."""
    number, name = pipe.number, _TYPE_NAMES[pipe.kind]
    _set_line(run, FlowSet(number), number + 65536, number, 0, 0, 1)
    more = f"\n {name} {_fair_text(pipe.fair)}" if pipe.kind == FQ_CODEL else ""
    _sched_line(run, number, name, pipe.queue_mask, pipe.queue_buckets, pipe.queue_lines, more)
    if children:
        run.say(f"   Children flowsets: {' '.join(map(str, children))} ")
    if pipe.kind == FQ_CODEL:
        every = [(key, line.sched.all) for key, line in pipe.queue_lines.items()]
        _flow_lines(run, every)


def _rate(rate: int) -> str:
    if rate == 0:
        return "unlimited     "
    if rate >= 1_000_000:
        return f"{rate / 1e6:7.3f} Mbit/s"
    return f"{rate / 1e3:7.3f} Kbit/s" if rate >= 1000 else f"{float(rate):7.3f} bit/s "


def _set_line(
    run: Run, fs: Any, number: int, sched: int, weight: int, flows: int, buckets: int
) -> None:
    size = f"{fs.slots:3d} sl."
    if fs.octets:
        size = f"{fs.octets // 1024} KB" if fs.octets >= 8192 else f"{fs.octets} B"
    loss = f"plr {fs.plr / LOST:f}" if fs.plr else ""
    drops = "droptail" if fs.codel is None else f" AQM CoDel {_codel_text(fs.codel)}"
    run.say(
        f"q{number:05d} {size}{loss} {flows} flows ({buckets} buckets) sched {sched} "
        f"weight {weight} lmax 0 pri 0 {drops}"
    )


def _sched_line(
    run: Run,
    number: int,
    name: str,
    mask: tuple[int, ...],
    buckets: int,
    lines: dict[Any, Any],
    more: str = "",
) -> None:
    flags, buckets = (0, 0) if mask == NO_MASK else (1, buckets)
    run.say(
        f" sched {number} type {name} flags 0x{flags:x} {buckets} buckets {len(lines)} active{more}"
    )
    _mask_line(run, mask)


def _flow_lines(run: Run, flows: list[tuple[tuple[int, ...], Any]]) -> None:
    """Queues with what tells them apart."""
    if flows:
        run.say("BKT Prot ___Source IP/port____ ____Dest. IP/port____ Tot_pkt/bytes Pkt/Byte Drp")
    for n, (key, flow) in enumerate(flows):
        proto, src, sport, dst, dport = key
        name = run.names.protocol_name(proto) or (str(proto) if proto else "ip")
        run.say(
            f"{n & 0xFF:3d} {name:<4s} {dotted(src):>15s}/{sport:<5d} {dotted(dst):>15s}/{dport:<5d} "
            f"{flow.total:4d} {flow.total_octets:8d} {flow.packets:2d} "
            f"{flow.octets:4d} {flow.dropped:3d}"
        )


def _mask_line(run: Run, mask: tuple[int, ...]) -> None:
    if mask != NO_MASK:
        proto, src, sport, dst, dport = mask
        run.say(f"    mask:  0x{proto:02x} 0x{src:08x}/0x{sport:04x} -> 0x{dst:08x}/0x{dport:04x}")


def _time_text(span: int) -> str:
    us = span // US
    if us < 1000:
        return f"{us}us"
    return f"{us / 1000:g}ms" if us < 1_000_000 else f"{us / 1_000_000:g}s"


def _codel_text(codel: Any) -> str:
    times = f"target {_time_text(codel.target)} interval {_time_text(codel.interval)}"
    return f"{times} {'ECN' if codel.ecn else 'NoECN'}"


def _fair_text(fair: Any) -> str:
    times, _, ecn = _codel_text(fair.codel).rpartition(" ")
    return f"{times} quantum {fair.quantum} limit {fair.limit} flows {fair.flows} {ecn}"
