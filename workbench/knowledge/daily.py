"""What was known at the end of each day: of the results of a kind, one a day."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from workbench.storage import FileEntry, Snapshot

__all__ = ["ENOUGH", "of_days"]

ENOUGH = 14
"""Days with a result that something can be told from."""


def of_days(
    snapshot: Snapshot, kind: str, segments: Collection[str], *, least: int = ENOUGH
) -> list[FileEntry]:
    """Return the newest result as of each day, oldest first; none where there are fewer days than needed.

    They are of one setting (parameters and seed): the one in which most days have a result, of several the
    one used last. Another one's would make a step that nothing in the data has made.

    Args:
        snapshot: The generation.
        kind: What kind of knowledge.
        segments: The days that count, by the last segment that a result saw.
        least: How many days are needed.
    """
    wanted = set(segments)
    settings: defaultdict[str, dict[str, FileEntry]] = defaultdict(dict)
    for entry in sorted(snapshot.files("knowledge", name=kind), key=_age):
        day = entry.meta["segments"][1]
        if day in wanted:
            setting = json.dumps([entry.meta["parameters"], entry.meta["seed"]], sort_keys=True)
            settings[setting][day] = entry
    if not settings:
        return []
    days = max(settings.values(), key=lambda found: (len(found), max(map(_age, found.values()))))
    return [days[day] for day in sorted(days)] if len(days) >= least else []


def _age(entry: FileEntry) -> tuple[str, str]:
    return entry.meta["asof"], entry.meta["created"]
