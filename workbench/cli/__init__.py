"""The command line, ``workbench COMMAND``: nothing heavy is imported before a command runs."""

from __future__ import annotations

import gc
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the process was started with, and end the process with its exit code."""
    from workbench.cli.app import app  # noqa: PLC0415  (import workbench.cli stays light)
    from workbench.cli.errors import INTERRUPTED  # noqa: PLC0415

    try:
        app(prog_name="workbench")
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
    # only an interrupt comes here; what it left open is let go: no way out but this one follows
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    # native threads in the middle of something may abort the interpreter's own way out
    os._exit(INTERRUPTED)
