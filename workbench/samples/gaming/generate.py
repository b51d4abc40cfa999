"""Writes a world's log: files in parallel, each one whole, those that are there already kept."""

from __future__ import annotations

import itertools
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import UsageError
from workbench.progress import Update, silent
from workbench.samples.gaming.days import day
from workbench.samples.gaming.manifest import file_entry, find_manifest, write_manifest
from workbench.samples.gaming.names import Names, Sizes
from workbench.samples.gaming.planted import write_truth
from workbench.samples.gaming.population import SIZES
from workbench.samples.gaming.tables import Tables
from workbench.samples.gaming.world import World, build
from workbench.samples.gaming.write import write_parquet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.progress import Progress
    from workbench.samples.gaming.batch import Batch
    from workbench.samples.gaming.tables import Folder

__all__ = ["START", "TRUTH", "SynthReport", "names_of", "synth"]

START = date(2025, 6, 1)
TRUTH = "_truth"


@dataclass
class SynthReport:
    """What was generated.

    Attributes:
        path: The directory.
        days: Number of days.
        rows: Events, by directory.
        files: Files of the log.
        kept: How many of them were there already.
        bytes: Size of the log.
        seconds: Wall time.
    """

    path: Path
    days: int
    rows: dict[str, int] = field(default_factory=dict)
    files: int = 0
    kept: int = 0
    bytes: int = 0
    seconds: float = 0.0

    @property
    def events(self) -> int:
        """Number of events."""
        return sum(self.rows.values())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        return asdict(self) | {"path": str(self.path), "events": self.events}

    def __str__(self) -> str:
        """Return the report as a few lines for people."""
        kept = f", {self.kept} of them kept" if self.kept else ""
        head = f"{self.events:,} events of {self.days} days in {self.path}"
        size = f"{self.files} files{kept}, {self.bytes / 1e6:,.1f} MB, {self.seconds:.1f} s"
        lines = [f"{head}: {size}", *(f"  {name}: {rows:,}" for name, rows in self.rows.items())]
        return "\n".join(lines)


def synth(  # noqa: PLR0913  (the options of one command)
    out: str | Path,
    *,
    days: int = 7,
    events_per_day: int = 100_000,
    seed: int = 0,
    members: int | None = None,
    start: date = START,
    clean: bool = False,
    anomalies: bool = True,
    threads: int | None = None,
    progress: Progress = silent,
) -> SynthReport:
    """Generate the log of an online gaming platform, with the truth about it beside it.

    One Parquet file for each event type and UTC day, every column a string, as spec 2.3 describes it
    (``Login/2025-06-01.parquet``; the last fifth of the days also ``v2/GridClick`` and
    ``v2/PopUpModule``). ``_truth/`` holds what is planted and ``_manifest.json`` the counts; ingest
    reads neither. The files depend on the arguments alone, not on ``threads``. A run that was stopped
    is taken up again by the same call.

    Args:
        out: Directory, new or empty or of an earlier run with the same arguments.
        days: Number of UTC days.
        events_per_day: On an average day; 958,000 is the rate of spec 2.3.
        seed: Equal seeds give equal files.
        members: Accounts; by default in proportion to the events.
        start: First day.
        clean: Leave out what real writers get wrong.
        anomalies: Let some members behave anomalously.
        threads: Files written at a time; by default the machine's cores.
        progress: Told after each file.

    Raises:
        UsageError: If an argument cannot be meant, or ``out`` holds something else.

    >>> import tempfile
    >>> report = synth(tempfile.mkdtemp(), days=2, events_per_day=500)
    >>> sorted(report.rows)
    ['API Error', 'GameOpened', 'Login', 'PopupModule', 'v2/GridClick', 'v2/PopUpModule']
    """
    began = time.perf_counter()
    _check(days=days, events_per_day=events_per_day, members=members, threads=threads)
    parameters = {
        "days": days,
        "events_per_day": events_per_day,
        "seed": seed,
        "members": members,
        "start": str(start),
        "clean": clean,
        "anomalies": anomalies,
    }
    directory = Path(out).expanduser()
    manifest = find_manifest(directory, parameters)
    directory.mkdir(parents=True, exist_ok=True)
    world = build(
        seed, days=days, events_per_day=events_per_day, members=members, start=start, anomalies=anomalies
    )
    names = names_of(world)
    write_manifest(directory, manifest)  # from here on the directory is known to be this log's
    write_truth(directory / TRUTH, world, names)
    run = _Run(world, names, directory, manifest, clean=clean, progress=progress)
    run.write(threads or os.cpu_count() or 1)
    return run.report(time.perf_counter() - began)


