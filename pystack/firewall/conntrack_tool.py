"""The `conntrack` command: its options, its filters and its words.

Source: conntrack(8) of conntrack-tools 1.4.7; facts: conntrack 6.2. `-E` prints the events since listening began; the
words are `conntrack_words`. `--top` and `-o json` are pystack's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from pystack._fast.consts import PROTO_GRE, PROTO_ICMP
from pystack._fast.ct_states import STATE_NAMES
from pystack._fast.nf_consts import (
    HZ,
    IPS_ASSURED,
    IPS_DST_NAT,
    IPS_EXPECTED,
    IPS_FIXED_TIMEOUT,
    IPS_SEEN_REPLY,
    IPS_SRC_NAT,
)
from pystack.firewall import flows
from pystack.firewall.conntrack_words import ANY, HEAD, Asked, ToolError, failed, parse, wrong
from pystack.firewall.flows import Flow

if TYPE_CHECKING:
    from pystack.firewall.conntrack import Conntrack

__all__ = ["HEAD", "Outcome", "ToolError", "changes", "events_since", "run", "shown_events"]

USAGE = """Command line interface for the connection tracking system. Usage: conntrack [commands] [options]

  -L [TABLE] [options]  list     -G options  one flow    -D [options]  delete    -F         flush
  -I, -A options        create   -U [options]  change    -E [options]  events    -C, -S     count, counters
  --top src|dst|sport|dport|rule [--limit N] [options]   who has most flows (pystack's own)

  -s -d -r -q ADDRESS[/PREFIX]   -p PROTOCOL   -m MARK[/MASK]   -u STATUS   -t SECONDS
  -w, --orig-zone, --reply-zone ZONE   -n -g -j [ADDRESS[:PORT]]  translated: source, destination, either
  -z  set the counters of flows to 0 (-L)   -e NEW,UPDATES,DESTROY   -f FAMILY
  -o extended,id,timestamp,ktimestamp,xml,save,userspace, or json (pystack's own)
  -p tcp, udp: --sport --dport --reply-port-src --reply-port-dst   tcp: --state STATE
  -p icmp: --icmp-type --icmp-code --icmp-id   gre: --srckey --dstkey --reply-key-src --reply-key-dst
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the command printed, and how it ended."""

    out: str = ""
    err: str = ""
    status: int = 0


def matches(one: Flow, asked: Asked) -> bool:
    """Is this flow one of those that were asked for?"""
    if asked.family == "ipv6" or asked.secmark:
        return False
    first, back = one.original, one.reply
    for value, network in (
        (first.src, asked.src),
        (first.dst, asked.dst),
        (back.src, asked.reply_src),
        (back.dst, asked.reply_dst),
    ):
        if network is not None and value & network[1] != network[0]:
            return False
    for number, wanted in (
        (one.proto, asked.proto),
        (first.sport, asked.sport),
        (first.dport, asked.dport),
        (back.sport, asked.reply_sport),
        (back.dport, asked.reply_dport),
        (first.kind, asked.icmp_type),
        (first.code, asked.icmp_code),
        (first.sport, asked.icmp_id),
        (0 if first.zone == back.zone else first.zone, asked.orig_zone),
        (0 if first.zone == back.zone else back.zone, asked.reply_zone),
        (flows.identity(one), asked.ident),
    ):
        if wanted is not None and number != wanted:
            return False
    if asked.zone is not None and (first.zone if first.zone == back.zone else 0) != asked.zone:
        return False
    if asked.state is not None and one.state != asked.state:
        return False
    if asked.mark is not None and one.mark & asked.mark[1] != asked.mark[0]:
        return False
    if asked.status is not None:
        bits, unreplied = asked.status
        if one.status & bits != bits or (unreplied and not one.unreplied):
            return False
    return _translated(one, asked)


def _translated(one: Flow, asked: Asked) -> bool:
    """Is it translated as -n, -g or -j want it?"""
    back = one.reply
    source = one.src_nat, back.dst, back.dport
    target = one.dst_nat, back.src, back.sport
    return all(
        any(
            is_so and wanted[0] in (0, value) and wanted[1] in (0, port)
            for is_so, value, port in ends
        )
        for wanted, ends in (
            (asked.src_nat, (source,)),
            (asked.dst_nat, (target,)),
            (asked.any_nat, (source, target)),
        )
        if wanted is not None
    )


def run(conntrack: Conntrack, words: list[str]) -> Outcome:
    """Do what `conntrack words` does."""
    notes = ""
    try:
        asked = parse(words)
        notes = asked.notes
        if asked.top is not None:
            conntrack.present()
            return _top(conntrack, asked)
        if asked.command in ("", "h"):
            return Outcome(USAGE)
        if asked.command == "V":
            return Outcome("conntrack v1.4.7 (conntrack-tools)\n")
        if "save" in asked.output and len(asked.output) > 1:
            raise ToolError(
                f"{HEAD}cannot combine save output with any other output type, use -o save only\n",
                1,
            )
        conntrack.present()
        if asked.table == "expect":
            done = _expectations(asked)
        else:
            if "no status" in asked.given and asked.command in "LD":
                raise failed("invalid parameters")
            done = DOERS[asked.command](conntrack, asked)
        if asked.buffer:
            notes += f"NOTICE: Netlink socket buffer size has been set to {asked.buffer} bytes.\n"
        return Outcome(done.out, notes + done.err, done.status)
    except ToolError as error:
        return Outcome(err=f"{error.notes or notes}{error}\n", status=error.status)


def _expectations(asked: Asked) -> Outcome:
    """The table of what helpers expect: empty, for there are none."""
    if asked.command == "L":
        return Outcome(err=f"{HEAD}0 expectations have been shown.\n")
    if asked.command == "C":
        return Outcome("0\n")
    if asked.command == "F":
        return Outcome(err=f"{HEAD}expectation table has been emptied.\n")
    if asked.command == "E":
        return Outcome(err=f"{HEAD}0 expectation events have been shown.\n")
    if asked.command == "U":
        raise wrong("Can't do --update on expectations")
    raise wrong("nothing is expected here: there are no helpers")


def changes(words: list[str]) -> bool:
    """Would this command line change the table, or begin to listen?"""
    try:
        asked = parse(words)
    except ToolError:
        return False
    return asked.command in set("DIUAFE") or "zero" in asked.given


def _shown(number: int, done: str) -> str:
    return f"{HEAD}{number} flow entries have been {done}.\n"


XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n'


def line_of(
    conntrack: Conntrack, one: Flow, asked: Asked, *, letter: str = "A", use: int = 1
) -> str:
    """A flow in the words of -o."""
    if "xml" in asked.output:
        start_at = None
        if "ktimestamp" in asked.output and one.since is not None:
            start_at = conntrack.host.epoch + one.since
        return flows.as_xml(one, age=conntrack.age(one), start=start_at, use=use) + "\n"
    if "save" in asked.output:
        return flows.save_line(one, letter) + "\n"
    start = ""
    if "ktimestamp" in asked.output and one.since is not None:
        began = time.gmtime((conntrack.host.epoch + one.since) // 10**9)
        start = time.strftime("[start=%a %b %e %H:%M:%S %Y]", began)
    return (
        flows.tool_line(
            one,
            extended="extended" in asked.output,
            with_id="id" in asked.output,
            age=conntrack.age(one),
            start=start,
            use=use,
        )
        + "\n"
    )


def _list(conntrack: Conntrack, asked: Asked) -> Outcome:
    listed = conntrack.flows() if asked.table == "conntrack" else []
    found = [one for one in listed if matches(one, asked)]
    done = _shown(len(found), "shown")
    if "zero" in asked.given:
        for one in found:
            conntrack.zero(one)
    if "json" in asked.output:
        return Outcome(json.dumps([flows.as_dict(one) for one in found], indent=2) + "\n", done)
    text = "".join(line_of(conntrack, one, asked) for one in found)
    if "xml" in asked.output:
        text = f"{XML_HEAD}{text}</conntrack>\n" if found else ""
    return Outcome(text, done)


def _delete(conntrack: Conntrack, asked: Asked) -> Outcome:
    found = [one for one in conntrack.flows() if matches(one, asked)]
    for one in found:
        conntrack.table.kill(one.row)
    lines = "".join(line_of(conntrack, one, asked, letter="D") for one in found)
    return Outcome(lines, _shown(len(found), "deleted"), 0 if found else 1)


def _update(conntrack: Conntrack, asked: Asked) -> Outcome:
    """New marks, timeouts, status bits and states for the flows that match; what is new is no filter."""
    mark, timeout, status, state = asked.mark, asked.timeout, asked.status, asked.state
    asked.mark = asked.status = asked.state = None
    bits = status[0] & _SETTABLE if status is not None else 0

    def differs(one: Flow) -> bool:
        """Is there anything to change?"""
        return (
            (mark is not None and (one.mark & ~mark[1] | mark[0]) != one.mark)
            or (timeout is not None and timeout != one.timeout)
            or bits & ~one.status != 0
            or (state is not None and state != one.state)
        )

    found = [one for one in conntrack.flows() if matches(one, asked) and differs(one)]
    for one in found:
        if mark is not None:
            conntrack.table.set_mark(one.row, mark[0], mark[1])
        if timeout is not None:
            conntrack.table.refresh(one.row, timeout * HZ)
        conntrack.change(one, bits, None if state is None else STATE_NAMES.index(state))
    rows = [flows.flow(conntrack.table, one.row) for one in found]
    lines = "".join(line_of(conntrack, one, asked, letter="U", use=2) for one in rows)
    return Outcome(lines, _shown(len(found), "updated"), 0 if found else 1)


_SETTABLE = IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT


def _create(conntrack: Conntrack, asked: Asked) -> Outcome:
    """-I. The direction that was not given is the other one turned round, or translated (-n, -g)."""
    if asked.zone is not None and (asked.orig_zone is not None or asked.reply_zone is not None):
        raise failed("invalid parameters")
    status = asked.status[0] if asked.status else 0
    if status & IPS_EXPECTED:
        raise failed("Device or resource busy")
    first, back = _ends(asked, back=False), _ends(asked, back=True)
    if first is None and back is None:
        raise failed("invalid parameters")
    if first is None:
        assert back is not None
        first = (back[1], back[0], *_turned(asked, back[2], back[3]))
    if back is None:
        if asked.reply_src is not None or asked.reply_dst is not None:
            raise failed("invalid parameters")
        back = (first[1], first[0], *_turned(asked, first[2], first[3]))
    translated = 0
    if asked.src_nat is not None and asked.src_nat != ANY:
        translated |= IPS_SRC_NAT
        back = (back[0], asked.src_nat[0], back[2], asked.src_nat[1] or back[3])
    if asked.dst_nat is not None and asked.dst_nat != ANY:
        translated |= IPS_DST_NAT
        back = (asked.dst_nat[0], back[1], asked.dst_nat[1] or back[2], back[3])
    both = asked.zone or 0
    zones = (both or asked.orig_zone or 0, both or asked.reply_zone or 0)
    proto = asked.proto or 0
    row = conntrack.table.create(
        first[0] << 32 | first[1],
        first[2] << 48 | first[3] << 32 | proto << 16 | zones[0],
        back[0] << 32 | back[1],
        back[2] << 48 | back[3] << 32 | proto << 16 | zones[1],
        status & _SETTABLE | translated,
        STATE_NAMES.index(asked.state) if asked.state else 0,
        (asked.timeout or 0) * HZ,
        asked.mark[0] if asked.mark else 0,
    )
    if row == 0:
        if asked.command == "A":
            return Outcome(err=_shown(0, "added"))
        raise failed("Such conntrack exists, try -U to update")
    return Outcome(err=_shown(1, "added" if asked.command == "A" else "created"))


def _ends(asked: Asked, *, back: bool) -> tuple[int, int, int, int] | None:
    """Addresses and numbers of a direction as they were given, or None if something is missing."""
    src, dst = (asked.reply_src, asked.reply_dst) if back else (asked.src, asked.dst)
    if src is None or dst is None:
        return None
    if asked.proto == PROTO_ICMP:
        if back:
            return None
        kind = (asked.icmp_type or 0) << 8 | (asked.icmp_code or 0)
        return src[0], dst[0], asked.icmp_id or 0, kind
    sport, dport = (asked.reply_sport, asked.reply_dport) if back else (asked.sport, asked.dport)
    if asked.proto in (*flows.WITH_PORTS, PROTO_GRE):
        if sport is None or dport is None:
            return None
        return src[0], dst[0], sport, dport
    return src[0], dst[0], 0, 0


def _turned(asked: Asked, first: int, second: int) -> tuple[int, int]:
    """The numbers of the other direction."""
    if asked.proto != PROTO_ICMP:
        return second, first
    other = _ANSWERS.get(second >> 8)
    if other is None:
        raise failed("invalid parameters")
    return first, other << 8 | (second & 0xFF)


_ANSWERS = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}


def _get(conntrack: Conntrack, asked: Asked) -> Outcome:
    """-G: the flow that has this key in either direction."""
    ends = _ends(asked, back=False)
    if ends is None:
        raise failed("invalid parameters")
    for one in conntrack.flows():
        both = (one.original, one.reply)
        if one.proto == asked.proto and any(
            (way.src, way.dst, way.sport, way.dport) == ends and way.zone == 0 for way in both
        ):
            if not matches(one, asked):
                return Outcome(err=_shown(0, "shown"), status=1)
            text = line_of(conntrack, one, asked, use=2)
            if "xml" in asked.output:
                text = XML_HEAD + text
            return Outcome(text, _shown(1, "shown"))
    raise failed("such conntrack doesn't exist")


def _flush(conntrack: Conntrack, asked: Asked) -> Outcome:
    for one in conntrack.flows():
        conntrack.table.kill(one.row)
    return Outcome(err=f"{HEAD}connection tracking table has been emptied.\n")


def _top(conntrack: Conntrack, asked: Asked) -> Outcome:
    """Who has most flows, of those that match: the only command here that conntrack(8) has not."""
    found = [one for one in conntrack.flows() if matches(one, asked)]
    assert asked.top is not None
    owners = conntrack.top(asked.top, asked.limit, found)
    if "json" in asked.output:
        rows = [{asked.top: owner, "flows": number} for owner, number in owners]
        return Outcome(json.dumps(rows, indent=2) + "\n")
    lines = [f"{'flows':>9}  {asked.top}", *(f"{number:>9}  {owner}" for owner, number in owners)]
    return Outcome("".join(f"{line}\n" for line in lines), _shown(len(found), "counted"))


def _count(conntrack: Conntrack, asked: Asked) -> Outcome:
    return Outcome(f"{len(conntrack)}\n")


def _stats(conntrack: Conntrack, asked: Asked) -> Outcome:
    counters = conntrack.counters()
    if "json" in asked.output:
        return Outcome(json.dumps([{"cpu": 0, **counters}], indent=2) + "\n")
    return Outcome(
        "cpu=0   \t" + "".join(f"{name}={value} " for name, value in counters.items()) + "\n"
    )


def _event(conntrack: Conntrack, asked: Asked) -> Outcome:
    """What has happened since listening began; the first call begins."""
    if not conntrack.listening:
        conntrack.listen()
        return Outcome(err=shown_events(0))
    lines = _event_lines(conntrack, asked, list(conntrack.events))
    return Outcome("".join(lines), shown_events(len(lines)))


def events_since(conntrack: Conntrack, words: list[str], since: int) -> dict[str, Any]:
    """For `conntrack -E` that goes on: the events from number `since` on (0 begins to listen if nobody does), no more
    than fit into an answer. `next` is what to ask for then, `lost` how many there are no longer.
    """
    asked = parse(words)
    if not conntrack.listening:
        conntrack.listen()
    if since <= 0:
        return {"next": conntrack.heard + 1, "lines": [], "lost": 0}
    kept = conntrack.events
    first = conntrack.heard + 1 - len(kept)
    start = max(since, first)
    some = list(islice(kept, start - first, start - first + EVENTS_AT_ONCE))
    return {
        "next": start + len(some),
        "lines": _event_lines(conntrack, asked, some),
        "lost": start - since,
    }


EVENTS_AT_ONCE = 256
KINDS = {"[NEW]": ("NEW", "A"), "[UPDATE]": ("UPDATES", "U"), "[DESTROY]": ("DESTROY", "D")}


def _event_lines(
    conntrack: Conntrack, asked: Asked, events: list[tuple[int, str, Flow, bool]]
) -> list[str]:
    everything = not asked.events or "ALL" in asked.events
    lines = []
    for time_of, kind, one, told in events:
        name, letter = KINDS[kind]
        if not (everything or name in asked.events) or not matches(one, asked):
            continue
        if "json" in asked.output:
            said = {"event": kind.strip("[]"), "ns": time_of} | flows.as_dict(one)
            lines.append(json.dumps(said) + "\n")
            continue
        if "xml" in asked.output:
            age = conntrack.age(one, time_of)
            text = flows.as_xml(one, event=kind.strip("[]").lower(), age=age)
            lines.append(f"{text}\n")
            continue
        if "save" in asked.output:
            lines.append(flows.save_line(one, letter) + "\n")
            continue
        stamp = ""
        if "timestamp" in asked.output:
            seconds, rest = divmod(time_of + conntrack.host.epoch, 10**9)
            stamp = f"[{seconds}.{rest // 1000:06}]\t"
        text = flows.event_line(
            kind,
            one,
            state=kind == "[DESTROY]" or told,
            extended="extended" in asked.output,
            with_id="id" in asked.output,
            age=conntrack.age(one, time_of),
        )
        lines.append(f"{stamp}{text}\n")
    return lines


def shown_events(number: int) -> str:
    return f"{HEAD}{number} flow events have been shown.\n"


DOERS: dict[str, Callable[[Conntrack, Asked], Outcome]] = {
    "L": _list,
    "D": _delete,
    "I": _create,
    "A": _create,
    "U": _update,
    "G": _get,
    "F": _flush,
    "C": _count,
    "S": _stats,
    "E": _event,
}
