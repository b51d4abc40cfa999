"""The chat over a real planner and a real workspace: what is asked, told apart, drawn, saved."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import param
import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.views import Job, Selection, views
from workbench.views.chat import answer_markup, entities_of, expand

if TYPE_CHECKING:
    from workbench.progress import Update

pytest.importorskip("panel", reason="views are drawn with panel")

EVIL = "<script>alert(1)</script>"
SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  entities: {client: {who: true}, page: {}}
  edges: {Saw: {from: client, to: page}}
  events:
    Visit: {entities: {client: client, page: page}, edges: [{type: Saw, from: client, to: page}]}
    Order: {entities: {client: client}}
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    root = tmp_path_factory.mktemp("shop")
    (root / "shop.yaml").write_text(SCHEMA)
    engine = Engine.create(root / "w", schema=root / "shop.yaml")
    hours = [f"2025-06-{day:02}T10:00:00Z" for day in range(1, 13)]
    clients = ["ann", "bob", "ann", "cid"] * 3
    pages = ["home", "help", EVIL, "home"] * 3
    engine.ingest(pa.table({"time": hours, "client": clients, "page": pages}), type="Visit")
    engine.ingest(pa.table({"time": hours[:4], "client": clients[:4]}), type="Order")
    return engine


def named(layout: Any, kind: str) -> list[Any]:
    """Return the components of a class that is made on first use."""
    return [part for part in layout.select() if type(part).__name__ == kind]


def shown(view: Any) -> tuple[Any, Any, list[Any]]:
    """Return the box, the beginning and the turns on the screen, the newest first."""
    import panel as pn

    layout = pn.panel(view)
    [box] = named(layout, "AskBox")
    turns = [part for part in layout.select(pn.Column) if "wb-turn" in part.css_classes]
    return box, named(layout, "Page")[0], turns


def markup(turn: Any) -> str:
    return "".join(page.markup for page in named(turn, "Page"))


def test_a_question_is_answered_with_rows_chart_plan_and_code(db: Engine) -> None:
    import panel as pn

    view = views.create("chat", db, Selection())
    box, start, turns = shown(view)
    assert not turns
    assert "To begin with" in start.markup
    box.ask = ["number of visits by page", 1]
    [answer] = view.answers
    assert answer.status == "answered"
    counted = dict(db.sql("select page, count(*) from Visit group by all").rows)
    assert dict(zip(*(c.to_pylist() for c in answer.to_arrow().columns[:2]), strict=True)) == counted
    _, start, [turn] = shown(view)
    assert start.markup == ""
    words = markup(turn)
    assert "number of visits by page" in words
    assert {part for part in ("Plan", "Steps", "Python", "SQL") if f"<summary>{part}</summary>" in words} == {
        "Plan",
        "Steps",
        "Python",
        "SQL",
    }
    assert len(turn.select(pn.pane.HoloViews)) == len([r for r in answer.renders if r.kind == "bar"]) == 1
    assert "<script>" not in words


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        ("the salary of ann", "declined", "cannot be answered"),
        ("", "ask_back", ""),
    ],
)
def test_what_is_not_answered_says_which_way(db: Engine, question: str, status: str, words: str) -> None:
    view = views.create("chat", db, Selection(), questions=[question])
    [answer] = view.answers
    assert answer.status == status
    _, _, [turn] = shown(view)
    assert f"class='status {status}'" in markup(turn)
    assert words in markup(turn)


def test_a_planner_that_fails_is_a_failed_answer_not_an_error(db: Engine) -> None:
    view = views.create("chat", db, Selection(), questions=["number of visits"], planner="nobody")
    [answer] = view.answers
    assert answer.status == "failed"
    assert "nobody" in answer.text
    assert "class='status failed'" in markup(shown(view)[2][0])


def test_suggestions_are_buttons_that_ask(db: Engine) -> None:
    view = views.create("chat", db, Selection(), questions=["number of visits by page"])
    [answer] = view.answers
    assert answer.suggestions
    _, _, [turn] = shown(view)
    assert markup(turn).count("data-pick='ask=") == len(answer.suggestions)
    view._pick(f"ask={answer.suggestions[0]}")
    assert [a.question for a in view.answers][1] == answer.suggestions[0]


def test_the_entities_of_an_answer_can_be_selected(db: Engine) -> None:
    selection = Selection()
    view = views.create("chat", db, selection, questions=["which pages are connected to client ann"])
    [answer] = view.answers
    names = entities_of(answer.to_arrow())
    assert names
    view._pick("select=0")
    assert selection.entities == tuple(names)


def test_the_conversation_is_one_session_and_comes_back_from_its_link(db: Engine) -> None:
    questions = ["number of visits by page", "number of orders"]
    view = views.create("chat", db, Selection(), questions=questions, session="talk")
    table = view.to_arrow()
    assert table["question"].to_pylist() == questions
    assert table["status"].to_pylist() == ["answered", "answered"]
    stored = json.loads((db.path / "sessions" / "talk.json").read_text())
    assert [turn["question"] for turn in stored["turns"]] == questions
    link = json.loads(json.dumps(view.state))
    again = views.create("chat", db, Selection(), **link)
    assert again.to_arrow()["text"].to_pylist() == table["text"].to_pylist()
    results = [eval(line, {"db": db}) for line in view.to_python().splitlines()]  # noqa: S307
    assert [r.to_arrow() for r in results] == [a.to_arrow() for a in view.answers]


def test_a_cancelled_question_is_not_asked_again(db: Engine) -> None:
    view = views.create("chat", db, Selection(), questions=["number of orders by client"])
    reports: list[Update] = []

    def cancel(update: Update) -> None:
        reports.append(update)
        job.cancel()

    job = Job(cancel)
    with pytest.raises(CancelledError):
        view.data(job)
    assert reports
    [answer] = view.answers
    assert (answer.question, answer.status) == ("number of orders by client", "failed")


def test_completion_offers_commands_types_and_entities(db: Engine) -> None:
    view = views.create("chat", db, Selection())
    assert [offer["name"] for offer in view._offers("@a")] == ["@anomalies"]
    names = {(offer["about"], offer["name"]): offer["insert"] for offer in view._offers("bob")}
    assert names["entity", "client:bob"] == "client bob"
    assert ("event type", "Visit") in {(o["about"], o["name"]) for o in view._offers("visi")}
    assert view._offers("bob", lambda: False) == []
    assert view._offers("b") == view._offers("--") == []
    box, _, _ = shown(view)
    with param.parameterized.discard_events(box):
        box.word = "bo"
    completion = view._completer(box)(type("Event", (), {"new": "bo"})())
    with ThreadPoolExecutor(1) as pool:  # a browser's tests leave their loop running in this thread
        pool.submit(asyncio.run, completion).result()
    assert box.offers == view._offers("bo")


def test_completion_gives_up_where_a_question_runs_for_long(db: Engine) -> None:
    view = views.create("chat", db, Selection())
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with db.lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    try:
        assert view._offers("bob", patience=0.1) == []
    finally:
        done.set()
        thread.join()


def test_the_conversation_is_saved_as_a_report(db: Engine) -> None:
    view = views.create("chat", db, Selection(), questions=["number of visits by page"])
    page = view.downloads()["report.html"]().decode()
    assert page.startswith("<!doctype html>".upper()) or page.lower().startswith("<!doctype html")
    assert "number of visits by page" in page
    assert EVIL not in page


def test_the_static_form_has_the_answers_with_pictures(db: Engine) -> None:
    view = views.create("chat", db, Selection(), questions=["number of visits by page", "the salary of ann"])
    page = view.to_html()
    assert "<svg" in page
    assert "status declined" in page
    assert "data-pick='ask" not in page
    assert EVIL not in page
    assert answer_markup(view.answers[0]).count("<svg") == 0


def test_quick_commands_are_spelled_out() -> None:
    assert expand("@data") == "what data do you have"
    assert expand("@anomalies in March") == "show anomalies in March"
    assert expand("how many visits") == "how many visits"
