"""What analysts say of anomalies and of entities: marks and notes, kept with author and time."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from workbench.errors import UnknownNameError, UsageError
from workbench.graph.keys import format_entity, parse_entity
from workbench.storage.sealed import add_lines, in_turn, read_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.storage import SegmentStore
    from workbench.storage.sealed import Record

__all__ = ["FILE", "MARKS", "Triage", "applied_weights"]

FILE = "triage.jsonl"
"""The log's file in the workspace: a line a mark or note, so that one entity's can be forgotten alone."""

MARKS = ("confirmed", "benign", "ignored")
_HEARD = 0.5  # from this score on a signal has spoken
_LONGEST = 4_000

_LOG = {
    "at": pl.Datetime("us", "UTC"),
    "author": pl.String(),
    "entity": pl.String(),
    "mark": pl.String(),
    "note": pl.String(),
    "run": pl.String(),
    "score": pl.Float64(),
}
_PRECISION = {
    "signal": pl.String(),
    "confirmed": pl.Int64(),
    "benign": pl.Int64(),
    "precision": pl.Float64(),
}


class _World(Protocol):
    @property
    def store(self) -> SegmentStore: ...


@dataclass(frozen=True)
class _Seen:
    """What a mark is about: the run that scored the entity, and what its signals said."""

    run: str = ""
    score: float | None = None
    signals: tuple[tuple[str, float], ...] = ()


class Triage:
    """The marks and notes of a workspace.

    They lie in one file beside the generations. Each write replaces it whole, durably, under a lock of its
    own, so that marks never wait for ingest.

    Args:
        world: The workspace.
    """

    def __init__(self, world: _World) -> None:
        self._store = world.store
        self._path = world.store.root / FILE

    @property
    def stamp(self) -> tuple[int, int]:
        """Return what changes whenever something is added: time and size of the file."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return facts.st_mtime_ns, facts.st_size

    def mark(  # noqa: PLR0913  (what, of whom, by whom, why)
        self,
        entity: str,
        mark: str,
        *,
        note: str = "",
        author: str = "",
        of: Mapping[str, Any] | None = None,
        run: str = "",
    ) -> dict[str, Any]:
        """Keep what an analyst says of an entity's anomaly, and return it.

        Args:
            entity: Of whom, ``type:key``.
            mark: ``confirmed``, ``benign`` or ``ignored``.
            note: Why.
            author: Who says so; by default the user of this process.
            of: The row of the anomalies' result that is marked.
            run: The run that it is of.

        Raises:
            UnknownNameError: If there is no such mark.
            UsageError: If the note is too long.
            ReadOnlyError: If the workspace is a mirror.
        """
        if mark not in MARKS:
            raise UnknownNameError("mark", mark, MARKS)
        seen = _Seen()
        if of is not None:
            names = {n.removeprefix("signal_"): v for n, v in of.items() if n.startswith("signal_")}
            seen = _Seen(run, of["score"], tuple((n, v) for n, v in names.items() if v is not None))
        return self._add(entity, mark, note, author, seen)

    def note(self, entity: str, text: str, *, author: str = "") -> dict[str, Any]:
        """Keep a note on any entity, and return it.

        Raises:
            UsageError: If there is no text, or it is too long.
            ReadOnlyError: If the workspace is a mirror.
        """
        if not text.strip():
            raise UsageError("a note without a text.", fix="Say what is to be kept.")
        return self._add(entity, "", text, author, _Seen())

    def log(self, entity: str | None = None) -> pl.DataFrame:
        """Return ``at``, ``author``, ``entity``, ``mark`` (empty: a note), ``note``, ``run`` and ``score``.

        The oldest is first.
        """
        said = [row for row in self._rows() if row["weights"] is None]
        rows = [{**row, "at": datetime.fromisoformat(row["at"])} for row in said]
        frame = pl.DataFrame([{n: row[n] for n in _LOG} for row in rows], schema=_LOG)
        return frame if entity is None else frame.filter(pl.col("entity") == _written(entity))

    def marks(self) -> pl.DataFrame:
        """Return the newest mark of each entity that has one, as :meth:`log` has it."""
        return self.log().filter(pl.col("mark") != "").unique("entity", keep="last", maintain_order=True)

    def precision(self) -> pl.DataFrame:
        """Return how often each signal that spoke was right, by ``confirmed`` and ``benign`` marks.

        A signal spoke of a marked actor where its score was 0.5 or more in the run that was marked. What is
        ignored does not count. The first row, ``any``, is about the anomalies as a whole.
        """
        newest = {row["entity"]: row for row in self._rows() if row["mark"]}
        counts: dict[str, list[int]] = {"any": [0, 0]}
        for row in newest.values():
            if row["mark"] == "ignored" or row["score"] is None:
                continue
            spoke = [name for name, value in row["signals"] if value >= _HEARD]
            for name in ("any", *spoke):
                counts.setdefault(name, [0, 0])[row["mark"] == "benign"] += 1
        first, *others = counts.items()
        table = [
            (name, right, wrong, right / (right + wrong) if right + wrong else None)
            for name, (right, wrong) in (first, *sorted(others))
        ]
        return pl.DataFrame(table, schema=_PRECISION, orient="row")

    def weights(self, profile: str) -> dict[str, float]:
        """Return the weights of signals that were applied last for a profile; empty: each signal's own."""
        return applied_weights(self._store.root, profile)

    def apply(self, profile: str, weights: Mapping[str, float], *, author: str = "") -> None:
        """Keep the weights that anomalies are computed with from now on."""
        self._add("", "", "weights of signals", author, _Seen(profile), dict(weights))

    def _add(  # noqa: PLR0913, PLR0917  (the parts of a line)
        self,
        entity: str,
        mark: str,
        note: str,
        author: str,
        seen: _Seen,
        weights: dict[str, float] | None = None,
    ) -> dict[str, Any]:
        if len(note) > _LONGEST:
            raise UsageError(f"the note has {len(note):,} characters.", fix=f"Keep it under {_LONGEST:,}.")
        row = {
            "at": datetime.now(UTC).isoformat(),
            "author": author or _user(),
            "entity": _written(entity) if entity else "",
            "mark": mark,
            "note": note,
            "run": seen.run,
            "score": seen.score,
            "signals": [list(pair) for pair in seen.signals],
            "weights": weights,
        }
        self._store.require_writable()
        with in_turn(self._path.with_suffix(".lock"), f"{FILE}.*", self._store.disk):
            add_lines(self._path, [row], self._store.disk)
        return row

    def _rows(self) -> list[Record]:
        """Return the lines that are whole; a damaged one is left out, for its seal tells."""
        return [*read_lines(self._path)]


def applied_weights(root: Path, profile: str) -> dict[str, float]:
    """Return the weights of signals that were applied last in a workspace; empty: each signal's own."""
    applied = [r for r in read_lines(root / FILE) if r["weights"] is not None and r["run"] == profile]
    return dict(applied[-1]["weights"]) if applied else {}


def _written(entity: str) -> str:
    return format_entity(*parse_entity(entity))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return "unknown"
