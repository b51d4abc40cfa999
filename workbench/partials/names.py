"""Names of fields and event types as sources spell them, and as a workspace does."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from workbench.config.entity_schema import EntitySchema

__all__ = ["RESERVED", "day_of", "event_type_of", "field_name", "is_field_name", "plan_fields"]

RESERVED = frozenset({"_id", "_ts", "_type", "_extra", "_original", "_segment"})
# what documents carry on their way into a segment; SQL does not tell names apart by case
_TAKEN = RESERVED | {"_hash", "_source", "_ts_text"}
_LONGEST = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MARKUP = re.compile(r"<[^>]*>|</|&[a-z]+;")
_NOT_WORD = re.compile(r"\W+")
# what a path adds to an event type's name: a date, a part number, a partition directory
_DATED = re.compile(
    r"(^|[-_.])\d{4}[-_.]?\d{2}[-_.]?\d{2}([-_.T]?\d{2}[-_:]?\d{2}([-_:]?\d{2})?Z?)?(?=$|[-_.])"
)
_DAY = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}")
_PART = re.compile(r"(^|[-_.])(part|chunk)?[-_.]?\d+(?=$|[-_.])", re.IGNORECASE)


def is_field_name(name: str) -> bool:
    """Return whether a column's name can be a field's: no markup, no control characters, not too long.

    >>> is_field_name("pageId"), is_field_name("<div>x</div>")
    (True, False)
    """
    return (
        bool(name.strip()) and len(name) <= _LONGEST and not (_CONTROL.search(name) or _MARKUP.search(name))
    )


def field_name(name: str) -> str:
    """Return a source column's name in normal form: letters, digits and underscores.

    >>> field_name(" user agent "), field_name("geo.city"), field_name("_id"), field_name("2fa")
    ('user_agent', 'geo_city', 'source_id', 'f_2fa')
    """
    text = _NOT_WORD.sub("_", name.strip())
    if text.casefold() in _TAKEN:
        return f"source{text}"
    return f"f_{text}" if text[:1].isdigit() else text


def plan_fields(
    columns: Iterable[str], schema: EntitySchema, known: Iterable[str] = ()
) -> dict[str, list[str]]:
    """Map each field to the source columns that hold it, in order of precedence.

    Spellings become one field by the schema's aliases, and where they differ in case only: SQL does
    not tell such names apart. Columns that are not names are left out.

    Args:
        columns: The source's column names.
        schema: Gives the aliases.
        known: Fields that the event type has already; their spelling wins.

    >>> from workbench.config import EntitySchema
    >>> plan_fields(["pageId", "pageid", "<b>"], EntitySchema())
    {'pageId': ['pageId', 'pageid']}
    """
    alias_of = {a: field for field, aliases in schema.fields.aliases.items() for a in (field, *aliases)}
    spelling = {name.casefold(): name for name in (*known, *alias_of.values())}
    plan: dict[str, list[str]] = {}
    for column in sorted(columns, key=lambda c: (c not in schema.fields.aliases, c)):
        if not is_field_name(column):
            continue
        field = alias_of.get(column.strip()) or field_name(column)
        field = spelling.setdefault(field.casefold(), field)
        plan.setdefault(field, []).append(column)
    return plan


def event_type_of(path: Path, names: Mapping[str, str], suffix: str = "") -> str:
    """Return the event type that a file's path speaks of.

    Looked at are the file's name without dates and part numbers, then its directories outwards; the
    first that the schema knows wins, else the first that is a name at all.

    Args:
        path: The source file.
        names: What sources may call an event type, mapped to its own name.
        suffix: The ending of the file's name that says its format; by default what follows the last dot.

    >>> from pathlib import Path
    >>> event_type_of(Path("logs/Login/2025-06-12.parquet"), {})
    'Login'
    >>> event_type_of(Path("logs/v2/Tap/dt=2025-06-12/part-0.parquet"), {"Tap": "Click"})
    'Click'
    >>> event_type_of(Path("clicks_20250612.csv.gz"), {}, ".csv.gz")
    'clicks'
    """
    parts = [
        path.name[: -len(suffix or path.suffix) or None],
        *reversed(PurePosixPath(path.parent.as_posix()).parts),
    ]
    candidates = []
    for part in parts:
        plain = _PART.sub("", _DATED.sub("", part)).strip("-_. ")
        if "=" not in part and plain not in {"", "/", "part", "data"}:
            candidates += [part, plain] if part in names else [plain]
    for candidate in candidates:
        if candidate in names:
            return names[candidate]
    return candidates[0] if candidates else "event"


def day_of(path: Path | None) -> str:
    """Return the first date in a path, as it is written there, the file's name first; empty if there is none.

    >>> from pathlib import Path
    >>> day_of(Path("logs/Login/2025-06-12.parquet")), day_of(Path("dt=20250612/part-0.parquet"))
    ('2025-06-12', '20250612')
    """
    for part in reversed(path.parts if path else ()):
        if found := _DAY.search(part):
            return found[0]
    return ""
