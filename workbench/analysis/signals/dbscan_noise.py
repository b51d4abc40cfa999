"""The origin's density signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import polars as pl

from workbench.analysis.activity import event_types, from_us
from workbench.analysis.signals.base import Finding, Scope, Signal
from workbench.compute import Points, backends, run
from workbench.errors import DriverUnavailableError, ProviderError, StorageError
from workbench.vectors.corpus import read_corpus

if TYPE_CHECKING:
    from workbench.compute import KernelRun

__all__ = ["DbscanNoise"]

# All pairs of texts are compared.
_MOST_TEXTS = 20_000


class DbscanNoise(Signal):
    """The part of an actor's events that are noise among the vectors of all events' texts.

    DBSCAN with cosine distance 0.3 and 5 points, equal texts once with their number. An actor without a
    text has no such events.
    """

    profile: ClassVar[Literal["classic", "ensemble"]] = "classic"
    weight = 0.3

    def find(self, scope: Scope) -> Finding:
        """Return the signal of each actor in the period; none where texts or an embedder are missing."""
        named = event_types(scope.context.schema, scope.type_)
        if not any(scope.context.schema.events[name].text for name in named):
            return scope.nothing("no event type has a text template")
        try:
            said = _said(scope)
            texts = said.select("text").unique().sort("text")
            if texts.height > _MOST_TEXTS:
                return scope.nothing(f"{texts.height:,} texts are too many to compare all")
            vectors = scope.context.embed(texts["text"].to_list())
        except (StorageError, DriverUnavailableError, ProviderError) as error:
            return scope.nothing(error.message)
        noisy, kernel = _noisy(scope, said, texts, vectors.astype(np.float64))
        per_actor = (
            said.join(noisy, on="text")
            .group_by("actor")
            .agg(pl.col("noise").mean())
            .filter(pl.col("actor") >= 0)
        )
        values = np.zeros(len(scope))
        values[per_actor["actor"].to_numpy()] = per_actor["noise"].to_numpy()
        return Finding(values, kernel=kernel)


def _said(scope: Scope) -> pl.DataFrame:
    """Return ``text`` and ``actor`` of each event in the period; -1 where an event names no actor."""
    segments, first = scope.context.segments, from_us(scope.since).date().isoformat()
    corpus = read_corpus(scope.context.snapshot, [s for s in segments if s >= first])
    texts = corpus.texts.with_row_index("number").rename({"number": "place"})
    named = texts.filter(pl.col("event_type").is_in(event_types(scope.context.schema, scope.type_)))
    postings = corpus.postings.rename({"text": "place"}).join(named, on="place")
    days = pl.col("day").cast(pl.Date).dt.strftime("%Y-%m-%d").alias("segment")
    actors = scope.events.select("actor", days, "_id", pl.col("event_type").cast(pl.String))
    return (
        postings.with_columns(pl.col("segment").cast(pl.String))
        .join(actors, on=["segment", "_id", "event_type"], how="left")
        .select("text", pl.col("actor").fill_null(-1))
    )


def _noisy(
    scope: Scope, said: pl.DataFrame, texts: pl.DataFrame, vectors: np.ndarray
) -> tuple[pl.DataFrame, KernelRun | None]:
    """Return ``text`` and ``noise`` (0 or 1). A text without any known word is like no other: noise."""
    known = np.linalg.norm(vectors, axis=1) > 0
    counts = texts.join(said.group_by("text").len(), on="text", how="left", maintain_order="left")[
        "len"
    ].to_numpy()
    noise = np.ones(len(known))
    kernel = None
    if known.any():
        weight = counts[known].astype(np.float64)
        kernel = run(backends, scope.context.device, "dbscan", Points(vectors[known]), weight=weight)
        noise[known] = kernel.table["cluster"].to_numpy() < 0
    return texts.with_columns(pl.Series("noise", noise)), kernel
