"""REST: the workspace for programs, as JSON or Arrow; ``ask`` as server-sent events."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date  # noqa: TC003  (FastAPI reads the annotations)
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from workbench.server.asking import answer_events
from workbench.server.dashboard import usable_views
from workbench.server.errors import answer_errors
from workbench.server.ingest import ingest_routes
from workbench.server.visitor import Role, needs, visitor
from workbench.tabular import json_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from threading import Event

    import pyarrow as pa

    from workbench.server.ingest import Intake
    from workbench.server.world import World

__all__ = ["rest"]

_ARROW = "application/vnd.apache.arrow.stream"
_CHUNK_ROWS = 1 << 16
_CHUNK_BYTES = 1 << 20

Entities = Annotated[list[str], Query(description="Where to start, as type:key; repeatable.")]
EdgeTypes = Annotated[list[str] | None, Query(description="Follow these edges only; repeatable.")]
Through = Annotated[list[str], Query(description="Walk through this attribute type too; repeatable.")]
Direction = Literal["both", "out", "in"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Statement(_Body):
    """One SELECT."""

    statement: Annotated[str, Field(min_length=1)]
    timeout: Annotated[
        float | None, Field(gt=0, description="Seconds; by default, and at most, the setting sql_timeout.")
    ] = None


class Question(_Body):
    """A question in plain words."""

    question: Annotated[str, Field(min_length=1, max_length=4_000)]
    session: Annotated[str | None, Field(description="Name of the conversation that it goes on with.")] = None
    planner: Annotated[str | None, Field(description="What makes the plan; by default the setting.")] = None
    provider: Annotated[str | None, Field(description="The model that the planner asks.")] = None


def rest(world: World, intake: Intake) -> FastAPI:
    """Return the application under ``/api``.

    Everything is read at the newest generation; ``/ingest`` alone writes to the workspace. Rows are never
    cut unless a ``limit`` is given, and ``total`` says how many there are. Tables come as an Arrow stream
    where the request accepts that (``application/vnd.apache.arrow.stream``).

    Args:
        world: The workspace.
        intake: Where events go.
    """
    app = FastAPI(
        title="workbench",
        description="A workspace of workbench: catalog, SQL, entities, graph, knowledge and questions.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    answer_errors(app)
    _add_catalog(app, world)
    _add_tables(app, world, intake.ending)
    _add_graph(app, world)
    app.include_router(ingest_routes(intake), dependencies=[needs(Role.OPERATOR)])

    @app.post("/ask", tags=["ask"])
    async def ask(question: Question) -> StreamingResponse:
        """Answer a question; events ``progress``, ``plan``, ``text`` and at last ``answer`` or ``error``."""
        options = question.model_dump(exclude_none=True)
        return StreamingResponse(
            answer_events(world, options.pop("question"), options),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    @app.get("/me", tags=["server"])
    def me() -> dict[str, str]:
        """Return by what name and in which role the request was made."""
        who = visitor()
        return {"name": who.name, "role": str(who.role)}

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(_documentation(app.openapi()))

    return app


def _add_catalog(app: FastAPI, world: World) -> None:
    @app.get("/health", tags=["catalog"])
    def health() -> dict[str, Any]:
        """Return the generation that is served, its size and its clock."""
        with world.lock:
            world.refresh()
            facts = world.status()
        return {name: value for name, value in facts.items() if name != "path"}

    @app.get("/catalog", tags=["catalog"])
    def catalog() -> dict[str, Any]:
        """Return what exists: event types with fields, entity and edge types, knowledge, segments, health."""
        with world.lock:
            world.refresh()
            return world.catalog.to_dict()

    @app.get("/catalog/search", tags=["catalog"])
    def search(
        request: Request,
        text: Annotated[str, Query(description="What to look for; typos are forgiven.")],
        limit: Annotated[int, Query(ge=1, le=1_000)] = 20,
    ) -> Response:
        """Find event types, fields, values, entities and knowledge by name."""
        with world.lock:
            world.refresh()
            hits = world.catalog.search(text, limit)
        return _table(request, hits.to_arrow(), world.timezone, {"total": hits.total})

    @app.get("/views", tags=["catalog"])
    def all_views() -> dict[str, Any]:
        """Return the views that can be looked at in a browser, with their state's defaults."""
        usable, problems = usable_views()
        listed = [
            {"name": name, "title": view.title, "page": f"/views/{name}", "state": dict(view.defaults)}
            for name, view in usable.items()
        ]
        return {"views": listed, "problems": problems}


def _add_tables(app: FastAPI, world: World, ending: Event) -> None:
    @app.post("/sql", tags=["tables"], dependencies=[needs(Role.ANALYST)])
    def sql(request: Request, body: Statement) -> Response:
        """Run one SELECT and return all of its rows; for analysts and operators."""
        longest = world.settings.sql_timeout
        with world.lock:
            world.refresh()
            result = world.sql(body.statement, timeout=min(body.timeout or longest, longest), stop=ending)
        if _wants_arrow(request):
            return _table(request, result.to_arrow(), result.timezone, {})
        facts = {"seconds": result.seconds, "timezone": result.timezone}
        return JSONResponse({**result.to_json(), **facts})

    @app.get("/knowledge", tags=["tables"])
    def kinds() -> dict[str, Any]:
        """Return every run of each kind of knowledge, the newest of a kind last."""
        with world.lock:
            world.refresh()
            runs = [asdict(run) for run in world.knowledge.runs()]
        return {"runs": json_value(runs, ZoneInfo(world.timezone))}

    @app.get("/knowledge/{kind}", tags=["tables"])
    def knowledge(
        request: Request,
        kind: str,
        asof: Annotated[date | None, Query(description="The last day (UTC) of the window.")] = None,
        limit: Annotated[int | None, Query(ge=0, description="The most rows to give.")] = None,
    ) -> Response:
        """Return the rows of one result with the run that made it."""
        with world.lock:
            world.refresh()
            found = world.knowledge.read(kind, asof=asof)
            table = found.to_arrow()
        run = json_value(asdict(found.run), ZoneInfo(world.timezone))
        shown = table if limit is None else table.slice(0, limit)
        return _table(request, shown, world.timezone, {"run": run, "total": table.num_rows})


