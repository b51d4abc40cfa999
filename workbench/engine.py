"""The engine: a workspace in the kernel. The composition root: every stage is visible here."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from workbench.config import workspace
from workbench.executors import named
from workbench.locks import LendableLock
from workbench.progress import silent
from workbench.scratch import Scratch
from workbench.settings import load_settings
from workbench.storage import SegmentStore
from workbench.storage.opening import new_root, open_store
from workbench.storage.whole import read_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    import pyarrow as pa

    from workbench.analysis import Context
    from workbench.analysis.anomalies import Anomalies
    from workbench.analysis.clusters import Clusters
    from workbench.analysis.features import FeatureMatrix
    from workbench.analysis.trends import Trends
    from workbench.analysis.triage import Triage
    from workbench.catalog import Catalog
    from workbench.compute.base import Device
    from workbench.config.features import FeatureConfig
    from workbench.config.tasks import PatternConfig
    from workbench.graph import Graph
    from workbench.graph.entities import Entities
    from workbench.ingest import Ingest, IngestReport
    from workbench.ingest.compact import Compaction
    from workbench.ingest.forget_report import Forgetting
    from workbench.ingest.repair_report import RepairReport
    from workbench.ingest.retry import RetryReport
    from workbench.ingest.stream import Stream
    from workbench.ingest.watch import Told
    from workbench.knowledge import Knowledge, KnowledgeStore
    from workbench.llm import Client
    from workbench.partials.lookup import Document
    from workbench.partials.types import FieldType
    from workbench.plans.answer import Answer
    from workbench.plans.model import Plan
    from workbench.plans.run import Runs
    from workbench.progress import Progress
    from workbench.reports import Report
    from workbench.rules import Rules
    from workbench.scheduler import Scheduler
    from workbench.sql import Result
    from workbench.sql.workspace import WorkspaceSql
    from workbench.storage import Snapshot
    from workbench.storage.by_segment import BySegment
    from workbench.storage.mirror import MirrorReport
    from workbench.vectors import Vectors
    from workbench.views import Selection, View

__all__ = ["Engine"]

# Of partials alone: it stays when all that is new is knowledge, or vectors, which follow from texts.
_LOADED = ("graph", "trends", "vectors")
_MADE = ("knowledge", "vectors", "index")


class Engine:
    """An open workspace.

    Reading never needs a lock and always sees one whole generation; :meth:`ingest`, :meth:`compute`
    and :meth:`evict` take the writer lock while they run.

    Args:
        path: The workspace directory; or a mirror's address, ``s3://bucket/prefix``, which is only read.
        settings: Values that win over ``workbench.toml`` and the environment.

    Raises:
        WorkspaceError: If ``path`` is not a workspace.
        ConfigError: If its settings or its entity schema are wrong.
        RemoteError: If a mirror does not answer.
    """

    def __init__(self, path: str | Path, **settings: Any) -> None:
        self.store, self.settings = open_store(path, **settings)
        self.path = self.store.root
        self.schema = workspace.schema_in(self.path)
        self.timezone = self.settings.timezone or self.schema.timezone
        self.executor, self._lent = named(self.settings.cluster, threads=self.settings.threads), False
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._begin()

    def _begin(self) -> None:
        """Begin to read, by itself."""
        # taken by threads that read one generation, views and servers; lent while a model is waited for
        self.lock = LendableLock()
        self._snapshot = self.store.snapshot()
        self._scratch = Scratch()
        self._clients: dict[str, Client | None] = {}
        self._clients_lock = threading.Lock()
        self._finalizer = weakref.finalize(self, self._scratch.remove)

    @classmethod
    def create(cls, path: str | Path, *, schema: str | Path | None = None, **settings: Any) -> Engine:
        """Make a new workspace in an empty directory and open it.

        Args:
            path: Where.
            schema: An entity schema's file or the name of a shipped one; it is copied into the workspace.
            settings: As for :class:`Engine`; they are not written down.

        Raises:
            WorkspaceError: If there is something at ``path`` already.
            ConfigError: If the schema or a setting is wrong; nothing is made then.
            UsageError: If ``path`` is an address.
        """
        root = new_root(path)
        load_settings(**settings)
        files = {} if schema is None else {workspace.SCHEMA_FILE.as_posix(): workspace.schema_text(schema)}
        SegmentStore.create(root, files)
        return cls(root, **settings)

    def beside(self) -> Engine:
        """Return another engine over the same workspace, for another thread: it reads by itself.

        Writers of both wait for one another, where another process's is refused.
        """
        other = type(self).__new__(type(self))
        for name in ("store", "settings", "path", "schema", "timezone", "executor", "_streams"):
            setattr(other, name, getattr(self, name))
        other._lent = True  # noqa: SLF001  (its own kind)
        other._begin()  # noqa: SLF001  (its own kind)
        return other

    def refresh(self) -> Engine:
        """Read the newest generation from now on; where only knowledge is new, what is loaded stays."""
        newest = self.store.snapshot()
        if newest.generation != self._snapshot.generation:
            loaded = () if newest.differs(self._snapshot, but=_MADE) else _LOADED
            self._snapshot = newest
            for name in {"graph", "catalog", "trends", "vectors"} - set(loaded):
                self.__dict__.pop(name, None)
            self._close_sql()
        return self

    # what there is

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""
        return self._snapshot

    @property
    def fields(self) -> Mapping[str, Mapping[str, FieldType]]:
        """Return the type of each field, by event type."""
        found: Mapping[str, Mapping[str, FieldType]] = self._snapshot.manifest.state.get("fields", {})
        return found

    @property
    def now(self) -> datetime | None:
        """Return the clock of the workspace, its latest event time; None while it is empty."""
        return self._snapshot.latest() if self._snapshot.segments else None

    @cached_property
    def catalog(self) -> Catalog:
        """Return what exists: event types, fields, entities, edges, knowledge, segments, health."""
        from workbench.catalog import Catalog  # noqa: PLC0415

        return Catalog(self)

    @cached_property
    def graph(self) -> Graph:
        """Return the property graph of the window."""
        return read_whole(self, lambda: self._graph_of(None))

    @cached_property
    def feature_config(self) -> FeatureConfig:
        """Return what ``schema/features.yaml`` says is measured of actors; without it, the defaults."""
        return workspace.features_in(self.path)

    @cached_property
    def pattern_config(self) -> PatternConfig:
        """Return how sequences of events are looked for: by ``schema/patterns.yaml``, else the defaults."""
        return workspace.patterns_in(self.path)

    def configured(self, task: str) -> dict[str, Any]:
        """Return the parameters that ``schema/scoring.yaml`` gives the anomalies, ``trends.yaml`` the trends.

        Raises:
            ConfigError: If the file is not valid; says file, line, reason and suggestion.
        """
        return workspace.parameters_in(self.path, task)

    def graph_between(self, since: datetime | None, until: datetime | None) -> Graph:
        """Return the property graph of the segments (UTC days) that a range of time touches.

        Args:
            since: The first moment; None for no bound.
            until: The first moment after the range; None for no bound.
        """
        return read_whole(self, lambda: self.graph.between(since, until))

    @property
    def by_segment(self) -> BySegment:
        """Return what finds, and keeps, what single segments of the window tell."""
        from workbench.storage.by_segment import BySegment  # noqa: PLC0415

        return BySegment(self._snapshot, self.store.derived, self.executor)

    @property
    def entities(self) -> Entities:
        """Return the entities by type and key."""
        from workbench.graph.entities import Entities  # noqa: PLC0415

        return Entities(self)

    @property
    def anomalies(self) -> Anomalies:
        """Return the newest anomalies, the most anomalous actor first; computed where there are none."""
        from workbench.analysis.anomalies import Anomalies  # noqa: PLC0415

        return Anomalies(self)

    @property
    def triage(self) -> Triage:
        """Return what analysts said of anomalies and entities: marks, notes, the precision of signals."""
        from workbench.analysis.triage import Triage  # noqa: PLC0415

        return Triage(self)

    @property
    def clusters(self) -> Clusters:
        """Return the newest clusters of actors that behave alike; they are computed where there are none."""
        from workbench.analysis.clusters import Clusters  # noqa: PLC0415

        return Clusters(self)

    def features(
        self, type_: str | None = None, *, since: str | date | None = None, until: str | date | None = None
    ) -> FeatureMatrix:
        """Return figures about each actor: counts, distinct neighbours, visits, hours; from partials alone.

        Args:
            type_: The entity type; by default the schema's first ``who`` type.
            since: A day or time in the workspace's zone; by default the window's start.
            until: The end, not included; by default the window's end.

        Raises:
            UnknownNameError: If there is no such entity type.
            UsageError: If the schema names no ``who`` type and none is given, or a time is none.
        """
        from workbench.analysis.window import window_features  # noqa: PLC0415

        return read_whole(self, lambda: window_features(self, type_, since, until))

    @property
    def knowledge(self) -> KnowledgeStore:
        """Return the results of compute."""
        from workbench.knowledge import KnowledgeStore  # noqa: PLC0415

        return KnowledgeStore(self.store, self.timezone)

    @property
    def quarantine(self) -> pa.Table:
        """Return what could not be read: source, offset, reason and original bytes; see :meth:`retry`."""
        from workbench.ingest import quarantine  # noqa: PLC0415

        return quarantine.read(self._snapshot)

    @cached_property
    def scheduler(self) -> Scheduler:
        """Return what keeps knowledge current in the background, once it is started: ``.start()``.

        Its ``status()`` shows every job: when it ran, how long that took, how old its result is, what failed.
        """
        from workbench.jobs import scheduler_of  # noqa: PLC0415

        return scheduler_of(self)

    @property
    def streams(self) -> list[Stream]:
        """Return the streams into the workspace that this engine opened and that are open."""
        return [stream for stream in self._streams if stream.status()["open"]]

    @property
    def is_asked(self) -> bool:
        """Return whether somebody waits for an answer of this engine."""
        return self.lock.wanted

    @property
    def background(self) -> dict[str, Any] | None:
        """Return what this workspace's scheduler does or did last, in whatever process; None: never any."""
        from workbench.jobs import status_of  # noqa: PLC0415

        return status_of(self.path)

    @cached_property
    def trends(self) -> Trends:
        """Return when more or less happened than usual, worst first; computed on first use."""
        from workbench.analysis.trends import Trends  # noqa: PLC0415

        return Trends(self)

    @cached_property
    def vectors(self) -> Vectors:
        """Return the search by meaning over events' texts, and entities that are alike."""
        from workbench.vectors import IndexKind, Vectors, connect  # noqa: PLC0415

        kind = IndexKind.parse(self.settings.vector_index)
        return Vectors(self, connect(self.settings), kind, lambda _: self.refresh())

    @cached_property
    def rules(self) -> Rules:
        """Return the rules of the workspace: what fires when, and who is told."""
        from workbench.rules import Rules  # noqa: PLC0415

        return Rules(self)

    def entity(self, name: str) -> Any:
        """Return one entity by ``type:key``."""
        return self.entities.named(name)

    def get(self, address: str) -> Document:
        """Return the document at ``segment/_id``.

        Raises:
            UsageError: If the address is not written so.
            UnknownNameError: If there is no such document.
        """
        from workbench.partials.lookup import document_at  # noqa: PLC0415

        return read_whole(self, lambda: document_at(self._snapshot, address, self.fields, self.timezone))

    def scan(  # noqa: PLR0913  (a condition each)
        self,
        type: str | Sequence[str] | None = None,  # noqa: A002  (the word of the specification)
        *,
        since: str | date | None = None,
        until: str | date | None = None,
        where: Any = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> pa.RecordBatchReader:
        """Return documents in Arrow batches, read as they are asked for.

        Days, types, row groups and columns that are not needed are left alone. Columns are ``_segment``,
        ``_id``, ``_ts`` (in UTC), ``_type`` and every field in its one type. Documents come by day and event
        type, those of a file in order of time.

        Args:
            type: One or several event types; their aliases count too. By default all.
            since: A day or time in the workspace's zone; by default the window's start.
            until: The end, not included; by default the window's end.
            where: A condition on the columns: an expression of :mod:`pyarrow.compute`, such as
                ``pc.field("delay") > 60``, or pyarrow's ``filters``, such as ``[("delay", ">", 60)]``.
            columns: Only these, in this order.
            limit: The most documents.

        Raises:
            UnknownNameError: If there is no such event type or column.
            UsageError: If a time is none, or the condition or the limit cannot be meant.
            CorruptFileError: If a file is missing or damaged; from the reader, if one is met half-way.
        """
        from workbench.partials.scan import Wanted, scan_documents  # noqa: PLC0415

        between = (since, until)
        wanted = Wanted.of(self.schema, self.timezone, type, between, where, columns, limit)
        return read_whole(self, lambda: scan_documents(self._snapshot, self.fields, wanted))

    @cached_property
    def selection(self) -> Selection:
        """Return the selection that the views of this engine share: entities and a range of time."""
        from workbench.views import Selection  # noqa: PLC0415

        return Selection(self.timezone)

    def view(self, name: str, **state: Any) -> View:
        """Return a view over the shared selection: shown in a cell, or served as a page.

        Args:
            name: Which one ("catalog", "graph", "entity", …).
            state: What it starts with, as its ``state`` gives it; ``entities``, ``since``, ``until`` select.

        Raises:
            UnknownNameError: If there is no such view, or it has no such state.
        """
        from workbench.views import views  # noqa: PLC0415

        return views.create(name, self, self.selection, **state)

    def sql(
        self,
        statement: str,
        *,
        timeout: float | None = None,
        tables: Mapping[str, pa.Table] | None = None,
        stop: threading.Event | None = None,
    ) -> Result:
        """Run one SELECT over the workspace and return its rows.

        Tables are one per event type, ``events``, ``entities``, ``edges``, ``properties``, ``counts``,
        ``knowledge.…`` and ``reference.…``. Times are in the workspace's time zone.

        Args:
            statement: The SELECT.
            timeout: Seconds that it may run, in place of the setting ``sql_timeout``.
            tables: Arrow tables that it can name too, in schema ``given``.
            stop: Once it is set, in any thread, the statement ends.

        Raises:
            SqlRefusedError: If it is anything but one SELECT.
            SqlTimeoutError: If it runs longer than ``timeout`` seconds (setting ``sql_timeout``).
            CorruptFileError: If a file that it needs is damaged.
        """
        with self.lock.asked():
            return read_whole(
                self, lambda: self._sql.query(statement, timeout=timeout, tables=tables or {}, stop=stop)
            )

    def report(
        self, title: str, parts: Sequence[Any], *, parameters: Mapping[str, Any] | None = None
    ) -> Report:
        """Return answers, tables, views, charts and text as one page; ``.save("report.html")`` writes it.

        Args:
            title: Stands at its head.
            parts: In their order: text in Markdown, answers, anything that is a table, views, parts of the
                graph, HoloViews elements.
            parameters: What it was made with, for its manifest.
        """
        from workbench.reports import Report  # noqa: PLC0415

        return Report(self, title, tuple(parts), dict(parameters or {}))

    def ask(  # noqa: PLR0913  (the words of a question)
        self,
        question: str,
        *,
        session: str | None = None,
        planner: str | None = None,
        provider: str | None = None,
        progress: Progress = silent,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Answer a question in plain words, or say why not.

        Args:
            question: What to find out.
            session: Name of a conversation, in which a question may speak of the answers before.
            planner: Who makes the plan: ``grammar``, ``model`` or ``both``; by default the setting.
            provider: Who answers for the planner with a language model; by default the setting.
            progress: Told as it goes on.
            stop: Once it is set, in any thread, what runs is given up.

        Raises:
            UsageError: If there is no such planner, or the session cannot have that name.
        """
        from workbench.plans.ask import ask  # noqa: PLC0415

        with self.lock.asked():
            answer = ask(
                question,
                self,
                session=session,
                planner=planner,
                provider=provider,
                runs=self._runs,
                progress=progress,
                stop=stop,
            )
        return self._shown(answer)

    def accept(self, answer: Answer) -> None:
        """Keep a question with the plan that answered it well: an example for the planner ``model``.

        Raises:
            UsageError: If the answer has no question or no plan.
            ReadOnlyError: If this is a mirror.
            WorkspaceError: If it cannot be written down.
        """
        from workbench.plans.planners.model import accept  # noqa: PLC0415

        accept(self, answer)

    def reword(self, answer: Answer, *, provider: str | None = None) -> Answer:
        """Return an answer in a language model's words; figures that no table has are named at the end.

        Raises:
            UsageError: If no provider is set, or rows may not be sent to it (setting ``llm_values``).
            ProviderError: If it does not answer.
        """
        from workbench.plans.reword import reword  # noqa: PLC0415

        return reword(answer, self, provider=provider)

    def llm(self, provider: str | None = None) -> Client | None:
        """Return the language model that answers here, or None where none is set; kept until :meth:`close`.

        Args:
            provider: A provider, or a chain of them; by default the setting ``llm_provider``.

        Raises:
            UnknownNameError: If there is no such provider.
            ConfigError: If it needs a model and none is set.
        """
        from workbench.llm import connect  # noqa: PLC0415

        name = self.settings.llm_provider if provider is None else provider
        with self._clients_lock:
            if name not in self._clients:
                self._clients[name] = connect(self.settings, self.path, provider=name, waiting=self.lock.lent)
            return self._clients[name]

    def execute(
        self,
        plan: Plan | Mapping[str, Any],
        *,
        progress: Progress = silent,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Check a plan, run it and return the answer; what is wrong with it is in the answer's ``findings``.

        Args:
            plan: A plan, or its JSON data.
            progress: Told after each step.
            stop: Once it is set, in any thread, what runs is given up.
        """
        from workbench.plans.run import run  # noqa: PLC0415

        with self.lock.asked():
            return self._shown(run(plan, self, runs=self._runs, progress=progress, stop=stop))

    # what changes it

    def ingest(
        self,
        *sources: Any,
        type: str | None = None,  # noqa: A002  (the word that users type)
        connector: str | None = None,
        dry_run: bool = False,
        progress: Progress = silent,
        **options: Any,
    ) -> IngestReport:
        """Bring files, directories, globs or data frames into the workspace, exactly once.

        Segments whose partials no longer fit the entity schema are derived again first.

        Args:
            sources: What to read.
            type: The event type; by default what each file's path speaks of. Needed for data frames.
            connector: What reads it; by default decided by file name.
            dry_run: Say what would happen and store nothing.
            progress: Told after each source.
            options: Reading options of the connector, for example ``delimiter=";"``.

        Raises:
            SourceError: If a path does not exist.
            WriterLockedError: If another process writes to the workspace.
        """
        return self._ingest().run(
            sources, event_type=type, connector=connector, options=options, dry_run=dry_run, progress=progress
        )

    def retry(
        self,
        *wanted: str,
        dry_run: bool = False,
        connector: str | None = None,
        clock: Callable[[], datetime] | None = None,
        progress: Progress = silent,
        **options: Any,
    ) -> RetryReport:
        """Read what is in quarantine again, by the schema and the settings of today, exactly once.

        Whole sources are read as an ingest reads them, single records from their source if it is as it was,
        else from the bytes that were kept. What becomes documents leaves quarantine in the same generation;
        the rest stays, with its new reason.

        Args:
            wanted: Identifiers (``db.quarantine["id"]``), sources or globs of them; by default everything.
            dry_run: Say what would happen and store nothing.
            connector: What reads whole sources; by default what read them before.
            clock: Says which streamed events are still ahead of their time; by default this machine's.
            progress: Told as it goes on.
            options: Reading options of the connector.

        Raises:
            UnknownNameError: If there is nothing of a name in quarantine.
            WriterLockedError: If another process writes to the workspace.
        """
        from workbench.ingest.retry import retry  # noqa: PLC0415

        return retry(
            self._ingest(),
            wanted,
            dry_run=dry_run,
            connector=connector,
            options=options,
            clock=clock,
            progress=progress,
        )

    def watch(  # noqa: PLR0913  (the options of one command)
        self,
        *directories: str | Path,
        say: Callable[[Told], object],
        once: bool = False,
        stop: threading.Event | None = None,
        replaced: Literal["refuse", "take"] = "refuse",
        type: str | None = None,  # noqa: A002  (the word that users type)
        connector: str | None = None,
        **options: Any,
    ) -> None:
        """Ingest what lies in directories and what comes there, once it is complete, until it is stopped.

        What the window no longer holds is evicted as it goes on. It waits where another process writes to the
        workspace, or the disk refuses.

        Args:
            directories: What is watched, with everything below.
            say: Told of each file and of everything else that happens; ``print`` does.
            once: Take what is complete now, and return; nothing is waited for.
            stop: Once it is set, in any thread, what is being read is published and the watch ends.
            replaced: What to do with a file of events whose place held other bytes before, with which it
                does not begin: put it into quarantine, or take it as another source.
            type: The event type; by default what each file's path speaks of.
            connector: What reads files; by default decided by their names.
            options: Reading options of the connector.

        Raises:
            SourceError: If a directory does not exist.
            ReadOnlyError: If this is a mirror.
            WriterLockedError: With ``once``, if another process writes to the workspace.
        """
        from workbench.ingest.watch import Watch  # noqa: PLC0415

        self.store.require_writable()
        take = partial(
            self._ingest().run, event_type=type, connector=connector, options=options, replaced=replaced
        )
        places = [Path(directory).expanduser() for directory in directories]
        watch = Watch(places, take, self.evict, say, self.settings.watch_seconds)
        if once:
            watch.once(stop)
        else:
            watch.run(stop or threading.Event())

    def stream(self, *, clock: Callable[[], datetime] | None = None) -> Stream:
        """Open a stream for events that come one by one: acknowledged when durable, visible soon after.

        It is closed as a context; the newest generation is read from then on.

        Args:
            clock: The workspace's clock, which says what is too early or too old; by default this machine's.

        Raises:
            WriterLockedError: If another process streams into the workspace.
            CorruptFileError: If acknowledged events in the log are damaged; reading goes on.
        """
        from workbench.ingest.stream import Stream  # noqa: PLC0415

        stream = Stream(
            self.store, self.schema, self.settings, clock=clock, let_go=self._let_go, closed=self.refresh
        )
        self._streams.add(stream)
        return stream

    def compute(
        self,
        task: str,
        *,
        asof: str | date | None = None,
        device: Device | None = None,
        seed: int = 0,
        keep: Literal["always", "if possible"] = "always",
        **parameters: Any,
    ) -> Knowledge:
        """Run a task over the window and keep its result as knowledge.

        What was computed before from the same partials with the same parameters is returned as it is.

        Args:
            task: Which one ("pagerank", "communities", "components", …).
            asof: A day (UTC): the window ends with its segment. By default the newest.
            device: "auto", "cpu" or "gpu"; by default the setting.
            seed: Seed of all randomness.
            keep: Whether a result that cannot be stored, by another writer's lock or a read-only disk, is an
                error or is returned all the same.
            parameters: The task's own.

        Raises:
            UnknownNameError: If there is no such task, parameter or segment.
            WriterLockedError: If another process writes to the workspace and it must be kept.
            DriverUnavailableError: If ``device`` cannot run here.
        """
        from workbench.analysis.compute import compute  # noqa: PLC0415

        return compute(self, task, asof=asof, device=device, seed=seed, keep=keep, parameters=parameters)

    def compute_days(
        self, task: str, since: str | date, until: str | date | None = None, **options: Any
    ) -> list[Knowledge]:
        """Run a task as of each day of a range, the oldest first, and keep what was known then.

        Args:
            task: Which one.
            since: The first day (UTC).
            until: The last day; by default the newest.
            options: As for :meth:`compute`.

        Raises:
            UsageError: If no day of the range has a segment.
        """
        from workbench.analysis.compute import days_between  # noqa: PLC0415

        return [self.compute(task, asof=day, **options) for day in days_between(self._snapshot, since, until)]

    def thin(self) -> int:
        """Remove results that are superfluous, and return how many; it keeps within ``knowledge_mb``.

        All of the last two days stay, then the last of each day of the window, then of each week.
        """
        from workbench.knowledge.thin import thin  # noqa: PLC0415

        gone = thin(self.store, self.now, self.settings.knowledge_mb << 20) if self.now else 0
        if gone:
            self.refresh()
        return gone

    def inputs_of(self, task: str) -> str:
        """Return a hash of all that a task's result depends on but its parameters; empty without documents.

        Raises:
            UnknownNameError: If there is no such task.
        """
        from workbench.analysis.compute import inputs_of  # noqa: PLC0415

        return inputs_of(self, task)

    def context(
        self, segments: Sequence[str], asof: datetime, parameters: Mapping[str, Any] | None = None
    ) -> Context:
        """Return what tasks and detectors work on, over some segments as of a moment.

        Args:
            segments: Days, oldest first.
            asof: The moment.
            parameters: The task's, complete.
        """
        from workbench.analysis.compute import context_of  # noqa: PLC0415

        whole = len(segments) == len(self._snapshot.segments)
        load = (lambda: self.graph) if whole else (lambda: self._graph_of(segments))
        return context_of(self, segments, asof, parameters or {}, load)

    def evict(self, *segments: str, before: str | date | None = None, force: bool = False) -> list[str]:
        """Drop segments with everything derived from them and return their days; knowledge keeps its runs.

        Args:
            segments: Days to drop.
            before: Drop every day before this one. Without any day: what the window no longer holds, its
                two oldest days at most.
            force: Whether to believe a newest day that lies more than a day after the one before it.

        Raises:
            ClockJumpError: If the window would drop something because of such a day.
            UnknownNameError: If a day has no segment.
            UsageError: If ``before`` is not a day.
        """
        from workbench.knowledge import parse_asof  # noqa: PLC0415
        from workbench.storage.rotation import evict  # noqa: PLC0415

        first = None if before is None else parse_asof(before)
        window = None if self.settings.window == "all" else int(self.settings.window)
        gone = evict(self.store, segments, before=first, window=window, force=force)
        if gone:
            self.refresh()
        return gone

    def compact(self, *segments: str) -> Compaction:
        """Merge small parts of segments into as few as hold them; addresses and results stay the same.

        Wherever events are published this happens by itself as parts become many.

        Args:
            segments: Days; by default all.

        Raises:
            UnknownNameError: If a day has no segment.
            WriterLockedError: If another process writes to the workspace.
            DiskFullError: If the disk's reserve would be touched: for a while old parts lie beside the new.
        """
        from workbench.ingest.compact import compact  # noqa: PLC0415

        done = compact(self.store, segments or None)
        self.refresh()
        return done

    def forget(self, entity: str, *, apply: bool = False) -> Forgetting:
        """Remove everything about one entity, in one generation, and search the workspace for its key.

        Documents that name it, what was derived from them, knowledge and reference rows about it, records in
        quarantine that hold its key, cached vectors, conversations and examples: see ``docs/workspace.md``.
        What was forgotten stays so: sources that are read later give no documents about it.

        Args:
            entity: As ``type:key``.
            apply: Whether to do it; by default it is only said what would be removed.

        Raises:
            UnknownNameError: If there is no such entity type.
            UsageError: If its type is an attribute, which says something about others.
            WriterLockedError: If another process writes to the workspace or streams into it.
        """
        from workbench.ingest.forget import forget  # noqa: PLC0415

        return forget(
            self.store,
            self.schema,
            self.settings,
            entity,
            now=datetime.now(UTC),
            apply=apply,
            published=self._let_go,
        )

    def mirror(
        self, place: str | Path, *, prune: bool = False, full: bool = False, progress: Progress = silent
    ) -> MirrorReport:
        """Copy what a mirror does not have yet of the newest generation; a mirror can be opened and read.

        Args:
            place: ``s3://bucket/prefix`` or a directory.
            prune: Whether to delete what none of the last three generations in the mirror names.
            full: Whether to read back what is there already, and copy again what is damaged.
            progress: Told as files are copied.

        Raises:
            WorkspaceError: If something else is there, or the mirror of another workspace.
            CorruptFileError: If a file of the workspace is damaged; the mirror stays as it was.
            RemoteError: If the place does not answer; the mirror stays as it was.
        """
        from workbench.storage.mirror import mirror  # noqa: PLC0415
        from workbench.storage.places import place_at  # noqa: PLC0415

        target = place_at(place, self.settings, self.store.disk)
        return mirror(self.store, target, prune=prune, full=full, progress=progress)

    def restore(self, directory: str | Path, *, progress: Progress = silent) -> MirrorReport:
        """Copy the newest generation to an empty directory as a workspace of its own.

        Args:
            directory: Where; where a restore was interrupted, it goes on.
            progress: Told as files are copied.

        Raises:
            WorkspaceError: If something is there already.
            RemoteError: If this is a mirror and does not answer, or the file system refuses.
        """
        from workbench.storage.mirror import restore  # noqa: PLC0415

        return restore(self.store, Path(directory).expanduser().absolute(), progress=progress)

    # how it is

    def status(self) -> dict[str, Any]:
        """Return the figures of the workspace: generation, segments, documents, bytes, clock, knowledge."""
        from workbench.catalog.status import status  # noqa: PLC0415

        return status(self)

    def verify(self, *, full: bool = False, progress: Progress = silent) -> list[tuple[str, str]]:
        """Check every live file against its hash and return the damaged ones with what is wrong.

        Args:
            full: Also files that were checked before in this process.
            progress: Told as files are checked.
        """
        return self._snapshot.damages(full=full, progress=progress)

    def repair(
        self, *, apply: bool = False, sources: Iterable[str | Path] = (), progress: Progress = silent
    ) -> RepairReport:
        """Say what is damaged and what can be done about it, and do it if ``apply`` says so.

        What is derived is derived again. Documents are read again from the sources that the ledger names,
        where these still have the bytes that were read, or copied from a copy of the workspace. What does not
        come back is kept in ``quarantine/damaged``, left out, and named as missing in every result over it.

        Args:
            apply: Do it, as one generation; by default nothing is changed.
            sources: A copy of the workspace, or files and directories in which sources lie now.
            progress: Told as files are checked.

        Raises:
            CorruptFileError: If no manifest is whole.
            ReadOnlyError: If this is a mirror.
            WriterLockedError: If it is to be done and another process writes to the workspace.
            StorageError: If the disk refuses; what was not reached is done by the next repair.
        """
        from workbench.analysis.compute import compute_again  # noqa: PLC0415
        from workbench.ingest.repair import Repair  # noqa: PLC0415

        self.store.require_writable()
        report = Repair(
            self.path, self.schema, self.settings, places=sources, disk=self.store.disk, progress=progress
        ).run(apply=apply)
        if apply:
            self.refresh()
        for finding, run in report.runs:
            compute_again(self, finding, run, apply=apply)
        return report

    def close(self) -> None:
        """Stop the scheduler, the SQL worker and language models, and leave the cluster.

        The engine can still be used afterwards.
        """
        if "scheduler" in self.__dict__:
            self.scheduler.stop()
        if not self._lent:
            self.executor.close()
        self._close_sql()
        self._clients.clear()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the engine."""
        self.close()

    def __repr__(self) -> str:
        """Return the catalog as text."""
        return self.catalog.to_text()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self.catalog._repr_mimebundle_()

    # how the stages are put together

    def _ingest(self) -> Ingest:
        from workbench.ingest import Ingest  # noqa: PLC0415

        return Ingest(self.store, self.schema, self.settings, let_go=self._let_go, closed=self.refresh)

    def _graph_of(self, segments: Iterable[str] | None) -> Graph:
        from workbench.graph.workspace import graph_of  # noqa: PLC0415

        return graph_of(self, segments, self._show)

    def _show(self, *found: Any, **how: Any) -> View:
        from workbench.views._found import show_found  # noqa: PLC0415

        return show_found(self, *found, **how)

    @cached_property
    def _runs(self) -> Runs:
        from workbench.plans.run import Runs  # noqa: PLC0415

        return Runs()

    def _shown(self, answer: Answer) -> Answer:
        from workbench.reports.pictures import answer_svgs  # noqa: PLC0415

        return replace(answer, viewer=answer_svgs)

    @cached_property
    def _sql(self) -> WorkspaceSql:
        from workbench.sql.workspace import WorkspaceSql  # noqa: PLC0415

        return WorkspaceSql(self, self._scratch.path)

    def _close_sql(self) -> None:
        if "_sql" in self.__dict__:
            self._sql.close()

    def _let_go(self) -> None:
        """Hold no earlier generation any more, unless a thread reads it just now."""
        if self.lock.acquire(blocking=False):
            try:
                self.refresh()
                gc.collect()
            finally:
                self.lock.release()
