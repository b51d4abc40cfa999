"""Names of all that the catalog knows, found by name with typos forgiven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.errors import UsageError
from workbench.given import whole
from workbench.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.catalog.catalog import Catalog
    from workbench.graph import Graph

__all__ = ["Hit", "Hits", "gather", "search"]

_SCHEMA = pl.Schema(
    {
        "kind": pl.String(),
        "name": pl.String(),
        "where": pl.String(),
        "text": pl.String(),
        "weight": pl.Int64(),
    }
)
# What a query can mean stands in this order where the score is the same.
_KINDS = (
    "event type",
    "entity type",
    "edge type",
    "field",
    "property",
    "knowledge",
    "reference",
    "entity",
    "value",
)
_EXACT, _PREFIX, _INSIDE, _WORD = 100.0, 92.0, 84.0, 0.95
_ENOUGH = 70.0
_SHORTEST_INSIDE = 3
_WORDS = r"[\p{L}\p{N}]+"
_HUMPS = r"(\p{Ll}|\p{N})(\p{Lu})"


@dataclass(frozen=True)
class Hit:
    """Something that a name was found for.

    Attributes:
        score: 0 to 100; 100 for the very name.
        kind: What it is ("field", "entity", …).
        name: Its name; an entity's is ``type:key``.
        where: What it belongs to, and for an alternative name that one.
        weight: Documents, entities or rows behind it.
    """

    score: float
    kind: str
    name: str
    where: str
    weight: int


@dataclass(frozen=True, repr=False)
class Hits(Tabular):
    """What was found, best first.

    Attributes:
        query: What was looked for.
        hits: The best ones.
        total: How many there were.
    """

    query: str
    hits: tuple[Hit, ...]
    total: int
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return ``score``, ``kind``, ``name``, ``where`` and ``weight``."""
        types = {
            "score": pa.float64(),
            "kind": pa.string(),
            "name": pa.string(),
            "where": pa.string(),
            "weight": pa.int64(),
        }
        return pa.table({n: pa.array([getattr(h, n) for h in self.hits], t) for n, t in types.items()})

    def _title(self) -> str:
        more = f", the best {len(self.hits)} kept" if self.total > len(self.hits) else ""
        return f"{self.total:,} found for {self.query!r}{more}"


def gather(catalog: Catalog, graph: Graph | None) -> pl.DataFrame:
    """Return every name that can be found: ``kind``, ``name``, ``where``, ``text``, ``weight``.

    Args:
        catalog: What there is.
        graph: Gives the entities' keys and labels; None where it cannot be read.
    """
    rows = pl.DataFrame(
        [*_types(catalog), *_fields(catalog), *_tables(catalog)], schema=_SCHEMA, orient="row"
    )
    # one field or value of several event types is one hit
    merged = rows.group_by("kind", "name", "text", maintain_order=True).agg(
        pl.col("where").unique(maintain_order=True).str.join(", "), pl.col("weight").sum()
    )
    return pl.concat([merged.select(list(_SCHEMA)), *([_entities(graph)] if graph is not None else [])])


Row = tuple[str, str, str, str, int]


def _types(catalog: Catalog) -> Iterator[Row]:
    for event in catalog.event_types:
        yield from _named("event type", event.name, "", event.synonyms, event.documents)
    for entity in catalog.entity_types:
        yield from _named("entity type", entity.name, "", entity.synonyms, entity.count)
        for known in entity.properties:
            yield "property", known.name, entity.name, known.name, known.entities
    for edge in catalog.edge_types:
        yield from _named("edge type", edge.name, f"{edge.source} → {edge.target}", edge.synonyms, edge.count)


def _named(kind: str, name: str, where: str, synonyms: Sequence[str], weight: int) -> Iterator[Row]:
    yield kind, name, where, name, weight
    for synonym in synonyms:
        yield kind, name, f"{where}, also {synonym}".removeprefix(", "), synonym, weight


def _fields(catalog: Catalog) -> Iterator[Row]:
    for event in catalog.event_types:
        for field in event.fields:
            yield "field", field.name, event.name, field.name, event.documents - field.nulls
            for value, count in field.top:
                yield "value", value, f"{event.name}.{field.name}", value, count


def _tables(catalog: Catalog) -> Iterator[Row]:
    for reference in catalog.references:
        yield "reference", reference.name, "", reference.name, reference.rows
        for column in reference.columns:
            yield "field", column, reference.name, column, reference.rows
    for kind in catalog.knowledge:
        yield "knowledge", kind.kind, kind.algorithm, kind.kind, kind.rows
        yield "knowledge", kind.kind, kind.algorithm, kind.algorithm, kind.rows


