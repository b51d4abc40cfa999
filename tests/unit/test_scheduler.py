"""The scheduler: what runs when, by a clock that the test moves."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from workbench.errors import UnknownNameError, UsageError
from workbench.scheduler import Job, Level, Scheduler, level_of, pace, read_status

if TYPE_CHECKING:
    from pathlib import Path


class World:
    """A clock, what jobs read, how much ingest has to do, and what was run."""

    def __init__(self) -> None:
        self.now = 0.0
        self.inputs = "a"
        self.backlog = 0
        self.busy = False
        self.ran: list[str] = []
        self.broken: set[str] = set()

    def job(self, name: str, priority: str = "P1", period: float = 60.0, **options: Any) -> Job:
        def run(seed: int) -> None:
            if name in self.broken:
                raise ValueError(f"{name} is broken")
            self.ran.append(name)

        return Job(name, run, priority, period, options.pop("inputs", lambda: self.inputs), **options)

    def scheduler(self, *jobs: Job, **options: Any) -> Scheduler:
        return Scheduler(
            jobs,
            clock=lambda: self.now,
            backlog=lambda: self.backlog,
            busy=lambda: self.busy,
            workers=options.pop("workers", 8),
            **options,
        )

    def turn(self, scheduler: Scheduler, seconds: float = 0.0) -> list[str]:
        """Move the clock, let the scheduler look once, and return what it started."""
        self.now += seconds
        started = scheduler.turn()
        scheduler.join()
        return started


@pytest.fixture
def world() -> World:
    return World()


def test_a_job_runs_once_for_the_same_inputs(world: World) -> None:
    scheduler = world.scheduler(world.job("ranks"))
    assert world.turn(scheduler) == ["ranks"]
    assert world.turn(scheduler, 3600) == []
    assert scheduler.status().jobs[0].state == "current"
    assert scheduler.status().jobs[0].stale_seconds == 0


def test_new_inputs_wait_for_the_period(world: World) -> None:
    scheduler = world.scheduler(world.job("ranks", period=60))
    world.turn(scheduler)
    world.inputs = "b"
    assert world.turn(scheduler, 10) == []
    job = scheduler.status().jobs[0]
    assert (job.state, job.why) == ("waiting", "for its period")
    assert world.turn(scheduler, 20) == []
    assert scheduler.status().jobs[0].stale_seconds == 20
    assert world.turn(scheduler, 30) == ["ranks"]
    assert scheduler.status().jobs[0].stale_seconds == 0


def test_a_job_without_inputs_runs_every_period(world: World) -> None:
    scheduler = world.scheduler(world.job("sweep", period=60, inputs=None))
    assert [world.turn(scheduler, s) for s in (0, 30, 30, 59, 1)] == [["sweep"], [], ["sweep"], [], ["sweep"]]
    assert scheduler.status().jobs[0].stale_seconds is None


def test_what_changed_while_it_ran_is_run_again(world: World) -> None:
    def run(seed: int) -> None:
        world.ran.append(world.inputs)
        world.inputs = "b"

    scheduler = world.scheduler(Job("ranks", run, "P1", 10, lambda: world.inputs))
    world.turn(scheduler)
    assert world.turn(scheduler, 10) == ["ranks"]
    assert world.turn(scheduler, 10) == []
    assert world.ran == ["a", "b"]


def test_the_urgent_come_first_and_workers_are_the_limit(world: World) -> None:
    jobs = [world.job("late", "P3"), world.job("first", "P0"), world.job("second", "P1")]
    scheduler = world.scheduler(*jobs, workers=1)
    assert scheduler.names == ["first", "second", "late"]
    assert [world.turn(scheduler) for _ in range(4)] == [["first"], ["second"], ["late"], []]


def test_the_load_of_ingest_pauses_what_is_less_urgent(world: World) -> None:
    jobs = [world.job(p, p, period=60, inputs=None) for p in ("P0", "P1", "P2", "P3")]
    scheduler = world.scheduler(*jobs)
    world.backlog = 10_001
    assert world.turn(scheduler) == ["P0", "P1"]
    assert {job.name: job.state for job in scheduler.status().jobs} == {
        "P0": "waiting",
        "P1": "waiting",
        "P2": "paused",
        "P3": "paused",
    }
    assert scheduler.status().jobs[2].why == "ingest is critical"
    world.backlog = 10_000
    assert world.turn(scheduler) == ["P2"]
    assert "P2" not in world.turn(scheduler, 60)
    assert world.turn(scheduler, 60) == ["P0", "P1", "P2"]
    world.backlog = 1_000
    assert world.turn(scheduler) == ["P3"]


def test_levels_are_those_of_the_specification() -> None:
    assert [level_of(n) for n in (1_000, 1_001, 10_001)] == [Level.NORMAL, Level.ELEVATED, Level.CRITICAL]
    assert [pace(level, "P2") for level in Level] == [1.0, 2.0, None]
    assert [pace(level, "P3") for level in Level] == [1.0, None, None]
    assert {pace(level, priority) for level in Level for priority in ("P0", "P1")} == {1.0}


def test_a_failing_job_rests_longer_each_time_and_the_others_go_on(world: World) -> None:
    scheduler = world.scheduler(world.job("bad", period=0), world.job("good", period=0, inputs=None))
    world.broken = {"bad"}
    assert world.turn(scheduler) == ["bad", "good"]
    status = scheduler.status()
    assert [job.name for job in status.red] == ["bad"]
    assert status.red[0].error == "ValueError: bad is broken"
    assert (status.red[0].state, status.red[0].why) == ("failing", "tried again in 5 s")
    tried = [second for second in range(1, 60) if "bad" in world.turn(scheduler, 1)]
    assert tried == [5, 15, 35]
    world.broken = set()
    world.turn(scheduler, 3600)
    job = next(job for job in scheduler.status().jobs if job.name == "bad")
    assert (job.red, job.runs, job.failures, job.error) == (False, 1, 4, "")


def test_the_rest_after_failures_has_a_longest(world: World) -> None:
    scheduler = world.scheduler(world.job("bad", period=0))
    world.broken = {"bad"}
    for _ in range(20):
        world.turn(scheduler, 3600)
    assert scheduler.status().jobs[0].failures == 20
    assert scheduler.status().jobs[0].why == "tried again in 3600 s"


def test_inputs_that_cannot_be_read_make_a_job_red(world: World) -> None:
    def inputs() -> str:
        if world.broken:
            raise OSError("the disk is away")
        return "a"

    scheduler = world.scheduler(world.job("ranks", inputs=inputs))
    world.broken = {"ranks"}
    assert world.turn(scheduler) == []
    assert scheduler.status().red[0].error == "OSError: the disk is away"
    assert scheduler.status().jobs[0].state == "failing"
    world.broken = set()
    assert world.turn(scheduler, 5) == ["ranks"]
    assert scheduler.status().red == ()


def test_a_job_comes_after_those_it_names(world: World) -> None:
    jobs = [world.job("labels", "P1", after=("clusters",)), world.job("clusters", "P3")]
    scheduler = world.scheduler(*jobs)
    assert world.turn(scheduler) == ["clusters"]
    assert world.turn(scheduler) == ["labels"]
    world.inputs = "b"
    assert world.turn(scheduler, 60) == ["clusters"]
    assert world.turn(scheduler) == ["labels"]


def test_a_job_waits_for_one_that_has_never_succeeded(world: World) -> None:
    scheduler = world.scheduler(world.job("labels", after=("clusters",)), world.job("clusters"))
    world.broken = {"clusters"}
    world.turn(scheduler)
    assert world.turn(scheduler, 1) == []
    job = next(job for job in scheduler.status().jobs if job.name == "labels")
    assert (job.state, job.why) == ("waiting", "for clusters")


def test_jobs_that_do_not_go_together_are_refused(world: World) -> None:
    with pytest.raises(UsageError, match="two jobs are called 'a'"):
        Scheduler([world.job("a"), world.job("a")])
    with pytest.raises(UsageError, match="wait for one another: a, b"):
        Scheduler([world.job("a", after=("b",)), world.job("b", after=("a",)), world.job("c")])
    with pytest.raises(UnknownNameError, match="no job 'clustres'"):
        Scheduler([world.job("a", after=("clustres",)), world.job("clusters")])
    with pytest.raises(UnknownNameError, match="P9"):
        world.job("a", "P9")
    with pytest.raises(UsageError, match="below 0"):
        world.job("a", period=-1)


def test_those_who_ask_go_first_but_not_for_ever(world: World) -> None:
    scheduler = world.scheduler(world.job("stream", "P0", 10, inputs=None), world.job("ranks"))
    world.busy = True
    assert world.turn(scheduler) == ["stream"]
    assert world.turn(scheduler, 9) == []
    assert world.turn(scheduler, 21) == ["stream", "ranks"]


def test_a_job_never_runs_twice_at_a_time(world: World) -> None:
    begun, go = threading.Event(), threading.Event()

    def run(seed: int) -> None:
        begun.set()
        go.wait(60)

    scheduler = world.scheduler(Job("slow", run, period=0))
    assert scheduler.turn() == ["slow"]
    assert begun.wait(60)
    assert scheduler.turn() == []
    assert scheduler.status().jobs[0].state == "running"
    with pytest.raises(UsageError, match="runs already"):
        scheduler.run_now("slow")
    world.now = 7.0
    go.set()
    scheduler.stop()
    assert scheduler.status().jobs[0].seconds == (7.0, 7.0, 7.0)


def test_the_seed_of_a_run_is_recorded(world: World) -> None:
    seeds: list[int] = []
    scheduler = world.scheduler(Job("draw", seeds.append, period=0), seed=42)
    for _ in range(2):
        world.turn(scheduler, 1)
    assert seeds == [42, 42]
    assert scheduler.status().jobs[0].seed == 42


def test_one_job_can_be_run_at_once(world: World) -> None:
    scheduler = world.scheduler(world.job("ranks"))
    scheduler.run_now("ranks")
    scheduler.run_now("ranks")
    assert world.ran == ["ranks", "ranks"]
    world.broken = {"ranks"}
    with pytest.raises(ValueError, match="ranks is broken"):
        scheduler.run_now("ranks")
    assert scheduler.status().red[0].failures == 1
    with pytest.raises(UnknownNameError, match="no job 'rank'"):
        scheduler.run_now("rank")


def test_a_look_can_be_asked_for(world: World) -> None:
    scheduler = world.scheduler(world.job("ranks", period=0))
    world.turn(scheduler)
    world.inputs = "b"
    assert world.turn(scheduler, 1) == []
    scheduler.wake("ranks")
    assert world.turn(scheduler) == ["ranks"]
    world.inputs = "c"
    scheduler.wake()
    assert world.turn(scheduler) == ["ranks"]
    with pytest.raises(UnknownNameError):
        scheduler.wake("rank")


def test_it_goes_on_by_itself_until_it_is_stopped(tmp_path: Path) -> None:
    twice, runs = threading.Event(), []

    def run(seed: int) -> None:
        runs.append(seed)
        if len(runs) == 2:
            twice.set()

    file = tmp_path / "state" / "scheduler.json"
    scheduler = Scheduler([Job("sweep", run, period=0)], every=0.01, status_file=file)
    scheduler.start()
    scheduler.start()
    assert scheduler.running
    assert twice.wait(60)
    seen = read_status(file)  # it was written at the end of the first turn
    assert seen is not None
    assert seen["alive"]
    scheduler.stop()
    scheduler.stop()
    assert not scheduler.running
    done = len(runs)
    stopped = read_status(file)
    assert stopped is not None
    assert (stopped["running"], stopped["alive"], stopped["pid"]) == (False, False, os.getpid())
    assert stopped["jobs"][0]["runs"] == done


def test_the_timer_outlives_what_fails_in_it() -> None:
    looked, calls = threading.Event(), []

    def backlog() -> int:
        calls.append(0)
        if len(calls) == 1:
            raise RuntimeError("ingest is away")
        looked.set()
        return 0

    scheduler = Scheduler([Job("sweep", lambda seed: None)], every=0.01, backlog=backlog)
    scheduler.start()
    assert looked.wait(60)
    scheduler.stop()


@pytest.mark.parametrize("text", ["", "{", '{"running": true}', '{"running": true, "pid": "x"}', "[]"])
def test_a_status_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "scheduler.json"
    assert read_status(file) is None
    file.write_text(text)
    assert read_status(file) is None


def test_a_process_that_is_gone_is_not_alive(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"running": True, "pid": 2**22 + 1}))
    assert read_status(file) == {"running": True, "pid": 2**22 + 1, "alive": False}


def test_a_disk_that_refuses_the_status_is_no_failure(tmp_path: Path, world: World) -> None:
    (tmp_path / "file").write_text("")
    scheduler = world.scheduler(world.job("ranks"), status_file=tmp_path / "file" / "scheduler.json")
    world.turn(scheduler)
    scheduler.stop()
    assert world.ran == ["ranks"]


def test_a_disk_that_refuses_the_status_is_told_once_and_nothing_is_left_on_it(
    tmp_path: Path, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "scheduler.json" / "taken").mkdir(parents=True)
    scheduler = world.scheduler(status_file=tmp_path / "scheduler.json")
    for _ in range(3):
        scheduler.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["scheduler.json"]
    assert [record.message for record in caplog.records] == ["the status is not written"]


def test_percentiles_are_of_the_last_runs(world: World) -> None:
    lengths = iter(range(1, 101))

    def run(seed: int) -> None:
        world.now += next(lengths)

    scheduler = world.scheduler(Job("work", run, period=0))
    for _ in range(100):
        world.turn(scheduler)
    assert scheduler.status().jobs[0].seconds == (50.0, 95.0, 100.0)
