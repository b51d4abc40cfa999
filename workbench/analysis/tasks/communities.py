"""Communities of the window graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.analysis.stable import before, renumbered
from workbench.analysis.tasks.base import Context, Outcome, Task, labelled, numbered
from workbench.analysis.ties import joined, telling, tied
from workbench.compute import backends, run
from workbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.compute import EdgeList, KernelRun

__all__ = ["Communities"]

_WEIGHTS = ("ties", "events")


class Communities(Task):
    """Communities of the weighted window graph, attribute types left out.

    By Leiden, or with ``method`` by Louvain (``louvain``) or ``label_propagation``. With ``weights="ties"``
    an edge weighs by how strongly it ties, and edge types that tell nothing of communities are left out; what
    has no other edges joins the community to which most of its events lead. With ``"events"`` an edge weighs
    its number of events. Source: Traag, Waltman and van Eck 2019; spec 5.1.
    """

    defaults: ClassVar[dict[str, Any]] = {
        "method": "leiden",
        "resolution": 1.0,
        "min_weight": 1,
        "weights": "ties",
    }

    def run(self, context: Context) -> Outcome:
        """Return ``entity``, ``type``, ``key``, ``community`` and ``size``, the largest community first.

        In a first run 0 is the largest. Later a community keeps the number of the one with which it shares
        most entities, and a new one gets a number that none has had; metrics say how many stayed and moved;
        with ties also what each edge type gains (``gain:TYPE``), how many ``edge_types`` tell of communities
        and how many entities ``joined`` by the others.

        Raises:
            UsageError: If ``weights`` is neither.
        """
        kernel, ids = _ties(context) if _wants_ties(context) else _events(context)
        found = numbered(labelled(context.graph, ids, kernel.table), "community")
        table, metrics = renumbered(context, "communities", found, "community")
        count = {"communities": float(table["community"].n_unique())}
        kernel = replace(kernel, metrics={**kernel.metrics, **count, **metrics})
        method = str(context.parameters["method"])
        return Outcome(table.to_arrow(compat_level=pl.CompatLevel.oldest()), method, kernel)


def _wants_ties(context: Context) -> bool:
    if (weights := context.parameters["weights"]) not in _WEIGHTS:
        raise UsageError(f"weights is {weights!r}, must be one of {', '.join(_WEIGHTS)}.")
    return bool(weights == "ties")


def _events(context: Context) -> tuple[KernelRun, NDArray[np.int32]]:
    edges, ids = context.graph.edge_list(min_weight=context.parameters["min_weight"])
    return _found(context, edges, ids), ids


def _ties(context: Context) -> tuple[KernelRun, NDArray[np.int32]]:
    graph, least = context.graph, context.parameters["min_weight"]
    lists = {name: graph.edge_list(min_weight=least, edge_types=[name]) for name in graph.edge_types}
    types = {name: edges for name, (edges, _) in lists.items() if edges.table.num_rows}
    kept, gains = telling(types, context.device, context.seed)
    one = kept[0] if len(kept) == 1 else ""
    edges, ids = lists[one] if one else graph.edge_list(min_weight=least, edge_types=kept)
    kernel = _found(context, tied(edges), ids)
    others = [edges.table for name, edges in types.items() if name not in kept]
    labels = joined(kernel.table["community"].to_numpy(), edges, others)
    told = {
        "edge_types": float(len(kept)),
        "joined": float((labels != kernel.table["community"].to_numpy()).sum()),
        **{f"gain:{name}": value for name, value in gains.items()},
    }
    table = kernel.table.set_column(1, "community", pa.array(labels, pa.int32()))
    return replace(kernel, table=table, metrics={**kernel.metrics, **told}), ids


def _found(context: Context, edges: EdgeList, ids: NDArray[np.int32]) -> KernelRun:
    options = {name: context.parameters[name] for name in ("method", "resolution")}
    earlier = _earlier(context, ids)
    return run(backends, context.device, "communities", edges, seed=context.seed, earlier=earlier, **options)


def _earlier(context: Context, ids: NDArray[np.int32]) -> NDArray[np.int32] | None:
    """Return the community of each node in the run before, counted from 0; None without one."""
    known = before(context, "communities")
    if known is None:
        return None
    of = known.to_polars().filter(pl.col("size") > 1).select("entity", "community")
    here = pl.DataFrame({"entity": context.graph.entities_of(ids)})
    found = here.join(of, on="entity", how="left", maintain_order="left")["community"]
    _, groups = np.unique(found.fill_null(-1).to_numpy(), return_inverse=True)
    return (groups - int(found.null_count() > 0)).astype(np.int32)
