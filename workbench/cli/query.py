"""What shows the workspace's content: the catalog, SQL, one entity."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import nullcontext
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workbench.cli.options import (
    JsonOption,
    OutputOption,
    WorkspaceOption,
    open_workspace,
    standard_input,
)
from workbench.cli.screen import (
    SHOWN_ROWS,
    plain_json,
    print_facts,
    print_json,
    print_note,
    print_table,
    print_text,
    printable,
    write_file,
)
from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.graph.entities import Entity
    from workbench.sql import Result

__all__ = ["catalog", "entity", "sql"]


def catalog(
    workspace: WorkspaceOption = None,
    form: Annotated[
        Literal["text", "html", "json"], typer.Option("--format", help="What to print it as.")
    ] = "text",
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what exists: event types with their fields, entities, edges, knowledge, health."""
    with open_workspace(workspace) as engine:
        found = engine.catalog
        if as_json or form == "json":
            text = json.dumps(found.to_dict(), ensure_ascii=True, allow_nan=False)
        else:
            text = found.to_html(page=True) if form == "html" else printable(found.to_text())
    if output is None:
        typer.echo(text)
    else:
        write_file(output, text + "\n")


def sql(  # noqa: PLR0913  (the options of one command)
    statement: Annotated[
        str, typer.Argument(metavar="STATEMENT", help="One SELECT; - reads it from standard input.")
    ],
    *,
    workspace: WorkspaceOption = None,
    form: Annotated[
        Literal["table", "csv", "json", "parquet"] | None,
        typer.Option("--format", help="What to print the rows as; parquet wants --output. Default: table."),
    ] = None,
    output: OutputOption = None,
    rows: Annotated[
        int, typer.Option("--rows", min=0, metavar="N", help="The most rows that a table shows.")
    ] = SHOWN_ROWS,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop it after so long. Default: the setting.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run one SELECT over the documents, entities, edges and knowledge.

    Tables are one per event type, and events, entities, edges, properties, counts, knowledge.… and
    reference.…; times are in the workspace's time zone. A table shows the first rows and says how many
    there are; csv, json and parquet have all of them.
    """
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} exclude each other.")
    form = "json" if as_json else form or "table"
    if form == "parquet" and output is None:
        raise UsageError("Parquet is nothing for a screen.", fix="Name a file with --output.")
    text = standard_input() if statement == "-" else statement
    with open_workspace(workspace) as engine:
        result = engine.sql(text, timeout=timeout)
    for note in result.notes if form != "json" else ():
        print_note(note)
    if form == "parquet" and output is not None:
        _write_parquet(result, output)
    elif form == "csv":
        _write_csv(result, output)
    elif form == "json":
        document = {**result.to_json(), "timezone": result.timezone}
        if output is None:
            print_json(document)
        else:
            write_file(output, json.dumps(document, allow_nan=False) + "\n")
    elif output is not None:
        write_file(output, printable(repr(result)) + "\n")
    elif result.columns == ["explain_key", "explain_value"]:
        print_text(repr(result))
    else:
        print_table(result.to_arrow(), result.timezone, rows=rows)


def _write_csv(result: Result, output: Path | None) -> None:
    """Write all rows as CSV (RFC 4180): null is an empty field, times are ISO 8601, nested values JSON."""
    data = result.to_json()
    # a file gets the values as they are; a terminal must not be steered by them
    shown = printable if output is None and sys.stdout.isatty() else str
    try:
        target = nullcontext(sys.stdout) if output is None else output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise _unwritable(output, error) from error
    with target as file:
        writer = csv.writer(file, lineterminator="\r\n" if output else "\n")
        writer.writerow(map(shown, data["columns"]))
        writer.writerows([shown(_field(value)) for value in row] for row in data["rows"])


def _field(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _write_parquet(result: Result, output: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)
    import pyarrow.parquet as pq  # noqa: PLC0415  (kept out of start-up)

    try:
        pq.write_table(result.to_arrow(), output, compression="zstd")
    except pa.ArrowNotImplementedError as error:
        raise UsageError(
            f"Parquet cannot hold these rows: {error}.", fix="Cast the column in SQL."
        ) from error
    except OSError as error:
        raise _unwritable(output, error) from error
    print_note(f"written: {output}")


def _unwritable(output: Path | None, error: OSError) -> UsageError:
    return UsageError(f"cannot be written: {error.strerror or error}.", where=str(output))


def entity(
    name: Annotated[str, typer.Argument(metavar="TYPE:KEY", help="The entity, as results write it.")],
    workspace: WorkspaceOption = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="The most neighbours that the page shows.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show one entity: when it was seen, its properties, neighbours and knowledge."""
    with open_workspace(workspace) as engine:
        found = engine.entity(name)
        timezone = engine.timezone
        # as many as there can be, so that nothing is left out
        neighbours = found.neighbours(limit=engine.graph.window.edges.num_rows)
        if as_json:
            page = {**found.to_dict(), "neighbours": neighbours.to_pylist(), "timezone": timezone}
            print_json(plain_json(page, timezone))
            return
        print_facts(_facts(found, timezone))
        print_text()
        print_table(neighbours, timezone, title="Neighbours", rows=limit)


def _facts(found: Entity, timezone: str) -> dict[str, str]:
    facts = plain_json(found.facts, timezone)
    times = {name.replace("_", " "): f"{facts[name]} ({timezone})" for name in ("first_seen", "last_seen")}
    knowledge = {kind: _listed(row.items()) for kind, row in found.knowledge.items()}
    return {
        "entity": found.name,
        **({"label": facts["label"]} if facts["label"] else {}),
        "sightings": f"{facts['sightings']:,} in {facts['segments']:,} segments",
        **times,
        **{name: str(value) for name, value in found.properties.items()},
        **knowledge,
    }


def _listed(items: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}" for name, value in items
    )
