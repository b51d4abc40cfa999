"""Mirrors: copies of a workspace, in S3 or in a directory."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated

import typer

from workbench.cli.options import JsonOption, QuietOption, WorkspaceOption, open_workspace
from workbench.cli.progress import watching
from workbench.cli.screen import print_json, print_text

__all__ = ["mirror", "restore"]


def mirror(  # noqa: PLR0913  (the options of one command)
    place: Annotated[str, typer.Argument(metavar="PLACE", help="s3://bucket/prefix or a directory.")],
    *,
    workspace: WorkspaceOption = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Delete what none of the last three generations in the mirror names."),
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Read back what is there already, and copy again what is missing or damaged."
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Copy what a mirror does not have yet of the newest generation.

    It can be stopped at any moment and goes on where it was; until it has finished, the mirror holds what it
    held before. A mirror is opened like a workspace, and only read.
    """
    with open_workspace(workspace) as engine, watching(quiet=quiet or as_json) as progress:
        report = engine.mirror(place, prune=prune, full=full, progress=progress)
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(str(report))


def restore(
    source: Annotated[Path, typer.Argument(metavar="MIRROR", help="s3://bucket/prefix or a directory.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or a new directory.")],
    *,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a workspace of a mirror: copy its generation to a directory, to be written to again.

    It can be stopped at any moment and goes on where it was.
    """
    with open_workspace(source) as engine, watching(quiet=quiet or as_json) as progress:
        report = engine.restore(directory, progress=progress)
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(str(report))
