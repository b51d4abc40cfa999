"""How an answer is compared with its gold: rows, a part of a step, or a status."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.engine import Engine
    from workbench.plans.planners.base import Proposal

__all__ = ["right", "same_rows"]

_TRIED = 200


def right(case: dict[str, Any], proposal: Proposal, engine: Engine) -> str:
    """Return an empty text if the proposal is what the case wants, or what is wrong with it."""
    wanted = case.get("status")
    if wanted and not (proposal.status == "planned" and "or_sql" in case):
        return (
            "" if proposal.status in (wanted, case.get("or_status")) else f"{proposal.status}, not {wanted}"
        )
    if proposal.status != "planned" or proposal.plan is None:
        return f"{proposal.status}: {proposal.text}"
    if "step" in case:
        steps = proposal.plan.to_json()["steps"]
        return (
            "" if any(_within(case["step"], step) for step in steps) else f"no step {case['step']} in {steps}"
        )
    answer = engine.execute(proposal.plan)
    if answer.status != "answered":
        return f"{answer.status}: {answer.text}"
    gold = engine.sql(case.get("sql") or case["or_sql"]).to_arrow()
    return same_rows(
        gold, answer.to_arrow(), ordered=case.get("ordered", False), loose=case.get("loose", False)
    )


def _within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and _within(v, whole[k]) for k, v in part.items())
    return bool(part == whole)


def same_rows(gold: Any, found: Any, *, ordered: bool, loose: bool = False) -> str:
    """Return an empty text if columns of ``found`` hold the rows of ``gold``, or the difference.

    Args:
        gold: What must come.
        found: What came; it may have more columns.
        ordered: Whether the last column must come in the gold's order.
        loose: Whether rows that are 0 or null beside the gold's may come, as of empty buckets.
    """
    wanted = [_column(gold.column(n).to_pylist()) for n in range(gold.num_columns)]
    have = [_column(found.column(n).to_pylist()) for n in range(found.num_columns)]
    if loose and found.num_rows > gold.num_rows:
        have = _without_zeros(have)
    rows = len(have[0]) if have else 0
    if rows != gold.num_rows:
        return f"{rows} rows, not {gold.num_rows}"
    possible = [[k for k, column in enumerate(have) if Counter(column) == Counter(w)] for w in wanted]
    if not all(possible):
        missing = possible.index([])
        return f"no column is {gold.column_names[missing]}: {wanted[missing][:4]}… of {found.column_names}"
    target = Counter(zip(*wanted, strict=True))
    for n, choice in enumerate(product(*possible)):
        picked = [have[k] for k in choice]
        if Counter(zip(*picked, strict=True)) == target:
            return "" if not ordered or picked[-1] == wanted[-1] else "the rows come in another order"
        if n > _TRIED:
            break
    return "the columns are there, the rows are not"


def _without_zeros(columns: Sequence[list[Any]]) -> list[list[Any]]:
    keep = [n for n, row in enumerate(zip(*columns, strict=True)) if row[-1] not in (0, None)]
    return [[column[n] for n in keep] for column in columns]


def _column(values: Sequence[Any]) -> list[Any]:
    return [_value(v) for v in values]


def _value(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return None if math.isnan(value) else float(f"{float(value):.7g}")
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00"
    if type(value).__name__ == "Decimal":
        return float(f"{float(value):.7g}")
    return value
