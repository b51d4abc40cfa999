"""What running a plan leaves: the rows of its steps, and how each of them came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["Lineage", "StepReport", "StepResult"]


@dataclass(frozen=True)
class Lineage:
    """Where rows come from.

    Attributes:
        generation: The manifest that was read.
        segments: The segments that were read, in order.
        runs: Ids of the runs of knowledge that were read.
        seeds: Their seeds.
    """

    generation: int
    segments: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()

    def merged(self, others: Iterable[Lineage]) -> Lineage:
        """Return the lineage of what is made from several.

        >>> Lineage(3, ("2013-01-02",)).merged([Lineage(3, ("2013-01-01",), ("a",), (0,))]).segments
        ('2013-01-01', '2013-01-02')
        """
        parts = [self, *others]
        return Lineage(
            self.generation,
            tuple(sorted({s for p in parts for s in p.segments})),
            tuple(dict.fromkeys(r for p in parts for r in p.runs)),
            tuple(sorted({s for p in parts for s in p.seeds})),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, the segments as first, last and number."""
        ends = {"first": self.segments[0], "last": self.segments[-1]} if self.segments else {}
        return {
            "generation": self.generation,
            "segments": {**ends, "count": len(self.segments)},
            "runs": list(self.runs),
            "seeds": list(self.seeds),
        }


@dataclass(frozen=True)
class StepResult:
    """The rows of a step.

    Attributes:
        id: The step.
        title: What the rows are, for people.
        table: All of them.
        rows_before_limit: How many there were before a limit took the first; the same as there are otherwise.
        seconds: What they took.
        sql: The statement that DuckDB ran, if it was one.
        lineage: Where they come from.
        edges: The edges between the rows, where these are entities of a neighbourhood.
        notes: What a reader must know about them, as sentences.
        given: The steps whose tables :attr:`sql` reads in schema ``given``.
    """

    id: str
    title: str
    table: pa.Table
    rows_before_limit: int
    seconds: float
    sql: str
    lineage: Lineage
    edges: pa.Table | None = None
    notes: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepReport:
    """How a step went.

    Attributes:
        id: The step.
        op: Its operation.
        title: Its title.
        status: ``done``; ``folded`` into the statement of a step that reads it; ``failed``.
        rows: How many rows it gave, where that is known.
        seconds: What it took by itself.
        reason: Why it failed.
    """

    id: str
    op: str
    title: str = ""
    status: Literal["done", "folded", "failed"] = "done"
    rows: int | None = None
    seconds: float = 0.0
    reason: str = field(default="")
