"""Search over the texts of the window by vectors."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.embedders import Embedder, named
from workbench.errors import ProviderError, StorageError, UnknownNameError, UsageError
from workbench.given import whole, words
from workbench.graph.keys import format_entities, parse_entity
from workbench.indexes import indexes
from workbench.logs import get_logger
from workbench.partials.lookup import parse_address
from workbench.progress import silent
from workbench.vectors.cache import VectorCache
from workbench.vectors.conditions import fulfilling
from workbench.vectors.entities import entity_vectors
from workbench.vectors.files import files_of
from workbench.vectors.hits import Hits, said_by
from workbench.vectors.neighbours import edges, measured, neighbours
from workbench.vectors.queue import IndexKind, Queue
from workbench.vectors.segment import Segment
from workbench.vectors.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from workbench.progress import Progress
    from workbench.storage import Snapshot
    from workbench.vectors.entities import EntityVectors
    from workbench.vectors.queue import Indexed
    from workbench.vectors.world import World

__all__ = ["Hits", "Vectors"]

# Mean length of what tells entities apart, of means of length 1: below it, similarity is rounding.
_TELLING = 1e-3
_EQUAL = 1e-5


class Vectors:
    """The vectors of a workspace's window: each segment's in a file of the segment, made once.

    What an embedder has given is also kept in the folder ``cache``, by the text.

    Args:
        world: The workspace.
        embedder: The embedder, or its name.
        index: Which index segments with many texts get.
        published: Told of the generation in which vectors were written.
    """

    def __init__(
        self,
        world: World,
        embedder: Embedder | str = "static",
        index: IndexKind | None = None,
        published: Callable[[Snapshot], object] = lambda _: None,
    ) -> None:
        self._world = world
        self.embedder = embedder if isinstance(embedder, Embedder) else named(embedder)
        self._cache = VectorCache(world.path / "cache" / "vectors", self.embedder)
        self._queue = Queue(world.store, self._cache, index or IndexKind())
        self._published = published
        self._entities: dict[str, EntityVectors] = {}

    def index(self, progress: Progress = silent) -> Indexed:
        """Embed the texts of segments that have no vectors yet, and index those of segments that have many.

        Vectors and indexes become files of their segments. A first search does it too, where nothing hinders.
        While a stream of this process is open its day gets no index, which would soon be of other vectors.

        Args:
            progress: Told after each segment.

        Raises:
            ReadOnlyError: If this is a mirror.
            WriterLockedError: If another process writes to the workspace.
            ProviderError: If the embedder's server fails and has never given a vector.
            StorageError: If the texts have not been derived, or the disk refuses.
        """
        self._world.store.require_writable()
        self._require_texts()
        done, written = self._queue.work(self._world.snapshot, progress, self._active)
        if written.generation != self._world.snapshot.generation:
            self._reset()
            self._published(written)
        return done

    @property
    def waiting(self) -> list[str]:
        """Return the segments that wait for their vectors or their index."""
        return [files.segment for files in self._queue.waiting(self._world.snapshot, self._active)]

    @property
    def _active(self) -> str:
        """Return the segment that a stream goes to; empty where none does."""
        live = self._world.snapshot.segments
        return live[-1] if live and any(True for _ in self._world.streams) else ""

    def search(  # noqa: PLR0913  (a query's parts, each its own)
        self,
        text: str | None = None,
        *,
        address: str | None = None,
        entity: str | None = None,
        vector: NDArray[np.float32] | Sequence[float] | None = None,
        k: int = 10,
        since: str | date | None = None,
        until: str | date | None = None,
        type: str | Sequence[str] | None = None,  # noqa: A002  (the word of the specification)
        where: str | None = None,
        distinct: bool = True,
    ) -> Hits:
        """Return the ``k`` events whose texts are nearest to a text, an event, an entity or a vector.

        Conditions hold while searching: ``k`` rows come back wherever ``k`` events fulfil them. Columns
        are ``address``, ``event_type``, ``time``, ``text``, ``score`` (cosine) and ``events``: how many of
        the events that fulfil the conditions have that text.

        Args:
            text: Words to be near to.
            address: An event to be near to; it is not found itself.
            entity: An entity, whose events' texts say what to be near to.
            vector: Numbers to be near to, as many as the embedder's.
            k: How many.
            since: A day or time in the workspace's zone.
            until: The end, not included.
            type: One or several event types.
            where: A condition of SQL on the events' fields, for example ``"delay > 60"``.
            distinct: Show each text once, by its latest event, as long as there are other texts.

        Raises:
            UsageError: If not exactly one of the four is given, or a value cannot be meant.
            UnknownNameError: If there is no such address, entity or event type.
            StorageError: If the texts have not been derived.
        """
        given = [n for n, v in zip(_QUERIES, (text, address, entity, vector), strict=True) if v is not None]
        if len(given) != 1:
            named = ", ".join(given) or "none"
            raise UsageError(f"search takes one of {', '.join(_QUERIES)}; given: {named}.")
        k = whole(k, "k", 1)
        self._ask_again()
        query, title = self._query(text, address, entity, vector)
        window = self.window
        where = None if where is None else words(where, "where")
        kept = fulfilling(window, self._world, since=since, until=until, type=type, where=where)
        if address is not None:
            day, identifier = parse_address(address)
            place = [segment.name for segment in window.segments].index(day)
            kept.only(place, window.segments[place].postings.ids != identifier)
        found, scores = window.search(query[None, :], k, kept.texts)
        rows = said_by(kept, found[0], scores[0], k, distinct=distinct)
        return Hits(rows, title + self._lacking, self._world.timezone)

    def similar(self, entity: str, k: int = 10) -> Hits:
        """Return the ``k`` entities of the same type whose events' texts are most alike.

        Columns are ``entity``, ``type``, ``key``, ``label`` and ``score``: the cosine of the entities'
        vectors, the idf-weighted means of their texts', without what all of the type have in common.
        The title says where more than ``k`` are equally alike.

        Raises:
            UnknownNameError: If there is no such entity, or no event with a text names it.
            UsageError: If the texts say nothing that tells the type's entities apart.
        """
        k = whole(k, "k", 1)
        self._ask_again()
        type_, key, place = self._place(entity)
        vectors = self._of_type(type_)
        if vectors.spread < _TELLING or not vectors.own(place, place + 1).any():
            of = (
                "its texts are those of every one"
                if vectors.spread >= _TELLING
                else "all have the same texts"
            )
            raise UsageError(
                f"nothing tells which {type_} are similar to {entity}: {of}.",
                fix="Name more fields in the entity schema's text templates.",
            )
        cosines = np.delete(vectors.cosines(place), place)
        best = np.argsort(-cosines, kind="stable")[:k]
        tied = int((cosines >= cosines[best[-1]] - _EQUAL).sum()) if best.size else 0
        keys = vectors.keys.gather(best + (best >= place))
        frame = pl.DataFrame(
            {
                "entity": format_entities(pl.Series([type_] * len(keys), dtype=pl.String), keys),
                "type": pl.Series([type_] * len(keys), dtype=pl.String),
                "key": keys,
                "label": self._labels(type_, keys),
                "score": cosines[best].astype(np.float64),
            }
        )
        more = f"; {tied} are at least as alike as the last of them" if tied > len(keys) else ""
        title = f"{type_} most similar to {type_}:{key}{more}{self._lacking}"
        return Hits(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), title, self._world.timezone)

    def batch_knn(self, type: str | None = None, k: int = 10) -> Hits:  # noqa: A002  (as in search)
        """Return the ``k`` nearest others of each entity of a type, or of each text: edges of what is alike.

        Columns are ``edge`` (``SimilarTo``), ``source``, ``target``, ``place`` (from 1) and ``similarity``.
        Up to about 20,000 all are compared, of more an index finds them.

        Args:
            type: An entity type; by default texts are compared.
            k: How many.

        Raises:
            UnknownNameError: If there is no such entity type.
        """
        if type is not None and type not in self._world.schema.entities:
            raise UnknownNameError("entity type", type, self._world.schema.entities)
        k = whole(k, "k", 1)
        self._ask_again()
        window = self.window
        if type is None:
            numbers = np.arange(len(window))
            names = pl.Series(window.texts(numbers), dtype=pl.String)
            pairs = neighbours(
                window.vectors(numbers), k, lambda queries, most: window.search(queries, most, None)
            )
        else:
            found = self._of_type(type)
            names = format_entities(pl.Series([type] * len(found.keys), dtype=pl.String), found.keys)
            own = found.own()
            name = self._queue.kind.driver if len(own) > self._queue.kind.above else "exact"
            pairs = neighbours(own, k, indexes.create(name).build(own).search)
        table = edges(pairs, names)
        title = f"The {k} most similar of each {type or 'text'}{self._lacking}"
        return Hits(table.to_arrow(compat_level=pl.CompatLevel.oldest()), title, self._world.timezone)

    def recall(self, sample: int = 500, *, k: int = 10, seed: int = 0) -> Hits:
        """Return how many of the ``k`` nearest the index finds: one row, also with the seconds that it takes.

        A vector counts as found where one as near was found: equal scores are no mistake.

        Args:
            sample: How many of the texts to ask with.
            k: How many neighbours of each.
            seed: Seed of the sample.

        Raises:
            UsageError: If one of them is no whole number, or too small.
        """
        sample, k, seed = whole(sample, "sample", 1), whole(k, "k", 1), whole(seed, "seed")
        window = self.window
        frame = measured(window, sample, k, seed)
        title = f"Recall of {window.index_name} with {self.embedder.model}"
        return Hits(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), title, self._world.timezone)

    # what is searched

    @cached_property
    def window(self) -> Window:
        """Return the window's texts, their vectors and who says them.

        Raises:
            UsageError: If the schema has no text templates.
            StorageError: If the texts have not been derived.
            ProviderError: If the embedder's server fails and has never given a vector.
        """
        self._require_texts()
        self._index_if_possible()
        snapshot = self._world.snapshot
        segments = [Segment(snapshot, files) for files in files_of(snapshot, self.embedder.model)]
        return Window(segments, self._cache.dimension, self._cache.embed_some)

    def __repr__(self) -> str:
        """Return what is searched."""
        window, model = self.window, self.embedder.model
        window.stored  # noqa: B018  (what has to wait is known then)
        share = len(window) / max(window.events, 1)
        return (
            f"Vectors: {window.events:,} events say {len(window):,} texts ({share:.1%}), "
            f"embedded by {model}, searched by {window.index_name}{self._lacking}"
        )

    # how

    def _require_texts(self) -> None:
        if not any(rule.text for rule in self._world.schema.events.values()):
            raise UsageError(
                "there are no texts to search: no event type of the entity schema has a text template.",
                fix='Give event types one, for example  text: "opened {page}".',
            )
        snapshot = self._world.snapshot
        derived = {entry.segment for entry in snapshot.files("texts")}
        lacking = [segment for segment in snapshot.segments if segment not in derived]
        if lacking:
            raise StorageError(
                f"the texts of {len(lacking)} segments have not been derived, first those of {lacking[0]}.",
                where=str(snapshot.root),
                fix="Ingest anything, also what is there already: it derives them first.",
            )

    def _index_if_possible(self) -> None:
        """Do what :meth:`index` does, unless somebody else writes or nothing can be written here."""
        try:
            self.index()
        except ProviderError:
            raise
        except (OSError, StorageError) as error:
            get_logger("vectors").info("vectors are not kept with their segments", reason=str(error))

    def _reset(self) -> None:
        self.__dict__.pop("window", None)
        self._entities.clear()

    def _ask_again(self) -> None:
        """Embed what had to wait, if the embedder's server gives it by now."""
        before = self._cache.waiting
        if before is None or "window" not in self.__dict__:
            return
        self._cache.embed_some(self.window.texts(self.window.made))
        after = self._cache.waiting
        if after is None or after.texts < before.texts:
            self._reset()

    @property
    def _lacking(self) -> str:
        """Return how many texts cannot be found yet, for titles; nothing where there are none."""
        waiting = self._cache.waiting
        return "" if waiting is None else f"; {waiting.texts:,} texts have no vectors yet: {waiting.reason}"

    def _query(
        self,
        text: str | None,
        address: str | None,
        entity: str | None,
        vector: NDArray[np.float32] | Sequence[float] | None,
    ) -> tuple[NDArray[np.float32], str]:
        if text is not None:
            query = self.embedder.embed([words(text, "text")])[0]
            if not query.any():
                raise UsageError(f"{text!r} has no word to search for.")
            return query, f"Nearest to {text!r}"
        if address is not None:
            number = self.window.find(*parse_address(address))
            if number is None:
                raise UnknownNameError(
                    "event with a text", address, fix="Its type may have no text template."
                )
            (text,) = self.window.texts(np.array([number]))
            return self.window.vectors(np.array([number]))[0], f"Nearest to {address}: {text}"
        if entity is not None:
            type_, _, row = self._place(entity)
            mean = self._of_type(type_).means[row]
            if not mean.any():
                raise UsageError(f"the texts of {entity} are those of every {type_}: they say nothing of it.")
            return mean, f"Nearest to what is said of {entity}"
        dimension = self._cache.dimension
        try:
            given = np.asarray(vector, np.float32)
        except (TypeError, ValueError) as error:
            raise UsageError(f"a vector has {dimension} numbers; this is {vector!r}.") from error
        if given.shape != (dimension,) or not np.isfinite(given).all() or not given.any():
            raise UsageError(f"a vector has {dimension} numbers, not all 0; this is {given.shape}.")
        return given / np.linalg.norm(given), "Nearest to a vector"

    def _place(self, entity: str) -> tuple[str, str, int]:
        """Return type, key and row number among the type's vectors."""
        type_, key = parse_entity(entity)
        if type_ not in self._world.schema.entities:
            raise UnknownNameError("entity type", type_, self._world.schema.entities)
        keys = self._of_type(type_).keys
        row = keys.search_sorted(key) if len(keys) else 0
        if row >= len(keys) or keys[int(row)] != key:
            raise UnknownNameError(
                "entity with a text", entity, fix="No event of a type that has a text template names it."
            )
        return type_, key, int(row)

    def _of_type(self, type_: str) -> EntityVectors:
        if type_ not in self._entities:
            self._entities[type_] = entity_vectors(self._world.by_segment, type_, self.window)
        return self._entities[type_]

    def _labels(self, type_: str, keys: pl.Series) -> pl.Series:
        nodes = pl.DataFrame(self._world.graph.nodes(type=type_)).select("key", "label")
        return pl.DataFrame({"key": keys}).join(nodes, on="key", how="left", maintain_order="left")["label"]


_QUERIES = ("text", "address", "entity", "vector")
