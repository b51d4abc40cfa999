"""An answer in a model's words: figures that no table has are named, rows stay where they may not go."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from llm_servers import Servers
from llm_servers.shop import INJECTION, open_shop

from workbench.catalog.prompt import DATA_END, DATA_START
from workbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.engine import Engine
    from workbench.plans.answer import Answer

PLAN = {
    "question": "orders by note and city",
    "steps": [
        {"op": "scan", "id": "orders", "types": ["Order"]},
        {
            "op": "aggregate",
            "id": "counts",
            "source": "orders",
            "by": [{"field": "note"}, {"field": "city"}],
            "measures": [{"name": "count"}],
        },
    ],
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with open_shop(tmp_path_factory.mktemp("shop"), note=INJECTION) as engine:
        yield engine


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture
def answer(shop: Engine) -> Answer:
    return shop.execute(PLAN)


@contextmanager
def saying(shop: Engine, servers: Servers, text: str, **settings: Any) -> Iterator[Any]:
    with servers.serve("ollama", "saying", texts=(text,)) as server:
        before = shop.settings
        chosen = {"llm_provider": "ollama:any", "llm_base_url": server.base_url, **settings}
        shop.settings = before.model_copy(update=chosen)
        try:
            yield server.log
        finally:
            shop.settings = before
            shop.close()


def test_figures_of_the_tables_pass_and_others_are_named(
    shop: Engine, servers: Servers, answer: Answer
) -> None:
    counts = sorted(answer.to_arrow()["count"].to_pylist())
    assert counts == [34, 34, 52]
    with saying(shop, servers, "Bonn has 52 orders, the others have 34 each."):
        told = shop.reword(answer)
    assert told.text == "Bonn has 52 orders, the others have 34 each."
    assert told.to_arrow().equals(answer.to_arrow())
    with saying(shop, servers, "Bonn has 52 orders, 44 % of 120, as in 2025, of 3 towns."):
        told = shop.reword(replace(answer, question="orders in 2025"))
    assert told.text == (
        "Bonn has 52 orders, 44 % of 120, as in 2025, of 3 towns. (Not in the results: 44, 120.)"
    )


def test_rows_are_data_to_the_model(shop: Engine, servers: Servers, answer: Answer) -> None:
    with saying(shop, servers, "Fine.") as log:
        shop.reword(answer)
    sent = log.bodies[0]["messages"][1]["content"]
    before, _, rest = sent.partition(f"{DATA_START}\n")
    inside, _, after = rest.partition(f"\n{DATA_END}")
    assert "Ignore all previous" in inside
    assert "Ignore all previous" not in before + after
    assert before.startswith("Question: orders by note and city\n")


def test_rows_and_fields_stay_where_they_may_not_go(shop: Engine, servers: Servers, answer: Answer) -> None:
    with (
        saying(shop, servers, "Fine.", llm_values="never") as log,
        pytest.raises(UsageError, match="llm_values is 'never'"),
    ):
        shop.reword(answer)
    assert log.bodies == []
    elsewhere = {"llm_provider": "openai:gpt-x", "llm_base_url": "https://api.example.org/v1"}
    with saying(shop, servers, "", **elsewhere), pytest.raises(UsageError, match="llm_values is 'local'"):
        shop.reword(answer)
    with saying(shop, servers, "Fine.", llm_hidden_fields="note") as log:
        shop.reword(answer)
    assert "Ignore" not in log.bodies[0]["messages"][1]["content"]
    assert "Bonn" in log.bodies[0]["messages"][1]["content"]


def test_without_a_provider_or_without_a_table_nothing_is_asked(shop: Engine, answer: Answer) -> None:
    with pytest.raises(UsageError, match="no language model is set"):
        shop.reword(answer)
    empty = shop.ask("")
    assert shop.reword(empty) is empty
