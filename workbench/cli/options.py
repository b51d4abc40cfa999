"""What many commands take, and what it means: the workspace, names with values, completions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.engine import Engine

__all__ = [
    "AsofOption",
    "ConnectorOption",
    "DryRunOption",
    "JsonOption",
    "OutputOption",
    "QuietOption",
    "ReadingOption",
    "TypeOption",
    "WorkspaceOption",
    "complete_connectors",
    "complete_samples",
    "complete_schemas",
    "complete_tasks",
    "default_workspace",
    "find_workspace",
    "open_workspace",
    "pairs",
    "reading_options",
]

DEMO = Path("workbench-demo") / "flights"

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="DIR",
        help="The workspace. By default the working directory, or the demo's in it.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document with all rows, and nothing else.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead.")
]
AsofOption = Annotated[
    str | None,
    typer.Option("--asof", metavar="DAY", help="The last day (UTC) of the window. By default the newest."),
]
TypeOption = Annotated[
    str | None, typer.Option("--type", metavar="T", help="Event type. By default what each path speaks of.")
]
ReadingOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A reading option of the connector.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; store nothing.")]


def default_workspace() -> Path | None:
    """Return the working directory if it is a workspace, else the demo's in it if there is one."""
    from workbench.storage import SegmentStore  # noqa: PLC0415  (kept out of start-up)

    return next((path for path in (Path.cwd(), DEMO) if SegmentStore.is_workspace(path)), None)


def find_workspace(given: Path | None) -> Path:
    """Return the directory that a command works on.

    Raises:
        WorkspaceError: If none is given and there is none here.
    """
    found = given or default_workspace()
    if found is None:
        raise WorkspaceError(
            "there is no workspace here.",
            where=str(Path.cwd()),
            fix="Name one with -w DIR, make one with 'workbench init DIR', or try 'workbench demo'.",
        )
    return found


def open_workspace(given: Path | None) -> Engine:
    """Open the workspace that a command works on; its settings decide what is logged.

    Raises:
        WorkspaceError: If it is not one, or none is given and there is none here.
        ConfigError: If its settings or its schema are wrong.
    """
    from workbench import logs  # noqa: PLC0415  (kept out of start-up)
    from workbench.engine import Engine  # noqa: PLC0415  (kept out of start-up)

    engine = Engine(find_workspace(given))
    logs.configure(engine.settings)
    return engine


def pairs(written: Iterable[str]) -> dict[str, Any]:
    """Return ``name=value`` as a mapping; a value that is JSON is what JSON says, any other is text.

    Raises:
        UsageError: If there is no ``=`` or a name comes twice.

    >>> pairs(["damping=0.9", "delimiter=;", "exact=true"])
    {'damping': 0.9, 'delimiter': ';', 'exact': True}
    """
    found: dict[str, Any] = {}
    for pair in written:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} has no value.", fix="Write it name=value.")
        if name in found:
            raise UsageError(f"{name!r} is given twice.")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def reading_options(written: Iterable[str] | None, command: str, *own: str) -> dict[str, Any]:
    """Return options of a connector as a mapping, as :func:`pairs` does.

    Args:
        written: Each as ``name=value``.
        command: The command that they are given to.
        own: Names that are the command's own.

    Raises:
        UsageError: If one is the command's own, has no ``=`` or comes twice.
    """
    options = pairs(written or ())
    if taken := sorted(options.keys() & own):
        raise UsageError(
            f"{taken[0]!r} is no option of a connector.", fix=f"See 'workbench {command} --help'."
        )
    return options


def standard_input() -> str:
    """Return the text that is piped in.

    Raises:
        UsageError: If it is no text.
    """
    try:
        text = sys.stdin.read()
        text.encode()
    except UnicodeError:
        raise UsageError("what is piped in is no UTF-8 text.") from None
    return text


def complete_tasks() -> list[str]:
    """Return the names of the tasks."""
    from workbench.analysis import tasks  # noqa: PLC0415  (kept out of start-up)

    return tasks.names()


def complete_connectors() -> list[str]:
    """Return the names of the connectors."""
    from workbench.connectors import connectors  # noqa: PLC0415  (kept out of start-up)

    return connectors.names()


ConnectorOption = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        help="What reads the files. By default decided by their names.",
        autocompletion=complete_connectors,
    ),
]


def complete_schemas() -> list[str]:
    """Return the names of the schemas that come with workbench."""
    from workbench.config.entity_schema import shipped_schemas  # noqa: PLC0415  (kept out of start-up)

    return list(shipped_schemas())


def complete_samples() -> list[str]:
    """Return the names of the samples."""
    from workbench.samples import samples  # noqa: PLC0415  (kept out of start-up)

    return list(samples)
