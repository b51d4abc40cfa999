"""The parent's hold on one worker process: start it, talk to it, kill it, leave nothing behind."""

from __future__ import annotations

import json
import math
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import SqlError, SqlTimeoutError
from workbench.sql import frames

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from io import FileIO

__all__ = ["Worker"]

# Nothing else of the environment is passed on: it may hold keys.
_PASSED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_PASSED_PREFIX = "COVERAGE_"
_PACKAGES = Path(__file__).parents[2]
_TICK = 50  # milliseconds between two looks at the clock
_GRACE = 2.0  # seconds in which an idle worker ends by itself


class Worker:
    """One worker process with a private directory for what it spills.

    The process is a session of its own, so that Ctrl-C in a terminal reaches the parent only. It ends when
    the pipe from its parent closes (``PR_SET_PDEATHSIG`` would tie it to the thread that started it).

    Args:
        timezone: IANA time zone of the statements.
        memory: DuckDB's memory limit, such as ``"2GB"``.
        threads: DuckDB's threads.
        directory: Where the private directory is made; the system's temporary directory by default.
    """

    def __init__(self, *, timezone: str, memory: str, threads: int, directory: Path | None) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="workbench-sql-", dir=directory))
        self._log = self._scratch / "stderr.log"
        config = {
            "timezone": timezone,
            "memory": memory,
            "threads": threads,
            "scratch": str(self._scratch.absolute()),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
                [sys.executable, "-P", "-m", "workbench.sql.worker", json.dumps(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env=_environment(self._scratch),
                start_new_session=True,
            )
        self._readable = select.poll()
        self._readable.register(cast("FileIO", self._process.stdout))
        self._deadline = self._seconds = math.inf
        self._stopped: threading.Event | None = None
        self._stop = weakref.finalize(self, _stop, self._process, self._scratch, os.getpid())

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> None:
        """Send one request.

        Raises:
            SqlError: If the worker is dead.
        """
        try:
            frames.send_json(cast("FileIO", self._process.stdin), request)
        except BrokenPipeError:
            raise self._death() from None

    def reply(self) -> tuple[bytes, bytearray]:
        """Wait for the next frame of the answer.

        Raises:
            SqlError: If the worker died.
            SqlTimeoutError: If nothing came within the limit.
        """
        try:
            return frames.read(cast("FileIO", self._process.stdout), self._wait)
        except EOFError:
            raise self._death() from None

    @contextmanager
    def limit(self, seconds: float, stop: threading.Event | None = None) -> Iterator[None]:
        """Give the body so long to ask and to take the replies, and kill the worker if it does not end well.

        Args:
            seconds: How long.
            stop: Once it is set, in any thread, the time is over.

        Raises:
            SqlTimeoutError: In the body, from the reply that does not come in time.
        """
        self._stopped = stop
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        try:
            yield
        except BaseException:
            self.kill()
            raise

    def _wait(self) -> None:
        """Return when there is something to read, looking up often enough for an interrupt to get through."""
        while True:
            if time.monotonic() >= self._deadline:
                raise SqlTimeoutError(
                    f"the statement was stopped after its time limit of {self._seconds:g} s.",
                    fix="Narrow it, or raise the limit: timeout= here, or sql_timeout in workbench.toml.",
                )
            if self._stopped is not None and self._stopped.is_set():
                raise SqlTimeoutError("the statement was stopped.")
            if self._readable.poll(_TICK):
                return

    def kill(self) -> None:
        """End the process at once, whatever it is doing, and remove its directory."""
        if self._stop.alive:
            self._process.kill()
            self._stop()

    def close(self) -> None:
        """Let the process end by itself, or end it, and remove its directory; a second call does nothing."""
        self._stop()

    def _death(self) -> SqlError:
        code = self._process.wait()
        said = self._log.read_text(encoding="utf-8", errors="replace").strip() if self._log.exists() else ""
        last = f" It last said: {said.splitlines()[-1]}" if said else ""
        reason = f"signal {-code}" if code < 0 else f"exit status {code}"
        return SqlError(
            f"the SQL worker ended with {reason} before it answered.{last}",
            fix="The next statement starts a new one. Where memory was short, aggregate or filter earlier.",
        )


def _environment(scratch: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in _PASSED or k.startswith(_PASSED_PREFIX)}
    # The same packages as here, but neither the current directory nor a module beside the notebook.
    packages = [entry for entry in sys.path if Path(entry).is_absolute() and Path(entry).is_dir()]
    return {
        **kept,
        "HOME": str(scratch),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([*packages, str(_PACKAGES)])),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }


def _stop(process: subprocess.Popen[bytes], scratch: Path, owner: int) -> None:
    if os.getpid() != owner:  # a fork has a copy of the handle, not the worker
        return
    for pipe in (process.stdin, process.stdout):
        cast("FileIO", pipe).close()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    shutil.rmtree(scratch, ignore_errors=True)