def _add_graph(app: FastAPI, world: World) -> None:
    @app.get("/entity/{name:path}", tags=["graph"])
    def entity(
        name: str, neighbours: Annotated[int, Query(ge=0, le=10_000, description="The most to give.")] = 20
    ) -> dict[str, Any]:
        """Return one entity (``type:key``): when it was seen, its properties, neighbours and knowledge."""
        with world.lock:
            world.refresh()
            found = world.entity(name)
            near = found.neighbours(limit=neighbours).to_pylist()
            page = {**found.to_dict(), "neighbours": near, "timezone": world.timezone}
        shown: dict[str, Any] = json_value(page, ZoneInfo(world.timezone))
        return shown

    @app.get("/graph/around", tags=["graph"])
    def around(  # noqa: PLR0913, PLR0917  (the words of a walk, by name in the query)
        entity: Entities,
        hops: Annotated[int, Query(ge=0, le=6)] = 1,
        limit: Annotated[int, Query(ge=0, le=100_000, description="The most new entities a hop.")] = 200,
        edge_type: EdgeTypes = None,
        direction: Direction = "both",
        through: Through = [],  # noqa: B006  (FastAPI copies it)
    ) -> dict[str, Any]:
        """Return the entities within some hops and the edges between them; ``hidden`` counts the others."""
        with world.lock:
            world.refresh()
            found = world.graph.around(
                entity, hops, edge_types=edge_type, direction=direction, limit=limit, through=through
            )
        facts = {"starts": list(found.starts), "hidden": list(found.hidden), "timezone": world.timezone}
        return {**facts, **_subgraph(found, world.timezone)}

    @app.get("/graph/path", tags=["graph"])
    def path(  # noqa: PLR0913, PLR0917  (the words of a walk, by name in the query)
        start: str,
        end: str,
        k: Annotated[int, Query(ge=1, le=100)] = 1,
        weighted: bool = True,
        edge_type: EdgeTypes = None,
        direction: Direction = "both",
        through: Through = [],  # noqa: B006  (FastAPI copies it)
    ) -> dict[str, Any]:
        """Return up to ``k`` shortest paths between two entities; none where there is none."""
        with world.lock:
            world.refresh()
            found = world.graph.paths(
                *(start, end, k),
                weighted=weighted,
                edge_types=edge_type,
                direction=direction,
                through=through,
            )
        return {
            "paths": [{"length": one.length, **_subgraph(one, world.timezone)} for one in found],
            "timezone": world.timezone,
        }


def _subgraph(found: Any, timezone: str) -> dict[str, Any]:
    return {name: _rows(table, timezone) for name, table in (("nodes", found.nodes), ("edges", found.edges))}


def _rows(table: pa.Table, timezone: str) -> dict[str, Any]:
    zone = ZoneInfo(timezone)
    columns = [[json_value(value, zone) for value in column.to_pylist()] for column in table.columns]
    return {"columns": list(table.column_names), "rows": [list(row) for row in zip(*columns, strict=True)]}


def _wants_arrow(request: Request) -> bool:
    return _ARROW in request.headers.get("accept", "")


def _table(request: Request, table: pa.Table, timezone: str, facts: Mapping[str, Any]) -> Response:
    if _wants_arrow(request):
        return StreamingResponse(_arrow(table), media_type=_ARROW)
    return JSONResponse({**facts, **_rows(table, timezone), "timezone": timezone})


def _arrow(table: pa.Table) -> Iterator[bytes]:
    """Yield a table as an Arrow IPC stream, part by part."""
    import pyarrow as pa  # noqa: PLC0415  (kept out of start-up)

    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=_CHUNK_ROWS):
            writer.write_batch(batch)
    data = memoryview(out.getvalue())
    for first in range(0, len(data), _CHUNK_BYTES):
        yield bytes(data[first : first + _CHUNK_BYTES])


def _documentation(schema: Mapping[str, Any]) -> str:
    """Return the routes as a page without scripts: nothing is loaded from elsewhere."""
    rows = []
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            names = ", ".join(p["name"] for p in route.get("parameters", ())) or (
                "a JSON body" if "requestBody" in route else ""
            )
            rows.append(
                f"<tr><td><code>{method.upper()} /api{escape(path)}</code></td>"
                f"<td>{escape(route.get('description', ''))}</td><td>{escape(names)}</td></tr>"
            )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>workbench API</title><style>'
        ":root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif } body { margin: 24px }"
        " td, th { text-align: left; vertical-align: top; padding: 4px 16px 4px 0 }</style></head><body>"
        "<h1>workbench API</h1><p>The full description is <a href='openapi.json'>openapi.json</a>.</p>"
        f"<table><tr><th>Request</th><th>What it does</th><th>Parameters</th></tr>{''.join(rows)}</table>"
        "</body></html>"
    )
