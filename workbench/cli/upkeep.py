"""What keeps a workspace in shape."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.options import JsonOption, WorkspaceOption, open_workspace
from workbench.cli.screen import print_json, print_text

__all__ = ["compact"]


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
