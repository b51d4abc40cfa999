"""``workbench demo``: the sample workspace, what is in it, an answer, a report, and what to type next."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import DEMO, JsonOption, QuietOption, complete_samples
from workbench.cli.progress import watching
from workbench.cli.screen import print_facts, print_json, print_table, print_text, size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.engine import Engine
    from workbench.plans import Answer
    from workbench.progress import Progress, Update
    from workbench.reports import Report
    from workbench.samples import Sample

__all__ = ["demo"]

_TOP = 5
_SHOWN_VIEWS = ("trends", "clusters", "anomalies")


def demo(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Which sample.", autocompletion=complete_samples)
    ] = DEMO.name,
    path: Annotated[Path, typer.Option(metavar="DIR", help="Where to make it.")] = DEMO.parent,
    report: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the report.")] = Path(
        "demo-report.html"
    ),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the demo workspace, show what is in it, answer a question, write a report.

    The second time it is there already and only opened. Needs no network, no key and no GPU.
    """
    from workbench import opening  # noqa: PLC0415  (kept out of start-up)
    from workbench.samples import samples  # noqa: PLC0415  (kept out of start-up)

    before = _generation(path / name)
    with watching(quiet=quiet or as_json) as progress:
        stages = _Stages(name, progress)
        engine = opening.demo(name, path=path, progress=stages)
    facts = {
        **engine.status(),
        "path": str(path / name),
        "made": engine.snapshot.generation != before,
        "seconds": stages.seconds,
        **_graph_facts(engine),
        "runs": {kind: engine.knowledge.read(kind).run.metrics for kind in engine.knowledge.kinds()},
        "top": _top(engine).to_pylist(),
        "answer": (answer := engine.ask(samples[name].questions[0])).to_json(),
        "report": str(_report(engine, samples[name], answer).save(report)),
    }
    if as_json:
        print_json(facts)
    else:
        _print(engine, facts, answer)


def _report(engine: Engine, sample: Sample, answer: Answer) -> Report:
    """Return the demo's report: the sample's questions answered, and the views of what was computed."""
    others = [engine.ask(question) for question in sample.questions[1:]]
    views = [engine.view(name) for name in _SHOWN_VIEWS]
    intro = f"{len(sample.questions)} questions answered, and what is computed all the time."
    parts = [intro, answer, *others, *views]
    return engine.report(sample.title, parts)


class _Stages:
    """Passes progress on and notes how many seconds each stage took."""

    def __init__(self, sample: str, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._sample, self._progress = sample, progress
        self._stage = ""
        self._last = time.perf_counter()

    def __call__(self, update: Update, /) -> None:
        now = time.perf_counter()
        stage = "sources" if update.task == self._sample else update.task
        # a report of nothing done yet closes the stage before it
        spent_on = stage if update.done or not self._stage else self._stage
        self.seconds[spent_on] = round(self.seconds.get(spent_on, 0.0) + now - self._last, 3)
        self._stage, self._last = stage, now
        self._progress(update)


def _generation(workspace: Path) -> int | None:
    """Return the newest generation of a workspace, or None if there is no workspace yet."""
    from workbench.storage import SegmentStore  # noqa: PLC0415  (kept out of start-up)

    if not SegmentStore.is_workspace(workspace):
        return None
    return SegmentStore(workspace).snapshot().generation


def _graph_facts(engine: Engine) -> dict[str, Any]:
    catalog = engine.catalog
    return {
        "entities": {entry.name: entry.count for entry in catalog.entity_types},
        "edges": {entry.name: entry.count for entry in catalog.edge_types},
    }


def _top(engine: Engine) -> Any:
    """Return the entities of the highest PageRank: place, entity, label, rank."""
    first = engine.knowledge.read("pagerank").to_arrow().slice(0, _TOP)
    labels = engine.graph.subgraph(first["entity"].to_pylist()).nodes["label"]
    return first.select(["place", "entity", "rank"]).add_column(2, "label", labels)


def _print(engine: Engine, facts: Mapping[str, Any], answer: Answer) -> None:
    total = sum(facts["seconds"].values())
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in facts["seconds"].items())
    made = "made" if facts["made"] else "was there already, opened"
    print_text(f"{facts['path']}: {made} in {total:.1f} s ({stages})\n")
    zone = facts["timezone"]
    print_facts(
        {
            "documents": _counted(facts["event_types"]),
            "segments": f"{facts['segments']:,} days (UTC), "
            f"{facts['first_segment']} to {facts['last_segment']}",
            "entities": _counted(facts["entities"]),
            "edges": _counted(facts["edges"]),
            "knowledge": "; ".join(f"{kind}: {_metrics(metrics)}" for kind, metrics in facts["runs"].items()),
            "on disk": f"{size(facts['bytes'])} in {facts['files']:,} files",
            "time zone": f"{zone}, on every screen; stored in UTC",
        }
    )
    print_table(_top(engine), zone, title="\nEntities of the highest PageRank")
    print_text(f"\n{answer.question}\n{answer.text}")
    print_text(f"\n{facts['report']}: that and more as one page, for any browser and without a network")
    print_text("\nNext:")
    for command in _next(facts):
        print_text(f"  {command}")
    print_text("in Python:")
    print_text(f"  import workbench as wb; db = wb.open({facts['path']!r})")


def _counted(counts: Mapping[str, int]) -> str:
    parts = sorted(counts.items(), key=lambda item: -item[1])
    return f"{sum(counts.values()):,}: " + ", ".join(f"{name} {number:,}" for name, number in parts)


def _metrics(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in metrics.items())


def _next(facts: Mapping[str, Any]) -> list[str]:
    """Return commands about what is in the workspace, ready to be copied."""
    where = f"-w {shlex.quote(facts['path'])}"
    first = shlex.quote(facts["top"][0]["entity"])
    most = max(facts["event_types"], key=facts["event_types"].get)
    # shown, not run
    statement = f'select month(_ts) as month, count(*) as events from "{most}" group by all order by all'  # noqa: S608
    return [
        f"workbench catalog {where}",
        f"workbench entity {first} {where}",
        f"workbench graph around {first} --limit 10 {where}",
        f"workbench sql {shlex.quote(statement)} {where}",
        f"workbench ask {shlex.quote('what data do you have')} {where}",
        f"workbench serve {where}",
    ]
