"""The window graph of a part of its time: of whole segments from partials, and finer from their documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.compute as pc

from workbench.errors import UsageError
from workbench.graph.kept import window_of
from workbench.partials.documents import DAY_US
from workbench.partials.extract import extract
from workbench.partials.micros import from_us, moment
from workbench.partials.shapes import shaped
from workbench.partials.stored import align, concat_documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from workbench.config.entity_schema import EntitySchema, EventRule
    from workbench.graph.window import Window
    from workbench.partials.types import FieldType
    from workbench.storage import FileEntry, Snapshot
    from workbench.storage.derived import Derived

__all__ = ["Times"]

_KINDS = ("entities", "edges", "properties")


@dataclass(frozen=True)
class Times:
    """What the graph of a part of a window's time is made of.

    Attributes:
        snapshot: The generation.
        kept: Where windows are kept.
        schema: Which fields give which entities and edges.
        fields: The type of each field, by event type.
        since: The first moment, in microseconds since 1970; None for no bound.
        until: The first moment after it.
    """

    snapshot: Snapshot
    kept: Derived
    schema: EntitySchema
    fields: Mapping[str, Mapping[str, FieldType]]
    since: int | None = None
    until: int | None = None

    def within(self, since: int | None, until: int | None) -> Times:
        """Return the part of it that lies in another range.

        Raises:
            UsageError: If there is none.
        """
        starts = [bound for bound in (self.since, since) if bound is not None]
        ends = [bound for bound in (self.until, until) if bound is not None]
        found = replace(self, since=max(starts, default=None), until=min(ends, default=None))
        if found.since is not None and found.until is not None and found.since >= found.until:
            raise UsageError(f"the range from {from_us(found.since)} until {from_us(found.until)} is empty.")
        return found

    def window(self, *, exact: bool) -> tuple[Window, str]:
        """Return the window, and which time it is of, in words.

        Args:
            exact: Count of a segment that is cut only the documents within; else all of them.

        Raises:
            CorruptFileError: If a file is missing or damaged.
        """
        touched = [s for s in self.snapshot.segments if not self._outside(s)]
        cut = [s for s in touched if exact and not self._inside(s)]
        more = [(segment, self._part(segment)) for segment in cut]
        whole = [segment for segment in touched if segment not in cut]
        return window_of(self.snapshot, self.kept, whole, more=more), self._said(touched, exact=exact)

    def _outside(self, segment: str) -> bool:
        before = self.since is not None and _start(segment) + DAY_US <= self.since
        return before or (self.until is not None and _start(segment) >= self.until)

    def _inside(self, segment: str) -> bool:
        after = self.since is None or _start(segment) >= self.since
        return after and (self.until is None or _start(segment) + DAY_US <= self.until)

    def _said(self, segments: list[str], *, exact: bool) -> str:
        if not exact:
            return f"the UTC days {segments[0]} to {segments[-1]}" if segments else "no day"
        bounds = {"from": self.since, "until": self.until}
        said = (f"{w} {from_us(at).isoformat()}" for w, at in bounds.items() if at is not None)
        return "the time " + " ".join(said)

    def _part(self, segment: str) -> dict[str, pa.Table]:
        """Return the partials of the documents of a segment that lie within."""
        time = pc.field("_ts")
        within = pc.scalar(value=True)
        if self.since is not None:
            within &= time >= pc.scalar(from_us(self.since))
        if self.until is not None:
            within &= time < pc.scalar(from_us(self.until))
        found: dict[str, list[pl.DataFrame]] = {}
        for entry in self.snapshot.files("events", segments=[segment]):
            rule = self.schema.events.get(entry.name)
            if rule is not None and rule.entities:
                frame = self._documents(entry, rule, within)
                found.setdefault(entry.name, []).append(frame.with_columns(_segment=pl.lit(segment)))
        documents = {name: concat_documents(frames) for name, frames in found.items()}
        partials = extract(documents, self.schema)
        return {kind: shaped(partials[kind], kind) for kind in _KINDS}

    def _documents(self, entry: FileEntry, rule: EventRule, within: pc.Expression) -> pl.DataFrame:
        """Return the documents of a file that lie in a range, with the fields alone that the graph needs."""
        wanted = {self.schema.fields.test_account}
        for entity in rule.entities.values():
            wanted |= {*entity.fields, *entity.join, *entity.properties.values()}
        with self.snapshot.open(entry) as file:
            stored = set(file.schema_arrow.names)
        columns = ["_id", "_ts", *sorted((wanted | {"_original"}) & stored)]
        frame = pl.DataFrame(self.snapshot.read(entry, columns=columns, filters=within))
        return align(frame, self.fields.get(entry.name, {}))


def _start(segment: str) -> int:
    return moment(segment, "UTC")
