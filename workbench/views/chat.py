"""Questions in plain words, answered with text, charts, tables, the plan and the code."""

from __future__ import annotations

import asyncio
import json
import uuid
from concurrent.futures import CancelledError
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

from workbench.errors import WorkbenchError
from workbench.progress import Update
from workbench.tabular import html_table
from workbench.views._ask_box import ask_box
from workbench.views._look import dark, fragment
from workbench.views._page import pickable
from workbench.views._stored import select_entities
from workbench.views.base import View
from workbench.views.charts import preload
from workbench.views.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from workbench.plans.answer import Answer
    from workbench.views.base import Job

__all__ = ["ChatView", "answer_markup"]

_OFFERED = 8
_NODES = 200
_PATIENCE = 20.0
_STATUS = {
    "answered": "answered",
    "ask_back": "asks back",
    "declined": "cannot be answered from this workspace",
    "failed": "failed",
}
_COMMANDS = {
    "@anomalies": "the most anomalous entities",
    "@trends": "what was unusual and when",
    "@clusters": "groups that behave alike",
    "@data": "what data there is",
}
_MEANT = {
    "@anomalies": "show anomalies",
    "@trends": "show trends",
    "@clusters": "show clusters",
    "@data": "what data do you have",
}


class ChatView(View):
    """A conversation about the workspace, the newest answer first.

    State: ``questions`` in their order, ``session`` (the name under which the workspace keeps the
    conversation; its own if not given), ``planner`` (by default the setting). A question is answered in
    a thread, and can be cancelled.
    """

    title: ClassVar[str] = "Chat"
    defaults: ClassVar[Mapping[str, Any]] = {"questions": [], "session": "", "planner": ""}
    follows: ClassVar[bool] = False

    def __init__(self, world: Any, selection: Selection | None = None, **state: Any) -> None:
        self._answers: list[Answer] = []
        self._pictures: list[Any] = []
        self._own_session = f"chat-{uuid.uuid4().hex[:12]}"
        super().__init__(world, selection, **state)

    def ask(self, question: str) -> None:
        """Ask a question: wherever the view is shown, it is answered."""
        if question.strip():
            self.update(questions=[*self["questions"], question.strip()])

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Return the answers so far, oldest first; what is still to be answered is answered now."""
        found: tuple[Answer, ...] = self.data()
        return found

    def read(self, job: Job) -> tuple[Answer, ...]:
        """Answer what was not answered yet, and return all answers."""
        from workbench.plans.answer import Answer  # noqa: PLC0415

        preload()
        for question in self["questions"][len(self._answers) :]:
            job.check()
            try:
                job(Update("Reading the catalog", 0, 0, ""))
                _ = self.world.catalog
                job(Update("Understanding the question", 0, 0, ""))
                answer = self.world.ask(
                    expand(question),
                    session=self["session"] or self._own_session,
                    planner=self["planner"] or None,
                    progress=job,
                    stop=job.stop,
                )
            except WorkbenchError as error:
                answer = Answer("failed", str(error), question=question, timezone=self.timezone)
            except CancelledError:
                answer = Answer("failed", "Cancelled.", question=question, timezone=self.timezone)
            # kept also where nobody waits for it any more: a cancelled question is not asked again
            self._answers.append(answer)
            self._pictures.append(self._picture(answer, job))
            job.check()
        return tuple(self._answers)

    def table(self, data: tuple[Answer, ...]) -> pa.Table:
        """Return ``question``, ``status``, ``text``, ``reading``, ``planner``, ``rows``: a row a question."""
        import pyarrow as pa  # noqa: PLC0415

        return pa.table(
            {
                "question": pa.array([a.question for a in data], pa.string()),
                "status": pa.array([a.status for a in data], pa.string()),
                "text": pa.array([a.text for a in data], pa.string()),
                "reading": pa.array([a.reading for a in data], pa.string()),
                "planner": pa.array([a.planner for a in data], pa.string()),
                "rows": pa.array([a.main.table.num_rows if a.main else None for a in data], pa.int64()),
            }
        )

    def controls(self) -> Mapping[str, Any]:
        """Return the choice of the planner."""
        import panel as pn  # noqa: PLC0415  (heavy)

        options = {"as set": "", "grammar": "grammar", "model": "model", "both": "both"}
        return {"planner": pn.widgets.Select(label="Planner", options=options, width=120)}

    def empty(self, data: tuple[Answer, ...]) -> str:
        """Return nothing: there is always the box for a question."""
        del data
        return ""

    def draw(self, data: tuple[Answer, ...], shown: Any) -> Any:
        """Return the box above the answers; what was drawn before stays as it is."""
        import panel as pn  # noqa: PLC0415  (heavy)

        wide = {"sizing_mode": "stretch_width"}
        if shown is None:
            box = ask_box(self.ask, placeholder="Ask in plain words; @ for commands")
            box.param.watch(self._completer(box), "word")
            shown = pn.Column(box, pickable(picked=self._pick), pn.Column(**wide), **wide)
        _, start, log = shown
        start.markup = "" if data else fragment(self._start())
        for answer in data[len(log) :]:
            log.insert(0, self._turn(answer, len(log)))
        return shown

    def html(self, data: tuple[Answer, ...]) -> str:
        """Return the conversation, oldest first, with its charts as pictures."""
        if not data:
            return "<p class='soft'>Nothing has been asked yet.</p>"
        return "".join(
            answer_markup(answer, number, pictures=True, live=False) for number, answer in enumerate(data)
        )

    def to_python(self) -> str:
        """Return Python that asks the same questions in one session."""
        session = self["session"] or "my-session"
        asked = [expand(question) for question in self["questions"]]
        return "\n".join(f"db.ask({question!r}, session={session!r})" for question in asked)

    def downloads(self) -> Mapping[str, Callable[[], bytes]]:
        """Return the conversation as a table, and as a report: one offline page."""
        return {**super().downloads(), "report.html": self._report}

    def _report(self) -> bytes:
        answers = self.answers
        title = answers[0].question if answers else "Conversation"
        with self.world.lock:
            page: str = self.world.report(title, list(answers)).to_html()
        return page.encode()

    def _turn(self, answer: Answer, number: int) -> Any:
        """Return one answer: its words, its charts, its tables, and what they came from."""
        import panel as pn  # noqa: PLC0415  (heavy)

        from workbench.views.charts import draw  # noqa: PLC0415  (holoviews is heavy)

        wide = {"sizing_mode": "stretch_width"}
        parts: list[Any] = [pickable(fragment(answer_head(answer)), self._pick)]
        for render in answer.renders:
            if render.source not in answer.results or render.kind in ("table", "summary", "graph"):
                continue
            table = answer.results[render.source].table
            if table.num_rows:
                chart = draw(render, table, timezone=self.timezone, dark=dark())
                parts.append(pn.pane.HoloViews(chart, linked_axes=False, **wide))
        if self._pictures[number] is not None:
            parts.append(self._graph(self._pictures[number]))
        parts.append(pickable(fragment(answer_body(answer, number)), self._pick))
        return pn.Column(*parts, css_classes=["wb-turn"], **wide)

    def _picture(self, answer: Answer, job: Job) -> Any:
        """Return the picture of what an answer wants to be shown as a graph, or None."""
        wanted = [r.source for r in answer.renders if r.kind == "graph" and r.source in answer.results]
        names = entities_of(answer.results[wanted[0]].table) if wanted else []
        if not names:
            return None
        from workbench.views.graph import GraphView  # noqa: PLC0415  (for answers with a graph alone)

        view = GraphView(self.world, Selection(), around=names[:_NODES], show="exactly")
        return view.data(job).picture

    def _graph(self, picture: Any) -> Any:
        """Return the graph; what is clicked on in it is selected."""
        from workbench.views._graph_widget import panel_graph  # noqa: PLC0415  (a module is read)

        graph = panel_graph(picture, theme="dark" if dark() else "auto", stage=380)
        graph.param.watch(lambda event: select_entities(self.selection, event.new), "selected")
        return graph

    def _start(self) -> str:
        events = sorted(self.world.catalog.event_types, key=lambda event: -event.documents)[:3]
        asked = ["What data do you have?", *(f"Number of {event.name} events per day" for event in events)]
        commands = "".join(
            f"<li><a data-pick='ask={name}'>{name}</a> <span class='soft'>{escape(about)}</span></li>"
            for name, about in _COMMANDS.items()
        )
        first = "".join(
            f"<li><a data-pick='{escape('ask=' + text, quote=True)}'>{escape(text)}</a></li>"
            for text in asked
        )
        return f"<h3>To begin with</h3><ul>{first}</ul><h3>Commands</h3><ul>{commands}</ul>"

    def _pick(self, what: str) -> None:
        kind, _, value = what.partition("=")
        if kind == "ask":
            self.ask(value)
        elif kind == "select":
            answer = self._answers[int(value)]
            select_entities(self.selection, entities_of(answer.to_arrow()))

    def _completer(self, box: Any) -> Callable[[Any], Any]:
        async def complete(event: Any) -> None:
            offers = await asyncio.to_thread(self._offers, event.new, lambda: box.word == event.new)
            if box.word == event.new:
                box.offers = offers

        return complete

    def _offers(
        self, word: str, wanted: Callable[[], bool] = lambda: True, patience: float = _PATIENCE
    ) -> list[dict[str, str]]:
        """Return what a word may become: a command, or a name of the catalog.

        Args:
            word: What was typed.
            wanted: Whether it is still the word.
            patience: Seconds to wait for a workspace that is being read.
        """
        if word.startswith("@"):
            return [
                {"insert": n, "name": n, "about": about}
                for n, about in _COMMANDS.items()
                if n.startswith(word)
            ]
        if len(word) < 2 or not self.world.lock.acquire(timeout=patience):
            return []
        try:
            if not wanted():
                return []
            hits = self.world.catalog.search(word, _OFFERED).hits
        except WorkbenchError:
            return []  # no letter and no digit
        finally:
            self.world.lock.release()
        return [
            {
                "insert": hit.name.replace(":", " ", 1) if hit.kind == "entity" else hit.name,
                "name": hit.name,
                "about": hit.kind,
            }
            for hit in hits
        ]


def expand(question: str) -> str:
    """Return a question with a quick command spelled out.

    >>> expand("@anomalies in March"), expand("how many visits")
    ('show anomalies in March', 'how many visits')
    """
    head, space, rest = question.partition(" ")
    return _MEANT.get(head.casefold(), head) + space + rest


def entities_of(table: pa.Table) -> list[str]:
    """Return the entities that a table names, each once: of ``entity``, or of the ends of edges."""
    columns = [c for c in ("entity", "source", "target") if c in table.column_names]
    if "entity" in columns:
        columns = ["entity"]
    names = (name for column in columns for name in table[column].to_pylist())
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and ":" in name))


def answer_head(answer: Answer) -> str:
    """Return the question, how it was taken, and the answer in words."""
    status = escape(_STATUS[answer.status])
    by = f"{answer.planner}, confidence {answer.confidence:.0%}" if answer.planner and answer.plan else ""
    said = answer.text.startswith(answer.reading.rstrip("."))
    taken = f"read as: {answer.reading}" if answer.reading and not said else ""
    soft = escape(" · ".join(filter(None, [taken, by])))
    reading = f"<p class='soft'>{soft}</p>" if soft else ""
    chip = "" if answer.status == "answered" else f"<span class='status {answer.status}'>{status}</span> "
    return (
        f"<section class='turn {answer.status}'><h3>{escape(answer.question)}</h3>"
        f"<p class='said'>{chip}{escape(answer.text)}</p>{reading}</section>"
    )


def answer_body(answer: Answer, number: int, *, live: bool = True) -> str:
    """Return the tables, the questions to ask next, the plan, the code and the statements."""
    parts = []
    drawn = {r.source for r in answer.renders if r.kind not in ("table", "summary")}
    for name, table in answer.tables.items():
        if table.num_columns:
            title = answer.results[name].title or name
            rows = f"<div class='scroll'>{html_table(table, title, answer.timezone)}</div>"
            summary = f"<summary>Rows ({table.num_rows:,})</summary>"
            parts.append(f"<details>{summary}{rows}</details>" if name in drawn else rows)
    names = entities_of(answer.to_arrow())
    if names and live:
        parts.append(
            f"<p><button data-pick='select={number}'>Select the {len(names):,} entities</button></p>"
        )
    if answer.suggestions:
        asked = "".join(
            f"<button data-pick='{escape('ask=' + text, quote=True)}'>{escape(text)}</button>"
            if live
            else f"<span class='chip'>{escape(text)}</span>"
            for text in answer.suggestions
        )
        parts.append(f"<p class='next'>{asked}</p>")
    parts += [_alternative(other) for other in answer.alternatives]
    if answer.plan is not None:
        plan = json.dumps(answer.plan.to_json(), indent=2, ensure_ascii=False)
        texts = {
            "Plan": plan,
            "Steps": answer.explain(),
            "Python": answer.to_python(),
            "SQL": answer.to_sql(),
        }
        folded = "".join(_folded(title, text) for title, text in texts.items() if text)
        parts.append(f"<div class='folds'>{folded}</div>")
    return "".join(parts)


def _folded(title: str, text: str) -> str:
    copy = "<button data-copy>Copy</button>" if title in ("Python", "SQL", "Plan") else ""
    return f"<details><summary>{title}</summary>{copy}<pre>{escape(text)}</pre></details>"


def _alternative(other: Answer) -> str:
    return (
        f"<details><summary>{escape(other.planner)} reads it otherwise</summary>"
        f"{answer_head(other)}{answer_body(other, 0, live=False)}</details>"
    )


def answer_markup(answer: Answer, number: int = 0, *, pictures: bool = False, live: bool = False) -> str:
    """Return a whole answer as markup, its charts as static pictures if wanted."""
    from workbench.views.charts import svg  # noqa: PLC0415

    drawn = (
        "".join(
            svg(render, answer.results[render.source].table, timezone=answer.timezone)
            for render in answer.renders
            if render.source in answer.results
        )
        if pictures
        else ""
    )
    return answer_head(answer) + drawn + answer_body(answer, number, live=live)
