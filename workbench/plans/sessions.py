"""Conversations by name: what was asked and answered, kept as JSON in the workspace."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from workbench.errors import UsageError, WorkspaceError
from workbench.plans.model import Plan
from workbench.plans.planners.base import Conversation, Turn

if TYPE_CHECKING:
    from workbench.plans.answer import Answer

__all__ = ["Sessions"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TURNS = 50
_ENTITIES = 1_000


class Sessions:
    """The sessions of a workspace.

    They are written beside its generations, each file whole or not at all, and without the writer lock.

    Args:
        root: The workspace directory.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "sessions"

    def names(self) -> list[str]:
        """Return the names of the sessions that there are."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def load(self, name: str) -> Conversation:
        """Return a session; a new one is empty.

        Raises:
            UsageError: If it cannot be a name.
            WorkspaceError: If its file cannot be read.
        """
        path = self._path(name)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return Conversation(name, tuple(_turn(turn) for turn in data["turns"]))
        except FileNotFoundError:
            return Conversation(name)
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise WorkspaceError(
                f"the session cannot be read: {type(error).__name__}.",
                where=str(path),
                fix="Delete the file, or use another session.",
            ) from error

    def add(self, conversation: Conversation, answer: Answer) -> Conversation:
        """Add an answered question to a session, write it, and return it; the oldest turns are let go.

        Raises:
            WorkspaceError: If it cannot be written.
        """
        turns = (*conversation.turns, _turn_of(answer))[-_TURNS:]
        following = Conversation(conversation.session, turns)
        path = self._path(conversation.session)
        data = {"session": conversation.session, "turns": [_turn_json(turn) for turn in turns]}
        try:
            self._folder.mkdir(exist_ok=True)
            _write(path, json.dumps(data, ensure_ascii=False))
        except OSError as error:
            raise WorkspaceError(
                f"the session cannot be written: {error.strerror}.", where=str(path)
            ) from error
        return following

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a session.",
                fix="Use up to 64 letters, digits, dots, hyphens and underscores.",
            )
        return self._folder / f"{name}.json"


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _turn_of(answer: Answer) -> Turn:
    table = answer.to_arrow()
    entities: list[str] = []
    more = 0
    if "entity" in table.column_names:
        found = [e for e in table["entity"].cast("string").unique().to_pylist() if e is not None]
        entities, more = found[:_ENTITIES], max(0, len(found) - _ENTITIES)
    if answer.plan is None:
        raise AssertionError("an answer without a plan is no turn")
    results = tuple((answer.results[name].title or name, name) for name in answer.tables)
    return Turn(answer.question, answer.plan, results, answer.reading, tuple(entities), more)


def _turn_json(turn: Turn) -> dict[str, Any]:
    return {
        "question": turn.question,
        "plan": turn.plan.to_json(),
        "results": [list(pair) for pair in turn.results],
        "reading": turn.reading,
        "entities": list(turn.entities),
        "more": turn.more,
    }


def _turn(data: dict[str, Any]) -> Turn:
    return Turn(
        str(data["question"]),
        Plan.model_validate(data["plan"]),
        tuple((str(title), str(step)) for title, step in data["results"]),
        str(data["reading"]),
        tuple(map(str, data["entities"])),
        int(data["more"]),
    )
