"""From a question to an answer: planners, sessions, and that nothing ends in a traceback."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from workbench.engine import Engine
from workbench.errors import UnknownNameError, UsageError, WorkspaceError
from workbench.plans import ask as asking
from workbench.plans import planners
from workbench.plans.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERBATIM = '''
from workbench.plans.model import Plan
from workbench.plans.planners.base import Planner, Proposal

class Verbatim(Planner):
    """Takes the question for the plan; a second one counts what the first does not."""

    def plan(self, question, world, conversation):
        if question == "crash":
            raise RuntimeError("boom")
        if question == "which one?":
            return Proposal("ask_back", text="The first or the second?", suggestions=("the first",))
        if question == "the weather":
            return Proposal("declined", text="There is nothing about that.")
        if question == "them":
            last = conversation.last
            return Proposal("planned", last.plan, 0.5, reading=", ".join(last.entities))
        plan = Plan.model_validate_json(question.replace("TYPES", TYPES))
        return Proposal("planned", plan, 0.9, reading=f"Events of {TYPES}")
'''
SCAN = '{"steps": [{"op": "scan", "id": "s", "types": [TYPES]}]}'
NODES = '{"steps": [{"op": "nodes", "id": "u", "type": "user"}]}'
SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  timestamp: {fields: [time]}
  entities: {user: {who: true}}
  events:
    A: {entities: {user: user}}
    B: {entities: {user: user}}
"""


@pytest.fixture(autouse=True)
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two planners more: files that look like the package's own."""
    folder = tmp_path / "planners"
    folder.mkdir()
    for name, types in (("verbatim", '"\\"A\\""'), ("contrary", '"\\"B\\""')):
        (folder / f"{name}.py").write_text(f"TYPES = {types}\n{VERBATIM}")
    monkeypatch.setattr(planners, "__path__", [*planners.__path__, str(folder)])
    yield
    for name in ("verbatim", "contrary"):
        sys.modules.pop(f"workbench.plans.planners.{name}", None)
        planners.__dict__.pop(name, None)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "shop.yaml").write_text(SCHEMA)
    with Engine.create(tmp_path / "w", schema=tmp_path / "shop.yaml") as engine:
        for kind, users in (("A", ["anna", "boris"]), ("B", ["carla"])):
            times = ["2025-03-29T12:00:00Z"] * len(users)
            engine.ingest(pa.table({"time": times, "user": users}), type=kind)
        yield engine


class TestOutcomes:
    def test_a_plan_is_run_and_the_reading_said(self, db: Engine) -> None:
        answer = db.ask(SCAN, planner="verbatim")
        assert (answer.status, answer.planner, answer.confidence) == ("answered", "verbatim", 0.9)
        assert answer.text.startswith('Events of "A". 2 rows')
        assert answer.question == SCAN
        assert answer.plan is not None
        assert answer.plan.question == SCAN

    @pytest.mark.parametrize(
        ("question", "status", "text"),
        [
            ("which one?", "ask_back", "The first or the second?"),
            ("the weather", "declined", "There is nothing about that."),
            ("crash", "failed", "The planner 'verbatim' failed with an unexpected RuntimeError: boom"),
            ("  ", "ask_back", "What do you want to know?"),
        ],
    )
    def test_what_is_not_answered_says_why(self, db: Engine, question: str, status: str, text: str) -> None:
        answer = db.ask(question, planner="verbatim")
        assert (answer.status, answer.text) == (status, text)
        assert not answer
        assert answer.to_json()["tables"] == []
        assert answer.to_arrow().num_rows == 0
        assert "there is no answer" in answer.to_python()
        assert answer._repr_mimebundle_()["text/plain"] == text

    def test_a_plan_that_cannot_run_is_an_answer_with_findings(self, db: Engine) -> None:
        answer = db.ask(SCAN.replace("TYPES", '"C"'), planner="verbatim")
        assert answer.status == "failed"
        assert [f.path for f in answer.findings] == ["steps[0].types[0]"]
        assert "there is no event type 'C'" in answer.text

    def test_an_unknown_planner_is_a_mistake(self, db: Engine) -> None:
        with pytest.raises(UnknownNameError, match=r"no planner 'grammer'.*Did you mean 'grammar'\?"):
            db.ask("anything", planner="grammer")
        with pytest.raises(UnknownNameError, match=r"no provider 'olama'.*Did you mean 'ollama'\?"):
            db.ask("anything", provider="local:x, olama:y")


