"""From a question to a proposal: the reading that fits best, and what to say where none does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from workbench.plans.grammar.chart import covers, parse
from workbench.plans.grammar.context import Context, Draft, listed
from workbench.plans.grammar.counted import counted_draft
from workbench.plans.grammar.events import event_draft
from workbench.plans.grammar.known import known_draft
from workbench.plans.grammar.language import load_language
from workbench.plans.grammar.lexicon import Lexicon
from workbench.plans.grammar.quick import quick_command, quick_question
from workbench.plans.grammar.roles import edge_roles
from workbench.plans.grammar.rules import PARTS, RULES
from workbench.plans.grammar.senses import Ask, Decline, KindRef, Part, RoleRef
from workbench.plans.grammar.sets import set_draft
from workbench.plans.grammar.tokens import Token, tokenize
from workbench.plans.model import Plan
from workbench.plans.planners.base import Conversation, Proposal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.plans.grammar.chart import Cover
    from workbench.plans.world import World

__all__ = ["Reader"]

_COVERS = 16
_MOST_TOKENS = 60
_TURNS = 8
_NAME = "grammar"
_CLOSE = 0.05  # covers that differ by less fit equally well
_DOUBT = 0.4  # each step down from the best cover costs a reading so much certainty at most


@dataclass(frozen=True)
class _Outcome:
    """What one cover became: a draft, a question back, or a reason against it."""

    cover: Cover
    draft: Draft | None = None
    ask: Ask | None = None
    decline: Decline | None = None


class Reader:
    """Reads questions about one generation of a workspace.

    Args:
        world: The workspace.
        language: Name of the language file.
    """

    def __init__(self, world: World, language: str = "english") -> None:
        self.language = load_language(language)
        self.lexicon = Lexicon(world, self.language)

    def propose(self, question: str, conversation: Conversation) -> Proposal:
        """Return what a question means as a plan, or what stands against it."""
        command = quick_command(question, self.lexicon)
        if command is not None:
            return command
        question = quick_question(question, self.lexicon) or question
        tokens = tokenize(question, self.language)
        if not tokens:
            return self._answer("declined", "There is no question.", question, suggestions=self._examples())
        if len(tokens) > _MOST_TOKENS:
            return self._answer(
                "declined",
                f"The question has {len(tokens)} words; at most {_MOST_TOKENS} can be read.",
                question,
            )
        tokens, corrected = self._corrected(tokens)
        found = self._covers(tokens)
        best = found[0]
        if best.unknown:
            return self._unknown(question, tokens, best)
        outcomes = self._outcomes(tokens, found, conversation)
        before = self._before(conversation)
        if before and self._follows(outcomes):
            merged = self._merged(tokens, found, before, conversation)
            if merged is not None:
                outcomes = merged
        return self._decided(question, tokens, outcomes, corrected)

    # reading

    def _corrected(self, tokens: list[Token]) -> tuple[list[Token], list[str]]:
        """Return the tokens with typing errors undone, and what was changed."""
        items = self.lexicon.senses(tokens)
        known = {n for it in items for n in range(it.i, it.j)}
        notes = []
        for n, token in enumerate(tokens):
            if n not in known and token.word.isalpha():
                better = self.lexicon.corrected(token)
                if better is not None:
                    tokens[n] = better
                    notes.append(f"{token.text!r} is read as {better.word!r}")
        return self.lexicon.together(tokens), notes

    def _covers(self, tokens: Sequence[Token]) -> list[Cover]:
        items = self.lexicon.senses(tokens)
        fillers = {n for it in items if it.category == "w:filler" for n in range(it.i, it.j)}
        known = parse(items, RULES, len(tokens))
        return covers(known, PARTS, fillers, len(tokens), _COVERS)

    def _outcomes(
        self, tokens: Sequence[Token], found: Sequence[Cover], conversation: Conversation
    ) -> list[_Outcome]:
        them = conversation.last.entities if conversation.last and not conversation.last.more else ()
        outcomes = []
        for cover in found:
            if cover.unknown:
                continue
            outcomes.append(self._composed(tokens, cover, cover.parts, them))
        return outcomes

    def _composed(
        self, tokens: Sequence[Token], cover: Cover, parts: Sequence[Part], them: tuple[str, ...]
    ) -> _Outcome:
        try:
            return _Outcome(cover, draft=self._draft(Context(self.lexicon, tokens, parts, them)))
        except Ask as ask:
            return _Outcome(cover, ask=ask)
        except Decline as decline:
            return _Outcome(cover, decline=decline)

    def _draft(self, ctx: Context) -> Draft:
        draft = known_draft(ctx) or counted_draft(ctx)
        if draft is not None:
            return draft
        about_events = ctx.has("EVENT", "measure", "share", "agg", "DAYHOUR", "having")
        about_events |= any(
            p.kind in ("superlative", "order", "count")
            and type(getattr(p.value, "what", getattr(p.value, "by", None))).__name__
            in ("EventRef", "MeasureRef", "Share")
            for p in ctx.parts
        )
        properties = any(
            p.kind == "measure" and type(p.value.what).__name__ == "PropertyRef" for p in ctx.parts
        )
        kinds = [
            p
            for p in ctx.parts
            if p.kind in ("KIND", "ROLE")
            or (p.kind == "numbered" and isinstance(p.value[1], KindRef | RoleRef))
            or (p.kind == "count" and isinstance(p.value.what, KindRef | RoleRef))
        ]
        if properties and not kinds:
            return set_draft(ctx)
        about_events |= not kinds and any(p.kind == "count" and p.value.what is None for p in ctx.parts)
        if (about_events and not properties) or (ctx.has("BUCKET", "group") and not properties):
            return event_draft(ctx)
        if kinds:
            return self._entities(ctx)
        if ctx.has("rel", "EDGE") and ctx.has("rel", "filter") and not ctx.has("cond", "w:events", "count"):
            return set_draft(ctx)
        if ctx.has("w:events", "cond", "rel", "w:timeline"):
            return event_draft(ctx)
        self._incomplete(ctx)
        raise AssertionError(ctx.parts)

    def _entities(self, ctx: Context) -> Draft:
        """Return a set of entities, or figures of events where only these can say it ("most often")."""
        places = [p for p in ctx.of("filter") if p.value.preposition in ("from", "to", "at")]
        relations = ctx.of("rel", "EDGE")
        most = ctx.of("superlative", "top")
        if ctx.of("w:compare", "w:versus") and not ctx.of("filter", "rel"):
            raise Ask("Compare them by which figure?", questions=tuple(self._examples()[:3]))
        conditions = [p for p in ctx.of("cond") if type(p.value.what).__name__ == "FieldRef"]
        if ctx.of("ROLE") and (relations or ctx.of("filter")):
            return event_draft(ctx)
        if any(self._directed(ctx, p) for p in relations):
            return event_draft(ctx)
        if any(ctx.is_only(p) for p in ctx.of("rel", "filter")):
            return event_draft(ctx)
        subjects = {p.value.type for p in ctx.of("KIND", "ROLE")}
        others = [
            p
            for p in ctx.of("rel", "filter")
            if p.kind == "rel"
            or not {n.partition(":")[0] for e in p.value.entities.items for n in e.names} <= subjects
        ]
        if (relations and (len(others) > 1 or most)) or conditions:
            try:
                return event_draft(Context(ctx.lexicon, ctx.tokens, ctx.parts, ctx.them))
            except Decline:
                if conditions or most:
                    raise
        if most and not relations and not ctx.of("filter"):
            self._ask_most(ctx, most[0])
        if len(places) > 1:
            return event_draft(ctx)
        return set_draft(ctx)

    def _directed(self, ctx: Context, part: Part) -> bool:
        """Return whether a verb says "from" or "to", and its edges do not: only events know the role."""
        said = {t.word for t in ctx.tokens[part.i : part.j]} & {"from", "to"}
        edges = getattr(part.value, "edge", part.value).names
        ends = [(e, event) for e in edges for event, _, _ in edge_roles(self.lexicon, e)]
        return bool(said) and len(ends) > len(set(ends))

    def _ask_most(self, ctx: Context, part: Part) -> None:
        kinds = {p.value.type for p in ctx.of("KIND", "ROLE")}
        nouns = [
            ctx.events_noun(e.name)
            for e in sorted(self.lexicon.events.values(), key=lambda e: -e.documents)
            if kinds <= {e.type_of(r) for r in e.roles}
        ]
        text = ctx.text(part)
        questions = tuple(f"{' '.join(t.text for t in ctx.tokens)} by {noun}" for noun in nouns[:3])
        raise Ask(
            f"{text.capitalize()} by what: {listed(nouns, 'or')}?"
            if nouns
            else f"{text.capitalize()} by what?",
            questions=questions,
        )

    def _incomplete(self, ctx: Context) -> None:
        superlatives = ctx.of("superlative", "top", "order")
        if superlatives:
            text = ctx.text(superlatives[0])
            raise Ask(
                f"{text.capitalize()} of what, and by which figure?", questions=tuple(self._examples()[:3])
            )
        if ctx.parts:
            words = listed([repr(ctx.text(p)) for p in ctx.parts])
            raise Ask(f"What about {words}?", questions=tuple(self._examples()[:3]))
        raise Ask("What is asked?", questions=tuple(self._examples()[:3]))

    # conversation

    def _before(self, conversation: Conversation) -> tuple[Sequence[Token], tuple[Part, ...]] | None:
        """Return the tokens and parts of what was asked before, follow-ups merged into what they followed."""
        merged: tuple[Sequence[Token], tuple[Part, ...]] | None = None
        for turn in conversation.turns[-_TURNS:]:
            tokens, _ = self._corrected(tokenize(turn.question, self.language))
            if not tokens:
                continue
            found = self._covers(tokens)
            if found[0].unknown:
                continue
            outcomes = self._outcomes(tokens, found, Conversation())
            if merged is not None and self._follows(outcomes):
                best = self._best_merge(tokens, found, merged, ())
                if best is not None:
                    merged = (best[0], best[1])
                    continue
            good = next((o for o in outcomes if o.draft), None)
            if good is not None:
                merged = (tokens, good.cover.parts)
        return merged

    def _follows(self, outcomes: Sequence[_Outcome]) -> bool:
        """Return whether a question leaves out what the one before said."""
        parts = outcomes[0].cover.parts if outcomes else ()
        if any(p.kind in ("w:follow", "w:which_of") and p.i == 0 for p in parts) or any(
            p.kind == "w:which_of" for p in parts
        ):
            return True
        heads = {
            "EVENT",
            "measure",
            "count",
            "share",
            "KNOW",
            "knownof",
            "samegroup",
            "w:catalog",
            "w:similar",
            "w:anomalies",
            "w:path",
        }
        headless = not any(p.kind in heads for p in parts)
        return headless and not (outcomes and outcomes[0].draft)

    def _merged(
        self,
        tokens: Sequence[Token],
        found: Sequence[Cover],
        before: tuple[Sequence[Token], tuple[Part, ...]],
        conversation: Conversation,
    ) -> list[_Outcome] | None:
        them = conversation.last.entities if conversation.last and not conversation.last.more else ()
        best = self._best_merge(tokens, found, before, them)
        return [best[2]] if best is not None else None

    def _best_merge(
        self,
        tokens: Sequence[Token],
        found: Sequence[Cover],
        before: tuple[Sequence[Token], tuple[Part, ...]],
        them: tuple[str, ...],
    ) -> tuple[Sequence[Token], tuple[Part, ...], _Outcome] | None:
        from workbench.plans.grammar.followup import merge  # noqa: PLC0415

        for cover in found:
            if cover.unknown:
                continue
            joined = merge(before[0], before[1], tokens, cover.parts, them)
            if joined is None:
                continue
            all_tokens, parts = joined
            outcome = self._composed(all_tokens, cover, parts, them)
            if outcome.draft is not None or outcome.ask is not None:
                return all_tokens, parts, outcome
        return None

    # what is answered

    def _decided(
        self, question: str, tokens: Sequence[Token], outcomes: Sequence[_Outcome], corrected: list[str]
    ) -> Proposal:
        """Return the best draft, unless a better cover asks back."""
        best = max((o.cover.score for o in outcomes), default=0.0)
        ranked = sorted(
            outcomes, key=lambda o: -(o.cover.score + (0.0 if o.draft else -0.45 if o.ask else -0.9))
        )
        first = outcomes[0] if outcomes else None
        if first is not None and first.decline is not None and first.decline.final:
            ranked = []
        chosen = next((o for o in ranked if o.draft or o.ask), None)
        if chosen is None:
            reason = first.decline if first else None
            text = reason.text if reason else "The question could not be read."
            return self._answer(
                "declined",
                text,
                question,
                suggestions=[*(reason.questions if reason else ()), *self._examples()][:4],
            )
        confidence = max(
            0.0, min(1.0, 0.97 - _DOUBT * (best - chosen.cover.score) / 2 - 0.1 * len(corrected))
        )
        if chosen.ask is not None:
            return self._asked(question, tokens, chosen.ask)
        draft = chosen.draft
        if draft is None:
            raise AssertionError(chosen)
        if draft.steps[-1].op == "catalog" and not draft.suggestions:
            draft.suggestions = self._examples()[:4]
        rival = self._rival(chosen, outcomes)
        if rival is not None:
            one, other = ("; ".join(d.reading) for d in (draft, rival))
            text = f"This can mean two things. One: {one}. The other: {other}. Which one?"
            either = self._either(question, tokens, outcomes)
            return self._answer("ask_back", text, question, suggestions=either or self._examples()[:3])
        reading = self._sentence(draft, corrected)
        try:
            plan = Plan(question=question, steps=tuple(draft.steps), renders=tuple(draft.renders))
        except ValidationError as error:
            return self._answer("failed", f"The plan came out wrong: {error.errors()[0]['msg']}.", question)
        return Proposal(
            "planned",
            plan,
            round(confidence - draft.doubt, 3),
            "",
            tuple(dict.fromkeys(draft.suggestions)),
            _NAME,
            reading,
        )

    def _either(self, question: str, tokens: Sequence[Token], outcomes: Sequence[_Outcome]) -> list[str]:
        """Return the question with two times as one stretch and as two, where "and" joins them."""
        words, times = self.language.data["words"], self.language.data["times"]
        for part in (p for o in outcomes for p in o.cover.parts if p.kind == "whens"):
            joins = [n for n in range(part.i, part.j) if tokens[n].word in words["and"]]
            if len(joins) == 1:
                n = joins[0]
                return [
                    _replaced(question, tokens, (n, n + 1, str(word)))
                    for word in (times["range_to"][0], words["versus"][1])
                ]
        return []

    def _rival(self, chosen: _Outcome, outcomes: Sequence[_Outcome]) -> Draft | None:
        """Return a draft that says something else and fits as well; None where there is none."""
        for other in outcomes:
            if other is chosen or other.draft is None or chosen.draft is None:
                continue
            close = other.cover.score > chosen.cover.score - _CLOSE
            if (
                close
                and other.draft.reading != chosen.draft.reading
                and not (other.draft.same and other.draft.same == chosen.draft.same)
                and not _same_steps(other.draft, chosen.draft)
            ):
                return other.draft
        return None

    def _sentence(self, draft: Draft, corrected: list[str]) -> str:
        text = "; ".join(draft.reading)
        notes = [n for n in (*draft.notes, *corrected) if n]
        zone = self.lexicon.timezone
        timed = any(
            getattr(s, "since", None)
            or getattr(s, "until", None)
            or s.op == "timeline"
            or any(g.bucket for g in getattr(s, "by", ()) if hasattr(g, "bucket"))
            for s in draft.steps
        )
        shown = f" (times in {zone})" if timed else ""
        return f"{text}{shown}.{f' Taken as given: {listed(notes)}.' if notes else ''}"

    def _asked(self, question: str, tokens: Sequence[Token], ask: Ask) -> Proposal:
        suggestions = [_replaced(question, tokens, option) for option in ask.options]
        suggestions += [q for q in ask.questions if q not in suggestions]
        if not suggestions:
            suggestions = self._examples()[:3]
        return Proposal("ask_back", None, 0.5, ask.text, tuple(suggestions), _NAME, "")

    def _unknown(self, question: str, tokens: Sequence[Token], cover: Cover) -> Proposal:
        words = list(dict.fromkeys(tokens[n].text for n in cover.unknown))
        named = listed([repr(w) for w in words], "or")
        text = (
            f"Nothing in this workspace is called {named}, so the question cannot be answered as it stands."
        )
        known = [p for p in cover.parts if p.kind == "filter"]
        suggestions: list[str] = []
        for part in known[:1]:
            ref = part.value.entities.items[0]
            if len(ref.names) == 1:
                ctx = Context(self.lexicon, tokens, cover.parts)
                suggestions.append(f"Describe {ctx.entity_text(ref.names[0])}")
        suggestions += self._examples()
        return self._answer("declined", text, question, suggestions=suggestions[:4])

    def _examples(self) -> list[str]:
        """Return questions that this workspace can answer."""
        found = ["What data do you have?"]
        events = sorted(self.lexicon.events.values(), key=lambda e: -e.documents)
        for event in events[:1]:
            several = Context(self.lexicon, (), ()).events_noun(event.name)
            for role in list(event.roles)[:1]:
                ctx = Context(self.lexicon, (), ())
                found.insert(0, f"Number of {several} by {ctx.role_noun(RoleRef(role, event.type_of(role)))}")
            found.append(f"{several.capitalize()} per month as a timeline")
        return found

    def _answer(self, status: str, text: str, question: str, suggestions: Sequence[str] = ()) -> Proposal:
        del question
        return Proposal(status, None, 0.0, text, tuple(dict.fromkeys(suggestions)), _NAME, "")  # type: ignore[arg-type]


def _same_steps(one: Draft, other: Draft) -> bool:
    plans = [Plan(steps=tuple(d.steps)).fingerprint for d in (one, other)]
    return plans[0] == plans[1]


def _replaced(question: str, tokens: Sequence[Token], option: tuple[int, int, str]) -> str:
    """Return the question with other words for some tokens."""
    i, j, text = option
    if i >= len(tokens):
        return (
            f"{question.rstrip(' ?.')} {text}?"
            if question.rstrip().endswith("?")
            else f"{question.rstrip()} {text}"
        )
    start = tokens[i].start
    end = tokens[j - 1].end if j > i else start
    before, after = question[:start], question[end:]
    return f"{before}{text}{after}" if j > i else f"{before}{text} {after}"
