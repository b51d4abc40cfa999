"""Vectors of entities: what the events that name them say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.storage import Snapshot
    from workbench.vectors.window import Window

__all__ = ["EntityVectors", "entity_vectors"]


@dataclass(frozen=True, eq=False)
class EntityVectors:
    """Vectors of all entities of one type that have texts.

    Attributes:
        keys: Keys, sorted; the row number is the vector's.
        means: Idf-weighted mean of the entity's texts' vectors, of length 1, or 0 where all its texts are
            those of every entity; float32 ``[n, dimension]``.
        own: The means without what they have in common, of length 1 or 0.
        spread: Mean length of what was left then: 0 where the texts tell no entities apart.
    """

    keys: pl.Series
    means: NDArray[np.float32]
    own: NDArray[np.float32]
    spread: float


def entity_vectors(
    snapshot: Snapshot,
    type: str,  # noqa: A002  (the word of the specification)
    window: Window,
) -> EntityVectors:
    """Return the vectors of a type's entities.

    A text counts for an entity as often as an event with it names the entity, times the logarithm of the
    inverse share of entities that have it (idf): what is said of all says nothing of one. What the means
    have in common, their mean, is taken out for comparisons.

    Args:
        snapshot: The generation.
        type: The entity type.
        window: The texts.

    Source: Sparck Jones 1972; taking out the common part: Mu and Viswanath 2018.
    """
    said = _said(snapshot, type, window)
    keys = said["key"].unique(maintain_order=True)
    if keys.is_empty():
        none = np.empty((0, window.dimension), np.float32)
        return EntityVectors(keys, none, none, 0.0)
    having = said["text"].value_counts(name="entities")
    weight = (
        said.join(having, on="text", how="left", maintain_order="left")
        .select(pl.col("events") * (len(keys) / pl.col("entities")).log())
        .to_series()
        .to_numpy()
        .astype(np.float32)
    )
    ends = said.group_by("key", maintain_order=True).len()["len"].cum_sum().to_numpy()
    used = np.unique(said["text"].to_numpy())
    places = np.searchsorted(used, said["text"].to_numpy())
    means = _unit(_sums(window.vectors(used), places, weight, ends))
    some = np.linalg.norm(means, axis=1, keepdims=True) > 0
    rest = np.where(some, means - means.mean(axis=0), 0.0).astype(np.float32)
    return EntityVectors(keys, means, _unit(rest), float(np.linalg.norm(rest, axis=1).mean()))


def _said(snapshot: Snapshot, type: str, window: Window) -> pl.DataFrame:  # noqa: A002
    """Return ``key``, ``text`` and ``events``, sorted by key and text."""
    sightings = {entry.segment: entry for entry in snapshot.files("sightings")}
    entities = {entry.segment: entry for entry in snapshot.files("entities", segments=sightings)}
    counted = [pl.DataFrame(schema={"key": pl.String(), "text": pl.Int64(), "events": pl.UInt32()})]
    for segment, numbers in zip(window.segments, window.numbers, strict=True):
        if segment.name not in entities:
            continue
        known = pl.DataFrame(snapshot.read(entities[segment.name], columns=["type", "key", "is_test"]))
        named = known.with_row_index("node").filter(
            (pl.col("type").cast(pl.String) == type) & ~pl.col("is_test")
        )
        if named.is_empty():
            continue
        seen = pl.DataFrame(snapshot.read(sightings[segment.name], columns=["node", "_id"]))
        row = segment.postings.rows()
        text = np.where(row >= 0, numbers[segment.places[row]], -1)
        says = pl.DataFrame({"_id": segment.postings.ids, "text": text}).filter(pl.col("text") >= 0)
        counted.append(
            seen.join(named.select(pl.col("node").cast(pl.Int32), "key"), on="node")
            .join(says, on="_id")
            .group_by("key", "text")
            .agg(pl.len().cast(pl.UInt32).alias("events"))
        )
    return pl.concat(counted).group_by("key", "text").agg(pl.col("events").sum()).sort("key", "text")


def _sums(
    vectors: NDArray[np.float32],
    texts: NDArray[np.int64],
    weights: NDArray[np.float32],
    ends: NDArray[np.uint32],
) -> NDArray[np.float32]:
    """Return the weighted sum of the vectors of each group of consecutive rows."""
    from scipy.sparse import csr_array  # noqa: PLC0415  (kept out of start-up)

    shape = (len(ends), len(vectors))
    said = csr_array((weights, texts, np.append(0, ends.astype(np.int64))), shape)
    return np.asarray(said @ vectors, np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > _NOTHING))


# Below this a float32 mean of equal vectors is rounding.
_NOTHING = 1e-5
