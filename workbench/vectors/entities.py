"""Vectors of entities: what the events that name them say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.vectors.files import Files
from workbench.vectors.segment import Segment as Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.storage import Segment
    from workbench.storage.by_segment import BySegment
    from workbench.vectors.window import Window

__all__ = ["EntityVectors", "entity_vectors"]

# Raised when the same partials say something else.
_VERSION = 1
# Below this a float32 mean of equal vectors is rounding.
_NOTHING = 1e-5
_ROWS = 1 << 15


@dataclass(frozen=True, eq=False)
class EntityVectors:
    """Vectors of all entities of one type that have texts.

    Attributes:
        keys: Keys, sorted; the row number is the vector's.
        means: Idf-weighted mean of the entity's texts' vectors, of length 1, or 0 where all its texts are
            those of every entity; float32 ``[n, dimension]``.
        common: What the means have in common: their mean; float32 ``[dimension]``.
        lengths: Of what is left of each mean without it; float32 ``[n]``.
    """

    keys: pl.Series
    means: NDArray[np.float32]
    common: NDArray[np.float32]
    lengths: NDArray[np.float32]

    @property
    def spread(self) -> float:
        """Return the mean length of what is left: 0 where the texts tell no entities apart."""
        return float(self.lengths.mean()) if self.lengths.size else 0.0

    def own(self, first: int = 0, end: int | None = None) -> NDArray[np.float32]:
        """Return the means of some rows (all by default) without the common part, of length 1 or 0."""
        rest, lengths = self.means[first:end] - self.common, self.lengths[first:end, None]
        return np.asarray(np.divide(rest, lengths, out=np.zeros_like(rest), where=lengths > 0))

    def cosines(self, row: int) -> NDArray[np.float32]:
        """Return the cosine of one row's own part with that of each row; float32 ``[n]``."""
        mine = self.own(row, row + 1)[0]
        dots = _blockwise(self.means, lambda block: (block - self.common) @ mine)
        return np.divide(dots, self.lengths, out=np.zeros_like(dots), where=self.lengths > 0)


def entity_vectors(
    source: BySegment,
    type: str,  # noqa: A002  (the word of the specification)
    window: Window,
) -> EntityVectors:
    """Return the vectors of a type's entities.

    A text counts for an entity as often as an event with it names the entity, times the logarithm of the
    inverse share of entities that have it (idf): what is said of all says nothing of one. What the means
    have in common, their mean, is taken out for comparisons.

    Args:
        source: What finds and keeps what single segments tell.
        type: The entity type.
        window: The texts.

    Raises:
        CorruptFileError: If a partial is damaged.

    Source: Sparck Jones 1972; taking out the common part: Mu and Viswanath 2018.
    """
    keys, entity, text, events = _said(source, type, window)
    if keys.is_empty():
        none = np.empty((0, window.dimension), np.float32)
        return EntityVectors(keys, none, none.sum(axis=0), none.sum(axis=1))
    having = np.bincount(text, minlength=len(window))
    used = np.flatnonzero(having)
    weights = (events * np.log(len(keys) / having[text])).astype(np.float32)
    ends = np.cumsum(np.bincount(entity, minlength=len(keys)))
    places = np.cumsum(having > 0) - 1
    means = _unit(_sums(window.vectors(used), places[text], weights, ends))
    common = means.mean(axis=0)
    lengths = _blockwise(means, lambda block: np.linalg.norm(block - common, axis=1))
    lengths[(lengths <= _NOTHING) | ~means.any(axis=1)] = 0
    return EntityVectors(keys, means, common, lengths)


