"""Quick commands: an @ and what is wanted at once (spec 6.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plans.grammar.tokens import joined, split_name
from workbench.plans.planners.base import Proposal

if TYPE_CHECKING:
    from workbench.plans.grammar.lexicon import Lexicon

__all__ = ["quick_command", "quick_question"]

_NAME = "grammar"
_OFFERED = 6


def quick_question(question: str, lexicon: Lexicon) -> str | None:
    """Return a quick command, or a cry for help, as the question that it is short for; None for any other.

    Raises:
        LookupError: If there is no such command; its argument is what can be said instead.
    """
    text = question.strip()
    if not text.startswith("@"):
        short: dict[str, str] = lexicon.language.data["speech"]["help"]
        return short.get(text.rstrip(" ?!.").casefold())
    word, _, rest = text[1:].strip().partition(" ")
    name, rest = joined(word), rest.strip()
    if name in ("trends", "trend") and "trends" in lexicon.knowledge:
        return f"trends {rest}".strip()
    for kind in lexicon.knowledge:
        spelled = joined("".join(split_name(kind)))
        stems = {spelled, joined(lexicon.language.stem(spelled)), spelled.removesuffix("s")}
        stems.add(spelled.removesuffix("ies") + "y")
        if name in stems or lexicon.language.stem(name) == lexicon.language.stem(spelled):
            return f"{kind} {rest}".strip()
    for type_, kind_ in lexicon.types.items():
        if name in {joined(n) for n in (type_, *kind_.synonyms)}:
            if not rest:
                raise LookupError(f"Which {' '.join(split_name(type_))}? Write its key after it.")
            return f"describe {' '.join(split_name(type_))} {rest}"
    raise LookupError(f"There is no quick command @{word}.")


def quick_command(question: str, lexicon: Lexicon) -> Proposal | None:
    """Return a question back where a quick command is unknown or incomplete; None where there is none."""
    try:
        quick_question(question, lexicon)
    except LookupError as error:
        return Proposal("ask_back", None, 0.5, str(error), tuple(_offered(lexicon)), _NAME, "")
    return None


def _offered(lexicon: Lexicon) -> list[str]:
    known = [
        f"@{kind}" for kind in ("anomalies", "trends", "communities", "clusters") if kind in lexicon.knowledge
    ]
    return ["What data do you have?", *known, *_described(lexicon)][:_OFFERED]


def _described(lexicon: Lexicon) -> list[str]:
    """Return a command for the entity that is seen most often."""
    who = list(lexicon.schema.who) or list(lexicon.types)
    return [
        f"@{type_} {lexicon.types[type_].samples[0].key}" for type_ in who[:1] if lexicon.types[type_].samples
    ]
