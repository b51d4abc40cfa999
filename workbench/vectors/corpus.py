"""The texts of the window, each once, with the events that say them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.errors import StorageError
from workbench.partials.documents import DAY_US, HASH_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from workbench.storage import Snapshot

__all__ = ["Corpus", "read_corpus"]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts and postings.

    Attributes:
        texts: ``event_type`` and ``text``, each pair once, sorted; the row number is the text's number.
        postings: One row an event: ``text`` (number), ``segment``, ``_id``; sorted by text, then time.
    """

    texts: pl.DataFrame
    postings: pl.DataFrame

    @cached_property
    def times(self) -> NDArray[np.int64]:
        """Return when each posting's event was, in microseconds since 1970, UTC."""
        segments = self.postings["segment"].cast(pl.String)
        midnight = segments.str.to_date("%Y-%m-%d").to_physical().cast(pl.Int64).to_numpy() * DAY_US
        return np.asarray(midnight + self.postings["_id"].to_numpy() // (1 << HASH_BITS))

    @cached_property
    def text_of(self) -> NDArray[np.int64]:
        """Return each posting's text."""
        return self.postings["text"].cast(pl.Int64).to_numpy()

    def is_event(self, segment: str, identifier: int) -> NDArray[np.bool_]:
        """Return which posting is that of one event: one of them, or none."""
        here = (self.postings["segment"].cast(pl.String) == segment) & (self.postings["_id"] == identifier)
        return here.to_numpy()

    def find(self, segment: str, identifier: int) -> int | None:
        """Return the text of one event, or None where it says none."""
        found = self.text_of[self.is_event(segment, identifier)]
        return int(found[0]) if len(found) else None


def read_corpus(snapshot: Snapshot, segments: Iterable[str]) -> Corpus:
    """Return all texts of the window but those of test accounts.

    Raises:
        StorageError: If a segment's texts have not been derived.
    """
    wanted = sorted(segments)
    files = {entry.segment: entry for entry in snapshot.files("texts", segments=wanted)}
    lacking = [segment for segment in wanted if segment not in files]
    if lacking:
        raise StorageError(
            f"the texts of {len(lacking)} segments have not been derived, the first of them {lacking[0]}.",
            where=str(snapshot.root),
            fix="Ingest anything, also what is there already: it derives them first.",
        )
    frames = [
        pl.DataFrame(snapshot.read(entry))
        .cast({"event_type": pl.String})
        .filter(~pl.col("is_test"))
        .select(pl.lit(segment).alias("segment"), "event_type", "text", pl.col("ids").alias("_id"))
        for segment, entry in files.items()
    ]
    kinds = {
        "segment": pl.String(),
        "event_type": pl.String(),
        "text": pl.String(),
        "_id": pl.List(pl.Int64()),
    }
    said = pl.concat([pl.DataFrame(schema=kinds), *frames])
    texts = said.select("event_type", "text").unique().sort("event_type", "text")
    numbered = texts.with_row_index("number")
    postings = (
        said.join(numbered, on=["event_type", "text"])
        .select(pl.col("number").alias("text"), pl.col("segment").cast(pl.Enum(wanted)), "_id")
        .explode("_id")
        .sort("text", "segment", "_id")
    )
    return Corpus(texts, postings)
