"""The `pystack` command. A file for each subcommand; `common` has what they share.

Exit status: 0 success, 1 failure, 2 what was asked for cannot be. Tables go to standard output, what is
wrong to standard error in one line.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The command line. Ends the process."""
    try:
        from pystack.cli.app import app
    except ImportError as error:
        if not (error.name or "").startswith("pystack"):
            raise
        sys.exit(f"pystack: {error}")  # not compiled: the text says what to do
    app()
