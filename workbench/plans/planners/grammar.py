"""The grammar planner: a lexicon of the live catalog, a typed grammar, scored readings (spec 6.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from workbench.plans.planners.base import Conversation, Planner, Proposal

if TYPE_CHECKING:
    from workbench.plans.grammar.reader import Reader
    from workbench.plans.world import World

__all__ = ["GrammarPlanner"]


class GrammarPlanner(Planner):
    """Reads a question with the words of the workspace, and asks back rather than guess.

    Args:
        language: Which language file to read with.
    """

    def __init__(self, language: str = "english") -> None:
        self.language = language
        self._readers: WeakKeyDictionary[World, tuple[int, Reader]] = WeakKeyDictionary()

    def plan(self, question: str, world: World, conversation: Conversation) -> Proposal:
        """Return what the question means as a plan, or what stands against it.

        Args:
            question: As the user typed it.
            world: The workspace; its words are gathered once a generation.
            conversation: What came before in the session: what a follow-up leaves out is taken from there.
        """
        return self._reader(world).propose(question, conversation)

    def _reader(self, world: World) -> Reader:
        from workbench.plans.grammar.reader import Reader  # noqa: PLC0415  (gathers the lexicon's libraries)

        generation = world.snapshot.generation
        known = self._readers.get(world)
        if known is None or known[0] != generation:
            known = (generation, Reader(world, self.language))
            self._readers[world] = known
        return known[1]
