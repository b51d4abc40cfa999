"""Progress on standard error: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.cli.screen import print_note
from workbench.progress import silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from workbench.progress import Progress, Update

__all__ = ["watching"]

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def watching(*, quiet: bool) -> Iterator[Progress]:
    """Show the progress of what runs in the context; say nothing at all if ``quiet``."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bar() as bar:
            yield _Bars(bar)
    else:
        yield _Lines()


class _Bars:
    """One line a task, drawn anew as it goes on."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, update: Update, /) -> None:
        if update.task not in self._tasks:
            self._tasks[update.task] = self._bar.add_task(
                update.task, total=update.total or None, unit=update.unit, rows=0
            )
        self._bar.update(
            self._tasks[update.task], completed=update.done, total=update.total or None, rows=update.rows
        )


class _Lines:
    """A line where a task begins and ends, and every few seconds in between."""

    def __init__(self) -> None:
        self._task = ""
        self._began = self._last = 0.0

    def __call__(self, update: Update, /) -> None:
        now = time.monotonic()
        begins = update.task != self._task
        if begins:
            self._task, self._began = update.task, now
        ends = bool(update.total) and update.done >= update.total
        if begins or ends or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            print_note(self._line(update, now - self._began))

    @staticmethod
    def _line(update: Update, seconds: float) -> str:
        total = f" of {update.total:,}" if update.total else ""
        line = f"{update.task}: {update.done:,}{total} {update.unit}"
        if update.rows:
            line += f", {_rows(update.rows, seconds if seconds > 1 else None)}"
        if seconds > 1 and 0 < update.done < update.total:
            line += f", about {seconds / update.done * (update.total - update.done):.0f} s left"
        return line


def _rows(rows: int, seconds: float | None) -> str:
    rate = f", {rows / seconds:,.0f} rows/s" if seconds else ""
    return f"{rows:,} rows{rate}"


def _bar() -> Bar:
    from rich.console import Console  # noqa: PLC0415  (kept out of start-up)
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    class Counts(ProgressColumn):
        """Units done, rows, and rows in a second."""

        def render(self, task: object) -> Text:
            """Return the counts of one task."""
            completed, total = (int(getattr(task, name) or 0) for name in ("completed", "total"))
            fields = getattr(task, "fields", {})
            text = f"{completed:,}{f'/{total:,}' if total else ''} {fields['unit']}"
            if fields["rows"]:
                text += f"  {_rows(fields['rows'], getattr(task, 'elapsed', None))}"
            return Text(text, style="dim", no_wrap=True)

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        Counts(),
        TimeRemainingColumn(compact=True),
    )
    return Progress(*columns, console=Console(stderr=True))
