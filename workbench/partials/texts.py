"""Documents to texts: what the schema's templates say of each event, once for all that say the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from workbench.partials.documents import field_text
from workbench.partials.extract import is_test
from workbench.partials.shapes import TEXTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.config.entity_schema import EntitySchema

__all__ = ["text_fields", "texts"]

_PART = re.compile(r"\{([^{}|]+)(?:\|truncate:(\d+))?\}")
_UNKNOWN = "unknown"


def texts(documents: Mapping[str, pl.DataFrame], schema: EntitySchema) -> pl.DataFrame:
    """Return the partial ``texts``: each distinct text of a segment and event type with its events' ``_id``.

    A field without a value reads ``unknown``; an event of whose template no field has a value has no text.

    Args:
        documents: By event type, with ``_segment``, ``_id`` and the fields.
        schema: Its templates, by event type.
    """
    frames = [
        _texts_of(name, frame, schema)
        for name, frame in sorted(documents.items())
        if name in schema.events and schema.events[name].text and frame.height
    ]
    if not frames:
        return pl.DataFrame(TEXTS.empty_table()).with_columns(segment=pl.lit(""))
    return pl.concat(frames).sort("segment", "event_type", "text", "is_test")


def _texts_of(name: str, frame: pl.DataFrame, schema: EntitySchema) -> pl.DataFrame:
    parts = _parts(schema.events[name].text)
    fields = sorted(text_fields(schema.events[name].text))
    by = ["segment", "is_test", *(f"@{field}" for field in fields)]
    distinct = (
        frame.select(
            pl.col("_segment").cast(pl.String).alias("segment"),
            is_test(frame, schema),
            *(_value(frame, field).alias(f"@{field}") for field in fields),
            "_id",
        )
        .group_by(by)
        .agg("_id")
    )
    if fields:
        distinct = distinct.filter(~pl.all_horizontal(pl.col(f"@{field}").is_null() for field in fields))
    return (
        distinct.select("segment", "is_test", _filled(parts).alias("text"), "_id")
        .group_by("segment", "is_test", "text")
        .agg(pl.col("_id").explode().sort().alias("ids"))
        .with_columns(pl.lit(name).alias("event_type"))
        .select("segment", *TEXTS.names)
    )


def text_fields(template: str) -> set[str]:
    """Return the fields that a template has."""
    return {field for _, field, _ in _parts(template) if field}


def _parts(template: str) -> list[tuple[str, str, int | None]]:
    """Return the template as literals (text, "", None) and fields ("", name, characters)."""
    parts: list[tuple[str, str, int | None]] = []
    end = 0
    for match in _PART.finditer(template):
        parts.append((template[end : match.start()], "", None))
        parts.append(("", match[1], int(match[2]) if match[2] else None))
        end = match.end()
    parts.append((template[end:], "", None))
    return [part for part in parts if part[0] or part[1]]


def _value(frame: pl.DataFrame, field: str) -> pl.Expr:
    return field_text(frame, field) if field in frame.columns else pl.lit(None, pl.String)


def _filled(parts: list[tuple[str, str, int | None]]) -> pl.Expr:
    return pl.concat_str(
        pl.lit(literal) if literal else pl.col(f"@{field}").fill_null(_UNKNOWN).str.slice(0, characters)
        for literal, field, characters in parts
    )