def _check(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UsageError(f"{name} is {number}.", fix="Give a number of at least 1.")


def names_of(world: World) -> Names:
    """Return the names of what is in a world."""
    return Names(
        Sizes(
            members=len(world.members),
            devices=len(world.devices),
            games=len(world.games),
            providers=SIZES["providers"],
            popups=len(world.popups),
            errors=len(world.errors),
            affiliates=SIZES["affiliates"],
        )
    )


class _Run:
    """One run: a queue of files, and a manifest that says after each one what is there."""

    def __init__(  # noqa: PLR0913  (all that a run knows)
        self,
        world: World,
        names: Names,
        directory: Path,
        manifest: dict[str, Any],
        *,
        clean: bool,
        progress: Progress,
    ) -> None:
        self._world, self._directory, self._manifest, self._progress = world, directory, manifest, progress
        self._tables = Tables(world, names, clean=clean)
        self._total = sum(len(self._tables.folders(n)) for n in range(world.days))
        self._lock = threading.Lock()
        self._done = self._rows = self._kept = 0

    def write(self, threads: int) -> None:
        """Write all files that are not there, ``threads`` at a time."""
        self._forget_changed()
        missing = iter([n for n in range(self._world.days) if self._lacking(n)])
        with ThreadPoolExecutor(threads) as pool:
            running: set[Future[Any]] = set()
            try:
                # days are begun one after another, so that only a few are in memory
                running |= {pool.submit(self._begin, n) for n in itertools.islice(missing, 1)}
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        running |= {pool.submit(self._write, *job) for job in future.result() or ()}
                    if len(running) < threads:
                        running |= {pool.submit(self._begin, n) for n in itertools.islice(missing, 1)}
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        self._manifest["complete"] = True
        write_manifest(self._directory, self._manifest)

    def report(self, seconds: float) -> SynthReport:
        """Return what there is now."""
        files = self._manifest["files"]
        rows: dict[str, int] = {}
        for path in sorted(files):
            folder = str(Path(path).parent)
            rows[folder] = rows.get(folder, 0) + files[path]["rows"]
        size = sum(entry["bytes"] for entry in files.values())
        return SynthReport(self._directory, self._world.days, rows, len(files), self._kept, size, seconds)

    def _path(self, folder: Folder, number: int) -> str:
        return f"{folder.path}/{self._world.date(number)}.parquet"

    def _lacking(self, number: int) -> list[Folder]:
        files = self._manifest["files"]
        return [f for f in self._tables.folders(number) if self._path(f, number) not in files]

    def _forget_changed(self) -> None:
        """Take files out of the manifest that are not there as it says."""
        files = self._manifest["files"]
        for path, entry in list(files.items()):
            file = self._directory / path
            if not file.is_file() or file_entry(file, entry["rows"], entry["columns"]) != entry:
                del files[path]
        self._kept = self._done = len(files)
        self._rows = sum(entry["rows"] for entry in files.values())

    def _begin(self, number: int) -> list[tuple[Folder, Batch]]:
        """Return the files of a day that are to be written, the largest first."""
        batches = day(self._world, number)
        distinct = _distinct(batches)
        with self._lock:
            self._manifest["distinct"][str(self._world.date(number))] = distinct
        jobs = [(folder, batches[folder.type]) for folder in self._lacking(number)]
        return sorted(jobs, key=lambda job: -len(job[1]))

    def _write(self, folder: Folder, batch: Batch) -> None:
        name = self._path(folder, batch.day)
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows, columns = write_parquet(path, self._tables.tables(folder, batch))
        entry = file_entry(path, rows, columns)
        with self._lock:
            self._manifest["files"][name] = entry
            write_manifest(self._directory, self._manifest)
            self._done += 1
            self._rows += rows
            self._progress(Update("synth", self._done, self._total, "files", self._rows))


def _distinct(batches: dict[str, Batch]) -> dict[str, int]:
    """Return how many different members, devices and subjects a day has."""
    members = np.concatenate([batch.member for batch in batches.values()])
    devices = np.concatenate([batch.device for batch in batches.values()])
    return {
        "members": _number_of(members),
        "devices": _number_of(devices),
        "games": _number_of(batches["GameOpened"].subject),
        "errors": _number_of(batches["API Error"].subject),
        "popups": _number_of(batches["PopupModule"].subject),
    }


def _number_of(codes: NDArray[np.int32]) -> int:
    return int(np.count_nonzero(np.bincount(codes[codes >= 0])))
