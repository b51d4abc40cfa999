"""``workbench synth``: a log to measure and to learn with, as large as one likes."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (typer reads the annotations)
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import Annotated

import typer

from workbench.cli.options import JsonOption, QuietOption  # noqa: TC001  (typer reads the annotations)
from workbench.cli.progress import watching
from workbench.cli.screen import print_json, print_text

__all__ = ["synth"]


def synth(  # noqa: PLR0913  (the options of one command)
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new or an empty directory.")],
    *,
    days: Annotated[int, typer.Option(metavar="N", help="Number of days (UTC).")] = 7,
    events_per_day: Annotated[int, typer.Option(metavar="N", help="Events on an average day.")] = 100_000,
    seed: Annotated[int, typer.Option(metavar="S", help="Equal seeds give equal files.")] = 0,
    members: Annotated[
        int | None, typer.Option(metavar="N", help="Accounts. By default in proportion to the events.")
    ] = None,
    start: Annotated[
        datetime | None, typer.Option(metavar="DATE", formats=["%Y-%m-%d"], help="The first day.")
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Leave out what real writers get wrong.")] = False,
    no_anomalies: Annotated[
        bool, typer.Option("--no-anomalies", help="Let nobody behave anomalously.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Files written at a time. By default one a core.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Generate the log of an online gaming platform, with the truth about it beside it.

    One Parquet file a day for each event type, all columns strings, as schema 'gaming' reads them. The
    folder _truth says what is planted, _manifest.json what there is; ingest reads neither. A run that
    was stopped goes on where it was.
    """
    from workbench.samples.gaming import generate  # noqa: PLC0415  (kept out of start-up)

    with watching(quiet=quiet or as_json) as progress:
        report = generate.synth(
            out,
            days=days,
            events_per_day=events_per_day,
            seed=seed,
            members=members,
            start=start.date() if start else generate.START,
            clean=clean,
            anomalies=not no_anomalies,
            threads=threads,
            progress=progress,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(str(report))
