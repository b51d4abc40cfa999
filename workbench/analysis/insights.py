"""What is worth telling of a new result, against the one that was told of before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.knowledge import Knowledge

__all__ = ["INSIGHTS", "TELLERS"]

INSIGHTS = {
    "type": pl.String(),
    "severity": pl.String(),
    "subject": pl.String(),
    "title": pl.String(),
    "text": pl.String(),
    "before": pl.String(),
    "after": pl.String(),
    "chart": pl.List(pl.Struct({"name": pl.String(), "value": pl.Float64()})),
    "question": pl.String(),
    "source": pl.String(),
    "run": pl.String(),
}
_RAISED = ("anomalous", "highly anomalous")
_SEVERITY = {"anomalous": "significant", "highly anomalous": "critical"}
_TOP = 10
_LARGE = 10
_CHANGED = 0.5
_DRIFT = 0.2
_MOST = 50

Row = dict[str, Any]


def _row(type_: str, severity: str, subject: str, title: str, text: str, **more: Any) -> Row:
    return {"type": type_, "severity": severity, "subject": subject, "title": title, "text": text, **more}


def _anomalies(old: Knowledge | None, new: Knowledge) -> Iterator[Row]:
    """Tell of actors that entered or left a class: not of those that are still in it."""
    now = new.to_polars().select("entity", "score", "why", after="class")
    then = None if old is None else old.to_polars().select("entity", before="class", score_before="score")
    if then is None:
        both = now.with_columns(before=pl.lit("normal"), score_before=pl.lit(0.0))
    else:
        both = now.join(then, on="entity", how="full", coalesce=True)
    both = both.with_columns(
        pl.col("before", "after").fill_null("normal"), pl.col("score", "score_before").fill_null(0.0)
    )
    moved = both.filter(
        (pl.col("before") != pl.col("after"))
        & (pl.col("before").is_in(_RAISED) | pl.col("after").is_in(_RAISED))
    ).sort("score", "entity", descending=[True, False])
    for row in moved.head(_MOST).iter_rows(named=True):
        entered = row["after"] in _RAISED
        yield _row(
            "anomaly",
            _SEVERITY.get(row["after"], "info"),
            row["entity"],
            f"{row['entity']} is {row['after']}",
            row["why"] if entered and row["why"] else f"It was {row['before']}.",
            before=row["before"],
            after=row["after"],
            chart=[{"name": "before", "value": row["score_before"]}, {"name": "now", "value": row["score"]}],
            question=f"why is {row['entity']} unusual",
        )


def _trends(old: Knowledge | None, new: Knowledge) -> Iterator[Row]:
    """Tell of episodes that were not there before, or were milder."""
    keys = ["metric", "dimension", "value", "resolution", "since"]
    wanted = ("significant", "critical")
    rows = new.to_polars().filter(pl.col("severity").is_in(wanted))
    if old is not None:
        known = old.to_polars().select(*keys, before="severity")
        rows = rows.join(known, on=keys, how="left", nulls_equal=True, maintain_order="left")
    else:
        rows = rows.with_columns(before=pl.lit(None, pl.String))
    for row in rows.filter(pl.col("before").ne_missing(pl.col("severity"))).head(_MOST).iter_rows(named=True):
        where = f" of {row['dimension']} {row['value']}" if row["dimension"] else ""
        more = "more" if row["excess"] > 0 else "less"
        yield _row(
            "trend",
            row["severity"],
            f"{row['metric']}{where}",
            f"{more.capitalize()} {row['metric']}{where} than usual",
            f"From {row['since']:%Y-%m-%d %H:%M} to {row['until']:%Y-%m-%d %H:%M} (UTC) there were "
            f"{row['observed']:,.4g} where {row['expected']:,.4g} are usual.",
            before=row["before"] or "",
            after=row["severity"],
            chart=[
                {"name": "usual", "value": row["expected"]},
                {"name": "observed", "value": row["observed"]},
            ],
            question=f"how did {row['metric']} develop",
        )


def _groups(kind: str, column: str) -> Callable[[Knowledge | None, Knowledge], Iterator[Row]]:
    def tell(old: Knowledge | None, new: Knowledge) -> Iterator[Row]:
        if old is None:
            return
        sizes = [k.to_polars().group_by(column).agg(pl.col("size").first()) for k in (old, new)]
        both = sizes[0].join(sizes[1], on=column, how="full", coalesce=True, suffix="_now")
        both = both.with_columns(pl.col("size", "size_now").fill_null(0)).filter(
            (pl.max_horizontal("size", "size_now") >= _LARGE)
            & (
                (pl.col("size_now") - pl.col("size")).abs()
                >= _CHANGED * pl.max_horizontal("size", "size_now")
            )
        )
        order = pl.max_horizontal("size", "size_now")
        for row in both.sort(order, column, descending=[True, False]).head(_TOP).iter_rows(named=True):
            was, now = row["size"], row["size_now"]
            verb = "is new" if not was else "is gone" if not now else "grew" if now > was else "shrank"
            yield _row(
                kind,
                "notable",
                f"{column} {row[column]}",
                f"{column.capitalize()} {row[column]} {verb}",
                f"It had {was:,} entities and has {now:,}.",
                before=str(was),
                after=str(now),
                chart=[{"name": "before", "value": float(was)}, {"name": "now", "value": float(now)}],
                question=f"what is in {column} {row[column]}",
            )
        moved = new.run.metrics.get("moved", 0.0)
        if moved >= _DRIFT:
            yield _row(
                kind,
                "notable",
                new.run.kind,
                f"{moved:.0%} moved to another {column}",
                f"Of all that were in a {column} before, {moved:.0%} are in another one now.",
                before="",
                after=f"{moved:.3f}",
                chart=[],
                question=f"show the {new.run.kind}",
            )

    return tell


def _sequences(_: Knowledge | None, new: Knowledge) -> Iterator[Row]:
    rows = new.to_polars().filter(pl.col("change").is_in(["new", "vanished"]) & (pl.col("length") > 1))
    most = pl.max_horizontal("support", pl.col("support_before").fill_null(0))
    order = rows.sort(pl.col("class") == "other", most, "pattern", descending=[False, True, False])
    for row in order.head(_TOP).iter_rows(named=True):
        was, now = row["support_before"] or 0, row["support"]
        yield _row(
            "pattern",
            "notable",
            row["pattern"],
            f"{row['pattern']} is {'new' if row['change'] == 'new' else 'no longer frequent'}",
            f"{now:,} have it and {was:,} had it; class {row['class']}.",
            before=str(was),
            after=str(now),
            chart=[{"name": "before", "value": float(was)}, {"name": "now", "value": float(now)}],
            question="which sequences are new",
        )


def _ranks(_: Knowledge | None, new: Knowledge) -> Iterator[Row]:
    rows = new.to_polars().filter(
        pl.col("place_before").is_not_null()
        & ((pl.col("place") <= _TOP) != (pl.col("place_before") <= _TOP)).fill_null(value=True)
    )
    for row in rows.head(_MOST).iter_rows(named=True):
        entered = row["place"] is not None and row["place"] <= _TOP
        place = "is not there any more" if row["place"] is None else f"is in place {row['place']:,}"
        yield _row(
            "graph",
            "notable",
            row["entity"],
            f"{row['entity']} {'came into' if entered else 'left'} the first {_TOP}",
            f"Among its type it {place} and was in place {row['place_before']:,}.",
            before=str(row["place_before"]),
            after="" if row["place"] is None else str(row["place"]),
            chart=[],
            question=f"what is {row['entity']} connected to",
        )


# Kind of knowledge to what tells of it.
TELLERS: dict[str, Callable[[Knowledge | None, Knowledge], Iterator[Row]]] = {
    "anomalies": _anomalies,
    "trends": _trends,
    "clusters": _groups("cluster", "cluster"),
    "communities": _groups("graph", "community"),
    "sequences": _sequences,
    "rank_shifts": _ranks,
}
