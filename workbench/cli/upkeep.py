"""What keeps a workspace in shape."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.errors import DAMAGED
from workbench.cli.options import JsonOption, WorkspaceOption, open_workspace
from workbench.cli.screen import print_json, print_text

__all__ = ["compact", "forget"]


def compact(
    segments: Annotated[
        list[str] | None, typer.Argument(metavar="[SEGMENT…]", help="Days to compact; by default all.")
    ] = None,
    *,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge small parts of segments into as few as hold them; addresses and results stay the same.

    Wherever events are published this happens by itself as parts become many. For a while old parts lie
    beside the new: readers of earlier generations have them.
    """
    with open_workspace(workspace) as engine:
        done = engine.compact(*(segments or ()))
    if as_json:
        print_json(done.to_dict())
    else:
        print_text(str(done))


def forget(
    entity: Annotated[str, typer.Argument(metavar="TYPE:KEY", help="The entity.")],
    *,
    workspace: WorkspaceOption = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it. Without it, only say what it would be.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove everything about one entity, and search every file of the workspace for its key.

    Documents that name it go with all that was derived from them, knowledge and reference rows about it, and
    records in quarantine that hold its key; sources that are read later give no documents about it. The exit
    code is 1 if the key is still somewhere afterwards; it is said where and why.
    """
    with open_workspace(workspace) as engine:
        done = engine.forget(entity, apply=apply)
    if as_json:
        print_json(done.to_dict())
    else:
        print_text(str(done))
    if apply and not done.proved:
        raise typer.Exit(DAMAGED)
