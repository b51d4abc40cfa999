"""A question in a cell: what is going on while it is worked on, and what is left of it in the notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from workbench.views._look import fragment, loading, told

if TYPE_CHECKING:
    from workbench.plans.answer import Answer
    from workbench.progress import Update

__all__ = ["ask", "proposals"]


def ask(world: Any, question: str, options: dict[str, Any]) -> Answer:
    """Answer a question; one output tells how far it is, and at last how the question was read.

    The output is updated in place and kept with the notebook, as text and as HTML.
    """
    from IPython.display import display  # noqa: PLC0415  (only a kernel has it)

    place = display(_shown("Planning …", loading("Planning …")), raw=True, display_id=True)

    def watch(update: Update) -> None:
        text = told(update)
        place.update(_shown(text, loading(text)), raw=True)

    try:
        answer: Answer = world.ask(question, progress=watch, **options)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        text = "Stopped: nothing was changed." if stopped else f"{type(error).__name__}: {error}"
        place.update(_shown(text, f"<p class='soft' role='status'>{escape(text)}</p>"), raw=True)
        raise
    text = _head(answer)
    place.update(_shown(text, f"<p class='soft'>{escape(text)}</p>"), raw=True)
    return answer


def proposals(world: Any, question: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the planner makes of a question, as JSON data; nothing is run."""
    from workbench.plans.ask import propose  # noqa: PLC0415
    from workbench.plans.planners import Conversation  # noqa: PLC0415
    from workbench.plans.sessions import Sessions  # noqa: PLC0415
    from workbench.plans.validate import validate  # noqa: PLC0415

    session = options.pop("session", None)
    before = Conversation() if session is None else Sessions(world.path).load(session)
    one, *_ = propose(question, world, before, **options)
    return {
        "status": one.status,
        "planner": one.planner,
        "confidence": round(one.confidence, 3),
        "reading": one.reading,
        "text": one.text,
        "plan": one.plan.to_json() if one.plan else None,
        "findings": [str(finding) for finding in validate(one.plan, world)] if one.plan else [],
        "suggestions": list(one.suggestions),
    }


def _head(answer: Answer) -> str:
    """Return in one line who planned the answer, how sure, and what running it took."""
    if answer.status != "answered":
        return answer.status.replace("_", " ")
    sure = f" by the planner {answer.planner}, {answer.confidence:.0%} sure," if answer.planner else ""
    return f"Answered{sure} in {answer.seconds:.2f} s"


def _shown(text: str, markup: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": fragment(markup)}