def _entities(graph: Graph) -> pl.DataFrame:
    nodes = pl.DataFrame(graph.nodes().select(["entity", "type", "key", "label", "sightings"]))
    named = nodes.with_columns(kind=pl.lit("entity"), name="entity", weight="sightings")
    keys = named.with_columns(where=pl.lit(""), text="key")
    labels = named.filter(pl.col("label").is_not_null()).with_columns(where="label", text="label")
    return pl.concat(frame.select(list(_SCHEMA)).cast(_SCHEMA) for frame in (keys, labels))


def search(names: pl.DataFrame, query: str, limit: int, timezone: str) -> Hits:
    """Return the names that are like a query.

    A name scores as a whole (the very name, its start, part of it, or by the share of characters in
    common: the normalised indel similarity) or by its words, whichever is more.

    Args:
        names: What :func:`gather` returned.
        query: What to look for.
        limit: The most hits.
        timezone: Of the result's display.

    Raises:
        UsageError: If the query has no letter and no digit, or the limit is less than 1.
    """
    wanted = str(query).strip().casefold() if query is not None else ""  # type: ignore[redundant-expr]
    if not pl.Series([wanted]).str.contains(_WORDS).item():
        raise UsageError(f"cannot look for {query!r}.", fix="Give a word, a number or a name.")
    whole(limit, "limit", 1)
    texts = pl.DataFrame({"text": names["text"].unique()})
    folded = texts["text"].str.to_lowercase()
    scored = texts.with_columns(score=np.maximum(_as_whole(folded, wanted), _by_words(texts["text"], query)))
    order = pl.Series(_KINDS)
    found = (
        names.join(scored.filter(pl.col("score") >= _ENOUGH), on="text")
        .sort("score", descending=True, maintain_order=True)
        .unique(["kind", "name"], keep="first", maintain_order=True)
        .with_columns(
            pl.col("kind")
            .replace_strict(order, pl.Series(range(len(_KINDS))), return_dtype=pl.Int8)
            .alias("rank"),
            pl.col("score").round(1),
        )
        .sort("score", "rank", "weight", "name", descending=[True, False, True, False])
    )
    hits = tuple(
        Hit(**row) for row in found.head(limit).select("score", "kind", "name", "where", "weight").to_dicts()
    )
    return Hits(query, hits, found.height, timezone)


def _as_whole(folded: pl.Series, wanted: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    scores = _similar(wanted, folded)
    if len(wanted) >= _SHORTEST_INSIDE:
        inside = folded.str.contains(wanted, literal=True).to_numpy()
        scores = np.where(inside, np.maximum(scores, _INSIDE), scores)
    starts = folded.str.starts_with(wanted).to_numpy()
    scores = np.where(starts, np.maximum(scores, _PREFIX), scores)
    return np.where((folded == wanted).to_numpy(), _EXACT, np.minimum(scores, _EXACT - 1))


def _by_words(texts: pl.Series, query: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return, averaged over the query's words, how well the best word of each text fits."""
    split = pl.col("text").str.replace_all(_HUMPS, "${1} ${2}").str.to_lowercase().str.extract_all(_WORDS)
    frame = texts.alias("text").to_frame().with_row_index("row")
    words = frame.select("row", split.alias("word")).explode("word").drop_nulls()
    distinct = words["word"].unique()
    asked = pl.DataFrame({"text": [query]}).select(split).to_series().explode().to_list()
    scores = np.zeros(len(texts))
    for word in asked:
        fit = _similar(word, distinct)
        if len(word) >= _SHORTEST_INSIDE:
            fit = np.where(distinct.str.starts_with(word).to_numpy(), np.maximum(fit, _PREFIX), fit)
        best = (
            words.join(pl.DataFrame({"word": distinct, "fit": fit}), on="word")
            .group_by("row")
            .agg(pl.col("fit").max())
        )
        scores[best["row"].to_numpy()] += best["fit"].to_numpy()
    return scores * (_WORD / len(asked))


def _similar(wanted: str, texts: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    from rapidfuzz import fuzz, process  # noqa: PLC0415  (native code that only a search needs)

    found = process.cdist([wanted], texts.to_list(), scorer=fuzz.ratio, score_cutoff=_ENOUGH)
    return np.asarray(found[0], dtype=np.float64)