class TestBoth:
    @pytest.fixture(autouse=True)
    def two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "_BOTH", ("verbatim", "contrary"))

    def test_where_they_disagree_both_are_offered(self, db: Engine) -> None:
        answer = db.ask(SCAN, planner="both")
        assert answer.to_arrow()["user"].to_pylist() == ["anna", "boris"]
        assert "The planners disagree." in answer.text
        (other,) = answer.alternatives
        assert other.to_arrow()["user"].to_pylist() == ["carla"]
        assert other.reading in answer.text

    def test_where_they_agree_it_says_so(self, db: Engine) -> None:
        answer = db.ask(NODES, planner="both")
        assert answer.alternatives == ()
        assert answer.text.endswith("Both planners agree.")

    def test_where_one_cannot_the_other_answers(self, db: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "_BOTH", ("verbatim", "grammar"))
        answer = db.ask(NODES, planner="both")
        assert answer.status == "answered"
        assert "The planner 'grammar' says otherwise:" in answer.text


class TestSessions:
    def test_a_follow_up_knows_what_came_before(self, db: Engine) -> None:
        db.ask(NODES, planner="verbatim", session="one")
        db.ask("the weather", planner="verbatim", session="one")
        answer = Engine(db.path).ask("them", planner="verbatim", session="one")
        assert answer.reading == "user:anna, user:boris, user:carla"
        turns = Sessions(db.path).load("one").turns
        assert [turn.question for turn in turns] == [NODES, "them"]
        assert turns[0].results == (("u", "u"),)
        assert Sessions(db.path).names() == ["one"]

    def test_a_session_does_not_need_the_writer_lock(self, db: Engine) -> None:
        with db.store.writer():
            assert db.ask(NODES, planner="verbatim", session="s").status == "answered"
        assert Sessions(db.path).load("s").last is not None

    def test_what_is_remembered_is_bounded_and_says_so(self, db: Engine) -> None:
        users = [f"u{n:04}" for n in range(1200)]
        db.ingest(pa.table({"time": ["2025-03-30T12:00:00Z"] * 1200, "user": users}), type="A")
        sessions = Sessions(db.path)
        conversation = sessions.load("s")
        for _ in range(53):
            conversation = sessions.add(conversation, db.ask(NODES, planner="verbatim"))
        assert len(sessions.load("s").turns) == 50
        assert conversation.last is not None
        assert (len(conversation.last.entities), conversation.last.more) == (1000, 203)

    @pytest.mark.parametrize("name", ["../x", "", "a/b", ".hidden", "x" * 65, "a b"])
    def test_a_name_is_no_path(self, db: Engine, name: str) -> None:
        with pytest.raises(UsageError, match="cannot be the name of a session"):
            db.ask(NODES, planner="verbatim", session=name)

    @pytest.mark.parametrize(
        "content", ["", "[]", '{"turns": [{}]}', '{"turns": [{"question": 1, "plan": 2}]}', "\xff"]
    )
    def test_a_damaged_session_is_said(self, db: Engine, content: str) -> None:
        (db.path / "sessions").mkdir()
        (db.path / "sessions" / "s.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(WorkspaceError, match=r"s\.json: the session cannot be read"):
            db.ask(NODES, planner="verbatim", session="s")

    def test_a_file_where_the_folder_should_be_is_said(self, db: Engine) -> None:
        (db.path / "sessions").write_text("a file where the folder should be")
        with pytest.raises(WorkspaceError, match="the session cannot be read"):
            db.ask(NODES, planner="verbatim", session="s")

    def test_the_file_is_plain_json(self, db: Engine) -> None:
        db.ask(NODES, planner="verbatim", session="s")
        data: dict[str, Any] = json.loads((db.path / "sessions" / "s.json").read_text())
        assert data["session"] == "s"
        assert data["turns"][0]["plan"]["steps"][0]["op"] == "nodes"
        assert [p.name for p in (db.path / "sessions").iterdir()] == ["s.json"]
