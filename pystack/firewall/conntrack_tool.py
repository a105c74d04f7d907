"""The `conntrack` command: its options, its filters and its words.

Source: conntrack(8) of conntrack-tools 1.4.7; facts: conntrack 6.2. `-E` prints the events since listening began; what
takes the kernel's netlink and no table (-A, -U of labels, expectations) is refused by name. `--top` is pystack's own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from pystack._fast.consts import (
    HZ,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_SEEN_REPLY,
    PROTO_ICMP,
    PROTO_TCP,
    PROTO_UDP,
)
from pystack._fast.ct_states import STATE_NAMES
from pystack.addresses import parse_network
from pystack.firewall import flows
from pystack.firewall.flows import Flow

if TYPE_CHECKING:
    from pystack.firewall.conntrack import Conntrack

HEAD = "conntrack v1.4.7 (conntrack-tools): "
HINT = "Try `conntrack -h' or 'conntrack --help' for more information.\n"
PROTOCOLS = {"tcp": PROTO_TCP, "udp": PROTO_UDP, "icmp": PROTO_ICMP, "gre": 47, "udplite": 136}
STATUS = {"SEEN_REPLY": IPS_SEEN_REPLY, "ASSURED": IPS_ASSURED, "CONFIRMED": IPS_CONFIRMED}
ANY = (0, 0)
"""Any address."""
TABLES = ("conntrack", "dying", "unconfirmed")
"""Tables of flows. One that is dying or not yet confirmed belongs to a packet, and between two there is none here."""
USAGE = """Command line interface for the connection tracking system. Usage: conntrack [commands] [options]

  -L [TABLE] [options]  list     -G [options]  one flow    -D [options]  delete    -F         flush
  -I [options]          create   -U [options]  change      -E [options]  events    -C, -S     count, counters
  --top src|dst|sport|dport|rule [--limit N] [options]     who has most flows (pystack's own)

  -s -d -r -q ADDRESS[/PREFIX]   -p PROTOCOL   --sport --dport --reply-port-src --reply-port-dst PORT
  --icmp-type --icmp-code --icmp-id N   --state STATE   -u STATUS   -m MARK[/MASK]   -w ZONE   -t SECONDS
  -n -g -j [ADDRESS]    translated: source, destination, either    -z    and set the counters of flows to 0 (-L)
  -e NEW,UPDATES,DESTROY   -o extended,id,timestamp,xml,json,save
"""
OUTPUTS = (
    "extended",
    "id",
    "timestamp",
    "xml",
    "json",
    "save",
    "ktimestamp",
    "labels",
    "userspace",
)


class ToolError(ValueError):
    """The tool printed this on its standard error, and ended with `status`."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text.rstrip("\n"))
        self.status = status


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the command printed, and how it ended."""

    out: str = ""
    err: str = ""
    status: int = 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ToolError(f"{HEAD}{message}\n{HINT}", 2)


def _parser() -> _Parser:
    p = _Parser(prog="conntrack", add_help=False, allow_abbrev=False)
    what = p.add_mutually_exclusive_group()
    for short, long in (
        ("-L", "--dump"),
        ("-D", "--delete"),
        ("-I", "--create"),
        ("-U", "--update"),
        ("-G", "--get"),
        ("-E", "--event"),
        ("-F", "--flush"),
        ("-C", "--count"),
        ("-S", "--stats"),
    ):
        what.add_argument(
            short,
            long,
            dest="command",
            nargs="?",
            const=(short, "conntrack"),
            type=partial(_with_table, short),
        )
    what.add_argument("-h", "--help", action="store_true")
    what.add_argument("-V", "--version", action="store_true")
    what.add_argument("--top", choices=("src", "dst", "sport", "dport", "rule"))
    p.add_argument("--limit", type=_number, default=10)
    p.add_argument("-p", "--protonum", "--proto", dest="proto", type=_protocol)
    p.add_argument("-f", "--family", choices=("ipv4",), default="ipv4")
    p.add_argument("-s", "--src", "--orig-src", dest="src", type=_network)
    p.add_argument("-d", "--dst", "--orig-dst", dest="dst", type=_network)
    p.add_argument("-r", "--reply-src", dest="reply_src", type=_network)
    p.add_argument("-q", "--reply-dst", dest="reply_dst", type=_network)
    p.add_argument("--sport", "--orig-port-src", dest="sport", type=_number)
    p.add_argument("--dport", "--orig-port-dst", dest="dport", type=_number)
    p.add_argument("--reply-port-src", dest="reply_sport", type=_number)
    p.add_argument("--reply-port-dst", dest="reply_dport", type=_number)
    p.add_argument("--icmp-type", dest="icmp_type", type=_number)
    p.add_argument("--icmp-code", dest="icmp_code", type=_number)
    p.add_argument("--icmp-id", dest="icmp_id", type=_number)
    p.add_argument("--state", type=_state)
    p.add_argument("-t", "--timeout", type=_number)
    p.add_argument("-u", "--status", type=_status)
    p.add_argument("-m", "--mark", type=_mark)
    p.add_argument("-w", "--zone", type=_number)
    for short, long in (("-n", "--src-nat"), ("-g", "--dst-nat"), ("-j", "--any-nat")):
        p.add_argument(short, long, nargs="?", const=ANY, type=_network)
    p.add_argument("-e", "--event-mask", type=_events, default="NEW,UPDATE,DESTROY")
    p.add_argument("-z", "--zero", action="store_true")
    p.add_argument("-o", "--output", type=_outputs, default=())
    return p


def _with_table(command: str, table: str) -> tuple[str, str]:
    return command, table


def _protocol(text: str) -> int:
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    if text.isdigit() and int(text) < 256:
        return int(text)
    raise argparse.ArgumentTypeError(f"`{text}' unsupported protocol")


def _network(text: str) -> tuple[int, int]:
    try:
        net, prefix = parse_network(text if "/" in text else f"{text}/32")
    except ValueError:
        raise argparse.ArgumentTypeError(f"Invalid IP address `{text}'") from None
    return net, 0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}' is not a number") from None


def _mark(text: str) -> tuple[int, int]:
    value, _, mask = text.partition("/")
    return _number(value), _number(mask) if mask else 0xFFFFFFFF


def _state(text: str) -> str:
    if text not in STATE_NAMES:
        raise argparse.ArgumentTypeError(f"unknown state `{text}'")
    return text


def _status(text: str) -> tuple[int, bool]:
    wanted, unreplied = 0, False
    for word in text.split(","):
        if word == "UNREPLIED":
            unreplied = True
        elif word in STATUS:
            wanted |= STATUS[word]
        else:
            raise argparse.ArgumentTypeError(f"Bad status `{word}'")
    return wanted, unreplied


def _events(text: str) -> str:
    for word in text.split(","):
        if word not in ("ALL", "NEW", "UPDATES", "UPDATE", "DESTROY"):
            raise argparse.ArgumentTypeError(f"Bad event mask `{word}'")
    return text


def _outputs(text: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    for word in words:
        if word not in OUTPUTS:
            raise argparse.ArgumentTypeError(f"Bad parameter `{word}'")
        if word in ("labels", "userspace", "ktimestamp"):
            raise argparse.ArgumentTypeError(f"-o {word} is not known here")
    return words


PARSER = _parser()


def matches(one: Flow, asked: argparse.Namespace) -> bool:
    """Is this flow one of those that were asked for?"""
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
        (first.zone, asked.zone),
    ):
        if wanted is not None and number != wanted:
            return False
    if asked.state is not None and one.state != asked.state:
        return False
    if asked.mark is not None and one.mark & asked.mark[1] != asked.mark[0]:
        return False
    if asked.status is not None:
        bits, unreplied = asked.status
        if one.status & bits != bits or (unreplied and not one.unreplied):
            return False
    sources = one.src_nat, back.dst
    targets = one.dst_nat, back.src
    return all(
        any(is_so and value & network[1] == network[0] for is_so, value in ends)
        for network, ends in (
            (asked.src_nat, (sources,)),
            (asked.dst_nat, (targets,)),
            (asked.any_nat, (sources, targets)),
        )
        if network is not None
    )


def run(conntrack: Conntrack, words: list[str]) -> Outcome:
    """Do what `conntrack words` does."""
    try:
        asked, rest = PARSER.parse_known_args(words)
        if rest:
            raise ToolError(f"{HEAD}Unknown argument `{rest[0]}'\n{HINT}", 2)
        if asked.help:
            return Outcome(USAGE)
        if asked.version:
            return Outcome("conntrack v1.4.7 (conntrack-tools)\n")
        if asked.top is not None:
            conntrack.present()
            return _top(conntrack, asked)
        if asked.command is None:
            raise ToolError(f"{HEAD}You need to supply a command\n{HINT}", 2)
        command, table = asked.command
        if table not in (TABLES if command == "-L" else TABLES[:1]):
            raise ToolError(f"{HEAD}the table `{table}' is not known here\n{HINT}", 2)
        if asked.zero and command != "-L":
            raise ToolError(f"{HEAD}Illegal option `-z' with this command\n{HINT}", 2)
        conntrack.present()
        return COMMANDS[command](conntrack, asked)
    except ToolError as error:
        return Outcome(err=f"{error}\n", status=error.status)


def changes(words: list[str]) -> bool:
    """Would this command line change the table, or begin to listen?"""
    return any(
        word
        in (
            "-z",
            "--zero",
            "-D",
            "-I",
            "-U",
            "-F",
            "-E",
            "--delete",
            "--create",
            "--update",
            "--flush",
            "--event",
        )
        for word in words
    )


def _shown(number: int, done: str) -> str:
    return f"{HEAD}{number} flow entries have been {done}.\n"


def _list(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    listed = conntrack.flows() if asked.command[1] == "conntrack" else []
    found = [one for one in listed if matches(one, asked)]
    done = _shown(len(found), "shown")
    if asked.zero:
        for one in found:
            conntrack.zero(one)
    if "xml" in asked.output:
        inside = "\n".join(flows.as_xml(one) for one in found)
        return Outcome(
            f'<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n{inside}</conntrack>\n', done
        )
    if "json" in asked.output:
        return Outcome(json.dumps([flows.as_dict(one) for one in found], indent=2) + "\n", done)
    if "save" in asked.output:
        return Outcome("".join(f"{flows.save_line(one)}\n" for one in found), done)
    lines = []
    for one in found:
        line = flows.tool_line(
            one, extended="extended" in asked.output, with_id="id" in asked.output
        )
        if "timestamp" in asked.output and one.since is not None:
            line += f" delta-time={(conntrack.host.now - one.since) // 1_000_000_000}"
        lines.append(f"{line}\n")
    return Outcome("".join(lines), done)


def _delete(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    found = [one for one in conntrack.flows() if matches(one, asked)]
    for one in found:
        conntrack.table.kill(one.row)
    lines = "".join(f"{flows.tool_line(one)}\n" for one in found)
    return Outcome(lines, _shown(len(found), "deleted"), 0 if found else 1)


def _update(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    """New marks and timeouts for the flows that match; what is new is no filter."""
    new_mark, new_timeout = asked.mark, asked.timeout
    asked.mark = asked.timeout = None
    found = [one for one in conntrack.flows() if matches(one, asked)]
    for one in found:
        if new_mark is not None:
            conntrack.table.set_mark(one.row, new_mark[0], new_mark[1])
        if new_timeout is not None:
            conntrack.table.refresh(one.row, new_timeout * HZ)
    rows = [flows.flow(conntrack.table, one.row) for one in found]
    lines = "".join(f"{flows.tool_line(one)}\n" for one in rows)
    return Outcome(lines, _shown(len(found), "updated"), 0 if found else 1)


def _create(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    for name, value in (
        ("-s", asked.src),
        ("-d", asked.dst),
        ("-p", asked.proto),
        ("-t", asked.timeout),
    ):
        if value is None:
            raise ToolError(f"{HEAD}Option `{name}' is required\n{HINT}", 2)
    src, dst = asked.src[0], asked.dst[0]
    back = (asked.reply_src or asked.dst)[0], (asked.reply_dst or asked.src)[0]
    sport, dport = asked.sport or 0, asked.dport or 0
    if asked.proto == PROTO_ICMP:
        sport = asked.icmp_id or 0
        dport = (asked.icmp_type or 0) << 8 | (asked.icmp_code or 0)
    ports = (
        asked.reply_sport if asked.reply_sport is not None else dport,
        asked.reply_dport if asked.reply_dport is not None else sport,
    )
    status = asked.status[0] if asked.status else 0
    row = conntrack.table.create(
        src << 32 | dst,
        sport << 48 | dport << 32 | asked.proto << 16 | (asked.zone or 0),
        back[0] << 32 | back[1],
        None
        if asked.proto == PROTO_ICMP
        else ports[0] << 48 | ports[1] << 32 | asked.proto << 16 | (asked.zone or 0),
        status,
        STATE_NAMES.index(asked.state) if asked.state else 0,
        asked.timeout * HZ,
        asked.mark[0] if asked.mark else 0,
    )
    if row == 0:
        return Outcome(err=f"{HEAD}Operation failed: such conntrack exists\n", status=1)
    line = flows.tool_line(flows.flow(conntrack.table, row))
    return Outcome(f"{line}\n", _shown(1, "created"))


def _get(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    found = [one for one in conntrack.flows() if matches(one, asked)]
    if not found:
        return Outcome(err=f"{HEAD}Operation failed: such conntrack doesn't exist\n", status=1)
    return Outcome(f"{flows.tool_line(found[0])}\n", _shown(1, "shown"))


def _flush(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    for one in conntrack.flows():
        conntrack.table.kill(one.row)
    return Outcome(err=f"{HEAD}connection tracking table has been emptied.\n")


def _top(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    """Who has most flows, of those that match: the only command here that conntrack(8) has not."""
    found = [one for one in conntrack.flows() if matches(one, asked)]
    owners = conntrack.top(asked.top, asked.limit, found)
    if "json" in asked.output:
        rows = [{asked.top: owner, "flows": number} for owner, number in owners]
        return Outcome(json.dumps(rows, indent=2) + "\n")
    lines = [f"{'flows':>9}  {asked.top}", *(f"{number:>9}  {owner}" for owner, number in owners)]
    return Outcome("".join(f"{line}\n" for line in lines), _shown(len(found), "counted"))


def _count(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    return Outcome(f"{len(conntrack)}\n")


def _stats(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
    counters = conntrack.counters()
    if "json" in asked.output:
        return Outcome(json.dumps([{"cpu": 0, **counters}], indent=2) + "\n")
    return Outcome(
        "cpu=0   \t" + "".join(f"{name}={value} " for name, value in counters.items()) + "\n"
    )


def _event(conntrack: Conntrack, asked: argparse.Namespace) -> Outcome:
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
    asked = PARSER.parse_args(words)
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


def _event_lines(
    conntrack: Conntrack, asked: argparse.Namespace, events: list[tuple[int, str, Flow, bool]]
) -> list[str]:
    masks = asked.event_mask.replace("UPDATES", "UPDATE").split(",")
    wanted = {"[NEW]", "[UPDATE]", "[DESTROY]"}
    if "ALL" not in masks:
        wanted = {f"[{word}]" for word in masks}
    lines = []
    for time, kind, one, told in events:
        if kind in wanted and matches(one, asked):
            if "json" in asked.output:
                said = {"event": kind.strip("[]"), "ns": time} | flows.as_dict(one)
                lines.append(json.dumps(said) + "\n")
                continue
            stamp = ""
            if "timestamp" in asked.output:
                seconds, rest = divmod(time + conntrack.host.epoch, 10**9)
                stamp = f"[{seconds}.{rest // 1000:06}]\t"
            state = one.state if kind == "[DESTROY]" or told else ""
            lines.append(f"{stamp}{flows.event_line(kind, one, state=bool(state))}\n")
    return lines


def shown_events(number: int) -> str:
    return f"{HEAD}{number} flow events have been shown.\n"


COMMANDS: dict[str, Callable[[Conntrack, argparse.Namespace], Outcome]] = {
    "-L": _list,
    "-D": _delete,
    "-I": _create,
    "-U": _update,
    "-G": _get,
    "-F": _flush,
    "-C": _count,
    "-S": _stats,
    "-E": _event,
}
