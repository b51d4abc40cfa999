"""Questions about a small log of the gaming schema, against SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gold import right

if TYPE_CHECKING:
    from workbench.engine import Engine

QUESTIONS = "gaming"


def test_the_answer_is_right(case: dict[str, Any], asked: Any, gaming: Engine) -> None:
    assert right(case, asked(gaming, case["ask"]), gaming) == ""
