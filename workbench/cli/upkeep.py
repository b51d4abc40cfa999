"""What keeps a workspace in shape."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.errors import DAMAGED
from workbench.cli.options import JsonOption, QuietOption, WorkspaceOption, find_workspace, open_workspace
from workbench.cli.progress import watching
from workbench.cli.screen import print_json, print_text

__all__ = ["compact", "forget", "index", "repair"]


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


def index(
    *, workspace: WorkspaceOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Embed the texts of days that have no vectors yet, and build an index for days with many.

    A first search does it too, and 'workbench run' does it in the background. Texts that the embedder's
    server does not take wait for the next time; it is said how many days wait, and why.
    """
    with open_workspace(workspace) as engine, watching(quiet=quiet or as_json) as progress:
        done = engine.vectors.index(progress)
    if as_json:
        print_json(done.to_dict())
    else:
        print_text(str(done))


def repair(
    workspace: WorkspaceOption = None,
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it. By default nothing is changed.")] = False,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="A copy of the workspace, or where its sources lie now; may be given several times.",
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what is damaged and what can be done about it; with --apply, do it.

    What is derived is derived again; documents are read again from their sources where these still have
    the bytes that were read. What does not come back is kept in quarantine/damaged, left out, and named
    in every result over it. The exit code is 1 while something is damaged or missing.
    """
    from workbench.opening import repair as mended  # noqa: PLC0415  (kept out of start-up)

    with watching(quiet=quiet or as_json) as progress:
        report = mended(find_workspace(workspace), apply=apply, sources=sources or (), progress=progress)
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(str(report))
    if not report.whole:
        raise typer.Exit(DAMAGED)
