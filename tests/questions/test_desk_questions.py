"""Questions about a made-up help desk, against SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gold import right

if TYPE_CHECKING:
    from workbench.engine import Engine

QUESTIONS = "desk"


def test_the_answer_is_right(case: dict[str, Any], asked: Any, desk: Engine) -> None:
    assert right(case, asked(desk, case["ask"]), desk) == ""
