"""Steps over the vectors: by meaning and by likeness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from workbench.plans.steps.graph import named_nodes, to_arrow

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.plans.model import Search, Similar
    from workbench.plans.times import Period
    from workbench.plans.world import Runtime

__all__ = ["search", "similar"]


def search(step: Search, within: Period, world: Runtime) -> pa.Table:
    """Return the documents whose texts are nearest to a text, nearest first."""
    options = {"type": list(step.types)} if step.types else {}
    found = world.vectors.search(text=step.text, k=step.k, since=within.since, until=within.until, **options)
    return found.to_arrow()


def similar(step: Similar, world: Runtime) -> pa.Table:
    """Return the entities of the same type that are most alike, most alike first."""
    frame = pl.DataFrame(world.vectors.similar(step.entity, k=step.k).to_arrow())
    if not {"type", "key", "label"} <= set(frame.columns):
        frame = named_nodes(frame.select("entity", "score"), world)
    return to_arrow(frame.select("entity", "type", "key", "label", "score").cast({"type": pl.String}))
