"""Pictures of answers and of parts of the graph, live and as static markup."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.tabular import cell_text

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.plans.answer import Answer
    from workbench.views._graph_picture import Picture

__all__ = ["answer_svgs", "graph_picture"]

_MOST_NODES = 400
_FACTS = ("sightings", "hops", "rank", "weight")


def answer_svgs(answer: Answer) -> str:
    """Return the static pictures of an answer as HTML: what a saved notebook shows of it."""
    from workbench.errors import WorkbenchError  # noqa: PLC0415
    from workbench.views import charts  # noqa: PLC0415

    drawn = []
    for render in answer.renders:
        result = answer.results.get(render.source)
        if result is None or render.kind in ("table", "summary") or not result.table.num_rows:
            continue
        try:
            if render.kind == "graph":
                if result.edges is not None:
                    drawn.append(graph_picture(result.table, result.edges).to_svg())
            else:
                drawn.append(charts.svg(render, result.table, timezone=answer.timezone))
        except WorkbenchError as error:
            drawn.append(f"<p role='alert'>{escape(str(error))}</p>")
    return "".join(drawn)


def graph_picture(nodes: pa.Table, edges: pa.Table, *, hidden: int = 0) -> Picture:
    """Return a picture of some nodes and edges; of very many nodes those with the most edges.

    Args:
        nodes: ``entity``, ``type``, ``key``, ``label``, and figures that are shown beside a node.
        edges: ``source``, ``target``, ``type``, ``weight``.
        hidden: How many more nodes there are than these.
    """
    from workbench.views._graph_layout import place  # noqa: PLC0415  (heavy)
    from workbench.views._graph_picture import Edge, Node, Picture  # noqa: PLC0415

    rows = nodes.to_pylist()
    numbers = {row["entity"]: n for n, row in enumerate(rows)}
    links = [e for e in edges.to_pylist() if e["source"] in numbers and e["target"] in numbers]
    ends = np.array([[numbers[e["source"]], numbers[e["target"]]] for e in links], dtype=np.int64).reshape(
        -1, 2
    )
    degrees = np.bincount(ends.ravel(), minlength=len(rows))
    first = np.sort(np.argsort(-degrees, kind="stable")[:_MOST_NODES])
    kept = {rows[n]["entity"] for n in first}
    spots = place(ends, np.full((len(rows), 2), np.nan))
    most = max(int(degrees.max(initial=1)), 1)
    widest = max((e["weight"] for e in links), default=1)
    drawn = tuple(
        Node(
            id=rows[n]["entity"],
            label=str(rows[n].get("label") or rows[n]["key"]),
            kind=rows[n]["type"],
            x=float(spots[n, 0]),
            y=float(spots[n, 1]),
            size=4 + 8 * float(np.sqrt(degrees[n] / most)),
            start=rows[n].get("hops") == 0,
            facts=_facts(rows[n]),
        )
        for n in first
    )
    lines = tuple(
        Edge(e["source"], e["target"], e["type"], 0.8 + 3 * float(np.sqrt(e["weight"] / widest)))
        for e in links
        if e["source"] in kept and e["target"] in kept
    )
    left_out = len(rows) - len(first) + hidden
    note = f"+{left_out:,} hidden" if left_out else ""
    return Picture(drawn, lines, f"{len(drawn):,} nodes and {len(lines):,} edges.", note)


def _facts(row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return tuple(
        (name, cell_text(row[name], ZoneInfo("UTC"))) for name in _FACTS if row.get(name) is not None
    )
