"""What is found in single segments, kept so that a new day costs a day whatever the window's length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import CorruptFileError
from workbench.executors import Executor, Threads
from workbench.logs import get_logger
from workbench.storage.snapshot import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from workbench.storage import FileEntry, Snapshot
    from workbench.storage.derived import Derived, DerivedSet

__all__ = ["WORTH", "BySegment"]

WORTH = 100_000
"""Rows of the partials that are read of a segment."""

_log = get_logger("storage")


@dataclass(frozen=True)
class BySegment:
    """Finds Arrow tables in segments, and keeps them beside the generations as long as the segment is live.

    Attributes:
        snapshot: The generation.
        kept: Returns what is kept of a kind; without it nothing is.
        executor: What goes through the segments of which nothing is known yet.
        worth: What is found in a segment of fewer rows is not kept: to find it again takes less.
    """

    snapshot: Snapshot
    kept: Callable[[str], Derived] | None = None
    executor: Executor = field(default_factory=Threads)
    worth: int = WORTH

    def find(
        self,
        function: Callable[[Segment], Mapping[str, pa.Table]],
        segments: Iterable[str],
        kind: str,
        *,
        reads: Sequence[str],
        facts: Mapping[str, Any],
    ) -> Iterator[Mapping[str, pa.Table]]:
        """Yield what a function finds in each segment, in the order of their days.

        Args:
            function: As an executor takes it.
            segments: Which.
            kind: What is found, in words; names what is kept.
            reads: The kinds of partials that the function reads.
            facts: What else decides about what it finds, its own version first of all, as JSON data.

        Raises:
            CorruptFileError: If a partial is damaged.
        """
        days = sorted(segments)
        files = {day: [e for of in reads for e in self.snapshot.files(of, segments=[day])] for day in days}
        sets = {made.part: made for made in self.kept(kind).sets()} if self.kept else {}
        known = {day: self._known(kind, sets.get(day), files[day], facts) for day in days}
        missing = [day for day in days if known[day] is None]
        # they are asked for one by one: few more than run are held
        found = self.executor.map(function, (Segment(self.snapshot, day) for day in missing))
        for day in days:
            tables = known.pop(day)
            if tables is None:
                tables = next(found)
                self._keep(day, kind, files[day], facts, tables)
            yield tables

    def _known(
        self, kind: str, made: DerivedSet | None, files: list[FileEntry], facts: Mapping[str, Any]
    ) -> Mapping[str, pa.Table] | None:
        if self.kept is None or made is None or made.facts != _facts(files, facts):
            return None
        derived = self.kept(kind)
        try:
            return {name: derived.read(made, name) for name in made.files}
        except CorruptFileError as error:
            _log.warning("what is kept of a segment is damaged", kind=kind, reason=str(error))
            return None

    def _keep(
        self,
        day: str,
        kind: str,
        files: list[FileEntry],
        facts: Mapping[str, Any],
        tables: Mapping[str, pa.Table],
    ) -> None:
        if self.kept is not None and sum(entry.rows for entry in files) >= self.worth:
            self.kept(kind).keep(
                tables,
                generation=self.snapshot.generation,
                inputs=[entry.path for entry in files],
                facts=_facts(files, facts),
                part=day,
            )


def _facts(files: list[FileEntry], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "hashes": [entry.hash for entry in files]}
