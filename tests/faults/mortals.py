"""Forks a process for each step that standard input names; it dies where it was told, or does the step.

Everything is imported once, and no thread is started: a fork has none of its parent's. A line is the step's
name, the workspace, the sources, and the operation of the disk or the second of processor time at which to
die, 0 for none; the answer is the status, and the seconds that were used by who did not die.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from damaged import repair
from faulty_disk import LazyDisk
from steps import STEPS, opened, send

import workbench.compute.cpu
import workbench.connectors.csv
import workbench.ingest.forget
import workbench.ingest.pipeline
import workbench.ingest.stream
import workbench.vectors  # noqa: F401  (what steps would load)

if TYPE_CHECKING:
    from workbench.storage.disk import Disk


class MortalDisk(LazyDisk):
    """A disk whose process dies before an operation, or within it if that is a write."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _strike(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def create(self, path: Path) -> int:
        self._strike()
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.left == 1 and len(data) > 1:
            super().write(descriptor, data[: random.randrange(1, len(data))])  # noqa: S311
        self._strike()
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._strike()

    def rename(self, source: Path, target: Path) -> None:
        self._strike()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        self._strike()
        super().unlink(path)

    def make_directory(self, path: Path) -> None:
        self._strike()
        super().make_directory(path)

    def sync_directory(self, path: Path) -> None:
        self._strike()


def run(name: str, root: Path, logs: Path, disk: Disk) -> None:
    """Do a step; of a stream each acknowledgement leaves a byte beside the workspace."""
    if name == "repair":
        repair(root, disk)
    elif name == "stream":
        said = os.open(root.parent / "acknowledged", os.O_WRONLY | os.O_CREAT)
        send(opened(root, disk), lambda number: os.write(said, b"."))
    else:
        STEPS[name].run(opened(root, disk), logs)


def main() -> None:
    """Answer until there is no line more."""
    threads = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    assert "polars-0" not in threads
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        name, root, logs, operations, seconds = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            random.seed(line)
            signal.setitimer(signal.ITIMER_PROF, float(seconds))  # its signal ends a process
            run(name, Path(root), Path(logs), MortalDisk(int(operations)))
            used = resource.getrusage(resource.RUSAGE_SELF)
            print(0, used.ru_utime + used.ru_stime, flush=True)  # noqa: T201
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            print(os.waitstatus_to_exitcode(status), 0, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
