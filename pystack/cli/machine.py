"""Commands about a running machine: `pystack netstat`, `sysctl`, `dmesg` and their kin, and `pystack machines`."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json, table

if TYPE_CHECKING:
    from pystack.control import Answer

Machine = Annotated[
    str | None,
    typer.Option(
        "--machine", "-M", metavar="NAME", help="Which one, where several run (`pystack machines`)."
    ),
]
ABOUT = {
    "netstat": (
        "Sockets, buffers, counters, routes, interfaces, as the machine's netstat shows them.",
        "FreeBSD: -an, -Lan, -m, -s, -ss, -rn, -in, with -p tcp. Linux: -an, -tan, -ltn, -st, -rn, -i.",
    ),
    "vmstat": ("The zones of a FreeBSD machine's network memory.", "-z is what it knows."),
    "sockstat": ("Who holds which socket, on a FreeBSD machine.", "-4, -4l, -4c, -4s."),
    "ss": ("Sockets of a Linux machine.", "-an, -tan, -uan, -ltn, -tano, -s."),
    "nstat": ("Counters of a Linux machine.", "-az for all; those that are not 0 without -z."),
    "sysctl": (
        "Show and set the machine's knobs while it runs: NAME, NAME=VALUE, a tree, -a.",
        "With the messages and the exit status of its system's own tool. FreeBSD: -aeinNq. Linux: -aenNqw.",
    ),
    "conntrack": (
        "The flows that a Linux machine tracks: list, delete, change, count, counters, events.",
        "-L, -G, -D, -U, -I, -F, -C, -S, -E, with the filters of conntrack(8) and -o extended,id,xml,save. Of pystack's"
        " own: --top src|dst|sport|dport|rule.",
    ),
    "iptstate": (
        "The flows of a Linux machine as a table, as iptstate -1 prints it.",
        "-t totals, -C counters, -b dDSpstbP sort by, -r, -s -d -S -D filters, -i invert, -L, -f, -o. Once, no window.",
    ),
    "ip": (
        "What a Linux machine remembers of other hosts: ip tcp_metrics.",
        "tcp_metrics show, list, flush [[address] PREFIX] [source ADDRESS], delete ADDRESS; -j.",
    ),
    "iptables": (
        "The rules of a Linux machine: show and change them while it runs.",
        "As iptables 1.8.9: -t TABLE, -A -I -R -D -C -L -S -F -Z -N -X -P -E.",
    ),
    "iptables-save": ("The rules of a Linux machine as text.", "-c, -t TABLE."),
    "ipfw": (
        "The firewall of a FreeBSD machine: show and change it while it runs.",
        "As its system's ipfw(8): add, delete, flush, zero, resetlog, list, show, set, table, -adeStTNqcb.",
    ),
    "dmesg": (
        "The machine's kernel log.",
        "FreeBSD: -a for what other facilities said, too: ipfw's lines about packets.",
    ),
    "cat": (
        "Files of a machine. Linux: /proc/net/sockstat, snmp, netstat, route, dev; /proc/sys/net/...",
        "FreeBSD: /var/log/security.",
    ),
    "head": ("The first lines of such a file.", "-N FILE, -n N FILE; ten if no number is given."),
}
"""Tool -> what it is for, and the options that the machines know."""


def command(tool: str) -> Callable[..., None]:
    """The subcommand that runs this tool on a machine."""

    def run(
        arguments: Annotated[
            list[str] | None, typer.Argument(help="What the tool is given.", show_default=False)
        ] = None,
        machine: Machine = None,
        as_json: Json = False,
    ) -> None:
        words = list(arguments or ())
        if tool == "iptstate":
            words.append(f"--columns={shutil.get_terminal_size().columns}")
        if tool == "conntrack" and {"-E", "--event"}.intersection(words):
            follow(machine, words, as_json)
            return
        answers = [ask(machine, tool, part, as_json) for part in _parts(tool, words)]
        if as_json and len(answers) > 1:
            merged: dict[str, Any] = {}
            for each in answers:
                merged |= json.loads(each.out)
            print_json(merged)
        else:
            sys.stdout.write("".join(each.out for each in answers))
            sys.stdout.flush()
        sys.stderr.write("".join(each.err for each in answers))
        if status := max(each.status for each in answers):
            raise typer.Exit(status)

    about, options = ABOUT[tool]
    run.__doc__ = f"{about}\n\n{options}" if options else about
    return run


PAUSE = 0.1
"""Seconds between two questions for events."""
LOST = """WARNING: We have hit ENOBUFS! We are losing events.
This message means that the current netlink socket buffer size is too small.
Please, check --buffer-size in conntrack(8) manpage.
"""


def follow(machine: str | None, words: list[str], as_json: bool) -> None:
    """`conntrack -E`: events as they happen, until Ctrl-C, or whoever reads them goes."""
    from pystack.firewall.conntrack_tool import shown_events
    from pystack.views.tools import EVENTS

    shown, number = 0, 0
    try:
        while True:
            answer = ask(machine, EVENTS, [str(number), *words], as_json)
            if answer.status:
                fail(answer.err.rstrip(), answer.status)
            said = json.loads(answer.out)
            if said["lost"]:
                sys.stderr.write(LOST)
            shown += len(said["lines"])  # before: Ctrl-C may come as soon as a line is seen
            sys.stdout.write("".join(said["lines"]))
            sys.stdout.flush()
            waits = number == 0 or said["next"] == number
            number = said["next"]
            if waits:
                time.sleep(PAUSE)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stderr.write(shown_events(shown))


def _parts(tool: str, words: list[str]) -> list[list[str]]:
    """What goes into one message each: a machine takes one change at a time."""
    if tool != "sysctl" or not any("=" in word for word in words):
        return [words]
    options = [word for word in words if word.startswith("-")]
    return [[*options, word] for word in words if word not in options]


def ask(machine: str | None, tool: str, words: list[str], as_json: bool) -> Answer:
    """The answer of the machine. Ends the process where there is none."""
    from pystack import control

    try:
        return control.ask(machine, tool, (*words, *(["--json"] if as_json else [])))
    except (control.NoPlace, control.NoAnswer, control.BadMessage) as error:
        fail(error)


def asked(machine: str | None, tool: str) -> Any:
    """The answer as values."""
    answer = ask(machine, tool, [], True)
    if answer.status:
        fail(answer.err, answer.status)
    return json.loads(answer.out)


def machines(as_json: Json = False) -> None:
    """List the machines that run and can be asked: those of `pystack serve`."""
    from pystack import control
    from pystack.control.place import nobody

    try:
        names = control.machines()
    except control.NoPlace as error:
        fail(error)
    found = [{**asked(name, "machine"), "name": name} for name in names]
    if as_json:
        print_json(found)
        return
    if not found:
        fail(nobody())
    columns = (("machine", ""), ("system", ""), ("address", ""), ("connections", ""), ("tools", ""))
    table(columns, [_row(each) for each in found])


def _row(about: dict[str, Any]) -> tuple[str, ...]:
    states = about["states"]
    return (
        about["name"],
        about["title"],
        ", ".join(about["addresses"]),
        ", ".join(f"{count} {name}" for name, count in states.items()) or "none",
        " ".join(about["tools"]),
    )
