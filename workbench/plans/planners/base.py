"""What a planner is: a question and an open workspace in, a proposal out. It runs nothing."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.registry import Driver

if TYPE_CHECKING:
    from workbench.plans.model import Plan
    from workbench.plans.world import World

__all__ = ["Conversation", "Planner", "Proposal", "Turn"]


@dataclass(frozen=True)
class Turn:
    """One question of a conversation that was answered.

    Attributes:
        question: As it was asked.
        plan: What was run for it.
        results: Names under which follow-ups may speak of its results ("them", "the first group"), each with
            the step whose rows are meant.
        reading: What the question was taken to mean.
        entities: The entities of the main table in its order: what "them" is. Bounded: see :attr:`more`.
        more: How many entities of the main table are not among :attr:`entities`.
    """

    question: str
    plan: Plan
    results: tuple[tuple[str, str], ...] = ()
    reading: str = ""
    entities: tuple[str, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Conversation:
    """What was asked and answered before in one session, oldest first.

    >>> Conversation().last is None
    True
    """

    session: str = ""
    turns: tuple[Turn, ...] = ()

    @property
    def last(self) -> Turn | None:
        """Return the latest turn."""
        return self.turns[-1] if self.turns else None


@dataclass(frozen=True)
class Proposal:
    """What a planner makes of a question.

    Attributes:
        status: ``planned``; ``ask_back`` where the question has several meanings; ``declined`` where the
            workspace cannot answer it; ``failed`` where the planner could not do its work.
        plan: The plan, if there is one.
        confidence: From 0 to 1, how sure the planner is of its reading.
        text: What is asked back, or why it was declined or failed.
        suggestions: Complete questions that can be asked instead.
        planner: Name of the planner.
        reading: What the question was taken to mean, as one sentence.
    """

    status: Literal["planned", "ask_back", "declined", "failed"]
    plan: Plan | None = None
    confidence: float = 0.0
    text: str = ""
    suggestions: tuple[str, ...] = ()
    planner: str = ""
    reading: str = ""


class Planner(Driver):
    """Turns a question into a plan, named by the file's stem."""

    @abstractmethod
    def plan(self, question: str, world: World, conversation: Conversation) -> Proposal:
        """Return what the question means as a plan, or what stands against it.

        Args:
            question: As the user typed it.
            world: The workspace, which is only read.
            conversation: What came before in the session.
        """
