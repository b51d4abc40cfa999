"""From a question to an answer: planners, then the plan's own way (spec 6.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import UnknownNameError, UsageError, WorkbenchError
from workbench.logs import get_logger
from workbench.plans.answer import Answer
from workbench.plans.planners import Conversation, Proposal, planners
from workbench.plans.run import run
from workbench.plans.sessions import Sessions
from workbench.progress import silent

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from workbench.plans.run import Runs
    from workbench.plans.world import Runtime
    from workbench.progress import Progress

__all__ = ["ask", "propose"]

_BOTH = ("grammar", "model")


def ask(  # noqa: PLR0913  (the words of a question)
    question: str,
    world: Runtime,
    *,
    session: str | None = None,
    planner: str | None = None,
    provider: str | None = None,
    runs: Runs | None = None,
    progress: Progress = silent,
    stop: threading.Event | None = None,
) -> Answer:
    """Answer a question, or say why not; what goes wrong is an answer ``failed``.

    Args:
        question: In plain words.
        world: The workspace.
        session: Name of the conversation that it belongs to.
        planner: ``grammar``, ``model``, ``both`` or another planner; by default the setting.
        provider: Who answers for a planner with a language model; by default the setting.
        runs: Where runs of plans are looked for and kept.
        progress: Told as it goes on.
        stop: Once it is set, in any thread, what runs is given up.

    Raises:
        UsageError: If the question is no text, or the name of the session, the planner or the provider cannot
            be meant.
    """
    if not isinstance(question, str):
        raise UsageError(f"{question!r} is no question.", fix="Ask in words, as a text.")
    sessions = Sessions(world.path)
    conversation = sessions.load(session) if session is not None else Conversation()
    if not question.strip():
        return _unplanned(question, Proposal("ask_back", text="What do you want to know?"), world)
    proposals = propose(question, world, conversation, planner=planner, provider=provider, stop=stop)
    answers = [_answered(question, p, world, runs=runs, progress=progress, stop=stop) for p in proposals]
    answer = answers[0] if len(answers) == 1 else _of_both(*answers)
    if session is not None and answer.status == "answered":
        try:
            sessions.add(conversation, answer)
        except WorkbenchError as error:
            answer = replace(answer, text=f"{answer.text} The session is not kept: {error}")
    return answer


def propose(  # noqa: PLR0913  (likewise)
    question: str,
    world: Runtime,
    conversation: Conversation,
    *,
    planner: str | None = None,
    provider: str | None = None,
    stop: threading.Event | None = None,
) -> list[Proposal]:
    """Return what the planner, or each of two, makes of a question.

    Raises:
        UnknownNameError: If there is no such planner, or provider.
    """
    if provider is not None:
        _require_providers(provider)
    chosen = planner or world.settings.planner
    names = _BOTH if chosen == "both" else (chosen,)
    for name in names:
        if name not in planners.names():
            raise UnknownNameError("planner", name, [*planners.names(), "both"])
    options = {"model": {"provider": provider, "stop": stop}}
    return [_proposal(name, question, world, conversation, options.get(name, {})) for name in names]


def _require_providers(chain: str) -> None:
    """Refuse a name that no provider of a chain has, also where no planner would ask for it."""
    from workbench.llm import providers  # noqa: PLC0415  (kept out of start-up)

    for name in filter(None, (part.partition(":")[0].strip() for part in chain.split(","))):
        if name not in providers.names():
            raise UnknownNameError("provider", name, providers.names())


def _proposal(
    name: str, question: str, world: Runtime, conversation: Conversation, options: Mapping[str, Any]
) -> Proposal:
    try:
        found = planners.create(name, **options).plan(question, world, conversation)
    except WorkbenchError as error:
        return Proposal("failed", text=f"The planner {name!r} could not do its work: {error}", planner=name)
    except Exception as error:  # noqa: BLE001  (a planner is a driver, a stranger's too; a question must not end in a traceback)
        get_logger("plans").error("planner failed", planner=name, exc_info=error)
        text = f"The planner {name!r} failed with an unexpected {type(error).__name__}: {error}"
        return Proposal("failed", text=text, planner=name)
    return found if found.planner else replace(found, planner=name)


def _answered(question: str, proposal: Proposal, world: Runtime, **more: Any) -> Answer:
    if proposal.status != "planned" or proposal.plan is None:
        return _unplanned(question, proposal, world)
    plan = (
        proposal.plan if proposal.plan.question else proposal.plan.model_copy(update={"question": question})
    )
    answer = run(plan, world, reading=proposal.reading, **more)
    return replace(
        answer,
        question=question,
        planner=proposal.planner,
        confidence=proposal.confidence,
        suggestions=proposal.suggestions,
    )


def _unplanned(question: str, proposal: Proposal, world: Runtime) -> Answer:
    status = "failed" if proposal.status == "planned" else proposal.status
    return Answer(
        status,
        proposal.text or "The planner gave no plan.",
        question=question,
        plan=proposal.plan,
        reading=proposal.reading,
        planner=proposal.planner,
        confidence=proposal.confidence,
        suggestions=proposal.suggestions,
        timezone=world.timezone,
        workspace=world.store.name,
    )


def _of_both(first: Answer, second: Answer) -> Answer:
    """Return one answer of two planners: where they disagree it says so and offers the other, too."""
    if first.status != "answered" or second.status != "answered":
        best, other = (second, first) if second.status == "answered" else (first, second)
        note = f" The planner {other.planner!r} says otherwise: {other.text}"
        return replace(best, text=best.text + note, alternatives=(other,))
    if first.plan == second.plan or first.to_arrow().equals(second.to_arrow()):
        return replace(first, text=f"{first.text} Both planners agree.")
    note = (
        f" The planners disagree. {second.planner!r} reads the question so: "
        f"{second.reading or second.text} Its answer is among the alternatives."
    )
    return replace(first, text=first.text + note, alternatives=(second,))
