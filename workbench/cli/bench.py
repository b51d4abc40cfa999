"""``workbench bench``: the scorecards, run again by anybody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.screen import print_facts
from workbench.errors import UnknownNameError, UsageError

__all__ = ["bench"]


def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which scorecard.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="The small form that takes a minute or so.")] = False,
) -> None:
    """Run a scorecard: it prints one table and, with --out FILE, writes JSON. Without a name: list them.

    Further options are the scorecard's own; 'workbench bench NAME -- --help' shows them.
    """
    folder = _folder()
    found = {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}
    if name is None:
        print_facts({stem: _first_line(path) for stem, path in found.items()})
        return
    if name not in found:
        raise UnknownNameError("scorecard", name, found)
    options = [*(["--quick"] if quick else []), *context.args]
    done = subprocess.run([sys.executable, str(found[name]), *options], check=False)  # noqa: S603  (our own)
    raise typer.Exit(done.returncode)


def _folder() -> Path:
    """Return where the runners lie: beside the package in a checkout, within it in a wheel."""
    package = Path(__file__).parents[1]
    for folder in (package.parent / "bench", package / "_bench"):
        if (folder / "anomaly.py").exists():
            return folder
    raise UsageError(
        "this installation has no scorecards.", fix="Install the wheel again, or run from a checkout."
    )


def _first_line(path: Path) -> str:
    text = path.read_text(encoding="utf-8").split('"""')[1]
    return text.split(":", 1)[0].replace("\n", " ").strip().rstrip(".")
