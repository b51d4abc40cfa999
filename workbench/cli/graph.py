"""``workbench graph``: walks through the property graph of the window."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workbench.cli.options import JsonOption, WorkspaceOption, open_workspace
from workbench.cli.screen import (
    Rows,
    plain_json,
    print_facts,
    print_json,
    print_note,
    print_table,
    print_text,
)
from workbench.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.graph.subgraph import Subgraph

__all__ = ["app"]

app = typer.Typer(help="Walk through the graph: around, path, shared, stats.")

EdgeTypesOption = Annotated[
    list[str] | None, typer.Option("--edge-type", metavar="T", help="Follow these edges only; repeatable.")
]
ThroughOption = Annotated[
    list[str] | None,
    typer.Option("--through", metavar="T", help="Walk through this attribute type too; repeatable."),
]
DirectionOption = Annotated[Literal["both", "out", "in"], typer.Option(help="Which way edges are followed.")]
GraphmlOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write the subgraph to this file as GraphML."),
]


@app.callback(invoke_without_command=True)
def graph(context: typer.Context) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def around(  # noqa: PLR0913  (the words of a walk)
    entities: Annotated[list[str], typer.Argument(metavar="TYPE:KEY…", help="Where to start.")],
    *,
    workspace: WorkspaceOption = None,
    hops: Annotated[int, typer.Option(min=0, metavar="N", help="How far to go.")] = 1,
    limit: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="The most new entities for each hop, the heaviest first."),
    ] = None,
    through: ThroughOption = None,
    edge_type: EdgeTypesOption = None,
    direction: DirectionOption = "both",
    output: GraphmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the entities within some hops of one or several, and the edges between them."""
    with open_workspace(workspace) as engine:
        found = engine.graph.around(
            entities, hops, edge_types=edge_type, direction=direction, limit=limit, through=through or ()
        )
        timezone = engine.timezone
    if output is not None:
        _write(found, output)
    if as_json:
        facts = {"starts": list(found.starts), "hidden": list(found.hidden), "timezone": timezone}
        print_json({**facts, **_tables(found, timezone)})
    elif output is None:
        print_text(repr(found))
        columns = ["hops", "entity", "label", "sightings", "first_seen", "last_seen"]
        print_table(found.nodes.select(columns), timezone, title="\nEntities")
        print_table(found.edges, timezone, title="\nEdges")


def path(  # noqa: PLR0913  (the words of a walk)
    start: Annotated[str, typer.Argument(metavar="FROM", help="The first entity, as type:key.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="The last entity, as type:key.")],
    *,
    workspace: WorkspaceOption = None,
    number: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many paths to look for.")] = 1,
    unweighted: Annotated[
        bool, typer.Option("--unweighted", help="Count edges; otherwise a heavy edge is a short one.")
    ] = False,
    through: ThroughOption = None,
    edge_type: EdgeTypesOption = None,
    direction: DirectionOption = "both",
    output: GraphmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the shortest paths between two entities."""
    if output is not None and number > 1:
        raise UsageError("a file holds one path.", fix="Leave out -k or --output.")
    with open_workspace(workspace) as engine:
        found = engine.graph.paths(
            *(start, end, number),
            weighted=not unweighted,
            edge_types=edge_type,
            direction=direction,
            through=through or (),
        )
        timezone = engine.timezone
    if output is not None and found:
        _write(found[0], output)
    if as_json:
        documents = [{"length": one.length, **_tables(one, timezone)} for one in found]
        print_json({"paths": documents, "timezone": timezone})
        return
    if not found:
        print_text(f"there is no path from {start} to {end}")
    for one in found:
        print_text(repr(one))
        print_text("  " + " - ".join(one.nodes["entity"].to_pylist()))
        print_table(one.edges, timezone)


def shared(
    entities: Annotated[list[str], typer.Argument(metavar="TYPE:KEY…", help="Two or more entities.")],
    workspace: WorkspaceOption = None,
    through: ThroughOption = None,
    edge_type: EdgeTypesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what two or more entities are joined to alike, most shared first."""
    with open_workspace(workspace) as engine:
        table = engine.graph.shared(entities, edge_types=edge_type, through=through or ())
        timezone = engine.timezone
    if as_json:
        print_json({**Rows(table, timezone).to_json(), "timezone": timezone})
    else:
        print_table(table.select(["entity", "label", "shared_by", "weight", "sightings"]), timezone)


def stats(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show nodes and edges by type, degrees, components and density."""
    with open_workspace(workspace) as engine:
        figures: dict[str, Any] = asdict(engine.graph.stats())
    if as_json:
        print_json(plain_json(figures, "UTC"))
        return
    for kind in ("nodes", "edges"):
        counts = figures.pop(kind)
        print_facts({kind: f"{sum(counts.values()):,}", **{f"  {k}": f"{n:,}" for k, n in counts.items()}})
    print_facts(
        {
            name.replace("_", " "): f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
            for name, value in figures.items()
        }
    )


def _tables(found: Subgraph, timezone: str) -> dict[str, Any]:
    parts: dict[str, pa.Table] = {"nodes": found.nodes, "edges": found.edges}
    return {name: Rows(table, timezone).to_json() for name, table in parts.items()}


def _write(found: Subgraph, output: Path) -> None:
    """Write a subgraph as GraphML.

    Raises:
        UsageError: If it cannot be written there.
    """
    try:
        found.to_graphml(output)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}.", where=str(output)) from error
    print_note(f"{found!r}, written to {output}")
