"""What JupyterLab's side panel shows: the workspaces that a notebook's variables hold, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import workbench
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Panel"]


class Panel:
    """The open workspaces of a namespace, each with its catalog and the code that shows an entry.

    Only the snapshot's manifest and the schema are read, so that the kernel is free again at once.

    Args:
        namespace: The notebook's variables.

    >>> Panel({"text": "no workspace"})._repr_json_()
    []
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace

    def _repr_json_(self) -> list[dict[str, Any]]:
        found: dict[int, tuple[str, Any]] = {}
        for name, value in self._namespace.items():
            if not name.startswith("_") and isinstance(value, workbench.Engine):
                found.setdefault(id(value), (name, value))
        return [_workspace(name, engine) for name, engine in found.values()]


def _workspace(variable: str, engine: Any) -> dict[str, Any]:
    problems: list[str] = []
    sections: list[dict[str, Any]] = []
    note = ""
    try:
        counts = _documents(engine)
        note = (
            f"{sum(counts.values()):,} documents in {len(engine.snapshot.segments):,} segments, "
            f"generation {engine.snapshot.generation}, {engine.settings.device}"
        )
        sections = [
            {"name": title, "entries": list(entries)}
            for title, entries in _sections(variable, engine, counts)
        ]
    except WorkbenchError as error:
        problems.append(str(error))
    return {
        "variable": variable,
        "path": engine.store.name,
        "note": note,
        "sections": sections,
        "problems": problems,
    }


def _documents(engine: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for file in engine.snapshot.files("events"):
        counts[file.name] = counts.get(file.name, 0) + file.rows
    return dict(sorted(counts.items()))


def _sections(
    variable: str, engine: Any, counts: Mapping[str, int]
) -> Iterator[tuple[str, Iterable[dict[str, str]]]]:
    schema = engine.schema
    yield (
        "Event types",
        (
            _entry(name, f"{rows:,}", _said(schema.events, name), f"{variable}.sql({_select(name)!r})")
            for name, rows in counts.items()
        ),
    )
    yield (
        "Entity types",
        (
            _entry(name, "who" if kind.who else "", kind.description, f"{variable}.entities[{name!r}]")
            for name, kind in schema.entities.items()
        ),
    )
    yield (
        "Edge types",
        (
            _entry(
                name, f"{kind.source} → {kind.target}", kind.description, f"{variable}.graph.edges({name!r})"
            )
            for name, kind in schema.edges.items()
        ),
    )
    yield (
        "Knowledge",
        (
            _entry(kind, "", "a computed result", f"{variable}.knowledge.read({kind!r})")
            for kind in engine.knowledge.kinds()
        ),
    )


def _said(rules: Mapping[str, Any], name: str) -> str:
    return rules[name].description if name in rules else ""


def _select(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'select * from "{quoted}" limit 20'  # noqa: S608  (shown, not run)


def _entry(name: str, note: str, title: str, code: str) -> dict[str, str]:
    return {"name": name, "note": note, "title": title, "code": code}
