"""Rows that are not there yet: a chain of steps as one statement, run only where somebody wants the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.plans.expressions import quoted
from workbench.plans.shapes import columns_of_table
from workbench.plans.times import Period

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from workbench.plans.shapes import Columns

__all__ = ["AS_THEY_COME", "Relation"]

AS_THEY_COME: tuple[str, ...] = ("",)
"""The order of rows that are kept as a table has them."""

_ANY_TIME = Period()


@dataclass(frozen=True)
class Relation:
    """The rows of a step as SQL.

    Attributes:
        name: The step, and the name of its part of the statement.
        columns: Its columns.
        parts: Name and SELECT of every part that the statement needs, itself last.
        order: The terms by which its rows are ordered; empty: by all columns.
        tables: Tables in memory that the parts read, in schema ``given``.
        within: The time that its events lie in, as far as it is known.

    >>> pages = Relation("pages", {"page": "string"}, (("pages", "SELECT page FROM main.clicks"),))
    >>> print(pages.then("first", 'SELECT * FROM "pages" LIMIT 1').statement)
    WITH "pages" AS NOT MATERIALIZED (
      SELECT page FROM main.clicks
    ), "first" AS NOT MATERIALIZED (
      SELECT * FROM "pages" LIMIT 1
    )
    SELECT * FROM "first"
    ORDER BY "page" NULLS LAST
    """

    name: str
    columns: Columns
    parts: tuple[tuple[str, str], ...]
    order: tuple[str, ...] = ()
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    within: Period = _ANY_TIME

    @classmethod
    def of(cls, name: str, table: pa.Table, within: Period = _ANY_TIME) -> Relation:
        """Return a table in memory as a relation that keeps the order of its rows."""
        body = f"SELECT * FROM given.{quoted(name)}"
        return cls(name, columns_of_table(table.schema), ((name, body),), AS_THEY_COME, {name: table}, within)

    def then(
        self,
        name: str,
        body: str,
        *,
        columns: Columns | None = None,
        order: tuple[str, ...] | None = None,
        others: Iterable[Relation] = (),
    ) -> Relation:
        """Return what a further SELECT makes of the rows.

        Args:
            name: The step.
            body: The SELECT; it names the steps that it reads.
            columns: Its columns, where they differ.
            order: Its order, where it differs; of no columns for an order by all of them.
            others: The other steps that it reads.
        """
        parts = dict(self.parts)
        tables = dict(self.tables)
        for other in others:
            parts |= dict(other.parts)
            tables |= other.tables
        return Relation(
            name,
            self.columns if columns is None else columns,
            (*parts.items(), (name, body)),
            self.order if order is None else order,
            tables,
            self.within,
        )

    @property
    def statement(self) -> str:
        """Return the statement that gives the rows in their order."""
        return self.select("*", self.order)

    def select(self, what: str, order: tuple[str, ...] | None = None) -> str:
        """Return a statement over the rows.

        Args:
            what: What it selects.
            order: Terms of the order; None for a statement without one.
        """
        # a scan that two steps read is read twice, which is cheaper than keeping all of its rows
        parts = ", ".join(f"{quoted(n)} AS NOT MATERIALIZED (\n  {body}\n)" for n, body in self.parts)
        text = f"WITH {parts}\nSELECT {what} FROM {quoted(self.name)}"
        if order is None or order == AS_THEY_COME:
            return text
        return f"{text}\nORDER BY {', '.join(order or self.by_all())}"

    def by_all(self, but: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the terms that order rows by all columns but some."""
        left = [name for name in self.columns if name not in set(but)]
        return tuple(f"{quoted(name)} NULLS LAST" for name in left) or ("1",)
