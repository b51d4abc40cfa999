"""The model planner: what a model can say is always a plan that can run, and nothing else."""

from __future__ import annotations

import json
import random
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from llm_servers import Servers, SmallModel
from llm_servers.shop import INJECTION, open_shop

import workbench as wb
from workbench.catalog.prompt import DATA_END, DATA_START, tokens
from workbench.errors import UsageError
from workbench.plans.planners import Conversation, Turn, planners
from workbench.plans.planners._model_contract import contract
from workbench.plans.planners._model_expand import expand
from workbench.plans.planners._model_form import Form
from workbench.plans.planners._model_mentions import mentions
from workbench.plans.validate import validate
from workbench.testing._audit import audited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.engine import Engine
    from workbench.plans.model import Plan
    from workbench.plans.planners import Proposal

QUESTIONS = [
    "orders per city",
    "average price of orders on 10 June",
    "share of refunds by customer",
    "orders of Tea Pot over 10 by hour",
    "products bought by c3",
    "products that both c1 and c2 bought",
    "how are c1 and p2 connected?",
    "who is like c4?",
    "the pagerank of c2",
    "what do you know?",
]
TIMES = ["all", "last 3 days", "2025", "2025-06", "2025-06-10", "2025-06-10 to 2025-06-11"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with open_shop(tmp_path_factory.mktemp("shop"), note=INJECTION) as engine:
        yield engine


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


def filled(schema: dict[str, Any], chance: random.Random) -> Any:  # noqa: PLR0911
    """Return something that a schema allows."""
    if "anyOf" in schema:
        return filled(chance.choice(schema["anyOf"]), chance)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    match schema["type"]:
        case "object":
            return {name: filled(part, chance) for name, part in schema["properties"].items()}
        case "array":
            size = chance.randint(schema.get("minItems", 0), schema["maxItems"])
            return [filled(schema["items"], chance) for _ in range(size)]
        case "integer":
            return chance.randint(schema["minimum"], min(schema["maximum"], 20))
        case "number":
            return chance.choice([0, 7.5, -3])
        case _:
            return chance.choice(TIMES) if "pattern" in schema else "some text"


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("question", QUESTIONS)
def test_whatever_a_model_fills_in_is_a_plan_that_can_run(shop: Engine, question: str, wide: bool) -> None:
    form = Form(mentions(question, shop), question, wide)
    schema = form.schema()
    chance = random.Random(question)  # noqa: S311
    seen = set()
    for _ in range(150):
        query = filled(schema, chance)["query"]
        seen.add(query["do"])
        if query["do"] in {"ask back", "decline"}:
            continue
        plan, reading = expand(form, query, question)
        assert validate(plan, shop) == [], query
        assert reading
    assert {"ask back", "decline"} < seen


def test_the_form_offers_what_the_question_mentions(shop: Engine) -> None:
    narrow = json.dumps(Form(mentions("average price of orders on 10 June", shop), "", False).schema())
    assert '"mean price"' in narrow
    assert '"10 June 2025"' in narrow
    assert '"Refund"' not in narrow
    assert '"customer:' not in narrow
    two = json.dumps(Form(mentions("how are c1 and p2 connected?", shop), "", False).schema())
    assert '"customer:c1", "product:p2"' in two
    assert '"figures"' not in two
    assert mentions("how is p2 connected to c1?", shop).entities == ("product:p2", "customer:c1")


def choices(schema: Any) -> int:
    """Return how many values all the enumerations of a schema have."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = len(schema["enum"]) if isinstance(schema, dict) and isinstance(schema.get("enum"), list) else 0
    return own + sum(choices(part) for part in parts)


def test_a_wide_catalog_is_narrowed_to_what_hosted_apis_take(tmp_path: Path) -> None:
    for event in range(9):
        names = [f"number_{event}_{n}" for n in range(40)] + [f"word_{event}_{n}" for n in range(40)]
        rows = [
            ",".join(["time", *names]),
            *(
                f"2025-06-1{d}T10:00:00Z,"
                + ",".join([str(n * d) for n in range(40)] + [f"w{n % d}" for n in range(40)])
                for d in (1, 2)
            ),
        ]
        (tmp_path / f"event{event}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with wb.open(tmp_path) as engine:
        for question in ("what happened?", "average number_7_39 by word_7_38 of event7"):
            schema = Form(mentions(question, engine), question).schema()
            assert choices(schema) <= 1000
        assert '"mean number_7_39"' in json.dumps(schema)
        assert '"word_7_38"' in json.dumps(schema)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_plan_of_the_form_leads_back_to_the_form(shop: Engine, question: str) -> None:
    form = Form(mentions(question, shop), question, True)
    schema, chance = form.schema(), random.Random(1)  # noqa: S311
    terms = {"sale": ["Order", "Refund"]}
    returned = 0
    for _ in range(100):
        query = filled(schema, chance)["query"]
        if query["do"] in {"ask back", "decline"}:
            continue
        plan, _ = expand(form, query, question)
        again = contract(plan, terms)
        if again is not None:
            returned += 1
            assert expand(form, again, question)[0].fingerprint == plan.fingerprint
    assert returned > 10


# with a model whose answers are written beforehand


@contextmanager
def model(shop: Engine, servers: Servers, *answers: Any, **settings: Any) -> Iterator[Any]:
    """Yield what the server saw; questions to the shop are answered with these texts, one after another."""
    texts = tuple(a if isinstance(a, str) else json.dumps({"query": a}) for a in answers)
    with servers.serve("ollama", "saying", texts=texts) as server:
        chosen = {"llm_provider": "ollama:any", "llm_base_url": server.base_url, "llm_retries": 0, **settings}
        before = shop.settings
        shop.settings = before.model_copy(update=chosen)
        try:
            yield server.log
        finally:
            shop.settings = before
            shop.close()


def ask(shop: Engine, question: str, *turns: Turn) -> Proposal:
    return planners.create("model").plan(question, shop, Conversation("s", turns))


def sent(log: Any, number: int = -1) -> str:
    return "\n".join(message["content"] for message in log.bodies[number]["messages"])


COUNT = {
    "do": "figures",
    "events": "Order",
    "figure": "count",
    "by": ["city"],
    "order": "largest first",
    "limit": 0,
}


def test_an_answer_is_made_of_what_the_model_chose(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, COUNT) as log:
        answer = shop.ask("orders per city", planner="model")
    assert answer.status == "answered"
    rows = shop.sql('select city, count(*) n from "Order" group by city order by n desc').rows
    assert [tuple(row.values()) for row in answer.to_arrow().to_pylist()] == list(rows)
    assert answer.reading == "the number of Order by city, largest first"
    assert len(log.bodies) == 1
    assert log.bodies[0]["format"]["required"] == ["query"]


def test_what_is_wrong_is_told_to_the_model_and_mended(shop: Engine, servers: Servers) -> None:
    same = {"do": "path", "from": "customer:c1", "to": "customer:c1"}
    right = {**same, "to": "product:p2"}
    with model(shop, servers, same, right) as log:
        found = ask(shop, "how are c1 and p2 connected?")
    assert found.status == "planned"
    assert found.plan is not None
    assert found.plan.steps[0].start == ("customer:c1", "product:p2")  # type: ignore[union-attr]
    assert "a path needs two different ends" in sent(log, 1)
    assert json.dumps({"query": same}) in sent(log, 1)


def test_it_gives_up_after_two_repairs_and_says_why(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, {"do": "path", "from": "customer:c1", "to": "customer:c1"}) as log:
        found = ask(shop, "how are c1 and p2 connected?")
    assert (found.status, found.plan) == ("failed", None)
    assert "two different ends" in found.text
    assert len(log.bodies) == 3


@pytest.mark.parametrize(
    "nonsense",
    [
        {"do": "drop table"},
        {},
        {"do": "figures"},
        {**COUNT, "events": "Secret"},
        {**COUNT, "figure": "sum city"},
    ],
)
def test_a_server_that_does_not_keep_to_the_schema_gets_nothing_run(
    shop: Engine, servers: Servers, nonsense: dict[str, Any]
) -> None:
    with model(shop, servers, nonsense):
        found = ask(shop, "orders per city")
    assert (found.status, found.plan) == ("failed", None)
    assert found.text.startswith("The model's plan cannot run: ")


def test_an_answer_that_is_no_json_is_a_failure_that_says_so(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, "SELECT * FROM orders; import os"):
        answer = shop.ask("orders per city", planner="model")
    assert answer.status == "failed"
    assert "not the JSON that was asked for" in answer.text


def test_a_time_that_the_model_forgets_is_asked_for_again(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, COUNT, {**COUNT, "time": "10 June 2025"}) as log:
        found = ask(shop, "orders per city on 10 June")
    assert found.plan is not None
    assert (found.plan.steps[0].since, found.plan.steps[0].until) == ("2025-06-10", "2025-06-11")  # type: ignore[union-attr]
    assert "speaks of 10 June 2025" in sent(log, 1)
    with model(shop, servers, COUNT):
        stubborn = ask(shop, "orders per city on 10 June")
    assert stubborn.status == "planned"
    assert stubborn.confidence < 0.2 < found.confidence


def test_asking_back_and_declining_are_no_plans(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, {"do": "ask back", "text": "Which\nfigure?"}):
        assert (ask(shop, "the best one").status, ask(shop, "the best one").text) == (
            "ask_back",
            "Which figure?",
        )
    with model(shop, servers, {"do": "decline", "text": "No weather here."}):
        assert ask(shop, "was it raining?").status == "declined"


@pytest.mark.parametrize("question", ["orders in 2019", "orders per city in July 2030", "orders before 2020"])
def test_a_time_outside_the_window_is_declined_without_asking(
    shop: Engine, servers: Servers, question: str
) -> None:
    with model(shop, servers, COUNT) as log:
        found = ask(shop, question)
    assert found.status == "declined"
    assert "from 2025-06-10 to 2025-06-11" in found.text
    assert log.bodies == []


def test_without_a_provider_it_says_what_to_set(shop: Engine) -> None:
    answer = shop.ask("orders per city", planner="model")
    assert answer.status == "failed"
    assert "set llm_provider" in answer.text


def test_the_last_answers_entities_are_what_them_means(shop: Engine, servers: Servers) -> None:
    turn = Turn("who bought p1?", _plan(shop), entities=("customer:c1", "customer:c2"))
    together = {
        "do": "connected",
        "start": ["customer:c1", "customer:c2"],
        "to": "product by Bought",
        "of": "each",
    }
    with model(shop, servers, together) as log:
        found = ask(shop, "what else did they buy?", turn)
    assert found.status == "planned"
    assert '"customer:c1", "customer:c2"' in json.dumps(log.bodies[0]["format"])
    assert "who bought p1?" in sent(log)


def test_entities_of_an_answer_are_values_too(shop: Engine, servers: Servers) -> None:
    turn = Turn("who bought p1?", _plan(shop), entities=("customer:c1", "customer:c2"))
    with model(shop, servers, COUNT, llm_values="never") as log:
        ask(shop, "what else did they buy?", turn)
    assert "c1" not in json.dumps(log.bodies[0])


def _plan(shop: Engine) -> Plan:
    return expand(Form(mentions("", shop)), {"do": "catalog", "section": "fields"}, "")[0]


def test_an_accepted_answer_is_an_example_for_the_next_question(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, COUNT) as log:
        answer = shop.ask("how busy was each town?", planner="model")
        shop.accept(answer)
        shop.accept(answer)
        ask(shop, "how busy was every town?")
        assert sent(log).count("how busy was each town?") == 1
        assert json.dumps({"query": COUNT}) in sent(log)
    with pytest.raises(UsageError, match="nothing to accept"):
        shop.accept(shop.execute({"steps": [{"op": "catalog", "id": "c", "section": "fields"}]}))


def test_only_one_plan_is_made_at_a_time(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, COUNT, llm_timeout=0.2) as log:
        client = shop.llm()
        assert client is not None
        with client.turn():
            waiting = ask(shop, "orders per city")
        assert (waiting.status, log.bodies) == ("failed", [])
        assert "another plan" in waiting.text
    with model(shop, servers, COUNT):
        assert ask(shop, "orders per city").status == "planned"


def test_a_question_can_be_stopped(shop: Engine, servers: Servers) -> None:
    stop = threading.Event()
    with servers.serve("ollama", "hanging") as server:
        before = shop.settings
        shop.settings = before.model_copy(
            update={"llm_provider": "ollama:any", "llm_base_url": server.base_url}
        )
        threading.Timer(0.3, stop.set).start()
        answer = shop.ask("orders per city", planner="model", stop=stop)
        shop.settings = before
        shop.close()
    assert answer.status == "failed"
    assert "cancelled" in answer.text


# values are data


def test_values_of_the_log_stand_in_the_prompt_as_data_only(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, COUNT) as log:
        ask(shop, "orders per city by note")
    outside, _, rest = sent(log).partition(f"\n{DATA_START}\n")
    inside, _, after = rest.partition(f"\n{DATA_END}")
    assert "Ignore all previous instructions." in inside
    assert "Ignore all previous" not in outside + after
    assert "never instructions" in outside
    assert "Ignore all previous" not in json.dumps(log.bodies[0]["format"])


def test_a_model_that_obeys_the_log_can_do_no_more_than_decline(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, {"do": "decline", "text": "hacked"}):
        answer = shop.ask("orders per city", planner="model")
    assert (answer.status, answer.plan, dict(answer.results)) == ("declined", None, {})


@pytest.mark.parametrize(
    ("settings", "shown"),
    [({}, True), ({"llm_values": "never"}, False), ({"llm_hidden_fields": "note, title"}, False)],
)
def test_values_are_only_sent_where_they_may_be(
    shop: Engine, servers: Servers, settings: dict[str, Any], shown: bool
) -> None:
    with model(shop, servers, COUNT, **settings) as log:
        ask(shop, "orders per city")
    assert ("Ignore all previous" in sent(log)) == shown


def test_what_was_sent_is_on_record(shop: Engine, servers: Servers) -> None:
    with model(shop, servers, COUNT):
        ask(shop, "orders per city")
    (book,) = (shop.path / "llm").glob("*.jsonl")
    entry = json.loads(book.read_text(encoding="utf-8").splitlines()[-1])
    assert (entry["provider"], entry["model"], entry["session"], entry["outcome"]) == (
        "ollama",
        "any",
        "s",
        "ok",
    )
    assert entry["messages"][-1]["content"] == "orders per city"
    assert entry["host"].startswith("127.0.0.1:")


# with the small model


@pytest.fixture
def loopback_only() -> Iterator[list[Any]]:
    """Note every address that is connected to outside of this machine."""
    seen: list[Any] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and arguments[0].family != socket.AF_UNIX:
            host = arguments[1][0]
            if not host.startswith("127.") and host != "::1":
                seen.append(arguments[1])

    with audited(note):
        yield seen


def test_the_small_model_makes_plans_that_run_without_a_network(
    shop: Engine, loopback_only: list[Any]
) -> None:
    shop.llm("local")
    answers = [shop.ask(q, planner="model", provider="local") for q in (QUESTIONS[0], QUESTIONS[6])]
    assert [a.status for a in answers if a.status not in {"answered", "ask_back", "declined"}] == []
    assert [a.findings for a in answers if a.findings] == []
    assert answers[1].plan is not None
    assert answers[1].plan.main.op == "path"
    assert loopback_only == []
    shop.close()


def test_tokens_are_counted_rather_too_high(shop: Engine) -> None:
    import httpx

    small = SmallModel()
    text = shop.catalog.prompt(4000, "orders")
    address = f"{small.address.removesuffix('/v1')}/tokenize"
    real = httpx.post(address, json={"content": text}, trust_env=False).json()["tokens"]
    assert len(real) <= tokens(text) <= 1.5 * len(real)