def _said(
    source: BySegment,
    type: str,  # noqa: A002
    window: Window,
) -> tuple[pl.Series, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the sorted keys, and the place of a key, the number of a text and how many events say it of it.

    A row for each entity and text, by entity and text.
    """
    told = {entry.segment for entry in source.snapshot.files("sightings")}
    pairs_of = zip(window.segments, window.numbers, strict=True)
    texts = [(segment, numbers) for segment, numbers in pairs_of if segment.name in told]  # by day
    found = source.find(
        partial(_said_in, type_=type),
        [segment.name for segment, _ in texts],
        f"texts of {type}",
        reads=("entities", "sightings", "texts"),
        facts={"version": _VERSION, "type": type},
    )
    named, pairs = [pl.Series(dtype=pl.String)], [np.empty(0, np.int64)]
    counts, before = [np.empty(0, np.int64)], 0
    for (segment, numbers), tables in zip(texts, found, strict=True):
        known, said = pl.DataFrame(tables["entities"]), pl.DataFrame(tables["said"])
        number = numbers[segment.places[said["row"].to_numpy()]]
        pairs.append((said["entity"].to_numpy() + np.int64(before)) * len(window) + number)
        counts.append(said["events"].to_numpy().astype(np.int64))
        named.append(known["key"])
        before += known.height
    every = pl.concat(named)
    keys = every.unique().sort()
    place = keys.search_sorted(every).to_numpy().astype(np.int64)
    entity, text = np.divmod(np.concatenate(pairs), max(len(window), 1))
    rows = pl.DataFrame({"pair": place[entity] * len(window) + text, "events": np.concatenate(counts)})
    # far faster than grouping: the rows of each segment are nearly sorted
    rows = rows.sort("pair")
    pair = rows["pair"].to_numpy()
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    entity, text = np.divmod(pair[starts], max(len(window), 1))
    return keys, entity, text, np.add.reduceat(rows["events"].to_numpy(), starts) if starts.size else starts


def _said_in(segment: Segment, type_: str) -> Mapping[str, pa.Table]:
    """Return how often events of a segment say a text of an entity: ``entity``, ``row``, ``events``.

    An entity is a row of the table ``entities``, which has the ``key`` of those that say some; a row is one
    of the segment's texts without those of test accounts.
    """
    known = pl.concat(
        pl.DataFrame(table) for table in segment.read("entities", columns=["type", "key", "is_test"])
    ).with_row_index("node")
    named = known.filter((pl.col("type").cast(pl.String) == type_) & ~pl.col("is_test")).sort("key")
    texts = Texts(segment.snapshot, Files(segment.day, segment.files("texts")[0]))
    says = pl.DataFrame({"_id": texts.postings.ids, "row": texts.postings.rows()}).filter(pl.col("row") >= 0)
    place = np.full(known.height, -1, np.int32)
    place[named["node"].to_numpy()] = np.arange(named.height)
    seen = pl.concat(pl.DataFrame(table) for table in segment.read("sightings", columns=["node", "_id"]))
    rows = max(texts.rows.height, 1)
    pairs = (
        seen.select(pl.Series("entity", place[seen["node"].to_numpy()]), "_id")
        .filter(pl.col("entity") >= 0)
        .join(says, on="_id")
        .select((pl.col("entity").cast(pl.Int64) * rows + pl.col("row")).alias("pair"))
        .group_by("pair")
        .len("events")
        .sort("pair")
    )
    entity, row = np.divmod(pairs["pair"].to_numpy(), rows)
    some, entity = np.unique(entity, return_inverse=True)
    said = pl.DataFrame({"entity": entity.astype(np.int32), "row": row.astype(np.int32)})
    newest = pl.CompatLevel.newest()
    return {
        "entities": named.select(pl.col("key").gather(some)).to_arrow(compat_level=newest),
        "said": said.with_columns(pairs["events"]).to_arrow(compat_level=newest),
    }


def _sums(
    vectors: NDArray[np.float32],
    texts: NDArray[np.int64],
    weights: NDArray[np.float32],
    ends: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return the weighted sum of the vectors of each group of consecutive rows."""
    from scipy.sparse import csr_array  # noqa: PLC0415  (kept out of start-up)

    shape = (len(ends), len(vectors))
    said = csr_array((weights, texts, np.append(0, ends)), shape)
    return np.asarray(said @ vectors, np.float32)


def _blockwise(
    vectors: NDArray[np.float32], function: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Return a number for each vector, found in blocks: no second copy of them all is made."""
    blocks = (vectors[at : at + _ROWS] for at in range(0, len(vectors), _ROWS))
    return np.concatenate([np.empty(0, np.float32), *map(function, blocks)])


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of length 1, or 0, in the place of those given."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    some = lengths > _NOTHING
    np.divide(vectors, lengths, out=vectors, where=some)
    vectors[~some[:, 0]] = 0
    return vectors
