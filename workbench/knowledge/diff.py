"""What differs between two results of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from workbench.errors import UsageError
from workbench.tabular import Tabular

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from workbench.knowledge.store import Knowledge, Run

__all__ = ["Difference", "difference"]

# By what rows of results are known, the first that fits.
_KEYS = (
    ("entity",),
    ("pattern",),
    ("first", "second"),
    ("source", "target"),
    ("kind", "group"),
    ("metric", "type"),
    ("metric", "dimension", "value", "resolution", "since"),
    ("event_type", "text"),
    ("cluster", "feature"),
    ("type", "subject", "title"),
)


@dataclass(frozen=True, repr=False)
class Difference(Tabular):
    """The rows that differ, with the values of both; ``before`` and ``after`` are the runs."""

    before: Run
    after: Run
    on: tuple[str, ...]
    table: pa.Table
    timezone: str = "UTC"

    def to_arrow(self) -> pa.Table:
        """Return the key, ``change`` (``added``, ``removed``, ``changed``) and each column twice."""
        return self.table

    def _title(self) -> str:
        return f"{self.after.kind} as of {self.after.asof} against {self.before.asof}"


def difference(before: Knowledge, after: Knowledge, on: Sequence[str] = ()) -> Difference:
    """Return the rows of two results of one kind that differ.

    Args:
        before: The one.
        after: The other.
        on: The columns by which rows are known; by default what is usual for the kind.

    Raises:
        UsageError: If the two are of different kinds, or rows are not known by ``on``.
    """
    if before.run.kind != after.run.kind:
        raise UsageError(
            f"{before.run.kind} and {after.run.kind} cannot be compared.", fix="Compare one kind."
        )
    old, new = before.to_polars(), after.to_polars()
    keys = list(on) or _keys(old, new, after.run.kind)
    _require_known(old, new, keys)
    shared = [
        name
        for name in new.columns
        if name in old.columns and name not in keys and not new.schema[name].is_nested()
    ]
    both = (
        old.select(*keys, *shared, pl.lit(value=True).alias("_old"))
        .join(
            new.select(*keys, *shared, pl.lit(value=True).alias("_new")),
            on=keys,
            how="full",
            coalesce=True,
            nulls_equal=True,
            suffix="_after",
        )
        .with_columns(
            pl.when(pl.col("_old").is_null())
            .then(pl.lit("added"))
            .when(pl.col("_new").is_null())
            .then(pl.lit("removed"))
            .otherwise(pl.lit("changed"))
            .alias("change")
        )
    )
    unequal = [pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in shared]
    differs = pl.any_horizontal(pl.col("change") != "changed", *unequal)
    columns = [c for n in shared for c in (pl.col(n).alias(f"{n}_before"), pl.col(f"{n}_after"))]
    table = both.filter(differs).select(*keys, "change", *columns).sort("change", *keys)
    arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    return Difference(before.run, after.run, tuple(keys), arrow, after.timezone)


def _keys(old: pl.DataFrame, new: pl.DataFrame, kind: str) -> list[str]:
    for keys in _KEYS:
        if all(set(keys) <= set(f.columns) and f.select(keys).is_unique().all() for f in (old, new)):
            return list(keys)
    raise UsageError(f"rows of {kind} are known by no usual columns.", fix="Name them with on=[…].")


def _require_known(old: pl.DataFrame, new: pl.DataFrame, keys: list[str]) -> None:
    for frame in (old, new):
        if lacking := [name for name in keys if name not in frame.columns]:
            raise UsageError(
                f"there is no column {lacking[0]!r}.", fix=f"There are {', '.join(frame.columns)}."
            )
        if not frame.select(keys).is_unique().all():
            raise UsageError(f"several rows have the same {', '.join(keys)}.", fix="Name more columns.")
