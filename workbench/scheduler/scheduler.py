"""The scheduler: starts jobs that are due, the urgent first, and outlives those that fail."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import UnknownNameError, UsageError
from workbench.logs import get_logger
from workbench.scheduler.job import Job, in_order
from workbench.scheduler.levels import Level, level_of, pace
from workbench.scheduler.metrics import JobStatus, Record
from workbench.scheduler.statefile import write_status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from workbench.scheduler.metrics import State

__all__ = ["Scheduler", "Status"]

_LOOK_SECONDS = 5.0  # between two looks at what a job reads
_PATIENCE_SECONDS = 30.0  # that a job waits at most for those who ask


@dataclass(frozen=True)
class Status:
    """A scheduler as it is now.

    Attributes:
        running: Whether it starts jobs.
        level: The load of ingest.
        backlog: Documents that wait for ingest.
        since: When it was started, ISO 8601 in UTC; empty before.
        written: When this was so.
        jobs: Each job, the most urgent first.
    """

    running: bool
    level: str
    backlog: int
    since: str
    written: str
    jobs: tuple[JobStatus, ...]

    @property
    def red(self) -> tuple[JobStatus, ...]:
        """Return the jobs whose last run failed."""
        return tuple(job for job in self.jobs if job.red)


class Scheduler:
    """Runs jobs in threads of its own: each when its period has passed and what it reads has changed.

    A job that fails rests, twice as long after each failure in a row, and the others go on. It never runs
    twice at a time. The load of ingest pauses what is less urgent; while somebody waits for an answer no job
    starts, for half a minute at most.

    Args:
        jobs: What to run.
        backlog: Returns how many documents wait for ingest.
        busy: Returns whether somebody waits for an answer.
        workers: How many jobs run at a time.
        seed: What each run is given: the same inputs and seed give the same result.
        every: Seconds between two looks at what is due.
        clock: Seconds of a clock that only goes forward.
        status_file: Where to write down what it does.

    Raises:
        UsageError: If the jobs do not go together.

    >>> ran = []
    >>> scheduler = Scheduler([Job("sweep", run=ran.append)])
    >>> scheduler.turn()
    ['sweep']
    >>> scheduler.join()
    ['sweep']
    >>> ran
    [0]
    """

    def __init__(  # noqa: PLR0913  (what it meets)
        self,
        jobs: Sequence[Job],
        *,
        backlog: Callable[[], int] = lambda: 0,
        busy: Callable[[], bool] = lambda: False,
        workers: int = 1,
        seed: int = 0,
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        status_file: Path | None = None,
    ) -> None:
        self._jobs = {job.name: job for job in in_order(jobs)}
        self._records = {name: Record(seed=seed) for name in self._jobs}
        self._backlog, self._busy = backlog, busy
        self._workers, self._seed, self._every, self._clock = workers, seed, every, clock
        self._status_file = status_file
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._looked = dict.fromkeys(self._jobs, -float("inf"))
        self._tell: list[Callable[[JobStatus], object]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._timer: Any = None
        self._since = self._refused = ""
        self._logger = get_logger("scheduler")

    @property
    def names(self) -> list[str]:
        """Return the names of the jobs, the most urgent first."""
        return list(self._jobs)

    @property
    def running(self) -> bool:
        """Return whether it starts jobs by itself."""
        return self._timer is not None

    def start(self) -> None:
        """Begin to run jobs; where it has begun already, nothing happens."""
        from apscheduler.executors.pool import ThreadPoolExecutor as Threads  # noqa: PLC0415
        from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415

        with self._lock:
            if self._timer is not None:
                return
            self._since = datetime.now(UTC).isoformat()
            quiet = logging.getLogger("workbench.scheduler.timer")
            quiet.setLevel(logging.ERROR)  # that a look takes longer than a second is no news
            self._timer = BackgroundScheduler(
                logger=quiet,
                timezone=UTC,
                executors={"default": Threads(1)},
                job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            )
            self._timer.add_job(self._tick, "interval", seconds=self._every, next_run_time=datetime.now(UTC))
            self._timer.start()

    def stop(self) -> None:
        """Start no more jobs and wait for those that run."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.shutdown(wait=True)
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
        self._write()

    def turn(self) -> list[str]:
        """Look once and start what is due; return the names of what was started, in this order."""
        now = self._clock()
        level = level_of(self._backlog())
        busy = self._busy()
        self._look(now)
        started = []
        with self._lock:
            due = [name for name in self._jobs if self._state(name, now, level)[0] == "due"]
            for name in due:
                record = self._records[name]
                record.wanted_since = now if record.wanted_since is None else record.wanted_since
                waited = now - record.wanted_since
                if busy and self._jobs[name].priority != "P0" and waited < _PATIENCE_SECONDS:
                    continue
                if sum(r.running for r in self._records.values()) >= self._workers:
                    break
                # one that was started in this turn may be what it waits for
                if self._state(name, now, level)[0] == "due":
                    self._begin(name, now)
                    started.append(name)
        return started

    def wake(self, *names: str) -> None:
        """Look at jobs' inputs at the next turn, whenever the last look was; by default at all.

        Raises:
            UnknownNameError: If there is no such job.
        """
        for name in names:
            self._require(name)
        with self._lock:
            self._looked.update(dict.fromkeys(names or self._jobs, -float("inf")))

    def on_finish(self, tell: Callable[[JobStatus], object]) -> None:
        """Call ``tell`` after each run, in the thread that it ran in."""
        self._tell.append(tell)

    def run_now(self, name: str) -> None:
        """Run one job here and now, whatever its period, and wait for its end.

        Raises:
            UnknownNameError: If there is no such job.
            UsageError: If it runs already.
            Exception: What the job raises; it is noted too.
        """
        self._require(name)
        with self._lock:
            if self._records[name].running:
                raise UsageError(f"job {name!r} runs already.")
            inputs = self._note_begin(name, self._clock())
        error = self._attempt(name, inputs)
        if error is not None:
            raise error

    def join(self) -> list[str]:
        """Wait until no job runs, and return the names of those that have ever run to their end."""
        with self._idle:
            self._idle.wait_for(lambda: not any(r.running for r in self._records.values()))
            return [name for name, record in self._records.items() if record.runs]

    def status(self) -> Status:
        """Return what it does, and what is known of each job."""
        now, backlog = self._clock(), self._backlog()
        level = level_of(backlog)
        with self._lock:
            return Status(
                self.running,
                str(level),
                backlog,
                self._since,
                datetime.now(UTC).isoformat(),
                tuple(self._status_of(name, now, level) for name in self._jobs),
            )

    def _require(self, name: str) -> None:
        if name not in self._jobs:
            raise UnknownNameError("job", name, self._jobs)

    def _tick(self) -> None:
        try:
            self.turn()
        except Exception:  # the timer's thread is a boundary: what fails here must not end it
            self._logger.exception("looking for what is due failed")
        self._write()

    def _write(self) -> None:
        if self._status_file is None:
            return
        refused = write_status(self._status_file, self.status())
        if refused and refused != self._refused:
            self._logger.warning("the status is not written", path=str(self._status_file), reason=refused)
        self._refused = refused

    def _look(self, now: float) -> None:
        """Note what jobs would read now; what cannot be said counts as unchanged."""
        for name, job in self._jobs.items():
            if job.inputs is None or now - self._looked[name] < _LOOK_SECONDS:
                continue
            self._looked[name] = now
            try:
                inputs = job.inputs()
            except Exception as error:  # noqa: BLE001  (a job's own code is a boundary)
                with self._lock:
                    self._records[name].blind = _text(error)
                continue
            with self._lock:
                self._records[name].notice(inputs, now)

    def _state(self, name: str, now: float, level: Level) -> tuple[State, str]:
        record = self._records[name]
        if record.running:
            return "running", ""
        if self._jobs[name].inputs is not None and record.seen is None:
            return ("failing", "") if record.blind else ("new", "")
        if record.is_current:
            return "current", ""
        return self._held(name, now, level) or ("due", "")

    def _held(self, name: str, now: float, level: Level) -> tuple[State, str] | None:
        """Return what keeps a job from being run, or None."""
        job, record = self._jobs[name], self._records[name]
        rests = record.retry - now
        if record.error and rests > 0:
            return "failing", f"tried again in {rests:.0f} s"
        factor = pace(level, job.priority)
        if factor is None:
            return "paused", f"ingest is {level}"
        waits = [other for other in job.after if self._is_ahead(other, now, level)]
        if waits:
            return "waiting", f"for {', '.join(waits)}"
        if not record.error and record.begun is not None and now < record.begun + job.period * factor:
            return "waiting", "for its period"
        return None

    def _is_ahead(self, name: str, now: float, level: Level) -> bool:
        """Return whether a job has to run, or to finish, before those that come after it."""
        record = self._records[name]
        return record.running or not record.runs or self._state(name, now, level)[0] == "due"

    def _begin(self, name: str, now: float) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="workbench-job")
        self._pool.submit(self._attempt, name, self._note_begin(name, now))

    def _note_begin(self, name: str, now: float) -> str | None:
        record = self._records[name]
        record.begin(now, datetime.now(UTC), self._seed)
        return record.seen

    def _attempt(self, name: str, inputs: str | None) -> Exception | None:
        record, problem = self._records[name], None
        try:
            self._jobs[name].run(record.seed)
        except Exception as error:  # noqa: BLE001  (a job's own code is a boundary)
            problem = error
            self._logger.warning("job failed", job=name, reason=_text(error))
        with self._idle:
            if problem is None:
                record.succeed(inputs, self._clock())
            else:
                record.fail(_text(problem), self._clock())
            self._idle.notify_all()
            told = self._status_of(name, self._clock(), Level.NORMAL)
        for tell in self._tell:
            tell(told)
        return problem

    def _status_of(self, name: str, now: float, level: Level) -> JobStatus:
        job, record = self._jobs[name], self._records[name]
        state, why = self._state(name, now, level)
        median, high, longest = record.seconds
        return JobStatus(
            name,
            job.priority,
            job.period,
            state,
            why,
            record.runs,
            record.failures,
            record.error or record.blind,
            (round(median, 3), round(high, 3), round(longest, 3)),
            round(record.last_seconds, 3),
            record.finished_at.isoformat() if record.finished_at else "",
            record.stale(now),
            record.seed,
        )


def _text(error: Exception) -> str:
    """Return an error in a line, with its kind where the text alone would say little."""
    text = " ".join(str(error).split())
    return (
        text if text and type(error).__module__.startswith("workbench") else f"{type(error).__name__}: {text}"
    )
