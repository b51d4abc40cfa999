"""``workbench watch``: directories whose files are ingested as they come."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    ConnectorOption,
    ReadingOption,
    TypeOption,
    WorkspaceOption,
    open_workspace,
    reading_options,
)
from workbench.cli.screen import print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.ingest.watch import Told

__all__ = ["stopping", "watch"]


def watch(  # noqa: PLR0913  (the options of one command)
    directories: Annotated[list[Path], typer.Argument(metavar="DIR…", help="Directories, with all below.")],
    *,
    workspace: WorkspaceOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="Take what is complete now and end: for a scheduler.")
    ] = False,
    take_replaced: Annotated[
        bool,
        typer.Option(
            "--take-replaced",
            help="Take a file whose place held other bytes before: for logs that begin anew.",
        ),
    ] = False,
    type_: TypeOption = None,
    connector: ConnectorOption = None,
    option: ReadingOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
) -> None:
    """Ingest what lies in directories, and what comes there, once it is complete; a line for each file.

    It goes on until it is interrupted or terminated, and then ends with what was read published. Started
    again it takes only what is new. It waits where another process writes to the workspace.
    """
    own = ("say", "once", "stop", "replaced", "type", "connector")
    options = reading_options(option, "watch", *own)

    def say(told: Told) -> None:
        if as_json:
            print_json(asdict(told))
        else:
            print_text(told.text)

    with open_workspace(workspace) as engine, stopping() as stop:
        engine.watch(
            *directories,
            say=say,
            once=once,
            stop=stop,
            replaced="take" if take_replaced else "refuse",
            type=type_,
            connector=connector,
            **options,
        )


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that SIGINT and SIGTERM set; a second one ends the process at once, as ever."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(*_: object) -> None:
        stop.set()
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
