"""All subcommands together."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from pystack.cli import (
    bench,
    demo,
    knobs,
    limits,
    machine,
    packetdrill,
    profiles,
    replay,
    run,
    serve,
    sweep,
)

app = typer.Typer(
    name="pystack",
    help="Whole machines with real TCP stacks: on a TUN device, or many in virtual time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(version())
        raise typer.Exit


def version() -> str:
    """What is running, in one line."""
    import pystack
    from pystack import _fast

    if _fast.COMPILED:
        import importlib.metadata

        speed = "compiled, checked" if _fast.CHECKED else "compiled"
        try:
            cython = importlib.metadata.version("Cython")
        except importlib.metadata.PackageNotFoundError:
            cython = ""
    else:
        import cython as shadow

        speed, cython = "interpreted", shadow.__version__
    tools = f"Python {platform.python_version()}"
    tools += f", Cython {cython}" if cython else ""
    return f"pystack {pystack.__version__} ({speed}; {tools})"


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Version and speed, then exit."
        ),
    ] = False,
) -> None:
    """Options that stand before the subcommand."""


app.command("bench")(bench.bench)
app.command("demo")(demo.demo)
app.command("packetdrill")(packetdrill.packetdrill)
app.command("conntrack-replay")(replay.conntrack_replay)
app.command("ipfw-replay")(replay.ipfw_replay)
app.command("serve")(serve.serve)
app.command("run")(run.run)
app.command("scenarios")(run.scenarios)
app.command("sweep")(sweep.sweep)
app.command("profiles")(profiles.profiles)
app.command("knobs")(knobs.knobs)
app.command("limits")(limits.limits)
app.command("machines")(machine.machines)
for _tool in machine.ABOUT:
    app.command(_tool, context_settings={"ignore_unknown_options": True})(machine.command(_tool))
