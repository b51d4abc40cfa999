"""What was extracted from parts of a segment, as if it had been extracted from the whole."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["merged"]

_ENTITY = ("segment", "type", "key", "is_test")
_TIMES = (pl.col("first_seen").min(), pl.col("last_seen").max())


def merged(parts: Sequence[dict[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    """Return what :func:`~workbench.partials.extract.extract` gives of all documents of one segment.

    Args:
        parts: What it gives of some of them; each document is in one part. They are let go on the way.
    """
    if len(parts) == 1:
        return parts[0]
    every = pl.concat([part["entities"] for part in parts])
    entities = (
        every.group_by(_ENTITY)
        .agg(pl.col("sightings").sum(), *_TIMES)
        .sort(_ENTITY)
        .with_row_index("node")
        .select(pl.col("node").cast(pl.Int32) if c == "node" else c for c in every.columns)
    )
    ranked = every.drop("node").join(entities, on=_ENTITY, how="left", maintain_order="left")
    ends = np.cumsum([0, *(part["entities"].height for part in parts)])
    nodes = ranked["node"].to_numpy()
    places = [nodes[start:end] for start, end in pairwise(ends)]
    edges = _placed(parts, "edges", places, "source", "target")
    properties = _placed(parts, "properties", places, "node")
    order = edges.columns, properties.columns
    return {
        "entities": entities,
        "edges": edges.group_by("segment", "type", "source", "target")
        .agg(pl.col("weight").sum(), *_TIMES)
        .sort("type", "source", "target")
        .select(order[0]),
        "sightings": _placed(parts, "sightings", places, "node").sort("node", "_id"),
        "properties": properties.group_by("segment", "node", "name", "value")
        .agg(pl.col("sightings").sum(), pl.col("last_seen").max())
        .sort("node", "name", "value")
        .select(order[1]),
    }


def _placed(
    parts: Sequence[dict[str, pl.DataFrame]], kind: str, places: Sequence[NDArray[np.int32]], *nodes: str
) -> pl.DataFrame:
    """Return the rows of all parts, with the nodes that the whole has."""
    return pl.concat(
        rows.with_columns(pl.Series(node, place[rows[node].to_numpy()]) for node in nodes)
        for rows, place in zip((part.pop(kind) for part in parts), places, strict=True)
    )
