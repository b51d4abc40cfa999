"""Questions about a made-up shop: another schema, with the same planner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gold import right

if TYPE_CHECKING:
    from workbench.engine import Engine

QUESTIONS = "shop"


def test_the_answer_is_right(case: dict[str, Any], asked: Any, shop: Engine) -> None:
    assert right(case, asked(shop, case["ask"]), shop) == ""
