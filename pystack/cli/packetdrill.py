"""`pystack packetdrill`: play scripts against the systems' stacks, in virtual time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pystack.cli.common import Json, fail, print_json

if TYPE_CHECKING:
    from pystack.packetdrill.suite import Job
    from pystack.packetdrill.verdict import Verdict

TOOL = "Options of packetdrill (the script's own come first, these win)"


def _tool(name: str, help_: str, **more: Any) -> Any:
    return typer.Option(f"--{name}", help=help_, rich_help_panel=TOOL, show_default=False, **more)


def _quiet(name: str) -> Any:
    return typer.Option(f"--{name}", hidden=True)


def packetdrill(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FILE|DIR...", help="Scripts, or directories with *.pkt."),
    ],
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE",
            help="The system under test; unless given, those that a script names, or linux-6.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print each run as a trace.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Packets behind the last line are a failure.")
    ] = False,
    as_json: Json = False,
    jobs: Annotated[
        int | None, typer.Option("-j", min=1, help="Processes; all processors unless given.")
    ] = None,
    pcap: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the packets of failures, as pcapng.")
    ] = None,
    define: Annotated[
        list[str] | None,
        typer.Option("--define", "-D", metavar="SYM[=VALUE]", help="A symbol, also for #ifdef."),
    ] = None,
    tolerance_usecs: Annotated[int | None, _tool("tolerance_usecs", "Default 4000.")] = None,
    tolerance_percent: Annotated[
        float | None, _tool("tolerance_percent", "Default 12.5; FreeBSD 5.")
    ] = None,
    ip_version: Annotated[str | None, _tool("ip_version", "ipv4, and others are skipped.")] = None,
    local_ip: Annotated[str | None, _tool("local_ip", "Default 192.168.0.1.")] = None,
    remote_ip: Annotated[str | None, _tool("remote_ip", "Default 192.0.2.1.")] = None,
    gateway_ip: Annotated[str | None, _tool("gateway_ip", "Not needed here.")] = None,
    netmask_ip: Annotated[str | None, _tool("netmask_ip", "Default 255.255.0.0.")] = None,
    bind_port: Annotated[int | None, _tool("bind_port", "Default 8080.")] = None,
    connect_port: Annotated[int | None, _tool("connect_port", "Default 8080.")] = None,
    mtu: Annotated[int | None, _tool("mtu", "Default 1500.")] = None,
    mss: Annotated[
        int | None, _tool("mss", "Larger inbound segments are super-segments of such pieces.")
    ] = None,
    tcp_ts_ecr_scaled: Annotated[
        bool | None, _tool("tcp_ts_ecr_scaled", "Compute echoes of timestamps never seen.")
    ] = None,
    tcp_ts_tick_usecs: Annotated[
        int | None, _tool("tcp_ts_tick_usecs", "Check outbound timestamps with ticks so long.")
    ] = None,
    strict_segments: Annotated[
        bool | None, _tool("strict_segments", "Glue nothing; always so for FreeBSD.")
    ] = None,
    non_fatal: Annotated[
        str | None, _tool("non_fatal", "packet, syscall or both: mismatches are warnings.")
    ] = None,
    init_scripts: Annotated[str | None, _tool("init_scripts", "Commands to begin with.")] = None,
    dry_run: Annotated[bool | None, _tool("dry_run", "Read the scripts, play none.")] = None,
    send_omit_free: Annotated[bool | None, _quiet("send_omit_free")] = None,
    is_anyip: Annotated[bool | None, _quiet("is_anyip")] = None,
    code_command: Annotated[str | None, _quiet("code_command")] = None,
    code_format: Annotated[str | None, _quiet("code_format")] = None,
    code_sockopt: Annotated[str | None, _quiet("code_sockopt")] = None,
    speed: Annotated[str | None, _quiet("speed")] = None,
    debug: Annotated[bool | None, _quiet("debug")] = None,
) -> None:
    """Play packetdrill scripts against a system's TCP: in virtual time, without root.

    Exit status 0: none failed; 1: some did; 2: this cannot be asked for. A script that needs what is not
    here is skipped, with the reason.
    """
    from pystack.packetdrill import suite

    ours = {"context", "paths", "profile", "verbose", "as_json", "jobs", "pcap", "define"}
    options = {
        name: value
        for name, value in context.params.items()
        if name not in ours and value not in (None, False)
    }
    _check(profile, options)
    todo = [
        job
        for path in _found(paths)
        for job in suite.jobs_for(
            path,
            profile,
            options=options,
            defines=_defines(define or ()),
            pcap=pcap,
            trace=verbose,
        )
    ]
    count = dict.fromkeys(("passed", "failed", "skipped"), 0)
    results = []
    for job, verdict in suite.play_files(todo, jobs or len(os.sched_getaffinity(0))):
        count[verdict.outcome] += 1
        if as_json:
            results.append(_plain(job, verdict, trace=verbose))
        else:
            _show(job, verdict, verbose, named=profile is not None)
    if as_json:
        print_json({**count, "results": results})
    else:
        print(", ".join(f"{number} {outcome}" for outcome, number in count.items()))
    if count["failed"]:
        raise typer.Exit(1)


def _check(profile: str | None, options: dict[str, Any]) -> None:
    """What nobody can play ends here, not in each script."""
    from pystack import profiles
    from pystack.packetdrill.settings import settings_of
    from pystack.packetdrill.verdict import Failure, Skip

    try:
        if profile is not None:
            profiles.load(profile)
        settings_of("", (), options)
    except profiles.UnknownProfile as error:
        fail(error)
    except Failure as error:
        fail(error.message.removeprefix("semantic error: "))
    except Skip:
        return  # each script says so


def _found(paths: list[Path]) -> list[Path]:
    from pystack.packetdrill import suite

    try:
        return suite.find(paths)
    except OSError as error:
        fail(error)


def _defines(texts: list[str] | tuple[()]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name.isidentifier():
            fail(f"-D {text}: give SYM or SYM=VALUE")
        found[name] = value
    return found


def _show(job: Job, verdict: Verdict, verbose: bool, *, named: bool) -> None:
    from pystack.packetdrill.showing import told

    first, *rest = told(verdict, trace=verbose)
    print(first if named else f"{first} [{job.profile}]")
    for line in rest:
        print(line)


def _plain(job: Job, verdict: Verdict, *, trace: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "file": verdict.file,
        "profile": job.profile,
        "outcome": verdict.outcome,
        "line": verdict.line,
        "column": verdict.column,
        "message": verdict.message,
        "expected": verdict.expected,
        "actual": verdict.actual,
    }
    if trace:
        found["trace"] = [{"ns": m.ns, "kind": m.kind, "text": m.text} for m in verdict.trace]
    return found
