"""The flights and the questions under other names: the planner knows none of the old ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gold import right

if TYPE_CHECKING:
    from workbench.engine import Engine

QUESTIONS = "renamed"


def test_the_answer_is_right(case: dict[str, Any], asked: Any, renamed: tuple[Engine, bool]) -> None:
    engine, described = renamed
    if case.get("described") and not described:
        pytest.skip("the question needs what the schema says about terms and fields")
    assert right(case, asked(engine, case["ask"]), engine) == ""


def test_the_old_names_mean_nothing(asked: Any, renamed: tuple[Engine, bool]) -> None:
    assert asked(renamed[0], "departures per airline in February").status == "declined"
