"""Enrichment: a read-only plan that has to agree before a rule fires."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.analysis.activity import from_us
from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.config.anomaly_rule import AnomalyRule, Enrichment
    from workbench.rules.scene import World

__all__ = ["agreed", "checked"]

_PLACEHOLDER = re.compile(r"\{(entity|type|key|since|until)\}")
_MOST = 200


def agreed(world: World, rule: AnomalyRule, found: pl.DataFrame, until: int) -> pl.DataFrame:
    """Return those of the subjects for whom the rule's plan has as many rows as it has to.

    Raises:
        UsageError: If the plan cannot be run, or would be for too many subjects.
    """
    wanted = rule.enrichment
    if wanted is None or found.is_empty():
        return found
    moments = {
        "since": from_us(until - int(rule.lookback.total_seconds() * 1_000_000)).isoformat(),
        "until": from_us(until).isoformat(),
    }
    text = json.dumps(wanted.plan)
    if not re.search(r"\{(entity|type|key)\}", text):
        return found if _enough(world, wanted, moments) else found.clear()
    if found.height > _MOST:
        raise UsageError(
            f"the rule found {found.height:,} subjects, a plan is run for at most {_MOST}.",
            fix="Narrow it by its filters.",
        )
    kept = [
        _enough(world, wanted, {**moments, "entity": row["subject"], "type": row["type"], "key": row["key"]})
        for row in found.iter_rows(named=True)
    ]
    return found.filter(pl.Series(kept, dtype=pl.Boolean))


def checked(world: World, rule: AnomalyRule) -> list[str]:
    """Return what is wrong with a rule's plan in this workspace, without running it."""
    from pydantic import ValidationError  # noqa: PLC0415

    from workbench.plans.model import Plan  # noqa: PLC0415  (only rules with a plan need it)
    from workbench.plans.validate import findings_of, validate  # noqa: PLC0415

    if rule.enrichment is None:
        return []
    type_ = (rule.filters.types or world.schema.who or ("entity",))[0]
    sample = {"entity": f"{type_}:x", "type": type_, "key": "x", "since": "2000-01-01", "until": "2000-01-02"}
    try:
        plan = Plan.model_validate(_filled(rule.enrichment.plan, sample))
    except ValidationError as error:
        return [str(finding) for finding in findings_of(error)]
    return [str(finding) for finding in validate(plan, world)]  # type: ignore[arg-type]


def _enough(world: World, wanted: Enrichment, values: Mapping[str, str]) -> bool:
    answer = world.execute(_filled(wanted.plan, values))
    if not answer:
        raise UsageError(f"the plan of the enrichment: {answer.text}")
    rows = answer.to_arrow().num_rows
    return (wanted.at_least is None or rows >= wanted.at_least) and (
        wanted.at_most is None or rows <= wanted.at_most
    )


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """Return a plan with its placeholders filled: values stay values, whatever they hold."""
    if isinstance(value, dict):
        return {key: _filled(inner, values) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, values) for inner in value]
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), value)
    return value
